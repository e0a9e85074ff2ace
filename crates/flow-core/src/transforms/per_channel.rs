//! Transforms that differ between channels.

use super::Transform;
use crate::Result;
use crate::bijections::groups::Groups;
use candle_core::Tensor;

/// A transform for each group of channels: circular for angles and linear for the other numbers of
/// one flow, say.
///
/// ```text
/// yᵢ = transform_g(i)(xᵢ; hᵢ),   log_det = Σ_g log_det_g,   K = max_g K_g
/// ```
///
/// Every channel has the parameters of the largest transform, of which the others take the first.
/// Indices are those of the channels that move: of all of them in an
/// [`Autoregressive`](crate::Autoregressive) layer, of those that do not pass, in their order, in a
/// [`Coupling`](crate::Coupling). It costs what its parts cost. Rezende et al. 2020, section 2.3
/// (arXiv:2002.02428).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Autoregressive, IntervalSpline, MlpSize, PerChannel, Spline};
/// use flow_core::params::ParamStore;
///
/// let mixed = PerChannel::new(vec![
///     (Box::new(IntervalSpline::circle()), vec![0, 2]),
///     (Box::new(Spline::default()), vec![1]),
/// ])?;
/// let (params, size) = (ParamStore::new(0), MlpSize::default());
/// let layer = Autoregressive::new(3, mixed, size, params.builder(DType::F32, &Device::Cpu))?;
/// # candle_core::Result::Ok(())
/// ```
pub struct PerChannel {
    transforms: Vec<First>,
    groups: Groups,
    /// The transform of each channel.
    of_channel: Vec<usize>,
}

impl PerChannel {
    /// The transforms with the indices of their channels; those of none are left out.
    ///
    /// # Errors
    /// If a channel from 0 to the last is in no group, or in two.
    pub fn new(mut groups: Vec<(Box<dyn Transform>, Vec<usize>)>) -> Result<Self> {
        groups.retain(|(_, channels)| !channels.is_empty());
        let (transforms, channels): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let groups = Groups::new("transform", &channels)?;
        let mut of_channel = vec![0; groups.channels()];
        for (group, channels) in channels.iter().enumerate() {
            for &channel in channels {
                of_channel[channel] = group;
            }
        }
        let counts = transforms.iter().map(Transform::parameters);
        let parameters = counts.max().unwrap_or(0);
        let transforms = transforms.into_iter().map(|transform| First {
            transform,
            parameters,
        });
        Ok(Self {
            transforms: transforms.collect(),
            groups,
            of_channel,
        })
    }

    /// Each transform, with the numbers and the parameters of its channels.
    fn parts(&self, x: &Tensor, h: &Tensor) -> Result<Vec<(&First, Tensor, Tensor)>> {
        let split = |tensor| self.groups.split("transform", tensor);
        let parts = self.transforms.iter().zip(split(x)?).zip(split(h)?);
        Ok(parts.map(|((transform, x), h)| (transform, x, h)).collect())
    }
}

impl Transform for PerChannel {
    fn parameters(&self) -> usize {
        self.transforms.first().map_or(0, Transform::parameters)
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut moved = Vec::with_capacity(self.transforms.len());
        let mut total = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
        for (transform, x, h) in self.parts(x, h)? {
            let (y, log_det) = transform.forward(&x, &h)?;
            moved.push(y);
            total = (total + log_det)?;
        }
        Ok((self.groups.join(&moved)?, total))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let parts = self.parts(y, h)?.into_iter();
        let moved = parts.map(|(transform, y, h)| transform.inverse(&y, &h));
        self.groups.join(&moved.collect::<Result<Vec<_>>>()?)
    }

    fn channel(&self, index: usize) -> Option<&dyn Transform> {
        let group = *self.of_channel.get(index)?;
        Some(&self.transforms[group])
    }
}

/// A transform by the first of more parameters than it has.
struct First {
    transform: Box<dyn Transform>,
    parameters: usize,
}

impl First {
    /// Its own parameters of `h` `[B, C, K, …]`.
    fn own(&self, h: &Tensor) -> Result<Tensor> {
        h.narrow(2, 0, self.transform.parameters())?.contiguous()
    }
}

impl Transform for First {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transform.forward(x, &self.own(h)?)
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        self.transform.inverse(y, &self.own(h)?)
    }

    /// That of its own parameters, and zeros.
    fn initial_bias(&self) -> Vec<f64> {
        let mut bias = self.transform.initial_bias();
        bias.resize(self.parameters, 0.0);
        bias
    }
}
