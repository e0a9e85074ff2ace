//! ActNorm and an invertible 1×1 convolution as one affine map of the channels.
//!
//! ```text
//! W = Q·L·U·diag(e^s)    L: strict lower triangle of `lower`, ones on the diagonal
//! b = W·t                U: strict upper triangle of `upper`, e^log_scale on the diagonal
//! ln|det W| = Σ s + Σ log_scale                                        (|det Q| = 1)
//! ```
//!
//! For matrices of few channels, a dozen tensor operations would mostly cost their calls.

use super::channel_mix::channel_mix;
use super::fusible_in_f32;
use super::lower_upper::Triangles;
use super::view::{contiguous, host};
use crate::bijection::Detached;
use crate::{Bijection, linalg, shape, transfer};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::OnceLock;

/// Factors of the map: `rotation`, `lower`, `upper` `[C, C]`, `log_scale` `[C]` of the convolution,
/// `actnorm_log_scale` and `actnorm_shift` with C numbers.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Factors<'a> {
    pub rotation: &'a Tensor,
    pub lower: &'a Tensor,
    pub upper: &'a Tensor,
    pub log_scale: &'a Tensor,
    pub actnorm_log_scale: &'a Tensor,
    pub actnorm_shift: &'a Tensor,
    /// Constant factors of the composed form.
    pub triangles: &'a Triangles,
}

/// x ↦ W·x + b at every pixel.
pub struct AffineMap {
    /// W, `[C, C]`, output channel first.
    pub weight: Tensor,
    /// b, `[C]`.
    pub bias: Tensor,
    /// ln|det W|, a scalar.
    pub log_det: Tensor,
}

impl AffineMap {
    /// This map after the ActNorm x ↦ exp(log_scale) ⊙ (x + shift), of C numbers each.
    pub(crate) fn after(&self, log_scale: &Tensor, shift: &Tensor) -> Result<Self> {
        let channels = shift.elem_count();
        let scale = log_scale.reshape((1, channels))?.exp()?;
        let weight = self.weight.broadcast_mul(&scale)?;
        let bias = weight.matmul(&shift.reshape((channels, 1))?)?;
        Ok(Self {
            bias: (bias.flatten_all()? + &self.bias)?,
            log_det: (log_scale.sum_all()? + &self.log_det)?,
            weight,
        })
    }

    /// W·x + b at every pixel of `x` `[B, C, H, W]`.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        shape::images("channel map", x, self.weight.dim(1)?)?;
        channel_mix(x, &self.weight, &self.bias)
    }

    /// The same map without a graph, for many batches: `invert` gives its inverse once, when it is
    /// asked for.
    pub fn frozen<'a>(
        &self,
        invert: impl Fn(&Self) -> Result<Self> + Send + Sync + 'a,
    ) -> Box<dyn Bijection + 'a> {
        let map = Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            log_det: self.log_det.detach(),
        };
        let inverse = OnceLock::new();
        Box::new(Detached(Frozen {
            map,
            invert,
            inverse,
        }))
    }

    /// The map y ↦ W⁻¹·(y − b), computed on the host in f64, without a graph.
    pub fn inverted(&self) -> Result<Self> {
        let inverse = linalg::inverse(&transfer::rows(&self.weight)?)?;
        let bias = transfer::numbers(&self.bias)?;
        let bias = inverse
            .iter()
            .map(|row| -dot(row, &bias))
            .collect::<Vec<_>>();
        let like = |values, other: &Tensor| {
            transfer::upload(values, other.shape(), other.dtype(), other.device())
        };
        Ok(Self {
            weight: like(inverse.concat(), &self.weight)?,
            bias: like(bias, &self.bias)?,
            log_det: self.log_det.detach().neg()?,
        })
    }
}

impl Bijection for AffineMap {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let y = self.apply(x)?;
        let (b, _, h, w) = x.dims4()?;
        Ok((y, (&self.log_det * (h * w) as f64)?.broadcast_as(b)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverted()?.apply(y)
    }
}

/// See [`AffineMap::frozen`].
struct Frozen<F> {
    map: AffineMap,
    invert: F,
    inverse: OnceLock<AffineMap>,
}

impl<F: Fn(&AffineMap) -> Result<AffineMap> + Send + Sync> Bijection for Frozen<F> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.map.forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        if let Some(inverse) = self.inverse.get() {
            return inverse.apply(y);
        }
        let inverse = (self.invert)(&self.map)?;
        self.inverse.get_or_init(|| inverse).apply(y)
    }
}

