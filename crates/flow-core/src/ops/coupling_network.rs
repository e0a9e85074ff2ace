//! The network of a coupling: 3×3 convolution, ReLU, 1×1 convolution, ReLU, 3×3 convolution.
//!
//! ```text
//! h₁ = relu(conv3×3(x, w₁) + b₁)                  x: [B, I, H, W]  w₁: [K, I, 3, 3]
//! h₂ = relu(w₂·h₁ + b₂)                           w₂: [K, K]
//! y  = conv3×3(h₂, w₃) + b₃                       w₃: [O, K, 3, 3]  y: [B, O, H, W]
//! ```
//!
//! Nearly all of Glow's arithmetic is here (Kingma & Dhariwal 2018, appendix B, arXiv:1807.03039).
//! The fused form does it as matrix products on groups of images whose activations stay in the
//! second-level cache: the first convolution multiplies shifted copies of the few input channels, the
//! last one multiplies first, to 9·O rows, and shifts and adds after that.

use super::buffer::Buffer;
use super::matrix::{Into, Matrix, multiply};
use super::view::{Samples, contiguous, dense_samples};
use super::{fusible, run_length, simd, sum_in_order};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::sync::OnceLock;

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

/// `x` `[B, I, H, W]` → `[B, O, H, W]`.
pub fn coupling_network(x: &Tensor, weights: Weights) -> Result<Tensor> {
    if !fusible(x) {
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
    sizes.check(weights)?;
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
    if x.track_op() || packed.track_op() {
        x.apply_op2(
            &packed,
            Network {
                sizes,
                kept: Some(OnceLock::new()),
            },
        )
    } else {
        x.apply_op2_no_bwd(&packed, &Network { sizes, kept: None })
    }
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::Weights;
    use candle_core::{Result, Tensor};

    /// As [`super::coupling_network`].
    pub fn coupling_network(x: &Tensor, weights: Weights) -> Result<Tensor> {
        let bias = |b: &Tensor| b.reshape((1, b.elem_count(), 1, 1));
        let x = x.contiguous()?;
        let h1 = x
            .conv2d(weights.w1, 1, 1, 1, 1)?
            .broadcast_add(&bias(weights.b1)?)?
            .relu()?;
        let w2 = weights.w2.unsqueeze(2)?.unsqueeze(3)?;
        let h2 = h1
            .conv2d(&w2, 0, 1, 1, 1)?
            .broadcast_add(&bias(weights.b2)?)?
            .relu()?;
        h2.conv2d(weights.w3, 1, 1, 1, 1)?
            .broadcast_add(&bias(weights.b3)?)
    }
}

/// Groups are made of whole images, of about so many pixels: wide enough for the matrix kernels, and
/// small enough for two layers of activations in the second-level cache.
const GROUP_PIXELS: usize = 400;

/// Taps of a 3×3 kernel, in the order of its weights: (row, column) offsets.
const TAPS: [(isize, isize); 9] = [
    (-1, -1),
    (-1, 0),
    (-1, 1),
    (0, -1),
    (0, 0),
    (0, 1),
    (1, -1),
    (1, 0),
    (1, 1),
];

#[derive(Clone, Copy)]
struct Sizes {
    inputs: usize,
    hidden: usize,
    outputs: usize,
    height: usize,
    width: usize,
}

impl Sizes {
    fn check(self, weights: Weights) -> Result<()> {
        let Self {
            inputs,
            hidden,
            outputs,
            ..
        } = self;
        let fits = weights.w1.dims() == [hidden, inputs, 3, 3]
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

    fn pixels(self) -> usize {
        self.height * self.width
    }

    fn group_images(self) -> usize {
        (GROUP_PIXELS / self.pixels()).max(1)
    }

    fn parameter_lengths(self) -> [usize; 6] {
        let Self {
            inputs,
            hidden,
            outputs,
            ..
        } = self;
        [
            9 * inputs * hidden,
            hidden,
            hidden * hidden,
            hidden,
            9 * hidden * outputs,
            outputs,
        ]
    }

    fn parameters(self) -> usize {
        self.parameter_lengths().iter().sum()
    }

    /// The six parameters in one flat slice.
    fn unpack(self, mut packed: &[f32]) -> [&[f32]; 6] {
        self.parameter_lengths()
            .map(|length| packed.split_off(..length).expect("the lengths add up"))
    }

    fn unpack_mut(self, mut packed: &mut [f32]) -> [&mut [f32]; 6] {
        self.parameter_lengths()
            .map(|length| packed.split_off_mut(..length).expect("the lengths add up"))
    }
}

/// Moves w₃ `[O, K, 9]` to rows of output and tap, `[O, 9, K]`: what one product needs.
fn taps_to_rows(sizes: Sizes, w3: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; w3.len()];
    for (rows, w3) in rows
        .chunks_exact_mut(9 * sizes.hidden)
        .zip(w3.chunks_exact(9 * sizes.hidden))
    {
        for (k, taps) in w3.chunks_exact(9).enumerate() {
            taps.iter()
                .enumerate()
                .for_each(|(tap, value)| rows[tap * sizes.hidden + k] = *value);
        }
    }
    rows
}

/// Undoes [`taps_to_rows`], into `w3`.
fn rows_to_taps(sizes: Sizes, rows: &[f32], w3: &mut [f32]) {
    for (rows, w3) in rows
        .chunks_exact(9 * sizes.hidden)
        .zip(w3.chunks_exact_mut(9 * sizes.hidden))
    {
        for (k, taps) in w3.chunks_exact_mut(9).enumerate() {
            taps.iter_mut()
                .enumerate()
                .for_each(|(tap, value)| *value = rows[tap * sizes.hidden + k]);
        }
    }
}

struct Network {
    sizes: Sizes,
    /// h₁ and h₂ of every group, where `bwd` will need them.
    kept: Option<OnceLock<Buffer>>,
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
        let sizes = self.sizes;
        let b = x_layout.dims()[0];
        let x = Samples::new(x, x_layout)?;
        let [w1, b1, w2, b2, w3, b3] = sizes.unpack(contiguous(packed, packed_layout)?);
        let w3 = taps_to_rows(sizes, w3);
        let forward = Forward {
            sizes,
            x,
            w1,
            b1,
            w2,
            b2,
            w3: &w3,
            b3,
        };

        let image = sizes.outputs * sizes.pixels();
        let activations = 2 * sizes.hidden * sizes.pixels();
        let images = sizes.group_images();
        let mut y = vec![0.0; b * image];
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
        Ok((
            CpuStorage::F32(y),
            Shape::from((b, sizes.outputs, sizes.height, sizes.width)),
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        packed: &Tensor,
        _y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes;
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
        let [w1, _, w2, _, w3, _] = sizes.unpack(contiguous(packed_storage, packed_layout)?);
        let w3 = taps_to_rows(sizes, w3);
        let samples = Samples::new(x_storage, x_layout)?;
        let backward = Backward {
            sizes,
            x: samples,
            w1,
            w2,
            w3: &w3,
        };

        let b = x.dim(0)?;
        let (input, output) = (
            sizes.inputs * sizes.pixels(),
            sizes.outputs * sizes.pixels(),
        );
        let activation = 2 * sizes.hidden * sizes.pixels();
        let images = sizes.group_images();
        let run = run_length(b.div_ceil(images)) * images;
        let mut grad_x = vec![0.0; b * input];
        let parts = grad_x
            .par_chunks_mut(run * input)
            .zip(contiguous(grad_storage, grad_layout)?.par_chunks(run * output))
            .zip(activations.par_chunks(run * activation))
            .enumerate()
            .map(|(index, ((grad_x, grad_y), activations))| {
                let mut sums = vec![0.0; sizes.parameters()];
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
        let mut sums = sum_in_order(parts);
        let [.., grad_w3, _] = sizes.unpack_mut(&mut sums);
        let rows = grad_w3.to_vec();
        rows_to_taps(sizes, &rows, grad_w3);
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(sums, packed.shape(), packed.device())?),
        ))
    }
}

/// What the forward pass reads. Inside a group, every channel is one row of all its images' pixels.
struct Forward<'a> {
    sizes: Sizes,
    x: Samples<'a>,
    w1: &'a [f32],
    b1: &'a [f32],
    w2: &'a [f32],
    b2: &'a [f32],
    /// `[O, 9, K]`
    w3: &'a [f32],
    b3: &'a [f32],
}

