//! Multi-scale architecture: each level factors out half of its output and passes on the other
//! half.

use crate::bijection::parts_in_training;
use crate::runs::Rows;
use crate::{Bijection, Gradients, Limit, Result, shape};
use candle_core::{Tensor, bail};

/// A sequence of levels: images `[B, C, H, W]` → all their latents, `[B, C·H·W]`, those of the
/// first level first.
///
/// Each level maps `[B, C, H, W]` → `[B, 4C, H/2, W/2]`, as after a [`Squeeze`](crate::Squeeze).
/// The first half of these channels goes on to the next level.
///
/// ```text
/// y₁ = f₁(x);  [h₁, z₁] = y₁;  y₂ = f₂(h₁);  [h₂, z₂] = y₂;  …;  z_L = y_L
/// log_det = Σ ln|det f_l|
/// ```
///
/// Dinh, Sohl-Dickstein & Bengio 2017, section 3.6 (arXiv:1605.08803).
pub struct MultiScale<L = Box<dyn Bijection>> {
    levels: Vec<L>,
    /// `[C, H, W]`
    image: [usize; 3],
    latents: LatentShapes,
}

/// Output of a level.
pub struct LevelOutput {
    /// Input of the next level, `[B, C, H, W]`; `None` for the last level.
    pub passed_on: Option<Tensor>,
    /// Latents factored out here, `[B, C, H, W]`.
    pub latent: Tensor,
    /// Log-determinant of this level and all before it, `[B]`.
    pub log_det: Tensor,
}

impl<L: Bijection> MultiScale<L> {
    /// The architecture of these `levels` for images `[C, H, W]`.
    ///
    /// # Errors
    /// If `levels` is empty, or the sides of the image cannot be halved once per level.
    pub fn new(levels: Vec<L>, image: [usize; 3]) -> Result<Self> {
        let [_, height, width] = image;
        let count = levels.len();
        let divides = |side: usize| side.trailing_zeros() as usize >= count;
        if count == 0 || !divides(height) || !divides(width) {
            bail!("multi-scale: {count} levels do not fit images of {height}×{width}");
        }
        Ok(Self {
            levels,
            image,
            latents: LatentShapes::new(image, count),
        })
    }

    /// Levels in the order in which data pass.
    pub fn levels(&self) -> &[L] {
        &self.levels
    }

    /// Shapes of the latents.
    pub fn latent_shapes(&self) -> &LatentShapes {
        &self.latents
    }

    /// Outputs of the levels on images `[B, C, H, W]`.
    ///
    /// # Errors
    /// If the images have another size.
    pub fn outputs(&self, x: &Tensor) -> Result<Vec<LevelOutput>> {
        let batch = shape::samples("multi-scale", x, &self.image)?;
        let mut outputs: Vec<LevelOutput> = Vec::with_capacity(self.levels.len());
        let (mut x, mut log_det) = (x.clone(), Tensor::zeros(batch, x.dtype(), x.device())?);
        for (l, level) in self.levels.iter().enumerate() {
            let (y, level_log_det) = level.forward(&x)?;
            log_det = (log_det + level_log_det)?;
            let (passed_on, latent) = self.factor_out(l, y)?;
            if let Some(passed_on) = &passed_on {
                x = passed_on.clone();
            }
            outputs.push(LevelOutput {
                passed_on,
                latent,
                log_det: log_det.clone(),
            });
        }
        Ok(outputs)
    }

    /// The half of the output of level `l` that goes on, if any does, and the one that leaves.
    fn factor_out(&self, l: usize, y: Tensor) -> Result<(Option<Tensor>, Tensor)> {
        if l + 1 == self.levels.len() {
            return Ok((None, y));
        }
        let half = y.dim(1)? / 2;
        let latent = part(&y, half, half)?.contiguous()?;
        Ok((Some(part(&y, 0, half)?), latent))
    }

    /// The images of latents `z`; `step` maps the output of a level back to its input.
    fn back(
        &self,
        z: &Tensor,
        limit: Limit,
        mut step: impl FnMut(&L, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut passed_on: Option<Tensor> = None;
        let latents = self.latents.split(z)?.into_iter();
        for (level, latent) in self.levels.iter().zip(latents).rev() {
            let mut y = limit(latent)?;
            if let Some(passed_on) = passed_on {
                y = Tensor::cat(&[passed_on, y], 1)?;
            }
            passed_on = Some(step(level, &y)?);
        }
        Ok(passed_on.expect("`new` refuses to have no level"))
    }

    /// The same architecture, with `level` applied to each level.
    ///
    /// # Errors
    /// The errors of `level`.
    pub fn map_levels<'a>(
        &'a self,
        level: impl FnMut(&'a L) -> Result<Box<dyn Bijection + 'a>>,
    ) -> Result<MultiScale<Box<dyn Bijection + 'a>>> {
        Ok(MultiScale {
            levels: self.levels.iter().map(level).collect::<Result<_>>()?,
            image: self.image,
            latents: self.latents.clone(),
        })
    }
}

