//! Element-wise loops, compiled for each instruction set and chosen at run time.

use super::number::Number;
use pulp::{Arch, Simd};

/// Runs `body`, which must be inlinable, with the processor's widest vectors.
#[inline(always)]
pub(super) fn dispatch<R>(body: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(body)
}

/// `numbers` as rows of vectors.
#[inline(always)]
pub(super) fn vectors<S: Simd, const VECTORS: usize>(numbers: &[f32]) -> &[[S::f32s; VECTORS]] {
    S::as_simd_f32s(numbers).0.as_chunks().0
}

/// As [`vectors`], mutable.
#[inline(always)]
pub(super) fn vectors_mut<S: Simd, const VECTORS: usize>(
    numbers: &mut [f32],
) -> &mut [[S::f32s; VECTORS]] {
    S::as_mut_simd_f32s(numbers).0.as_chunks_mut().0
}

/// sum += part
pub(super) fn add<T: Number>(sum: &mut [T], part: &[T]) {
    dispatch(
        #[inline(always)]
        || {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += *part;
            }
        },
    );
}

/// Σ values, in independent lanes for vectorisation.
#[inline(always)]
pub(super) fn sum<T: Number>(values: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::zero(); LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: T = chunks.remainder().iter().copied().sum();
    for chunk in chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, value)| *lane += *value);
    }
    lanes.iter().copied().sum::<T>() + rest
}

/// eˣ within 2 units in the last place; saturates at the range of the type, keeps NaN. Unlike that
/// of the standard library it can be vectorised.
#[inline(always)]
pub(super) fn exp<T: Number>(x: T) -> T {
    x.exponential()
}

/// tanh x, within 1 unit in the last place of 1; keeps NaN.
#[inline(always)]
pub(super) fn tanh<T: Number>(x: T) -> T {
    let e = exp(T::of(-2.0) * x.abs());
    ((T::one() - e) / (T::one() + e)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tanh_is_the_hyperbolic_tangent(x in -20.0_f64..20.0) {
            prop_assert!((tanh(x) - x.tanh()).abs() <= 3e-16);
            let single = x as f32;
            prop_assert!((f64::from(tanh(single)) - f64::from(single).tanh()).abs() <= 1.5e-7);
        }
    }

    #[test]
    fn tanh_of_special_values() {
        assert!(tanh(f32::NAN).is_nan() && tanh(f64::NAN).is_nan());
        assert_eq!(
            (tanh(0.0), tanh(f32::INFINITY), tanh(f64::NEG_INFINITY)),
            (0.0, 1.0, -1.0)
        );
    }
}
