//! The network of a coupling: 3×3 convolution, ReLU, 1×1 convolution, ReLU, 3×3 convolution.
//!
//! ```text
//! h₁ = relu(conv3×3(x, w₁) + b₁)                  x: [B, I, H, W]  w₁: [K, I, 3, 3]
//! h₂ = relu(w₂·h₁ + b₂)                           w₂: [K, K]
//! y  = conv3×3(h₂, w₃) + b₃                       w₃: [O, K, 3, 3]  y: [B, O, H, W]
//! ```
//!
//! Nearly all of Glow's arithmetic is here (Kingma & Dhariwal 2018, appendix B, arXiv:1807.03039).
//! The fused form consists of matrix products on groups of images whose activations stay in the
//! second-level cache. The first convolution gathers every pixel's neighbours from the few input
//! channels. The last one multiplies first, to 9·O numbers a pixel, and adds those to the
//! neighbours. Without a graph, in f32, the form of `inference` stores no activations and
//! multiplies less; the result differs by rounding.

mod im2col;
mod inference;
mod kernel;
mod sizes;
mod strassen;
mod tiles;
mod winograd;

use super::buffer::Buffer;
use super::product::{Kernel, Precision};
use super::view::{Samples, contiguous, dense_samples, host};
use super::{fusible_in_f32, run_length, sum_in_order};
use crate::shape;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use inference::Panels;
use kernel::{Backward, Forward};
use rayon::prelude::*;
use sizes::Sizes;
use std::sync::OnceLock;

/// Pixels in a group of whole images: many rows for the products, while two layers of activations
/// fit into the second-level cache.
const GROUP_PIXELS: usize = 400;

/// Pixels in a group without a graph: most panels are full, and the neighbours fit into the
/// second-level cache.
const PANELS_PIXELS: usize = 1600;

/// The parameters of the network, in the shapes of the module's formula.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Weights<'a> {
    pub w1: &'a Tensor,
    pub b1: &'a Tensor,
    pub w2: &'a Tensor,
    pub b2: &'a Tensor,
    pub w3: &'a Tensor,
    pub b3: &'a Tensor,
}

/// `x` `[B, I, H, W]` → `[B, O, H, W]`. The composed form ignores `precision` and computes in the
/// type of x.
pub fn coupling_network(x: &Tensor, weights: Weights, precision: Precision) -> Result<Tensor> {
    let (b, _, height, width) = shape::images("coupling network", x, weights.w1.dim(1)?)?;
    if x.elem_count() == 0 {
        let outputs = weights.w3.dim(0)?;
        return Tensor::zeros((b, outputs, height, width), x.dtype(), x.device());
    }
    if !fusible_in_f32(x) {
        return composed::coupling_network(x, weights);
    }
    let (_, inputs, height, width) = x.dims4()?;
    let sizes = Sizes {
        inputs,
        hidden: weights.w2.dim(0)?,
        outputs: weights.w3.dim(0)?,
        height,
        width,
    };
    check(sizes, weights)?;
    let Weights {
        w1,
        b1,
        w2,
        b2,
        w3,
        b3,
    } = weights;
    let flat = [w1, b1, w2, b2, w3, b3].map(Tensor::flatten_all);
    let packed = Tensor::cat(&flat.into_iter().collect::<Result<Vec<_>>>()?, 0)?;
    let x = dense_samples(x)?;
    let network = |kept| Network {
        kernel: Kernel::new(precision),
        sizes,
        kept,
    };
    if x.track_op() || packed.track_op() {
        x.apply_op2(&packed, network(Some(OnceLock::new())))
    } else {
        x.apply_op2_no_bwd(&packed, &network(None))
    }
}