impl<L: Bijection> Bijection for MultiScale<L> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let outputs = self.outputs(x)?;
        let latents = outputs.iter().map(|output| output.latent.clone());
        let latents = self.latents.join(&latents.collect::<Vec<_>>())?;
        let last = outputs.last().expect("`new` refuses to have no level");
        Ok((latents, last.log_det.clone()))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverse_within(y, Ok)
    }

    fn inverse_within(&self, y: &Tensor, limit: Limit) -> Result<Tensor> {
        self.back(y, limit, |level, y| level.inverse_within(y, limit))
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut log_det = Tensor::zeros(y.dim(0)?, y.dtype(), y.device())?;
        let x = self.back(y, Ok, |level, y| {
            let (x, of_level) = level.inverse_with_log_det(y)?;
            log_det = (&log_det + of_level)?;
            Ok(x)
        })?;
        Ok((x, log_det))
    }

    fn context(&self) -> Option<usize> {
        self.levels.iter().find_map(Bijection::context)
    }

    /// Binds the levels that take a context.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        if self.context().is_none() {
            return shape::refuse_context(context);
        }
        Ok(Box::new(
            self.map_levels(|level| level.given_if_taken(context))?,
        ))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let levels = parts_in_training(&self.levels, seed)?;
        let with = |levels| MultiScale {
            levels,
            image: self.image,
            latents: self.latents.clone(),
        };
        Ok(levels.map(|levels| Box::new(with(levels)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.map_levels(|level| level.frozen(rows))?))
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        shape::samples("multi-scale", x, &self.image)?;
        let (mut x, mut latents) = (x.clone(), Vec::with_capacity(self.levels.len()));
        for (l, level) in self.levels.iter().enumerate() {
            let (passed_on, latent) = self.factor_out(l, level.initialize(&x)?)?;
            latents.push(latent);
            if let Some(passed_on) = passed_on {
                x = passed_on;
            }
        }
        self.latents.join(&latents)
    }

    /// Level by level, so that one part's graph exists at a time.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let latents = self.latents.split(y)?.into_iter();
        let latents = latents.zip(self.latents.split(grad_y)?);
        let mut passed_on: Option<(Tensor, Tensor)> = None;
        for (level, (mut y, mut grad_y)) in self.levels.iter().zip(latents).rev() {
            if let Some((x, grad_x)) = passed_on {
                y = Tensor::cat(&[x, y], 1)?;
                grad_y = Tensor::cat(&[grad_x, grad_y], 1)?;
            }
            passed_on = Some(level.backward(&y, &grad_y, grad_log_det, grads)?);
        }
        Ok(passed_on.expect("`new` refuses to have no level"))
    }
}

/// `length` channels of `x` `[B, C, …]`. Some operations reject empty views.
fn part(x: &Tensor, start: usize, length: usize) -> Result<Tensor> {
    if x.elem_count() > 0 {
        return x.narrow(1, start, length);
    }
    let shape = [&[0, length], &x.dims()[2..]].concat();
    Tensor::zeros(shape, x.dtype(), x.device())
}

/// Shapes `[C, H, W]` of the latents of each level, and the conversion between latents and rows
/// that hold a whole sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatentShapes(Vec<[usize; 3]>);

impl LatentShapes {
    /// The shapes of `levels` levels on images `[C, H, W]`.
    pub fn new([channels, height, width]: [usize; 3], levels: usize) -> Self {
        let shape = |level: usize| {
            let share = if level + 1 < levels { 2 } else { 4 };
            let halvings = level + 1;
            [
                (channels << level) * share,
                height >> halvings,
                width >> halvings,
            ]
        };
        Self((0..levels).map(shape).collect())
    }

    /// The shapes, level by level.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = [usize; 3]> + '_ {
        self.0.iter().copied()
    }

    /// Rows `[B, D]` → the latents of each level, `[B, C, H, W]`.
    ///
    /// # Errors
    /// If the rows have another size.
    pub fn split(&self, rows: &Tensor) -> Result<Vec<Tensor>> {
        let size = |[c, h, w]: [usize; 3]| c * h * w;
        let batch = shape::vectors("latents", rows, self.iter().map(size).sum())?;
        let mut start = 0;
        let latents = self.iter().map(|[c, h, w]| {
            let part = part(rows, start, c * h * w)?;
            start += c * h * w;
            part.reshape((batch, c, h, w))
        });
        latents.collect()
    }

    /// The latents of each level, `[B, C, H, W]` → rows `[B, D]`.
    ///
    /// # Errors
    /// If their shapes differ from these.
    pub fn join(&self, latents: &[Tensor]) -> Result<Tensor> {
        if latents.len() != self.0.len() {
            bail!(
                "latents: got {} tensors, needed one of each of {} levels",
                latents.len(),
                self.0.len()
            );
        }
        for (latent, shape) in latents.iter().zip(&self.0) {
            shape::samples("latents", latent, shape)?;
        }
        let rows = latents.iter().map(|latent| latent.flatten_from(1));
        Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 1)
    }
}
