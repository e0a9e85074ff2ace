//! Seeded random tensors, equal on every device: numbers are drawn on the host.

use crate::{Result, linalg, transfer};
use candle_core::{DType, Device, Shape, Tensor};
use rand::distr::{Distribution, StandardUniform};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A seed for `label`, unrelated to those of other labels.
pub fn derive(seed: u64, label: &str) -> u64 {
    // FNV-1a names the stream; ChaCha decorrelates seeds and streams.
    let stream = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator.random()
}

/// Independent draws from N(0, 1).
pub fn normal(seed: u64, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    draw(seed, StandardNormal, shape.into(), dtype, device)
}

/// Independent draws, uniform on [0, 1).
pub fn uniform(
    seed: u64,
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    draw(seed, StandardUniform, shape.into(), dtype, device)
}

/// A random rotation, `[n, n]` in f64 on the CPU: uniform over all of them (Haar measure).
pub fn rotation(seed: u64, n: usize) -> Result<Tensor> {
    let gaussian = normal(seed, (n, n), DType::F64, &Device::Cpu)?.to_vec2()?;
    Tensor::new(linalg::orthonormal_rows(gaussian)?, &Device::Cpu)
}

/// Independent draws, uniform on [0, 1), on the host: those of [`uniform`] for its type `T`.
pub fn uniform_numbers<T>(seed: u64, count: usize) -> Vec<T>
where
    StandardUniform: Distribution<T>,
{
    uniform_numbers_after(seed, 0, count)
}

/// The draws of [`uniform_numbers`] after the first `skip`.
pub fn uniform_numbers_after<T>(seed: u64, skip: usize, count: usize) -> Vec<T>
where
    StandardUniform: Distribution<T>,
{
    let generator = ChaCha8Rng::seed_from_u64(seed);
    let numbers = generator.sample_iter(StandardUniform);
    numbers.skip(skip).take(count).collect()
}

/// A random order of 0..`count`, uniform over all of them.
///
/// ```
/// assert_eq!(flow_core::random::order(1, 5), [1, 3, 4, 0, 2]);
/// ```
pub fn order(seed: u64, count: usize) -> Vec<u32> {
    let keys = uniform_numbers::<f64>(seed, count);
    let mut order = (0..count as u32).collect::<Vec<_>>();
    order.sort_by(|&a, &b| keys[a as usize].total_cmp(&keys[b as usize]));
    order
}

/// `count` numbers that `draw` gives, one after the other, on the host.
pub(crate) fn numbers(
    seed: u64,
    count: usize,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> f64,
) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| draw(&mut generator)).collect()
}

fn draw<D>(
    seed: u64,
    distribution: D,
    shape: Shape,
    dtype: DType,
    device: &Device,
) -> Result<Tensor>
where
    D: Distribution<f32> + Distribution<f64>,
{
    let count = shape.elem_count();
    let generator = ChaCha8Rng::seed_from_u64(seed);
    if dtype == DType::F64 {
        let values: Vec<f64> = generator.sample_iter(distribution).take(count).collect();
        transfer::upload(values, shape, dtype, device)
    } else {
        let values: Vec<f32> = generator.sample_iter(distribution).take(count).collect();
        transfer::upload(values, shape, dtype, device)
    }
}
