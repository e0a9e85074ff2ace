//! Elementwise transforms of the last channels, fused on the CPU: one pass over the numbers,
//! without stored activations.
//!
//! [`Elementwise`] is a transform on the numbers of one sample; here are its four passes (both
//! directions and their gradients) over a batch. Each writes to samples of its own, so results do
//! not depend on how a batch is cut.

use super::number::Number;
use super::view::{Samples, contiguous, dense_samples, host};
use super::{channel_split, run_length};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::marker::PhantomData;

/// A transform y = f(x; h) of single numbers, on those of one sample.
pub(super) trait Elementwise<T>: Send + Sync + 'static {
    const NAME: &'static str;

    /// Minimum transformed numbers per thread: handing over costs as much as some of them.
    const MIN_NUMBERS: usize;

    /// Memory of one thread, reused for every sample.
    type Workspace;

    /// Parameters of each number.
    fn parameters(&self) -> usize;

    fn workspace(&self) -> Self::Workspace;

    /// Writes y, and returns log_det.
    fn forward(
        &self,
        x: &[T],
        y: &mut [T],
        parameters: Planes<&[T]>,
        workspace: &mut Self::Workspace,
    ) -> T;

    /// Writes x, and returns the log_det of the inverse.
    fn inverse(
        &self,
        y: &[T],
        x: &mut [T],
        parameters: Planes<&[T]>,
        workspace: &mut Self::Workspace,
    ) -> T;

    /// The gradients of [`forward`](Self::forward).
    fn differentiate(&self, gradients: Gradients<T>, workspace: &mut Self::Workspace);

    /// The gradients of [`inverse`](Self::inverse).
    fn differentiate_inverse(&self, gradients: Gradients<T>, workspace: &mut Self::Workspace);
}

/// Parameters of a sample, `[C₂, K, …]`: those of a number are a plane apart.
#[derive(Clone, Copy)]
pub(super) struct Planes<V> {
    pub(super) values: V,
    /// Numbers of a plane.
    pub(super) pixels: usize,
}

/// Gradients of one sample.
pub(super) struct Gradients<'a, T> {
    /// x, in both directions.
    pub(super) x: &'a [T],
    pub(super) parameters: Planes<&'a [T]>,
    /// ∂L/∂log_det.
    pub(super) log_det: T,
    pub(super) of_result: &'a [T],
    /// To be written.
    pub(super) of_input: &'a mut [T],
    /// Zeros, to be written over.
    pub(super) of_parameters: Planes<&'a mut [T]>,
}

/// Result and log_det `[B]` of a transform of x `[B, C, …]` by h `[B, K·C₂, …]`.
///
/// # Errors
/// If the shapes do not fit.
pub(super) fn apply(
    transform: impl Elementwise<f32> + Elementwise<f64>,
    direction: Direction,
    input: &Tensor,
    h: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (dense, h) = (dense_samples(input)?, h.contiguous()?);
    let flat = match input.dtype() {
        DType::F64 => dense.apply_op2(&h, Fused::<_, f64>::new(transform, direction))?,
        _ => dense.apply_op2(&h, Fused::<_, f32>::new(transform, direction))?,
    };
    let count = input.elem_count();
    let result = flat.narrow(0, 0, count)?.reshape(input.shape())?;
    Ok((result, flat.narrow(0, count, input.dim(0)?)?))
}

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Forward,
    Inverse,
}

struct Fused<E, T> {
    transform: E,
    direction: Direction,
    number: PhantomData<T>,
}

