//! Channel mixing: one matrix and one bias at every pixel (a 1×1 convolution).
//!
//! ```text
//! y[b, :, h, w] = W·x[b, :, h, w] + bias            W: [O, C]  bias: [O]
//! ```

use super::matrix::{Beta, Matrix, multiply};
use super::number::Number;
use super::view::{Samples, contiguous, dense_samples, host};
use super::{fusible, run_length, simd, sum_in_order};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::marker::PhantomData;

/// `x` `[B, C, H, W]`, `weight` `[O, C]`, `bias` `[O]` → `[B, O, H, W]`.
pub fn channel_mix(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.elem_count() == 0 {
        let (b, _, h, w) = x.dims4()?;
        return Tensor::zeros((b, weight.dim(0)?, h, w), x.dtype(), x.device());
    }
    if fusible(x) {
        let (x, weight, bias) = (dense_samples(x)?, weight.contiguous()?, bias.contiguous()?);
        match x.dtype() {
            DType::F64 => x.apply_op3(&weight, &bias, ChannelMix::<f64>(PhantomData)),
            _ => x.apply_op3(&weight, &bias, ChannelMix::<f32>(PhantomData)),
        }
    } else {
        composed::channel_mix(x, weight, bias)
    }
}

/// The specification, in plain candle operations.
pub mod composed {
    use candle_core::{Result, Tensor};

    /// As [`super::channel_mix`].
    pub fn channel_mix(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let outputs = weight.dim(0)?;
        weight
            .broadcast_left(b)?
            .contiguous()?
            .matmul(&x.reshape((b, c, h * w))?)?
            .broadcast_add(&bias.reshape((1, outputs, 1))?)?
            .reshape((b, outputs, h, w))
    }
}

struct ChannelMix<T>(PhantomData<T>);

impl<T: Number> CustomOp3 for ChannelMix<T> {
    fn name(&self) -> &'static str {
        "channel-mix"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (b, c, h, w) = x_layout.shape().dims4()?;
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        if inputs != c || bias_layout.dims() != [outputs] {
            bail!("channel-mix: {c} channels do not fit a weight of {outputs}×{inputs}");
        }
        let x = Samples::new(x, x_layout)?;
        let weight = Matrix::new(contiguous(weight, weight_layout)?, outputs, c);
        let bias = contiguous(bias, bias_layout)?;
        let pixels = h * w;
        let mut y = vec![T::zero(); b * outputs * pixels];
        let mix = |(index, y): (usize, &mut [T])| {
            y.chunks_exact_mut(pixels)
                .zip(bias)
                .for_each(|(row, &bias)| row.fill(bias));
            multiply(y, weight, Matrix::new(x.get(index), c, pixels), Beta::One);
        };
        y.par_chunks_exact_mut(outputs * pixels)
            .with_min_len(run_length(b))
            .enumerate()
            .for_each(mix);
        Ok((T::to_cpu_storage_owned(y), Shape::from((b, outputs, h, w))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (b, c, h, w) = x.dims4()?;
        let (outputs, pixels) = (y.dim(1)?, h * w);
        let grad_y = grad_y.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (grad_storage, grad_layout) = grad_y.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(weight_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*weight_storage, &*grad_storage)
        else {
            bail!("channel-mix: the fused form runs on the CPU");
        };
        let samples = Samples::new(x_storage, x_layout)?;
        let weight = Matrix::new(contiguous(weight_storage, weight_layout)?, outputs, c);
        let grad = contiguous(grad_storage, grad_layout)?;

        let run = run_length(b);
        let mut grad_x = vec![T::zero(); b * c * pixels];
        // Gradients of the weight and the bias, for each run.
        let parts = grad_x
            .par_chunks_mut(run * c * pixels)
            .zip(grad.par_chunks(run * outputs * pixels))
            .enumerate()
            .map(|(index, (grad_x, grad_y))| {
                let mut sums = vec![T::zero(); outputs * c + outputs];
                let (grad_weight, grad_bias) = sums.split_at_mut(outputs * c);
                let images = grad_x
                    .chunks_exact_mut(c * pixels)
                    .zip(grad_y.chunks_exact(outputs * pixels))
                    .enumerate();
                for (offset, (grad_x, grad_y)) in images {
                    let grad_rows = Matrix::new(grad_y, outputs, pixels);
                    let x = Matrix::new(samples.get(index * run + offset), c, pixels);
                    multiply(grad_x, weight.t(), grad_rows, Beta::Zero);
                    multiply(grad_weight, grad_rows, x.t(), Beta::One);
                    for (sum, row) in grad_bias.iter_mut().zip(grad_y.chunks_exact(pixels)) {
                        *sum += simd::sum(row);
                    }
                }
                sums
            })
            .collect::<Vec<_>>();
        let mut grad_weight = sum_in_order(parts).unwrap_or_default();
        let grad_bias = grad_weight.split_off(outputs * c);
        Ok((
            Some(host(grad_x, (b, c, h, w))?),
            Some(host(grad_weight, (outputs, c))?),
            Some(host(grad_bias, outputs)?),
        ))
    }
}
