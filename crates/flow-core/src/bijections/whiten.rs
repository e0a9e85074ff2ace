//! Whitening by a diagonal Gaussian: draws from N(mean, exp(log_std)²) become standard normal.

use crate::bijection::Detached;
use crate::inspect::{check_finite, constant};
use crate::ops::elementary::saturating_exp;
use crate::runs::Rows;
use crate::{Bijection, Result, shape};
use candle_core::{DType, Tensor, bail};
use std::f64::consts::PI;

/// A Gaussian with bound mean and standard deviation, as a bijection to the standard normal.
///
/// ```text
/// y       = (x − mean) ⊙ exp(−log_std)
/// log_det = −Σ log_std
/// x       = y ⊙ exp(log_std) + mean
/// ```
///
/// Learned priors have this form, so the base distribution of every flow is one standard normal.
/// Encoding, temperature and labels need no special cases.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Whiten, random};
///
/// let x = random::normal(0, (50, 3), DType::F64, &Device::Cpu)?.affine(2.0, 7.0)?;
/// let whiten = Whiten::fit(&x)?;
/// let (y, _) = whiten.forward(&x)?;
/// assert!(y.mean_all()?.to_scalar::<f64>()?.abs() < 1e-12);
/// # candle_core::Result::Ok(())
/// ```
pub struct Whiten {
    mean: Tensor,
    log_std: Tensor,
    /// Rows of the batch that it serves; `None` for all.
    rows: Option<Rows>,
}

impl Whiten {
    /// `mean` and `log_std` broadcast to the shape of `x`.
    pub fn new(mean: Tensor, log_std: Tensor) -> Self {
        Self {
            mean,
            log_std,
            rows: None,
        }
    }

    /// Mean and ln std of `x`.
    ///
    /// # Errors
    /// If they do not broadcast to the shape of `x`.
    fn of(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        shape::batch("whiten", x)?;
        let of = |bound: &Tensor| {
            let bound = match &self.rows {
                Some(rows) if bound.rank() == x.rank() => rows.of_context(bound)?,
                _ => bound.clone(),
            };
            if bound.broadcast_as(x.shape()).is_err() {
                let needed = format!("one that {:?} broadcasts to", bound.dims());
                return shape::refuse("whiten", x, &needed);
            }
            Ok(bound)
        };
        Ok([of(&self.mean)?, of(&self.log_std)?])
    }

    /// The whitening of the rows of `x` `[N, …]`: subtracts each number's mean and divides by its
    /// standard deviation. In front of a flow ([`Flow::after`](crate::Flow::after)), densities stay
    /// in the units of the data.
    ///
    /// A number that is the same in all rows, up to rounding, keeps its scale;
    /// [`constant_columns`](crate::constant_columns) names them.
    ///
    /// # Errors
    /// If there are fewer than two rows, or a number is not finite; the error names row and column.
    pub fn fit(x: &Tensor) -> Result<Self> {
        if x.rank() < 2 || x.dim(0)? < 2 {
            bail!(
                "whiten: needs at least two rows, not a shape of {:?}",
                x.shape()
            );
        }
        let x = x.detach();
        check_finite("whiten", &x)?;
        // Metal has no double precision.
        let wide = if x.device().is_metal() {
            x.dtype()
        } else {
            DType::F64
        };
        let wide = x.to_dtype(wide)?;
        let mean = wide.mean_keepdim(0)?;
        let variance = wide.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?;
        let constant = constant(&x.flatten_from(1)?.t()?)?.reshape(variance.shape())?;
        let variance = constant.where_cond(&variance.ones_like()?, &variance)?;
        let log_std = (variance.log()? * 0.5)?;
        Ok(Self::new(
            mean.to_dtype(x.dtype())?,
            log_std.to_dtype(x.dtype())?,
        ))
    }

    /// Mean and ln std of each number, in the order of a sample's numbers.
    ///
    /// # Errors
    /// If they cannot be copied from the device.
    pub fn statistics(&self) -> Result<[Vec<f64>; 2]> {
        Ok([
            crate::transfer::numbers(&self.mean)?,
            crate::transfer::numbers(&self.log_std)?,
        ])
    }
}

impl Bijection for Whiten {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let [mean, log_std] = self.of(x)?;
        let y = x
            .broadcast_sub(&mean)?
            .broadcast_mul(&log_std.neg()?.exp()?)?;
        let log_det = log_std
            .broadcast_as(x.shape())?
            .flatten_from(1)?
            .sum(1)?
            .neg()?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let [mean, log_std] = self.of(y)?;
        y.broadcast_mul(&saturating_exp(&log_std)?)?
            .broadcast_add(&mean)
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Detached(Self {
            mean: self.mean.clone(),
            log_std: self.log_std.clone(),
            rows: Some(rows.clone()),
        })))
    }
}

/// ln N(z; 0, 1) of each sample, `[B, …]` → `[B]`, in nats.
pub fn standard_normal_log_prob(z: &Tensor) -> Result<Tensor> {
    let z = z.flatten_from(1)?;
    let normaliser = -0.5 * (2.0 * PI).ln() * z.dim(1)? as f64;
    z.sqr()?.sum(1)?.affine(-0.5, normaliser)
}