fn check(sizes: Sizes, weights: Weights) -> Result<()> {
    let Sizes {
        inputs,
        hidden,
        outputs,
        ..
    } = sizes;
    let fits = hidden > 0
        && outputs > 0
        && weights.w1.dims() == [hidden, inputs, 3, 3]
        && weights.b1.dims() == [hidden]
        && weights.w2.dims() == [hidden, hidden]
        && weights.b2.dims() == [hidden]
        && weights.w3.dims() == [outputs, hidden, 3, 3]
        && weights.b3.dims() == [outputs];
    if !fits {
        bail!(
            "coupling-network: weights {:?}, {:?}, {:?} do not fit {inputs} input channels",
            weights.w1.dims(),
            weights.w2.dims(),
            weights.w3.dims()
        );
    }
    Ok(())
}

/// The specification, in plain candle operations: the three convolutions as matrix products, whose
/// derivatives are products too. candle's derivatives of convolutions are slow on every device.
pub mod composed {
    use super::Weights;
    use candle_core::{Result, Tensor};

    /// As [`super::coupling_network`].
    pub fn coupling_network(x: &Tensor, weights: Weights) -> Result<Tensor> {
        let (b, _, height, width) = x.dims4()?;
        let column = |bias: &Tensor| bias.reshape((bias.elem_count(), 1));
        // From here on, channels are rows, and the pixels of all images are columns.
        let x = three(&three(&x.transpose(0, 1)?, 2)?, 4)?;
        let w1 = weights.w1.permute((0, 3, 2, 1))?.flatten_from(1)?;
        let h1 = w1.matmul(&x.flatten(0, 2)?.flatten_from(1)?)?;
        let h1 = h1.broadcast_add(&column(weights.b1)?)?.relu()?;
        let h2 = weights.w2.matmul(&h1)?;
        let h2 = h2.broadcast_add(&column(weights.b2)?)?.relu()?;
        // The outputs have few channels, so here the product comes before the neighbours.
        let outputs = weights.w3.dim(0)?;
        let w3 = weights.w3.permute((3, 2, 0, 1))?.flatten(0, 2)?;
        let parts = w3.matmul(&h2)?.reshape((3, 3, outputs, b, height, width))?;
        let y = sum_of_three(&sum_of_three(&parts, 5)?, 3)?;
        let y = y.flatten_from(1)?.broadcast_add(&column(weights.b3)?)?;
        y.reshape((outputs, b, height, width))?
            .transpose(0, 1)?
            .contiguous()
    }

    /// Each pixel's neighbour before it along an axis, itself, and the neighbour after it, `[…]` →
    /// `[3, …]`; zeros beyond the border.
    fn three(x: &Tensor, axis: usize) -> Result<Tensor> {
        let (length, framed) = (x.dim(axis)?, x.pad_with_zeros(axis, 1, 1)?);
        let shifted = |shift| framed.narrow(axis, shift, length);
        Tensor::stack(&[shifted(0)?, shifted(1)?, shifted(2)?], 0)
    }

    /// Transpose of [`three`]: sums the contributions of the pixel before along an axis, of the
    /// pixel itself and of the one after, `[3, …]` → `[…]`.
    fn sum_of_three(x: &Tensor, axis: usize) -> Result<Tensor> {
        let (length, framed) = (x.dim(axis)?, x.pad_with_zeros(axis, 1, 1)?);
        let shifted = |shift| framed.get(shift)?.narrow(axis - 1, shift, length);
        shifted(0)? + shifted(1)? + shifted(2)?
    }
}

/// The fused form; its second argument is all parameters in one flat tensor.
struct Network {
    kernel: Kernel,
    sizes: Sizes,
    /// h₁ and h₂ of every group, for `bwd`; `None` without a graph.
    kept: Option<OnceLock<Buffer>>,
}

impl Network {
    /// Words of h₁ and h₂ of one image.
    fn activations(&self) -> usize {
        2 * self.kernel.row(self.sizes.hidden) * self.sizes.pixels()
    }

