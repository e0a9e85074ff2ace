//! A user-defined transform, by the trait alone.

use candle_core::{Result, Tensor};
use flow_core::Transform;

/// y = sinh(eᵃ·arsinh x + b) (Jones & Pewsey 2009), with both parameters kept in (−½, ½) by a
/// hyperbolic tangent.
#[derive(Clone, Copy)]
pub(crate) struct SinhArcsinh;

impl SinhArcsinh {
    /// a and b, in the shape of x.
    fn parts(h: &Tensor) -> Result<[Tensor; 2]> {
        let part = |index| h.narrow(2, index, 1)?.squeeze(2)?.tanh()? * 0.5;
        Ok([part(0)?, part(1)?])
    }
}

impl Transform for SinhArcsinh {
    fn parameters(&self) -> usize {
        2
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let [a, b] = Self::parts(h)?;
        let place = ((arsinh(x)? * a.exp()?)? + b)?;
        let (up, down) = (place.exp()?, place.neg()?.exp()?);
        let log_cosh = ((&up + &down)? * 0.5)?.log()?;
        let log_slope = ((log_cosh + a)? - ((x.sqr()? + 1.0)?.log()? * 0.5)?)?;
        Ok((((up - down)? * 0.5)?, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let [a, b] = Self::parts(h)?;
        let place = ((arsinh(y)? - b)? * a.neg()?.exp()?)?;
        (place.exp()? - place.neg()?.exp()?)? * 0.5
    }
}

/// ln(|x| + √(x² + 1)) with the sign of x, which does not cancel.
fn arsinh(x: &Tensor) -> Result<Tensor> {
    let size = (x.abs()? + (x.sqr()? + 1.0)?.sqrt()?)?.log()?;
    size * x.detach().sign()?
}
