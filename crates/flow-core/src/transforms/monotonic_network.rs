//! Monotonic networks of single numbers.

use super::Transform;
use crate::Result;
use crate::distribution::log_sum_exp;
use crate::ops::elementary::softplus;
use crate::ops::root::{implicit, increasing_root};
use candle_core::{D, Tensor};

/// A monotonic network with one hidden layer of sigmoids: the deep sigmoidal flow.
///
/// ```text
/// S       = Σⱼ wⱼ·σ(aⱼ·x + bⱼ)         w = softmax(h_w),  a = softplus(h_a) + 10⁻³,  b = h_b
/// y       = ln S − ln(1 − S)
/// ∂y/∂x   = Σⱼ wⱼ·aⱼ·σ(aⱼx + bⱼ)·σ(−aⱼx − bⱼ) / (S·(1 − S))
/// x of y  is the root in [minⱼ (y − bⱼ)/aⱼ, maxⱼ (y − bⱼ)/aⱼ], where y lies between its units
/// ```
///
/// A map of the whole real line, smooth everywhere and linear far out, that approximates every
/// continuous density with enough units. Logarithms are summed, so both tails keep their digits.
/// 3J parameters a number for J units. Forward O(J); the inverse brackets and evaluates f about
/// ten times, to the rounding of its type, and has the exact gradients of the implicit function
/// theorem. Huang et al. 2018, section 3.1 (arXiv:1804.00779).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Autoregressive, Bijection, MlpSize, MonotonicNetwork};
/// use flow_core::{params::ParamStore, random};
///
/// let builder = ParamStore::new(0).builder(DType::F64, &Device::Cpu);
/// let network = MonotonicNetwork { units: 8 };
/// let flow = Autoregressive::new(2, network, MlpSize::default(), builder)?;
/// let x = random::normal(1, (5, 2), DType::F64, &Device::Cpu)?;
/// flow_core::check::close(&flow.inverse(&flow.forward(&x)?.0)?, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MonotonicNetwork {
    /// J, the hidden units of the network of a number; at least 1.
    pub units: usize,
}

/// The least slope of a hidden unit.
const MIN_SLOPE: f64 = 1e-3;

impl Transform for MonotonicNetwork {
    fn parameters(&self) -> usize {
        self.units.saturating_mul(3)
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, log_slope) = Units::new(self.units, h)?.forward(x)?;
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let units = Units::new(self.units, &h.detach())?;
        let target = y.detach();
        let x = increasing_root(&target, units.bracket(&target)?, |x| {
            let (value, log_slope) = units.forward(x)?;
            Ok([value, log_slope.exp()?])
        })?;
        let (value, log_slope) = Units::new(self.units, h)?.forward(&x)?;
        implicit(&x, y, &value, &log_slope.exp()?)
    }

    /// Nearly the identity: equal shares and slopes of 1. The shifts differ, so that the units
    /// learn different things.
    fn initial_bias(&self) -> Vec<f64> {
        let slope = (1.0 - MIN_SLOPE).exp_m1().ln();
        let middle = (self.units as f64 - 1.0) / 2.0;
        let shifts = (0..self.units).map(|unit| (unit as f64 - middle) / middle.max(1.0));
        let mut bias = vec![slope; self.units];
        bias.extend(shifts);
        bias.extend(vec![0.0; self.units]);
        bias
    }
}

/// The units of all numbers, `[B, C, …, J]`.
struct Units {
    slope: Tensor,
    shift: Tensor,
    log_weight: Tensor,
}

impl Units {
    /// `h` is `[B, C, 3·units, …]`: raw slopes, shifts, raw weights.
    fn new(units: usize, h: &Tensor) -> Result<Self> {
        let mut order = (0..h.rank()).filter(|axis| *axis != 2).collect::<Vec<_>>();
        order.push(2);
        let h = h.permute(order)?;
        let part = |index| h.narrow(D::Minus1, index * units, units)?.contiguous();
        let raw = part(2)?;
        Ok(Self {
            slope: (softplus(&part(0)?)? + MIN_SLOPE)?,
            shift: part(1)?,
            log_weight: raw.broadcast_sub(&log_sum_exp(&raw)?.unsqueeze(D::Minus1)?)?,
        })
    }

    /// y and ln ∂y/∂x of each number.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let place = (self.slope.broadcast_mul(&x.unsqueeze(D::Minus1)?)? + &self.shift)?;
        let (log_on, log_off) = (softplus(&place.neg()?)?.neg()?, softplus(&place)?.neg()?);
        let on = (&self.log_weight + &log_on)?;
        let off = (&self.log_weight + &log_off)?;
        let (log_s, log_rest) = (log_sum_exp(&on)?, log_sum_exp(&off)?);
        let y = (&log_s - &log_rest)?;
        // Σ rⱼ·aⱼ·eⱼ, where r are the shares of the units in the smaller of S and 1 − S, and e
        // what they have of the larger: neither is a difference of large numbers.
        let right = y.detach().ge(0.0)?.unsqueeze(D::Minus1)?;
        let right = right.broadcast_as(on.shape())?;
        let small = right.where_cond(&off, &on)?;
        let small = small.broadcast_sub(&small.detach().max_keepdim(D::Minus1)?)?;
        let small = small.broadcast_sub(&log_sum_exp(&small)?.unsqueeze(D::Minus1)?)?;
        let of_large = |unit: &Tensor, sum: &Tensor| unit.broadcast_sub(&sum.unsqueeze(D::Minus1)?);
        let large =
            right.where_cond(&of_large(&log_on, &log_s)?, &of_large(&log_off, &log_rest)?)?;
        let log_slope = log_sum_exp(&((small + large)? + self.slope.log()?)?)?;
        Ok((y, log_slope))
    }

    /// Two numbers between which the x of `y` lies.
    fn bracket(&self, y: &Tensor) -> Result<[Tensor; 2]> {
        let ends = (y.unsqueeze(D::Minus1)?.broadcast_sub(&self.shift)? / &self.slope)?;
        Ok([ends.min(D::Minus1)?, ends.max(D::Minus1)?])
    }
}
