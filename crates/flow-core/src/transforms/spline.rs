//! Rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032).

use super::Transform;
use crate::Result;
use crate::ops::spline::{self, Spline};
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
        let mut bias = vec![self.raw_derivative_of_one(); self.parameters()];
        bias[..2 * self.bins].fill(0.0);
        bias
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