    /// Writes ∂L/∂x to `grad_x`, and returns the sums of the gradients of the parameters.
    fn differentiate(
        &self,
        backward: &Backward,
        activations: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
    ) -> Option<Buffer> {
        let sizes = self.sizes;
        let input = sizes.inputs * sizes.pixels();
        let output = sizes.outputs * sizes.pixels();
        let activation = self.activations();
        let images = sizes.images(GROUP_PIXELS);
        let run = run_length((grad_y.len() / output).div_ceil(images)) * images;
        let parts = grad_x
            .par_chunks_mut(run * input)
            .zip(grad_y.par_chunks(run * output))
            .zip(activations.par_chunks(run * activation))
            .enumerate()
            .map(|(index, ((grad_x, grad_y), activations))| {
                let mut sums = Buffer::take(sizes.sums().iter().sum());
                sums.fill(0.0);
                let groups = grad_x
                    .chunks_mut(images * input)
                    .zip(grad_y.chunks(images * output))
                    .zip(activations.chunks(images * activation))
                    .enumerate();
                for (group, ((grad_x, grad_y), activations)) in groups {
                    let first = index * run + group * images;
                    backward.run(first, activations, grad_y, grad_x, &mut sums);
                }
                sums
            })
            .collect::<Vec<_>>();
        sum_in_order(parts)
    }
}

impl CustomOp2 for Network {
    fn name(&self) -> &'static str {
        "coupling-network"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        packed: &CpuStorage,
        packed_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Self { kernel, sizes, .. } = *self;
        let b = x_layout.dims()[0];
        let packed = contiguous(packed, packed_layout)?;
        let x = Samples::new(x, x_layout)?;
        let image = sizes.outputs * sizes.pixels();
        let mut y = vec![0.0; b * image];
        let shape = Shape::from((b, sizes.outputs, sizes.height, sizes.width));
        if let (None, Kernel::Single(arch)) = (&self.kept, kernel) {
            let panels = Panels::new(arch, sizes, x, packed);
            let images = sizes.images(PANELS_PIXELS);
            y.par_chunks_mut(images * image)
                .enumerate()
                .for_each(|(group, y)| panels.run(group * images, y));
            return Ok((CpuStorage::F32(y), shape));
        }
        let forward = Forward::new(kernel, sizes, x, packed);
        let activations = self.activations();
        let images = sizes.images(GROUP_PIXELS);
        let groups = y.par_chunks_mut(images * image).enumerate();
        if let Some(kept) = &self.kept {
            let mut buffer = Buffer::take(b * activations);
            groups
                .zip(buffer.par_chunks_mut(images * activations))
                .for_each(|((group, y), activations)| forward.run(group * images, activations, y));
            if kept.set(buffer).is_err() {
                bail!("coupling-network: an operation runs once");
            }
        } else {
            groups.for_each(|(group, y)| {
                let mut activations = Buffer::take(y.len() / image * activations);
                forward.run(group * images, &mut activations, y);
            });
        }
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        packed: &Tensor,
        _y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { kernel, sizes, .. } = *self;
        let Some(activations) = self.kept.as_ref().and_then(OnceLock::get) else {
            bail!("coupling-network: backward needs a forward pass with a graph");
        };
        let grad_y = grad_y.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (packed_storage, packed_layout) = packed.storage_and_layout();
        let (grad_storage, grad_layout) = grad_y.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(packed_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*packed_storage, &*grad_storage)
        else {
            bail!("coupling-network: the fused form runs on the CPU");
        };
        let samples = Samples::new(x_storage, x_layout)?;
        let backward = Backward::new(
            kernel,
            sizes,
            samples,
            contiguous(packed_storage, packed_layout)?,
        );

        let mut grad_x = vec![0.0; x.elem_count()];
        let grad_y = contiguous(grad_storage, grad_layout)?;
        let sums = self.differentiate(&backward, activations, grad_y, &mut grad_x);
        let grad_packed = backward.finish(sums.as_deref().unwrap_or_default());
        Ok((
            Some(host(grad_x, x.shape())?),
            Some(host(grad_packed, packed.shape())?),
        ))
    }
}
