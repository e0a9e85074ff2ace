//! Products of 2×2 matrices with seven multiplications instead of eight: Strassen 1969 (Gaussian
//! elimination is not optimal, Numerische Mathematik 13).
//!
//! ```text
//! c = a·b     a: from two channels to two     b, c: of two channels at two pixels
//! ```
//!
//! Channels are paired, and a matrix product becomes a sum of such products. The factors of `a` are
//! made once, those of `b` and `c` once for all rows. These additions run beside multiplications in
//! the processor.

use pulp::Simd;

/// Number of multiplications.
pub(super) const PRODUCTS: usize = 7;

/// The left factors of the products, from `a` row by row.
pub(super) fn left([[a11, a12], [a21, a22]]: [[f32; 2]; 2]) -> [f32; PRODUCTS] {
    [
        a11 + a22,
        a21 + a22,
        a11,
        a22,
        a11 + a12,
        a21 - a11,
        a12 - a22,
    ]
}

/// The right factors of the products, from `b` row by row.
#[inline(always)]
pub(super) fn right<S: Simd>(
    simd: S,
    [[b11, b12], [b21, b22]]: [[S::f32s; 2]; 2],
) -> [S::f32s; PRODUCTS] {
    [
        simd.add_f32s(b11, b22),
        b11,
        simd.sub_f32s(b12, b22),
        simd.sub_f32s(b21, b11),
        b22,
        simd.add_f32s(b11, b12),
        simd.add_f32s(b21, b22),
    ]
}

/// c, row by row, from the products.
#[inline(always)]
pub(super) fn sums<S: Simd>(
    simd: S,
    [m1, m2, m3, m4, m5, m6, m7]: [S::f32s; PRODUCTS],
) -> [[S::f32s; 2]; 2] {
    let c11 = simd.add_f32s(simd.add_f32s(m1, m4), simd.sub_f32s(m7, m5));
    let c22 = simd.add_f32s(simd.sub_f32s(m1, m2), simd.add_f32s(m3, m6));
    [[c11, simd.add_f32s(m3, m5)], [simd.add_f32s(m2, m4), c22]]
}
