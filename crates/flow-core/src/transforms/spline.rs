//! Rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032).

use super::Transform;
use crate::Result;
use crate::ops::elementary::turns;
use crate::ops::spline::{self, Ends, IntervalSpline, Spline};
use candle_core::Tensor;

impl Transform for Spline {
    fn parameters(&self) -> usize {
        Spline::parameters(*self)
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        self.forward_last(x, &self.layout().pack(h)?)
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        self.inverse_last(y, &self.layout().pack(h)?)
    }

    /// Bins of equal size, and derivatives of 1.
    fn initial_bias(&self) -> Vec<f64> {
        Transform::initial_bias(&IntervalSpline::from(*self))
    }

    fn forward_last(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        spline::forward(x, h, *self)
    }

    fn inverse_last(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        spline::inverse(y, h, *self)
    }

    fn inverse_last_with_log_det(&self, y: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        spline::inverse_with_log_det(y, h, *self)
    }
}

impl IntervalSpline {
    /// `x` by `map`, on a circle after whole turns that lead to the interval, and back.
    fn turned<R>(
        self,
        x: &Tensor,
        map: impl FnOnce(&Tensor) -> Result<(Tensor, R)>,
    ) -> Result<(Tensor, R)> {
        if self.ends != Ends::Circular {
            return map(x);
        }
        let turns = turns(x, self.low, self.high)?;
        let local = (x - &turns)?;
        // Only rounding leads beyond the interval.
        let held = local.detach();
        let lost = (held.clamp(self.low, self.high)? - held)?;
        let (y, result) = map(&(local + lost)?)?;
        Ok(((y + turns)?, result))
    }
}

impl Transform for IntervalSpline {
    fn parameters(&self) -> usize {
        IntervalSpline::parameters(*self)
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let h = self.layout().pack(h)?;
        self.turned(x, |x| spline::forward(x, &h, *self))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let h = self.layout().pack(h)?;
        let invert = |y: &Tensor| Ok((spline::inverse(y, &h, *self)?, ()));
        Ok(self.turned(y, invert)?.0)
    }

    /// Bins of equal size, and derivatives of 1.
    fn initial_bias(&self) -> Vec<f64> {
        let mut bias = vec![(1.0 - self.min_derivative).exp_m1().ln(); Transform::parameters(self)];
        bias[..2 * self.bins].fill(0.0);
        bias
    }
}