/// The map of `factors`. The rotation is a constant.
pub fn channel_map(factors: Factors) -> Result<AffineMap> {
    if !fusible_in_f32(factors.lower) {
        return composed::channel_map(factors);
    }
    let c = factors.log_scale.elem_count();
    let parts = [
        factors.lower,
        factors.upper,
        factors.log_scale,
        factors.actnorm_log_scale,
        factors.actnorm_shift,
    ];
    let parts = parts.map(Tensor::flatten_all);
    let packed = Tensor::cat(&parts.into_iter().collect::<Result<Vec<_>>>()?, 0)?;
    let rotation = factors.rotation.detach().contiguous()?;
    let map = packed.apply_op2(&rotation, ChannelMap { channels: c })?;
    Ok(AffineMap {
        weight: map.narrow(0, 0, c * c)?.reshape((c, c))?,
        bias: map.narrow(0, c * c, c)?,
        log_det: map.get(c * c + c)?,
    })
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::{AffineMap, Factors};
    use crate::ops::lower_upper::composed::lower_upper;
    use candle_core::Result;

    /// As [`super::channel_map`].
    pub fn channel_map(factors: Factors) -> Result<AffineMap> {
        let Factors {
            rotation,
            lower,
            upper,
            log_scale,
            actnorm_log_scale,
            actnorm_shift,
            triangles,
        } = factors;
        let product = lower_upper(lower, upper, log_scale, triangles)?;
        let convolution = AffineMap {
            weight: rotation.detach().matmul(&product)?,
            bias: log_scale.zeros_like()?,
            log_det: log_scale.sum_all()?,
        };
        convolution.after(actnorm_log_scale, actnorm_shift)
    }
}

/// The fused form. Its first argument is all parameters in one flat tensor, the second the
/// rotation.
struct ChannelMap {
    channels: usize,
}

/// Intermediate results from the parameters to the map, in f64: `[C, C]` row by row, and `[C]`.
struct Computed {
    rotation: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    weight: Vec<f64>,
    scale: Vec<f64>,
    shift: Vec<f64>,
    log_det: f64,
}

impl ChannelMap {
    fn compute(&self, packed: &[f32], rotation: &[f32]) -> Result<Computed> {
        let c = self.channels;
        if packed.len() != 2 * c * c + 3 * c || rotation.len() != c * c {
            bail!("channel-map: the parameters are not those of {c} channels");
        }
        let widen = |numbers: &[f32]| numbers.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (lower, rest) = packed.split_at(c * c);
        let (upper, rest) = rest.split_at(c * c);
        let [log_scale, actnorm_log_scale, shift] = [0, 1, 2].map(|i| widen(&rest[i * c..][..c]));
        let (mut lower, mut upper, rotation) = (widen(lower), widen(upper), widen(rotation));
        for row in 0..c {
            lower[row * c + row] = 1.0;
            lower[row * c + row + 1..(row + 1) * c].fill(0.0);
            upper[row * c..row * c + row].fill(0.0);
            upper[row * c + row] = log_scale[row].exp();
        }
        let mut weight = product(c, &rotation, &product(c, &lower, &upper));
        let scale = actnorm_log_scale
            .iter()
            .map(|s| s.exp())
            .collect::<Vec<_>>();
        for row in weight.chunks_exact_mut(c) {
            row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        }
        Ok(Computed {
            rotation,
            lower,
            upper,
            weight,
            scale,
            shift,
            log_det: log_scale.iter().chain(&actnorm_log_scale).sum(),
        })
    }
}

