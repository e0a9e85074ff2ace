//! A whole model as one bijection.

use crate::latents::Latents;
use crate::model::Glow;
use candle_core::{Error, Result, Tensor, bail};
use flow_core::{Bijection, Gradients};

/// x `[B, C, H, W]` in model space → all its latents in one row, `[B, D]`: [`Glow::encode`] and
/// [`Glow::decode`] for what works with any bijection, such as [`flow_core::check`].
pub struct Whole<'a> {
    glow: &'a Glow,
    labels: Option<Tensor>,
}

impl Glow {
    /// The model of these labels as one bijection. `labels` are u32, one for all samples `[1]` or one for
    /// each, `[N]`, of which a smaller batch takes the first ones; `None` if the model has no classes.
    pub fn given(&self, labels: Option<&Tensor>) -> Whole<'_> {
        Whole {
            glow: self,
            labels: labels.cloned(),
        }
    }
}

impl Whole<'_> {
    fn labels(&self, batch: usize) -> Result<Option<Tensor>> {
        let Some(labels) = &self.labels else {
            return Ok(None);
        };
        if labels.dims1()? != 1 && labels.dims1()? < batch {
            bail!("labels: got {}, needed 1 or {batch}", labels.dims1()?);
        }
        let same_for_all = labels.dim(0)? == 1;
        Ok(Some(if same_for_all {
            labels.broadcast_as(batch)?.contiguous()?
        } else {
            labels.narrow(0, 0, batch)?
        }))
    }

    /// The latents of each level in rows `[B, D]`.
    fn latents(&self, rows: &Tensor) -> Result<Latents> {
        let numbers = self.glow.config().image.dimensions();
        let batch = match *rows.dims() {
            [batch, found] if found == numbers => batch,
            _ => bail!(
                "latents: got a tensor of shape {:?}, needed [B, {numbers}]",
                rows.dims()
            ),
        };
        if batch == 0 {
            return self.glow.draw_latents(0, 1.0, 0).map_err(Error::wrap);
        }
        let mut start = 0;
        let latents = self.glow.latent_shapes().map(|shape| {
            let part = rows.narrow(1, start, shape.dimensions())?;
            start += shape.dimensions();
            part.reshape((batch, shape.channels, shape.height, shape.width))
        });
        Ok(Latents(latents.collect::<Result<_>>()?))
    }
}

impl Bijection for Whole<'_> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.glow.check_images(x).map_err(Error::wrap)?;
        let labels = self.labels(x.dim(0)?)?;
        let (latents, log_det) = self.glow.encode(x, labels.as_ref()).map_err(Error::wrap)?;
        let rows = latents.0.iter().map(|latent| latent.flatten_from(1));
        Ok((Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 1)?, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let latents = self.latents(y)?;
        let labels = self.labels(y.dim(0)?)?;
        self.glow
            .decode(&latents, labels.as_ref())
            .map_err(Error::wrap)
    }

    /// Level by level, so that one block's graph exists at a time.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let latents = self.latents(y)?.0.into_iter();
        let labels = self.labels(y.dim(0)?)?;
        let latents = latents.zip(self.latents(grad_y)?.0);
        let mut state: Option<(Tensor, Tensor)> = None;
        for (l, (z, grad_z)) in latents.enumerate().rev() {
            let is_top = l + 1 == self.glow.levels.len();
            let prior = if is_top {
                Some(&self.glow.prior)
            } else {
                self.glow.split_priors.get(l)
            };
            let (mut y, mut grad_y) = match prior {
                Some(prior) => prior
                    .given(labels.as_ref())
                    .map_err(Error::wrap)?
                    .backward(&z, &grad_z, grad_log_det, grads)?,
                None => (z, grad_z),
            };
            if let Some((passed_on, grad)) = state {
                y = Tensor::cat(&[passed_on, y], 1)?;
                grad_y = Tensor::cat(&[grad, grad_y], 1)?;
            }
            let level = &self.glow.levels[l];
            state = Some(level.backward(&y, &grad_y, grad_log_det, grads)?);
        }
        Ok(state.expect("a model has a level"))
    }
}
