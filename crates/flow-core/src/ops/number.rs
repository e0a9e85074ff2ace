//! The numbers of fused operations: f32 and f64.

use candle_core::WithDType;
use num_traits::Float;
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

/// f32 or f64, on the CPU.
pub(super) trait Number:
    Float + WithDType + Default + Sum + AddAssign + SubAssign + MulAssign
{
    /// Above this magnitude, adding 1 to the square has no effect.
    const LARGE: Self;

    /// `value`, rounded.
    fn of(value: f64) -> Self;

    /// As [`simd::exp`](super::simd::exp).
    fn exponential(self) -> Self;
}

impl Number for f32 {
    const LARGE: Self = 1e9;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    #[allow(clippy::excessive_precision)]
    fn exponential(self) -> Self {
        // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
        const ROUND: f32 = 12_582_912.0;
        let x = if self < -87.0 { -87.0 } else { self };
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
        let scale = Self::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        (p * r * r + r + 1.0) * scale
    }
}

impl Number for f64 {
    const LARGE: Self = 1e17;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        // As in f32, with 1.5·2⁵².
        const ROUND: f64 = 6_755_399_441_055_744.0;
        // 1/k! for k from 12 down to 2: behind them the series of eʳ leaves 4·10⁻¹⁸ on
        // |r| ≤ ln 2 / 2.
        const SERIES: [f64; 11] = [
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            1.0 / 2.0,
        ];
        let x = if self < -708.0 { -708.0 } else { self };
        let x = if x > 709.0 { 709.0 } else { x };
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        // The first part of ln 2 has 33 bits, so that its product with n is exact.
        let r = (x - n * 0.693_147_180_485_539_1) - n * 7.440_617_110_012_397e-11;
        let mut p = 1.0 / 6_227_020_800.0;
        for factor in SERIES {
            p = p * r + factor;
        }
        let scale = Self::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
        (p * r * r + r + 1.0) * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_exponential_of_f32(x in -86.9_f32..87.9) {
            let expected = f64::from(x).exp();
            prop_assert!((f64::from(x.exponential()) - expected).abs() <= 2.5e-7 * expected);
        }

        #[test]
        fn the_exponential_of_f64(x in -707.9_f64..708.9) {
            let expected = x.exp();
            prop_assert!((x.exponential() - expected).abs() <= 5e-16 * expected);
        }
    }

    #[test]
    fn special_values() {
        fn check<T: Number + std::fmt::Debug>() {
            assert!(T::nan().exponential().is_nan());
            assert_eq!(T::zero().exponential(), T::one());
            assert!(T::infinity().exponential().is_finite());
            assert!(T::neg_infinity().exponential() > T::zero());
        }
        check::<f32>();
        check::<f64>();
    }
}
