//! From latents to images.
//!
//! The inverse of a flow can expand without bound: far latents leave the range of f32 on the way,
//! and ∞ − ∞ is NaN. An image to which that happens is decoded again, and every number that leaves
//! a block is kept within ±10¹⁸, from where the networks still give finite ones. Other images keep
//! their bits.

use crate::config::ImageShape;
use crate::latents::Latents;
use crate::level::InverseMaps;
use crate::model::{Glow, RUN_LENGTH};
use crate::runs::{Run, in_runs};
use crate::{Error, Result, finite, quantize};
use candle_core::{DType, Tensor};
use flow_core::Bijection;

/// What becomes of the numbers that leave a block.
pub(crate) type Limit = fn(Tensor) -> candle_core::Result<Tensor>;

impl Glow {
    /// The x whose latents these are: the exact inverse of [`encode`](Self::encode), in model space.
    ///
    /// Finite latents of any size give finite numbers, saturated where the exact ones do not fit the
    /// type of the parameters. A NaN stays one, as does what the weights themselves make of nothing.
    ///
    /// # Errors
    /// If latents or labels are not of the model's shapes.
    pub fn decode(&self, latents: &Latents, labels: Option<&Tensor>) -> Result<Tensor> {
        self.check_latents(latents)?;
        if latents.count()? == 0 {
            self.prior.given(labels)?;
            let ImageShape {
                channels,
                height,
                width,
            } = self.config().image;
            let none = (0, channels, height, width);
            return Ok(Tensor::zeros(none, self.dtype(), self.device())?);
        }
        let maps = self.inverse_maps()?;
        let decode = |run: Run| {
            let labels = labels.map(|labels| run.of(labels)).transpose()?;
            let of_run = latents.0.iter().map(|latent| run.of(latent));
            let latents = of_run.collect::<candle_core::Result<Vec<_>>>()?;
            let x = self.invert(&maps, &latents, labels.as_ref(), Ok)?;
            let rows = finite::rows(&x)?;
            if rows.iter().all(|&finite| finite) {
                return Ok(x);
            }
            let saturated = self.invert(&maps, &latents, labels.as_ref(), saturate)?;
            let rows = rows.into_iter().enumerate();
            let rows = rows.map(|(i, finite)| if finite { &x } else { &saturated }.narrow(0, i, 1));
            Ok(Tensor::cat(
                &rows.collect::<candle_core::Result<Vec<_>>>()?,
                0,
            )?)
        };
        let runs = in_runs(self.device(), latents.count()?, RUN_LENGTH, decode)?;
        Ok(Tensor::cat(&runs, 0)?)
    }

    /// The u8 images `[B, C, H, W]` of latents; see [`decode`](Self::decode).
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`Error::NonFiniteImages`].
    pub fn decode_images(&self, latents: &Latents, labels: Option<&Tensor>) -> Result<Tensor> {
        quantize::quantize(self.config(), &self.decode(latents, labels)?)
    }

    fn check_latents(&self, latents: &Latents) -> Result<()> {
        let (got, needed) = (latents.0.len(), self.levels.len());
        if got != needed {
            return Err(Error::Config(format!(
                "the model decodes a latent of each level: {needed} of them, not {got}"
            )));
        }
        for (latent, shape) in latents.0.iter().zip(self.latent_shapes()) {
            let fits = match *latent.dims() {
                [_, c, h, w] => ImageShape::new(c, h, w) == shape,
                _ => false,
            };
            if !fits {
                return Err(Error::Config(format!(
                    "a latent is of shape {:?}, but the model's are {shape} each",
                    latent.dims()
                )));
            }
        }
        Ok(())
    }

    /// The inverse of one run, each block's output passed through `limit`.
    fn invert(
        &self,
        maps: &[InverseMaps],
        latents: &[Tensor],
        labels: Option<&Tensor>,
        limit: Limit,
    ) -> Result<Tensor> {
        let (top, split_off) = latents.split_last().expect("a model has a level");
        let prior = self.prior.given(labels)?;
        let mut x = limit(prior.inverse(&limit(top.clone())?)?)?;
        for (l, level) in self.levels.iter().enumerate().rev() {
            if let Some(split_off) = split_off.get(l) {
                let mut split_off = limit(split_off.clone())?;
                if let Some(prior) = self.split_priors.get(l) {
                    split_off = limit(prior.given(labels)?.inverse(&split_off)?)?;
                }
                x = Tensor::cat(&[x, split_off], 1)?;
            }
            x = level.inverse_by(&maps[l], &x, limit)?;
        }
        Ok(x)
    }
}

/// The nearest of the numbers within the limit; a NaN stays one.
fn saturate(x: Tensor) -> candle_core::Result<Tensor> {
    // Half the exponents, so that products of two such numbers are finite.
    let limit = match x.dtype() {
        DType::F64 => 1e150,
        _ => 1e18,
    };
    // Not every device keeps NaN when it clamps.
    let is_nan = x.ne(&x)?;
    is_nan.where_cond(&x, &x.clamp(-limit, limit)?)
}
