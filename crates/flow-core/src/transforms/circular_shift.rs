//! Rotations of a circle.

use super::Transform;
use crate::Result;
use crate::ops::elementary::turns;
use candle_core::Tensor;

/// y = x + h, wrapped to the interval from `low` to `high`, whose ends are one point of a circle.
///
/// A rotation by a phase h, which preserves volume: angles elsewhere on the real line count as
/// those of the circle. Between circular splines it moves the point that their interval begins
/// at. O(1) a number. Rezende et al. 2020 (arXiv:2002.02428); zuko's `CircularShiftTransform`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::{CircularShift, Transform};
///
/// let angles = Tensor::new(&[[3.0, -1.0]], &Device::Cpu)?;
/// let phases = Tensor::new(&[[[1.0], [0.5]]], &Device::Cpu)?;
/// let y = CircularShift::default().forward(&angles, &phases)?.0.to_vec2::<f64>()?;
/// assert!((y[0][0] - (4.0 - std::f64::consts::TAU)).abs() < 1e-12 && y[0][1] == -0.5);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CircularShift {
    /// The beginning of the interval.
    pub low: f64,
    /// The end of the interval.
    pub high: f64,
}

impl Default for CircularShift {
    /// Angles in radians, [−π, π).
    fn default() -> Self {
        Self {
            low: -std::f64::consts::PI,
            high: std::f64::consts::PI,
        }
    }
}

impl CircularShift {
    fn wrap(self, x: &Tensor) -> Result<Tensor> {
        x - turns(x, self.low, self.high)?
    }
}

impl Transform for CircularShift {
    fn parameters(&self) -> usize {
        1
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
        Ok((self.wrap(&(x + h.squeeze(2)?)?)?, log_det))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        self.wrap(&(y - h.squeeze(2)?)?)
    }
}