impl Forward<'_> {
    /// Images from `first` on: writes h₁ and h₂ to `activations` and the result to `y`.
    fn run(&self, first: usize, activations: &mut [f32], y: &mut [f32]) {
        let Sizes {
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let pixels = self.sizes.pixels();
        let columns = y.len() / outputs;
        let (h1, h2) = activations.split_at_mut(hidden * columns);

        let mut shifted = Buffer::take(9 * inputs * columns);
        shift_inputs(self.sizes, self.x, first, &mut shifted);
        let w1 = Matrix::new(self.w1, hidden, 9 * inputs);
        multiply(
            h1,
            w1,
            Matrix::new(&shifted, 9 * inputs, columns),
            Into::Fresh,
        );
        bias_relu(h1, self.b1);

        let w2 = Matrix::new(self.w2, hidden, hidden);
        multiply(h2, w2, Matrix::new(h1, hidden, columns), Into::Fresh);
        bias_relu(h2, self.b2);

        let mut products = Buffer::take(9 * outputs * columns);
        let w3 = Matrix::new(self.w3, 9 * outputs, hidden);
        multiply(
            &mut products,
            w3,
            Matrix::new(h2, hidden, columns),
            Into::Fresh,
        );
        for (channel, products) in products.chunks_exact_mut(9 * columns).enumerate() {
            for (image, y) in y.chunks_exact_mut(outputs * pixels).enumerate() {
                let y = &mut y[channel * pixels..][..pixels];
                y.fill(self.b3[channel]);
                for (tap, products) in TAPS.into_iter().zip(products.chunks_exact_mut(columns)) {
                    add_shifted(
                        y,
                        &mut products[image * pixels..][..pixels],
                        self.sizes.width,
                        tap,
                    );
                }
            }
        }
    }
}

