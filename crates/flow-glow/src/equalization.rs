//! Histogram equalisation: frequent pixel values get more room.
//!
//! Four of five pixels of MNIST are black. Uniform noise makes them a box 1/256 wide. A flow of
//! affine couplings must stretch and round that box for each black pixel. This map does so for all
//! pixels at once:
//!
//! ```text
//! F(p) = Σ_{k<v} share_k + u·share_v   for p = (v + u) / 2^bits
//! x = logit(ε + (1 − 2ε)·F(p)),   ln|dx/dp| = ln(2^bits·share_v) − ln σ(x) − ln σ(−x) + ln(1 − 2ε)
//! ```
//!
//! F is piecewise linear. If the shares were the frequencies, F would be the distribution function
//! of all pixels, and x would be logistic. The shares are powers of the frequencies, so rare values
//! keep room too.

use candle_core::{DType, Result, Tensor};
use flow_core::transfer;

/// The exponent of the frequencies: 1 is full equalisation, 0 leaves pixels unchanged.
const TEMPER: f64 = 0.75;

/// ε: at the ends of the interval, x is ±11.5.
const MARGIN: f64 = 1e-5;

/// The share of each of 2^`bits` values, from `counts` of 8-bit values; the sum is 1.
pub(crate) fn shares(counts: &[u64; 256], bits: u32) -> Vec<f64> {
    let mut merged = vec![0; 1 << bits];
    for (value, count) in counts.iter().enumerate() {
        merged[value >> (8 - bits)] += count;
    }
    // Counts plus one, because a value that is absent here may occur in other data.
    let tempered = merged
        .iter()
        .map(|&count| (count as f64 + 1.0).powf(TEMPER))
        .collect::<Vec<_>>();
    let sum = tempered.iter().sum::<f64>();
    tempered.iter().map(|share| share / sum).collect()
}

/// v and u, of the same shape and type → x and ln|dx/dp|, of that shape.
pub(crate) fn forward(shares: &[f64], v: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
    let below = sums_before(shares);
    let above = below
        .iter()
        .zip(shares)
        .map(|(below, share)| 1.0 - below - share)
        .collect::<Vec<_>>();
    let index = v.flatten_all()?.to_dtype(DType::U32)?;
    let of_each = |table: &[f64]| {
        transfer::upload(table.to_vec(), table.len(), v.dtype(), v.device())?
            .index_select(&index, 0)?
            .reshape(v.shape())
    };
    let share = of_each(shares)?;
    // Each tail is summed from its own end, where its digits are.
    let below = (of_each(&below)? + (&share * u)?)?;
    let above = (of_each(&above)? + (&share * u.affine(-1.0, 1.0)?)?)?;
    let ln = |tail: Tensor| tail.affine(1.0 - 2.0 * MARGIN, MARGIN)?.log();
    let (ln_p, ln_q) = (ln(below)?, ln(above)?);
    let stretch = (1.0 - 2.0 * MARGIN) * shares.len() as f64;
    let slopes = ((share * stretch)?.log()? - (&ln_p + &ln_q)?)?;
    Ok(((ln_p - ln_q)?, slopes))
}

/// x → v, of the same shape and type.
pub(crate) fn inverse(shares: &[f64], x: &Tensor) -> Result<Tensor> {
    let starts = sums_before(shares);
    // A binary search on the host is faster than 256 tensor comparisons, and pixels go there next.
    let values = transfer::numbers(x)?
        .into_iter()
        .map(|x| {
            let p = (1.0 / (1.0 + (-x).exp()) - MARGIN) / (1.0 - 2.0 * MARGIN);
            starts[1..].partition_point(|&start| start <= p) as f64
        })
        .collect::<Vec<_>>();
    transfer::upload(values, x.shape(), x.dtype(), x.device())
}

/// Cumulative sum of the shares, without the own one.
fn sums_before(shares: &[f64]) -> Vec<f64> {
    let sums = shares.iter().scan(0.0, |sum, share| {
        let before = *sum;
        *sum += share;
        Some(before)
    });
    sums.collect()
}
