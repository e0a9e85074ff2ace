//! The noise of integers and categories, without which they have no density.

use candle_core::{Result, Tensor};
use flow_core::{random, transfer};

/// Noise stays inside of (0, 1), also where 32 bits round the sum.
const WITHIN: [f64; 2] = [1e-6, 0.999];

/// Uniform noise on (0, 1) for the columns of whole numbers: ln p of the sum is a lower bound of
/// ln P of the number (Uria et al. 2013, arXiv:1306.0186).
pub(super) struct Noise {
    pub(super) columns: Vec<usize>,
}

impl Noise {
    /// The rows `[N, D]` with noise in these columns, the same for the same `seed`.
    pub(super) fn add(&self, x: &Tensor, seed: u64) -> Result<Tensor> {
        let (rows, features) = x.dims2()?;
        let mut numbers = transfer::numbers(x)?;
        let noise = random::uniform_numbers::<f64>(seed, rows * self.columns.len());
        let places = (0..rows).flat_map(|row| self.columns.iter().map(move |column| (row, column)));
        for ((row, column), noise) in places.zip(noise) {
            numbers[row * features + column] += noise.clamp(WITHIN[0], WITHIN[1]);
        }
        transfer::upload(numbers, x.shape(), x.dtype(), x.device())
    }
}