/// What the backward pass reads.
struct Backward<'a> {
    sizes: Sizes,
    x: Samples<'a>,
    w1: &'a [f32],
    w2: &'a [f32],
    /// `[O, 9, K]`
    w3: &'a [f32],
}

impl Backward<'_> {
    /// Images from `first` on: writes ∂L/∂x to `grad_x` (zero before) and adds to the parameters'
    /// gradients in `sums`, w₃'s as `[O, 9, K]`.
    fn run(
        &self,
        first: usize,
        activations: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
        sums: &mut [f32],
    ) {
        let Sizes {
            inputs,
            hidden,
            outputs,
            width,
            ..
        } = self.sizes;
        let pixels = self.sizes.pixels();
        let columns = grad_y.len() / outputs;
        let (h1, h2) = activations.split_at(hidden * columns);
        let [grad_w1, grad_b1, grad_w2, grad_b2, grad_w3, grad_b3] = self.sizes.unpack_mut(sums);

        let mut products = Buffer::take(9 * outputs * columns);
        for (channel, products) in products.chunks_exact_mut(9 * columns).enumerate() {
            for (image, grad_y) in grad_y.chunks_exact(outputs * pixels).enumerate() {
                let grad_y = &grad_y[channel * pixels..][..pixels];
                grad_b3[channel] += simd::sum(grad_y);
                for (tap, products) in TAPS.into_iter().zip(products.chunks_exact_mut(columns)) {
                    copy_shifted(
                        &mut products[image * pixels..][..pixels],
                        grad_y,
                        width,
                        opposite(tap),
                    );
                }
            }
        }
        let products = Matrix::new(&products, 9 * outputs, columns);
        multiply(
            grad_w3,
            products,
            Matrix::new(h2, hidden, columns).t(),
            Into::Sum,
        );

        let mut grad_h2 = Buffer::take(hidden * columns);
        let w3 = Matrix::new(self.w3, 9 * outputs, hidden);
        multiply(&mut grad_h2, w3.t(), products, Into::Fresh);
        mask_and_sum(&mut grad_h2, h2, grad_b2);
        let grad_h2 = Matrix::new(&grad_h2, hidden, columns);
        multiply(
            grad_w2,
            grad_h2,
            Matrix::new(h1, hidden, columns).t(),
            Into::Sum,
        );

        let mut grad_h1 = Buffer::take(hidden * columns);
        let w2 = Matrix::new(self.w2, hidden, hidden);
        multiply(&mut grad_h1, w2.t(), grad_h2, Into::Fresh);
        mask_and_sum(&mut grad_h1, h1, grad_b1);
        let grad_h1 = Matrix::new(&grad_h1, hidden, columns);
        let mut shifted = Buffer::take(9 * inputs * columns);
        shift_inputs(self.sizes, self.x, first, &mut shifted);
        multiply(
            grad_w1,
            grad_h1,
            Matrix::new(&shifted, 9 * inputs, columns).t(),
            Into::Sum,
        );

        let w1 = Matrix::new(self.w1, hidden, 9 * inputs);
        multiply(&mut shifted, w1.t(), grad_h1, Into::Fresh);
        for (channel, shifted) in shifted.chunks_exact_mut(9 * columns).enumerate() {
            for (image, grad_x) in grad_x.chunks_exact_mut(inputs * pixels).enumerate() {
                let grad_x = &mut grad_x[channel * pixels..][..pixels];
                for (tap, shifted) in TAPS.into_iter().zip(shifted.chunks_exact_mut(columns)) {
                    add_shifted(
                        grad_x,
                        &mut shifted[image * pixels..][..pixels],
                        width,
                        opposite(tap),
                    );
                }
            }
        }
    }
}

