//! Paths in latent space: a [`Path`] from one image to another, and the [`Direction`] from one set
//! of images to another.
//!
//! ```text
//! linear     z(t) = (1 − t)·a + t·b
//! spherical  z(t) = (sin((1 − t)·θ)·a + sin(t·θ)·b) / sin θ,   cos θ = a·b / (‖a‖·‖b‖)
//! attribute  z + strength·(mean of one set − mean of the other)
//! ```
//!
//! All levels are one vector here. Samples of a standard normal of many dimensions lie near a
//! sphere. A straight line leaves that sphere, so images in its middle are too smooth; the arc
//! stays near it (White 2016, arXiv:1609.04468). Attributes are those of arXiv:1807.03039, section
//! 6.
//!
//! A model with classes whitens each class by a Gaussian of its own. So latents are comparable only
//! within one class.

use crate::{Error, Result};
use candle_core::{DType, Tensor};
use flow_core::{Bijection, transfer};
use flow_glow::{Glow, Latents};

/// A path from one latent to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// On the straight line.
    Linear,
    /// On the arc around 0, or on the straight line where the arc is not unique.
    Spherical,
}

/// Images that are encoded between two reports of progress: whole runs, so that the bits are those
/// of all images at once.
const PART: usize = 256;

/// Below this sine of the angle, an arc is straight or not unique.
const MIN_SINE: f64 = 1e-6;

impl Path {
    /// `steps` latents for each of the B pairs, pair by pair, `[B · steps, …]` in every level. They
    /// lie at equal distances, from `from` to `to`.
    ///
    /// # Errors
    /// If there are fewer than two steps, or the two are not of the same shape.
    pub fn between(self, from: &Latents, to: &Latents, steps: usize) -> Result<Latents> {
        if steps < 2 {
            let reason = format!("a path takes two steps or more, not {steps}");
            return Err(Error::Input(reason));
        }
        let times = (0..steps).map(|step| step as f64 / (steps - 1) as f64);
        self.at(from, to, &times.collect::<Vec<_>>())
    }

    /// As [`between`](Self::between), at the given times: 0 is `from`, 1 is `to`.
    ///
    /// # Errors
    /// If the two are not of the same shape.
    pub fn at(self, from: &Latents, to: &Latents, times: &[f64]) -> Result<Latents> {
        let angles = match self {
            Self::Linear => vec![0.0; from.count()?],
            Self::Spherical => angles(from, to)?,
        };
        let (shares_from, shares_to): (Vec<_>, Vec<_>) = angles
            .iter()
            .flat_map(|&angle| times.iter().map(move |&time| shares(angle, time)))
            .unzip();
        let spread = |z: &Tensor, shares: &[f64]| {
            let (b, c, h, w) = z.dims4()?;
            let repeated = z.unsqueeze(1)?.broadcast_as((b, times.len(), c, h, w))?;
            let shape = (shares.len(), 1, 1, 1);
            let shares = transfer::upload(shares.to_vec(), shape, z.dtype(), z.device())?;
            repeated
                .reshape((b * times.len(), c, h, w))?
                .broadcast_mul(&shares)
        };
        let levels = from.0.iter().zip(&to.0);
        let levels = levels.map(|(from, to)| spread(from, &shares_from)? + spread(to, &shares_to)?);
        Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
    }
}

/// A direction in latent space in which images gain an attribute.
///
/// ```
/// # use candle_core::{DType, Device, Tensor};
/// # use flow_core::params::ParamStore;
/// # use flow_glow::{Glow, GlowConfig, ImageShape};
/// use flow_analysis::latent_space::Direction;
///
/// # let config = GlowConfig { steps: 2, ..GlowConfig::small(ImageShape::new(1, 8, 8)) };
/// # let glow = Glow::new(&config, ParamStore::new(0).builder(DType::F32, &Device::Cpu))?;
/// # let images = |value: u8, count| Tensor::full(value, (count, 1, 8, 8), &Device::Cpu);
/// let (dark, bright) = (images(10, 5)?, images(200, 3)?);
/// let brighter = Direction::between(&glow, &dark, &bright)?;
/// let latents = brighter.applied(&glow.encode_images(&dark)?, 1.0)?;
/// let edited = glow.decode_images(&latents)?;
/// assert_eq!(edited.flatten_all()?.to_vec1::<u8>()?, [200; 5 * 64]);
/// # flow_analysis::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Direction(Latents);

