//! A layer of a small network: an activation function, then an affine map of every row.
//!
//! ```text
//! y = a·Wᵀ + b,  a = activation(x)                x: [B, I]  W: [O, I]  b: [O]
//! ```
//!
//! The activation comes before the product, as in residual blocks (He et al. 2016,
//! arXiv:1603.05027). With the identity or a ReLU only x is stored.

pub use super::activation::Activation;

use super::matrix::{Beta, Matrix, multiply};
use super::number::Number;
use super::view::{contiguous, host};
use super::{MAX_RUNS, fusible, simd, sum_in_order};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::borrow::Cow;
use std::marker::PhantomData;

/// Minimum rows per thread: handing over costs as much as a few rows.
const MIN_ROWS: usize = 256;

/// `x` `[B, I]`, `weight` `[O, I]`, `bias` `[O]` → `[B, O]`.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    if !matches!(activation, Activation::Identity | Activation::Relu) {
        return linear(&activation.apply(x)?, weight, bias, Activation::Identity);
    }
    if x.elem_count() == 0 {
        let sizes = Sizes::new(x.shape(), weight.shape())?;
        let zeros = Tensor::zeros((sizes.rows, sizes.outputs), x.dtype(), x.device())?;
        return zeros.broadcast_add(bias);
    }
    if fusible(x) && fusible(weight) {
        let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
        match x.dtype() {
            DType::F64 => x.apply_op3(&weight, &bias, Linear::<f64>(activation, PhantomData)),
            _ => x.apply_op3(&weight, &bias, Linear::<f32>(activation, PhantomData)),
        }
    } else {
        composed::linear(x, weight, bias, activation)
    }
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::Activation;
    use candle_core::{Result, Tensor};

    /// As [`super::linear`].
    pub fn linear(
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        let a = activation.apply(x)?;
        a.matmul(&weight.t()?)?.broadcast_add(bias)
    }
}

/// With the identity or a ReLU.
struct Linear<T>(Activation, PhantomData<T>);

/// Numbers of rows, inputs and outputs.
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Sizes {
    fn new(x: &Shape, weight: &Shape) -> Result<Self> {
        let ((rows, columns), (outputs, inputs)) = (x.dims2()?, weight.dims2()?);
        if inputs != columns {
            bail!("linear: {columns} numbers do not fit a weight of {outputs}×{inputs}");
        }
        Ok(Self {
            rows,
            inputs,
            outputs,
        })
    }

    /// Rows per thread.
    fn run(self) -> usize {
        self.rows.div_ceil(MAX_RUNS).max(MIN_ROWS)
    }
}

impl<T: Number> Linear<T> {
    fn activated<'a>(&self, x: &'a [T]) -> Cow<'a, [T]> {
        if self.0 != Activation::Relu {
            return Cow::Borrowed(x);
        }
        simd::dispatch(
            #[inline(always)]
            || {
                Cow::Owned(
                    x.iter()
                        .map(|x| if *x < T::zero() { T::zero() } else { *x })
                        .collect(),
                )
            },
        )
    }

    fn forward(&self, sizes: Sizes, x: &[T], weight: Matrix<T>, bias: &[T], y: &mut [T]) {
        for row in y.chunks_exact_mut(sizes.outputs) {
            row.copy_from_slice(bias);
        }
        let rows = x.len() / sizes.inputs;
        let x = self.activated(x);
        let x = Matrix::new(&x, rows, sizes.inputs);
        multiply(y, x, weight.t(), Beta::One);
    }

    /// Writes the gradient with respect to x; returns those of the weight and, after it, of the
    /// bias.
    fn backward(
        &self,
        sizes: Sizes,
        x: &[T],
        weight: Matrix<T>,
        grad_y: &[T],
        grad_x: &mut [T],
    ) -> Vec<T> {
        let Sizes {
            inputs, outputs, ..
        } = sizes;
        let rows = x.len() / inputs;
        let grad_rows = Matrix::new(grad_y, rows, outputs);
        multiply(grad_x, grad_rows, weight, Beta::Zero);
        if self.0 == Activation::Relu {
            simd::dispatch(
                #[inline(always)]
                || {
                    for (grad, x) in grad_x.iter_mut().zip(x) {
                        *grad = if *x < T::zero() { T::zero() } else { *grad };
                    }
                },
            );
        }
        let mut sums = vec![T::zero(); outputs * inputs + outputs];
        let (grad_weight, grad_bias) = sums.split_at_mut(outputs * inputs);
        let activated = self.activated(x);
        let activated = Matrix::new(&activated, rows, inputs);
        multiply(grad_weight, grad_rows.t(), activated, Beta::Zero);
        for row in grad_y.chunks_exact(outputs) {
            simd::add(grad_bias, row);
        }
        sums
    }
}

impl<T: Number> CustomOp3 for Linear<T> {
    fn name(&self) -> &'static str {
        "linear"
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
        let sizes = Sizes::new(x_layout.shape(), weight_layout.shape())?;
        let Sizes {
            rows,
            inputs,
            outputs,
        } = sizes;
        if bias_layout.dims() != [outputs] {
            bail!(
                "linear: a bias of shape {:?} does not fit {outputs} outputs",
                bias_layout.shape()
            );
        }
        let x = contiguous(x, x_layout)?;
        let weight = Matrix::new(contiguous(weight, weight_layout)?, outputs, inputs);
        let bias = contiguous(bias, bias_layout)?;
        let mut y = vec![T::zero(); rows * outputs];
        let run = sizes.run();
        if rows <= run {
            self.forward(sizes, x, weight, bias, &mut y);
        } else {
            y.par_chunks_mut(run * outputs)
                .zip(x.par_chunks(run * inputs))
                .for_each(|(y, x)| self.forward(sizes, x, weight, bias, y));
        }
        Ok((T::to_cpu_storage_owned(y), Shape::from((rows, outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(x.shape(), weight.shape())?;
        let Sizes {
            rows,
            inputs,
            outputs,
        } = sizes;
        let grad_y = grad_y.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (grad_storage, grad_layout) = grad_y.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(weight_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*weight_storage, &*grad_storage)
        else {
            bail!("linear: the fused form runs on the CPU");
        };
        let numbers = contiguous(x_storage, x_layout)?;
        let weight = Matrix::new(contiguous(weight_storage, weight_layout)?, outputs, inputs);
        let grad = contiguous(grad_storage, grad_layout)?;

        let mut grad_x = vec![T::zero(); rows * inputs];
        let run = sizes.run();
        let mut grad_weight = if rows <= run {
            self.backward(sizes, numbers, weight, grad, &mut grad_x)
        } else {
            let parts = grad_x
                .par_chunks_mut(run * inputs)
                .zip(numbers.par_chunks(run * inputs))
                .zip(grad.par_chunks(run * outputs))
                .map(|((grad_x, x), grad_y)| self.backward(sizes, x, weight, grad_y, grad_x))
                .collect();
            sum_in_order(parts).unwrap_or_default()
        };
        let grad_bias = grad_weight.split_off(outputs * inputs);
        Ok((
            Some(host(grad_x, (rows, inputs))?),
            Some(host(grad_weight, (outputs, inputs))?),
            Some(host(grad_bias, outputs)?),
        ))
    }
}