impl<E: Elementwise<T>, T: Number> CustomOp2 for Fused<E, T> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    /// The result and log_det in one tensor, since an operation has one result.
    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        h: &CpuStorage,
        h_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(&self.transform, input_layout.shape(), h_layout.shape())?;
        let (input, h) = (Samples::new(input, input_layout)?, contiguous(h, h_layout)?);
        let mut flat = vec![T::zero(); sizes.batch * sizes.sample + sizes.batch];
        let (result, log_det) = flat.split_at_mut(sizes.batch * sizes.sample);
        let work = |workspace: &mut _, index, result: &mut [T], log_det: &mut [T]| {
            let (passing, from) = input.get(index).split_at(sizes.passing);
            let (passed, to) = result.split_at_mut(sizes.passing);
            passed.copy_from_slice(passing);
            let parameters = sizes.planes(sizes.parameters_of(h, index));
            log_det[0] = match self.direction {
                Direction::Forward => self.transform.forward(from, to, parameters, workspace),
                Direction::Inverse => self.transform.inverse(from, to, parameters, workspace),
            };
        };
        self.each_sample(sizes, (result, sizes.sample), (log_det, 1), work);
        let count = flat.len();
        Ok((T::to_cpu_storage_owned(flat), Shape::from(count)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        h: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(&self.transform, input.shape(), h.shape())?;
        let grad = grad.contiguous()?;
        let x = match self.direction {
            Direction::Forward => input.clone(),
            Direction::Inverse => result
                .narrow(0, 0, input.elem_count())?
                .reshape(input.shape())?,
        };
        let (x_storage, x_layout) = x.storage_and_layout();
        let (h_storage, h_layout) = h.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(h_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*h_storage, &*grad_storage)
        else {
            bail!("{}: the fused form runs on the CPU", E::NAME);
        };
        let x = Samples::new(x_storage, x_layout)?;
        let h_numbers = contiguous(h_storage, h_layout)?;
        let (grad_result, grad_log_det) =
            contiguous(grad_storage, grad_layout)?.split_at(sizes.batch * sizes.sample);

        let mut grad_input = vec![T::zero(); grad_result.len()];
        let mut grad_h = vec![T::zero(); h_numbers.len()];
        let work = |workspace: &mut _, index, grad_input: &mut [T], grad_h: &mut [T]| {
            let grad_result = &grad_result[index * sizes.sample..][..sizes.sample];
            let (passing, of_result) = grad_result.split_at(sizes.passing);
            let (passed, of_input) = grad_input.split_at_mut(sizes.passing);
            passed.copy_from_slice(passing);
            let gradients = Gradients {
                x: &x.get(index)[sizes.passing..],
                parameters: sizes.planes(sizes.parameters_of(h_numbers, index)),
                log_det: grad_log_det[index],
                of_result,
                of_input,
                of_parameters: sizes.planes(grad_h),
            };
            match self.direction {
                Direction::Forward => self.transform.differentiate(gradients, workspace),
                Direction::Inverse => self.transform.differentiate_inverse(gradients, workspace),
            }
        };
        let outputs = (&mut grad_input[..], sizes.sample);
        self.each_sample(sizes, outputs, (&mut grad_h, sizes.parameters), work);
        Ok((
            Some(host(grad_input, input.shape())?),
            Some(host(grad_h, h.shape())?),
        ))
    }
}

impl<E: Elementwise<T>, T: Number> Fused<E, T> {
    fn new(transform: E, direction: Direction) -> Self {
        Self {
            transform,
            direction,
            number: PhantomData,
        }
    }

    /// Calls `work` with the index of each sample and its parts of two arrays, whose sizes of a
    /// sample are given.
    fn each_sample(
        &self,
        sizes: Sizes,
        (a, size_a): (&mut [T], usize),
        (b, size_b): (&mut [T], usize),
        work: impl Fn(&mut E::Workspace, usize, &mut [T], &mut [T]) + Sync,
    ) {
        let least = E::MIN_NUMBERS.div_ceil((sizes.sample - sizes.passing).max(1));
        a.par_chunks_exact_mut(size_a)
            .zip(b.par_chunks_exact_mut(size_b))
            .with_min_len(run_length(sizes.batch).max(least))
            .enumerate()
            .for_each_init(
                || self.transform.workspace(),
                |workspace, (index, (a, b))| work(workspace, index, a, b),
            );
    }
}

/// Batch size, and sizes of a sample.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    pixels: usize,
    /// All numbers.
    sample: usize,
    /// Numbers that pass, before the transformed ones.
    passing: usize,
    /// Parameters of all numbers.
    parameters: usize,
}

impl Sizes {
    fn new<E: Elementwise<T>, T>(transform: &E, x: &Shape, h: &Shape) -> Result<Self> {
        let [passing, transformed] = channel_split(E::NAME, x, h, transform.parameters())?;
        let pixels = x.dims()[2..].iter().product();
        Ok(Self {
            batch: x.dims()[0],
            pixels,
            sample: (passing + transformed) * pixels,
            passing: passing * pixels,
            parameters: transformed * transform.parameters() * pixels,
        })
    }

    fn planes<V>(self, values: V) -> Planes<V> {
        Planes {
            values,
            pixels: self.pixels,
        }
    }

    fn parameters_of<T>(self, h: &[T], index: usize) -> &[T] {
        &h[index * self.parameters..][..self.parameters]
    }
}