impl CustomOp2 for ChannelMap {
    fn name(&self) -> &'static str {
        "channel-map"
    }

    /// Weight, bias and log-determinant in one tensor, since an operation has one result.
    fn cpu_fwd(
        &self,
        packed: &CpuStorage,
        packed_layout: &Layout,
        rotation: &CpuStorage,
        rotation_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let packed = contiguous(packed, packed_layout)?;
        let map = self.compute(packed, contiguous(rotation, rotation_layout)?)?;
        let rows = map.weight.chunks_exact(self.channels);
        let bias = rows.map(|row| dot(row, &map.shift));
        let numbers = map.weight.iter().copied().chain(bias).chain([map.log_det]);
        let numbers = numbers.map(|number| number as f32).collect::<Vec<_>>();
        let count = numbers.len();
        Ok((CpuStorage::F32(numbers), Shape::from(count)))
    }

    fn bwd(
        &self,
        packed: &Tensor,
        rotation: &Tensor,
        _map: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let c = self.channels;
        let grad = grad.contiguous()?;
        let gradients = {
            let (packed_storage, packed_layout) = packed.storage_and_layout();
            let (rotation_storage, rotation_layout) = rotation.storage_and_layout();
            let (grad_storage, grad_layout) = grad.storage_and_layout();
            let (Storage::Cpu(packed), Storage::Cpu(rotation), Storage::Cpu(grad)) =
                (&*packed_storage, &*rotation_storage, &*grad_storage)
            else {
                bail!("channel-map: the fused form runs on the CPU");
            };
            let packed = contiguous(packed, packed_layout)?;
            let map = self.compute(packed, contiguous(rotation, rotation_layout)?)?;
            map.differentiate(c, contiguous(grad, grad_layout)?)
        };
        let gradients = gradients.into_iter().map(|g| g as f32).collect::<Vec<_>>();
        Ok((Some(host(gradients, packed.shape())?), None))
    }
}

impl Computed {
    /// The gradients of all parameters, in order, from those of weight, bias and log-determinant.
    fn differentiate(&self, c: usize, grad: &[f32]) -> Vec<f64> {
        let grad = grad.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (mut grad_weight, rest) = (grad[..c * c].to_vec(), &grad[c * c..]);
        let (grad_bias, grad_log_det) = (&rest[..c], rest[c]);

        let mut gradients = vec![0.0; 2 * c * c + 3 * c];
        let (grad_lower, rest) = gradients.split_at_mut(c * c);
        let (grad_upper, rest) = rest.split_at_mut(c * c);
        let (grad_log_scale, rest) = rest.split_at_mut(c);
        let (grad_actnorm, grad_shift) = rest.split_at_mut(c);

        grad_actnorm.fill(grad_log_det);
        grad_log_scale.fill(grad_log_det);
        for (i, row) in grad_weight.chunks_exact_mut(c).enumerate() {
            for (j, grad) in row.iter_mut().enumerate() {
                let weight = self.weight[i * c + j];
                grad_shift[j] += grad_bias[i] * weight;
                *grad += grad_bias[i] * self.shift[j];
                grad_actnorm[j] += *grad * weight;
                *grad *= self.scale[j];
            }
        }
        // Gradient of L·U.
        let grad = product(c, &transpose(c, &self.rotation), &grad_weight);
        let of_lower = product(c, &grad, &transpose(c, &self.upper));
        let of_upper = product(c, &transpose(c, &self.lower), &grad);
        for (row, grad_log_scale) in grad_log_scale.iter_mut().enumerate() {
            let (strict, from) = (row * c..row * c + row, row * c + row);
            grad_lower[strict.clone()].copy_from_slice(&of_lower[strict]);
            let strict = from + 1..(row + 1) * c;
            grad_upper[strict.clone()].copy_from_slice(&of_upper[strict]);
            *grad_log_scale += of_upper[from] * self.upper[from];
        }
        gradients
    }
}

/// a·b, both `[c, c]`.
fn product(c: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; c * c];
    for (row, a) in product.chunks_exact_mut(c).zip(a.chunks_exact(c)) {
        for (a, b) in a.iter().zip(b.chunks_exact(c)) {
            row.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
        }
    }
    product
}

fn transpose(c: usize, a: &[f64]) -> Vec<f64> {
    (0..c * c).map(|i| a[i % c * c + i / c]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
