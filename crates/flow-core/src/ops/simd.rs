//! Element-wise loops, compiled for each instruction set and chosen at run time.

use pulp::Arch;

/// Runs `body`, which must be inlinable, with the processor's widest vectors.
#[inline(always)]
pub(super) fn dispatch<R>(body: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(body)
}

/// sum += part
pub(super) fn add(sum: &mut [f32], part: &[f32]) {
    dispatch(
        #[inline(always)]
        || {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        },
    );
}

/// Σ values, in independent lanes for vectorisation.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().sum::<f32>() + rest
}

/// eˣ within 2 units in the last place; saturates at the range of f32, keeps NaN.
#[inline(always)]
#[allow(clippy::excessive_precision)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts (Cody and Waite), so that r is exact.
    let r = (x - n * 0.693_359_375) + n * 2.121_944_4e-4;
    // Minimax polynomial of (eʳ − 1 − r) / r² on |r| ≤ ln 2 / 2 (Cephes, expf).
    let mut p = 1.987_569_15e-4;
    p = p * r + 1.398_199_95e-3;
    p = p * r + 8.333_451_9e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_55e-1;
    p = p * r + 0.5;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * r * r + r + 1.0) * scale
}

/// tanh x, within 1e-7 absolutely; keeps NaN.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exp_is_the_exponential(x in -86.9_f32..87.9) {
            let expected = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) - expected).abs() <= 2.5e-7 * expected);
        }

        #[test]
        fn tanh_is_the_hyperbolic_tangent(x in -20.0_f32..20.0) {
            prop_assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() <= 1.5e-7);
        }
    }

    #[test]
    fn special_values() {
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!((exp(0.0), tanh(0.0)), (1.0, 0.0));
        assert!(exp(f32::INFINITY).is_finite() && exp(f32::NEG_INFINITY) > 0.0);
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
    }
}
