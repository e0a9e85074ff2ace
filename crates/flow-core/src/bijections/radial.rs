//! Radial flows.

use crate::ops::elementary::softplus;
use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, shape};
use candle_core::{Tensor, bail};

/// A radial flow: numbers move towards or away from a center, less the farther they are.
///
/// ```text
/// y       = x₀ + (x − x₀)·(k + r)/(α + r)         r = ‖x − x₀‖
/// log_det = (D − 1)·ln((k + r)/(α + r)) + ln((r² + 2αr + kα)/(α + r)²)
/// x       = x₀ + (y − x₀)·(α + r)/(k + r)         r² + (k − ρ)·r − ρα = 0,  ρ = ‖y − x₀‖
/// α       = softplus(h_α),  k = α + β = softplus(h_β)
/// ```
///
/// k > 0 makes it invertible, and no term cancels. O(D) both ways, the inverse in closed form. A
/// fresh one has h_α = h_β and is the identity. Rezende & Mohamed 2015, section 4.1 and appendix
/// A.2 (arXiv:1505.05770).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Radial, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let radial = Radial::new(3, params.builder(DType::F64, &Device::Cpu))?;
/// let x = random::normal(1, (5, 3), DType::F64, &Device::Cpu)?;
/// flow_core::check::close(&radial.forward(&x)?.0, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct Radial {
    center: Tensor,
    alpha: Tensor,
    beta: Tensor,
}

/// The least squared radius that has a gradient: at the center itself it has none.
const LEAST: f64 = 1e-30;

impl Radial {
    /// A flow of `features` numbers. Parameters `center`, `[1, D]`, drawn from N(0, 1), and `alpha`
    /// and `beta`, `[1]`, h_α and h_β, zero at first.
    ///
    /// # Errors
    /// If `features` is 0.
    pub fn new(features: usize, params: ParamBuilder) -> Result<Self> {
        if features == 0 {
            bail!("radial: needs at least one number");
        }
        let drawn = Init::Normal { std: 1.0 };
        Ok(Self {
            center: params.get_with_hints((1, features), "center", drawn)?,
            alpha: params.get_with_hints(1, "alpha", Init::Zeros)?,
            beta: params.get_with_hints(1, "beta", Init::Zeros)?,
        })
    }

    /// α and k.
    fn sizes(&self) -> Result<[Tensor; 2]> {
        Ok([softplus(&self.alpha)?, softplus(&self.beta)?])
    }

    /// The numbers from the center, and their distance to it, `[B, 1]`.
    fn offset(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        shape::vectors("radial", x, self.center.dim(1)?)?;
        let offset = x.broadcast_sub(&self.center)?;
        let square = offset.sqr()?.sum_keepdim(1)?;
        Ok([offset, square.maximum(LEAST)?.sqrt()?])
    }

    fn at(&self, offset: &Tensor) -> Result<Tensor> {
        offset.broadcast_add(&self.center)
    }
}

impl Bijection for Radial {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let ([alpha, k], [offset, r]) = (self.sizes()?, self.offset(x)?);
        let whole = r.broadcast_add(&alpha)?;
        let stretch = (r.broadcast_add(&k)? / &whole)?;
        let y = self.at(&offset.broadcast_mul(&stretch)?)?;
        let twice = (r.broadcast_mul(&alpha)? * 2.0)?;
        let along = (r.sqr()? + twice)?.broadcast_add(&(&k * &alpha)?)?;
        let log_along = (along.log()? - (whole.log()? * 2.0)?)?;
        let others = (stretch.log()? * (x.dim(1)? as f64 - 1.0))?;
        Ok((y, (others + log_along)?.squeeze(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let ([alpha, k], [offset, rho]) = (self.sizes()?, self.offset(y)?);
        let lean = rho.affine(-1.0, 0.0)?.broadcast_add(&k)?;
        let product = rho.broadcast_mul(&alpha)?;
        let root = (lean.sqr()? + (&product * 4.0)?)?.sqrt()?;
        let sum = (lean.abs()? + &root)?;
        let grown = ((product * 2.0)? / &sum)?;
        let r = lean.ge(0.0)?.where_cond(&grown, &(sum * 0.5)?)?;
        let stretch = (r.broadcast_add(&alpha)? / r.broadcast_add(&k)?)?;
        self.at(&offset.broadcast_mul(&stretch)?)
    }
}
