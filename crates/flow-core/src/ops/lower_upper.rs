//! The product of triangular factors, by which a matrix is learned.
//!
//! ```text
//! W = L·U    L: strict lower triangle of `lower`, ones on the diagonal             W: [C, C]
//!            U: strict upper triangle of `upper`, e^log_scale on the diagonal
//! ```
//!
//! For few channels, a dozen tensor operations would mostly cost their calls.

use super::number::Number;
use super::view::{contiguous, host, numbers};
use super::{fusible, simd};
use crate::transfer;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, bail};
use std::marker::PhantomData;

/// Constants for matrices of `channels` channels, made once, because candle makes them on the host.
pub struct Triangles {
    identity: Tensor,
    /// Ones below the diagonal.
    below: Tensor,
}

impl Triangles {
    /// Triangles of `[channels, channels]`.
    pub fn new(channels: usize, dtype: DType, device: &Device) -> Result<Self> {
        let square = |one: fn(usize, usize) -> bool| {
            let rows = (0..channels).flat_map(|i| (0..channels).map(move |j| u8::from(one(i, j))));
            transfer::upload(rows.collect(), (channels, channels), dtype, device)
        };
        Ok(Self {
            identity: square(|i, j| i == j)?,
            below: square(|i, j| i > j)?,
        })
    }
}

/// W, `[C, C]`, of `lower` and `upper`, `[C, C]`, and `log_scale`, `[C]`.
pub fn lower_upper(
    lower: &Tensor,
    upper: &Tensor,
    log_scale: &Tensor,
    triangles: &Triangles,
) -> Result<Tensor> {
    if !fusible(lower) {
        return composed::lower_upper(lower, upper, log_scale, triangles);
    }
    let (lower, upper, log_scale) = (
        lower.contiguous()?,
        upper.contiguous()?,
        log_scale.contiguous()?,
    );
    match lower.dtype() {
        DType::F64 => lower.apply_op3(&upper, &log_scale, LowerUpper::<f64>(PhantomData)),
        _ => lower.apply_op3(&upper, &log_scale, LowerUpper::<f32>(PhantomData)),
    }
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::Triangles;
    use candle_core::{Result, Tensor};

    /// As [`super::lower_upper`].
    pub fn lower_upper(
        lower: &Tensor,
        upper: &Tensor,
        log_scale: &Tensor,
        triangles: &Triangles,
    ) -> Result<Tensor> {
        let Triangles { identity, below } = triangles;
        let lower = ((lower * below)? + identity)?;
        let diagonal = identity.broadcast_mul(&log_scale.exp()?)?;
        let upper = ((upper * below.t()?)? + diagonal)?;
        lower.matmul(&upper)
    }
}

struct LowerUpper<T>(PhantomData<T>);

/// The parameters of a matrix on the host, and the diagonal of U.
struct Factors<'a, T> {
    lower: &'a [T],
    upper: &'a [T],
    scale: Vec<T>,
}

impl<'a, T: Number> Factors<'a, T> {
    fn new(lower: &'a [T], upper: &'a [T], log_scale: &[T]) -> Result<Self> {
        let c = log_scale.len();
        if lower.len() != c * c || upper.len() != c * c {
            bail!("lower-upper: the factors are not those of {c} channels");
        }
        Ok(Self {
            lower,
            upper,
            scale: log_scale.iter().map(|s| s.exp()).collect(),
        })
    }

    /// Number i, k of L.
    #[inline(always)]
    fn lower(&self, i: usize, k: usize) -> T {
        if i == k {
            T::one()
        } else {
            self.lower[i * self.scale.len() + k]
        }
    }

    fn product(&self) -> Vec<T> {
        let c = self.scale.len();
        let mut product = vec![T::zero(); c * c];
        simd::dispatch(
            #[inline(always)]
            || {
                for (i, row) in product.chunks_exact_mut(c).enumerate() {
                    for (k, upper) in self.upper.chunks_exact(c).take(i + 1).enumerate() {
                        let lower = self.lower(i, k);
                        row[k] = lower.mul_add(self.scale[k], row[k]);
                        for (sum, upper) in row[k + 1..].iter_mut().zip(&upper[k + 1..]) {
                            *sum = lower.mul_add(*upper, *sum);
                        }
                    }
                }
            },
        );
        product
    }

    /// Gradients of `lower`, `upper` and `log_scale` from that of the product: those of L and U are
    /// G·Uᵀ and Lᵀ·G, in their triangles.
    fn differentiate(&self, grad: &[T]) -> [Vec<T>; 3] {
        let c = self.scale.len();
        // Row j holds the numbers of U's column j from the top to the diagonal.
        let mut columns = vec![T::zero(); c * c];
        for (j, column) in columns.chunks_exact_mut(c).enumerate() {
            for (k, number) in column[..j].iter_mut().enumerate() {
                *number = self.upper[k * c + j];
            }
            column[j] = self.scale[j];
        }
        let [mut of_lower, mut of_upper] = [(); 2].map(|()| vec![T::zero(); c * c]);
        simd::dispatch(
            #[inline(always)]
            || {
                for (i, grad) in grad.chunks_exact(c).enumerate() {
                    let of_lower = &mut of_lower[i * c..][..i];
                    for (j, (grad, column)) in grad.iter().zip(columns.chunks_exact(c)).enumerate()
                    {
                        let column = &column[..=j];
                        for (sum, upper) in of_lower.iter_mut().zip(column) {
                            *sum = grad.mul_add(*upper, *sum);
                        }
                    }
                    for (k, of_upper) in of_upper.chunks_exact_mut(c).take(i + 1).enumerate() {
                        let lower = self.lower(i, k);
                        for (sum, grad) in of_upper[k..].iter_mut().zip(&grad[k..]) {
                            *sum = lower.mul_add(*grad, *sum);
                        }
                    }
                }
            },
        );
        let of_scale = |(k, scale): (usize, &T)| {
            let of_diagonal = std::mem::take(&mut of_upper[k * c + k]);
            of_diagonal * *scale
        };
        let of_log_scale = self.scale.iter().enumerate().map(of_scale).collect();
        [of_lower, of_upper, of_log_scale]
    }
}

impl<T: Number> CustomOp3 for LowerUpper<T> {
    fn name(&self) -> &'static str {
        "lower-upper"
    }

    fn cpu_fwd(
        &self,
        lower: &CpuStorage,
        lower_layout: &Layout,
        upper: &CpuStorage,
        upper_layout: &Layout,
        log_scale: &CpuStorage,
        log_scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let factors = Factors::<T>::new(
            contiguous(lower, lower_layout)?,
            contiguous(upper, upper_layout)?,
            contiguous(log_scale, log_scale_layout)?,
        )?;
        let product = T::to_cpu_storage_owned(factors.product());
        Ok((product, lower_layout.shape().clone()))
    }

    fn bwd(
        &self,
        lower: &Tensor,
        upper: &Tensor,
        log_scale: &Tensor,
        _product: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (lower_numbers, upper_numbers) = (numbers::<T>(lower)?, numbers(upper)?);
        let factors = Factors::new(&lower_numbers, &upper_numbers, &numbers(log_scale)?)?;
        let [of_lower, of_upper, of_log_scale] = factors.differentiate(&numbers(grad)?);
        Ok((
            Some(host(of_lower, lower.shape())?),
            Some(host(of_upper, upper.shape())?),
            Some(host(of_log_scale, log_scale.shape())?),
        ))
    }
}