/// Every input channel under each tap, rows of channel and tap: `[I, 9, columns]`.
fn shift_inputs(sizes: Sizes, x: Samples, first: usize, shifted: &mut [f32]) {
    let pixels = sizes.pixels();
    let columns = shifted.len() / (9 * sizes.inputs);
    for (channel, rows) in shifted.chunks_exact_mut(9 * columns).enumerate() {
        for (tap, row) in TAPS.into_iter().zip(rows.chunks_exact_mut(columns)) {
            for (image, row) in row.chunks_exact_mut(pixels).enumerate() {
                copy_shifted(
                    row,
                    &x.get(first + image)[channel * pixels..][..pixels],
                    sizes.width,
                    tap,
                );
            }
        }
    }
}

fn opposite((row, column): (isize, isize)) -> (isize, isize) {
    (-row, -column)
}

/// Where `count` pixels and the same ones moved by `shift` overlap: start in the one, start in the
/// other, and length, which is zero where an image is smaller than the shift.
fn overlap(count: usize, shift: isize) -> (usize, usize, usize) {
    let distance = shift.unsigned_abs().min(count);
    let (skip, offset) = if shift < 0 {
        (distance, 0)
    } else {
        (0, distance)
    };
    (skip, offset, count - distance)
}

/// dst[y, x] = src[y + row, x + column], zero outside the image.
fn copy_shifted(dst: &mut [f32], src: &[f32], width: usize, (row, column): (isize, isize)) {
    let (skip, offset, kept) = overlap(dst.len(), row * width as isize + column);
    dst[..skip].fill(0.0);
    dst[skip + kept..].fill(0.0);
    dst[skip..skip + kept].copy_from_slice(&src[offset..offset + kept]);
    // Rows are joined, so a sideways shift carries pixels over the edge.
    match column {
        -1 => dst.iter_mut().step_by(width).for_each(|pixel| *pixel = 0.0),
        1 => dst
            .iter_mut()
            .skip(width - 1)
            .step_by(width)
            .for_each(|pixel| *pixel = 0.0),
        _ => {}
    }
}

/// dst[y, x] += src[y + row, x + column], where that is inside the image. Clears the edge of `src`
/// that would be carried over.
fn add_shifted(dst: &mut [f32], src: &mut [f32], width: usize, (row, column): (isize, isize)) {
    match column {
        -1 => src
            .iter_mut()
            .skip(width - 1)
            .step_by(width)
            .for_each(|pixel| *pixel = 0.0),
        1 => src.iter_mut().step_by(width).for_each(|pixel| *pixel = 0.0),
        _ => {}
    }
    let (skip, offset, kept) = overlap(dst.len(), row * width as isize + column);
    simd::add(&mut dst[skip..skip + kept], &src[offset..offset + kept]);
}

/// h = relu(h + bias), row by row; keeps NaN, so that a broken model shows.
fn bias_relu(h: &mut [f32], bias: &[f32]) {
    let columns = h.len() / bias.len();
    simd::dispatch(
        #[inline(always)]
        || {
            for (row, bias) in h.chunks_exact_mut(columns).zip(bias) {
                for value in row {
                    let sum = *value + bias;
                    *value = if sum < 0.0 { 0.0 } else { sum };
                }
            }
        },
    );
}

/// Clears the gradient where the activation `h` is zero, and adds up each row.
fn mask_and_sum(grad: &mut [f32], h: &[f32], sums: &mut [f32]) {
    let columns = h.len() / sums.len();
    simd::dispatch(
        #[inline(always)]
        || {
            let rows = grad.chunks_exact_mut(columns).zip(h.chunks_exact(columns));
            for ((grad, h), sum) in rows.zip(sums) {
                for (grad, h) in grad.iter_mut().zip(h) {
                    *grad = if *h > 0.0 { *grad } else { 0.0 };
                }
                *sum += simd::sum(grad);
            }
        },
    );
}
