//! Planar flows.

use crate::ops::elementary::softplus;
use crate::ops::root::{implicit, increasing_root};
use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, shape};
use candle_core::{Tensor, bail};

/// A planar flow: numbers move along one direction, by a hyperbolic tangent of their place on
/// another.
///
/// ```text
/// y       = x + û·tanh(a + b)                     a = w·x
/// log_det = ln(1 + c·(1 − tanh²(a + b)))          c = w·û = softplus(w·u) − 1 > −1
/// x       = y − û·tanh(a + b),  a the root of     a + c·tanh(a + b) = w·y
/// û       = u + (c − w·u)·w/‖w‖²
/// ```
///
/// c > −1 makes it invertible. O(D) both ways: the inverse finds one scalar in its bracket, to the
/// rounding of its type, with exact gradients. One layer bends little; expect to need many.
/// Rezende & Mohamed 2015, section 4.1 and appendix A.1 (arXiv:1505.05770).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Planar, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let planar = Planar::new(3, params.builder(DType::F64, &Device::Cpu))?;
/// let x = random::normal(1, (5, 3), DType::F64, &Device::Cpu)?;
/// flow_core::check::close(&planar.inverse(&planar.forward(&x)?.0)?, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct Planar {
    u: Tensor,
    w: Tensor,
    b: Tensor,
}

/// Constants of the map, computed from its parameters.
struct Parts {
    /// û, `[1, D]`.
    direction: Tensor,
    /// 1 + c, `[1, 1]`.
    strength: Tensor,
}

impl Planar {
    /// A flow of `features` numbers. Parameters `u` and `w`, `[1, D]`, drawn from N(0, 1/D), and
    /// `b`, `[1]`, zero at first.
    ///
    /// # Errors
    /// If `features` is 0.
    pub fn new(features: usize, params: ParamBuilder) -> Result<Self> {
        if features == 0 {
            bail!("planar: needs at least one number");
        }
        let std = (features as f64).sqrt().recip();
        let drawn = Init::Normal { std };
        Ok(Self {
            u: params.get_with_hints((1, features), "u", drawn.clone())?,
            w: params.get_with_hints((1, features), "w", drawn)?,
            b: params.get_with_hints(1, "b", Init::Zeros)?,
        })
    }

    fn parts(&self) -> Result<Parts> {
        let inner = (&self.w * &self.u)?.sum_keepdim(1)?;
        let strength = softplus(&inner)?;
        let along = self.w.broadcast_div(&self.w.sqr()?.sum_keepdim(1)?)?;
        let change = ((&strength - 1.0)? - inner)?;
        Ok(Parts {
            direction: (&self.u + along.broadcast_mul(&change)?)?,
            strength,
        })
    }

    /// w·x of each sample, `[B, 1]`.
    fn place(&self, x: &Tensor) -> Result<Tensor> {
        shape::vectors("planar", x, self.w.dim(1)?)?;
        x.broadcast_mul(&self.w)?.sum_keepdim(1)
    }
}

impl Parts {
    /// tanh(a + b), and the slope 1 + c·(1 − tanh²) of a + c·tanh(a + b), a sum of positive terms.
    fn bend(&self, place: &Tensor, b: &Tensor) -> Result<[Tensor; 2]> {
        let tanh = place.broadcast_add(b)?.tanh()?;
        let rest = self.strength.affine(-1.0, 1.0)?;
        let slope = tanh.sqr()?.broadcast_mul(&rest)?;
        Ok([tanh, slope.broadcast_add(&self.strength)?])
    }

    /// a + c·tanh(a + b), which is w·y, and its slope.
    fn moved(&self, place: &Tensor, b: &Tensor) -> Result<[Tensor; 2]> {
        let [tanh, slope] = self.bend(place, b)?;
        let change = tanh.broadcast_mul(&(&self.strength - 1.0)?)?;
        Ok([(place + change)?, slope])
    }
}

impl Bijection for Planar {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (parts, place) = (self.parts()?, self.place(x)?);
        let [tanh, slope] = parts.bend(&place, &self.b)?;
        let y = (x + tanh.broadcast_mul(&parts.direction)?)?;
        Ok((y, slope.log()?.squeeze(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let (parts, target) = (self.parts()?, self.place(y)?);
        let b = self.b.detach();
        let still = Parts {
            direction: parts.direction.detach(),
            strength: parts.strength.detach(),
        };
        // |tanh| ≤ 1.
        let reach = (&still.strength - 1.0)?.abs()?;
        let fixed = target.detach();
        let bracket = [fixed.broadcast_sub(&reach)?, fixed.broadcast_add(&reach)?];
        let place = increasing_root(&fixed, bracket, |place| still.moved(place, &b))?;
        let [value, slope] = parts.moved(&place, &self.b)?;
        let place = implicit(&place, &target, &value, &slope)?;
        let [tanh, _] = parts.bend(&place, &self.b)?;
        y - tanh.broadcast_mul(&parts.direction)?
    }
}