impl Direction {
    /// From the mean of one set of u8 images `[N, C, H, W]` to the mean of another, under a model
    /// that is bound to one condition, if it takes any: that of the images which are moved, too.
    ///
    /// # Errors
    /// If a set is empty or not of the model's images.
    pub fn between<B: Bijection>(model: &Glow<B>, from: &Tensor, to: &Tensor) -> Result<Self> {
        Self::between_with(model, from, to, |_| {})
    }

    /// As [`between`](Self::between); `progress` gets the share of the images that is encoded.
    ///
    /// # Errors
    /// As [`between`](Self::between).
    pub fn between_with<B: Bijection>(
        model: &Glow<B>,
        from: &Tensor,
        to: &Tensor,
        mut progress: impl FnMut(f64),
    ) -> Result<Self> {
        let all = from.dim(0)? + to.dim(0)?;
        let mut done = 0;
        let mut mean = |images: &Tensor| {
            let count = images.dim(0)?;
            if count == 0 {
                let reason = "an attribute needs images on both sides";
                return Err(Error::Input(reason.into()));
            }
            let mut parts = Vec::new();
            for start in (0..count).step_by(PART) {
                let part = images.narrow(0, start, PART.min(count - start))?;
                parts.push(model.encode_images(&part)?);
                done += part.dim(0)?;
                progress(done as f64 / all as f64);
            }
            mean(&joined(&parts)?)
        };
        let to = mean(to)?;
        moved(&to, &mean(from)?, -1.0).map(Self)
    }

    /// Its latents, `[1, …]` in every level.
    pub fn latents(&self) -> &Latents {
        &self.0
    }

    /// Latents moved by `strength` times the direction, of any device and precision: with strength
    /// 1, as far as the means of the two sets are apart.
    ///
    /// # Errors
    /// If they are not of the same model.
    pub fn applied(&self, latents: &Latents, strength: f64) -> Result<Latents> {
        moved(latents, &self.0, strength)
    }
}

/// The latents of all images of some sets.
fn joined(parts: &[Latents]) -> Result<Latents> {
    let levels = parts.first().map_or(0, |part| part.0.len());
    let level = |level: usize| {
        let parts = parts.iter().map(|part| &part.0[level]);
        Tensor::cat(&parts.collect::<Vec<_>>(), 0)
    };
    let levels = (0..levels).map(level);
    Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
}

/// The mean over images, `[1, …]` in every level.
fn mean(latents: &Latents) -> Result<Latents> {
    let mean = |z: &Tensor| {
        let mean = on_host(z)?.mean_keepdim(0)?;
        transfer::from_host(&mean.to_dtype(z.dtype())?, z.device())
    };
    let levels = latents.0.iter().map(mean);
    Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
}

/// Every image moved by `strength` times `direction`, `[1, …]` in every level.
fn moved(latents: &Latents, direction: &Latents, strength: f64) -> Result<Latents> {
    let levels = latents.0.iter().zip(&direction.0);
    let levels = levels.map(|(z, d)| {
        let d = transfer::to_device(d, z.device())?.to_dtype(z.dtype())?;
        z.broadcast_add(&(d * strength)?)
    });
    Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
}

/// The shares of both ends in the point at `time`.
fn shares(angle: f64, time: f64) -> (f64, f64) {
    let sine = angle.sin();
    if sine >= MIN_SINE {
        let share = |time: f64| (time * angle).sin() / sine;
        (share(1.0 - time), share(time))
    } else {
        (1.0 - time, time)
    }
}

/// In f64, which not every device has.
fn on_host(z: &Tensor) -> candle_core::Result<Tensor> {
    transfer::to_host(z)?.to_dtype(DType::F64)
}

/// The angle between the two latents of each pair, `[B]`; NaN if one of them is 0.
fn angles(from: &Latents, to: &Latents) -> Result<Vec<f64>> {
    let flat = |latents: &Latents| {
        let levels = latents.0.iter();
        let levels = levels.map(|z| on_host(z)?.flatten_from(1));
        Tensor::cat(&levels.collect::<candle_core::Result<Vec<_>>>()?, 1)
    };
    let (from, to) = (flat(from)?, flat(to)?);
    let product = |a: &Tensor, b: &Tensor| transfer::numbers(&(a * b)?.sum(1)?);
    let lengths = product(&from, &from)?.into_iter().zip(product(&to, &to)?);
    let cosines = product(&from, &to)?.into_iter().zip(lengths);
    Ok(cosines
        .map(|(dot, (a, b))| (dot / (a * b).sqrt()).clamp(-1.0, 1.0).acos())
        .collect())
}
