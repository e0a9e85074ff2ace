//! Surjective rounding: densities for integer and categorical columns.

use crate::{Bijection, Flow, Result, random, shape, transfer};
use candle_core::{DType, Tensor, bail};

/// Uniform dequantization: integer columns of `[B, D]` become continuous by uniform noise, and come
/// back exactly by rounding down.
///
/// ```text
/// y = x + u,  u uniform on (0, 1);   x = ⌊y⌋
/// ln P(x) = ln ∫ p(x + u) du ≥ E ln p(x + u)
/// ```
///
/// Rounding is a surjection: many y have one x, so a flow of y gives a lower bound of ln P(x) and
/// not ln P(x) itself ([`lower_bound`](Self::lower_bound)). The bound holds for any flow, and its
/// mean over draws is unbiased. Noise and rounding cost O(1) a number, the bound a pass of the flow
/// a draw. Uria, Murray & Larochelle 2013 (arXiv:1306.0186); as a surjection Nielsen et al. 2020,
/// section 3.1 (arXiv:2007.02731).
///
/// A column of k categories enters as its levels 0, …, k − 1, which become [0, k), then the real
/// line by [`ColumnMap::Logit`](crate::ColumnMap) with bounds 0 and k. One number a column for any
/// k: a spline gives each level a bin of its own, so their order does not matter, and no draw lies
/// outside them. Noise never reaches a bound, so the logit stays finite.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::UniformDequantization;
///
/// let x = Tensor::new(&[[0.5, 3.0], [-0.1, 0.0]], &Device::Cpu)?;
/// let dequantization = UniformDequantization { columns: vec![1] };
/// let y = dequantization.forward(&x, 1)?;
/// assert_eq!(dequantization.inverse(&y)?.to_vec2::<f64>()?, x.to_vec2::<f64>()?);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UniformDequantization {
    /// The columns of integers; others pass.
    pub columns: Vec<usize>,
}

impl UniformDequantization {
    /// x with noise in the columns of integers, the same for the same `seed`. Draw it anew for
    /// every epoch.
    ///
    /// # Errors
    /// If `x` is not `[B, D]` in f32 or f64 with these columns, or they hold other numbers than
    /// integers that the type tells apart; the error names row and column.
    pub fn forward(&self, x: &Tensor, seed: u64) -> Result<Tensor> {
        let features = self.check(x)?;
        let mut numbers = transfer::numbers(x)?;
        let rows = numbers.len() / features.max(1);
        let noise = random::uniform_numbers::<f64>(seed, rows * self.columns.len());
        let mut noise = noise.into_iter();
        // Seven numbers of the type, at least, lie between two integers.
        let limit = match x.dtype() {
            DType::F64 => 0.125 / f64::EPSILON,
            _ => 0.125 / f64::from(f32::EPSILON),
        };
        for row in 0..rows {
            for &column in &self.columns {
                let number = &mut numbers[row * features + column];
                if number.fract() != 0.0 || number.abs() > limit {
                    bail!(
                        "dequantization: row {row}, column {column} (counted from 0) is {number}, \
                         needed an integer up to {limit}"
                    );
                }
                // Never 0, so that a logit stays of the order of its type's digits.
                let share = noise.next().unwrap_or_default().max(f64::EPSILON);
                *number = between(*number, share, x.dtype());
            }
        }
        transfer::upload(numbers, x.shape(), x.dtype(), x.device())
    }

    /// y with the columns of integers rounded down.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let features = self.check(y)?;
        let mut is_integer = vec![0_u8; features];
        self.columns
            .iter()
            .for_each(|&column| is_integer[column] = 1);
        let mask = transfer::upload(is_integer, (1, features), DType::U8, y.device())?;
        mask.broadcast_as(y.shape())?.where_cond(&y.floor()?, y)
    }

    /// A lower bound of ln P(x), `[B]`, in nats: the mean of ln p(x + u) over `draws` of the noise.
    ///
    /// # Errors
    /// If `draws` is 0, or as [`forward`](Self::forward) and [`Flow::log_prob`].
    pub fn lower_bound<B: Bijection>(
        &self,
        flow: &Flow<B>,
        x: &Tensor,
        draws: usize,
        seed: u64,
    ) -> Result<Tensor> {
        if draws == 0 {
            bail!("dequantization: needs at least one draw of the noise");
        }
        let of_draw = |draw| {
            let seed = random::derive(seed, &format!("draw {draw}"));
            flow.log_prob(&self.forward(x, seed)?)
        };
        let mut total = of_draw(0)?;
        for draw in 1..draws {
            total = (total + of_draw(draw)?)?;
        }
        total / draws as f64
    }

    /// D, if `x` is `[B, D]` and has the columns.
    fn check(&self, x: &Tensor) -> Result<usize> {
        let features = match x.dims() {
            [_, features] => *features,
            _ => return shape::refuse("dequantization", x, "[B, D]"),
        };
        if let Some(column) = self.columns.iter().find(|column| **column >= features) {
            let needed = format!("[B, D] with a column {column} (counted from 0)");
            return shape::refuse("dequantization", x, &needed);
        }
        if !matches!(x.dtype(), DType::F32 | DType::F64) {
            bail!("dequantization: got {:?}, needed f32 or f64", x.dtype());
        }
        Ok(features)
    }
}

/// `integer` + `share` in a type, strictly between the integer and the next one: rounding may reach
/// both.
fn between(integer: f64, share: f64, dtype: DType) -> f64 {
    let (sum, next) = (integer + share, integer + 1.0);
    if dtype == DType::F64 {
        return sum.clamp(integer.next_up(), next.next_down());
    }
    let (integer, next) = (integer as f32, next as f32);
    f64::from((sum as f32).clamp(integer.next_up(), next.next_down()))
}
