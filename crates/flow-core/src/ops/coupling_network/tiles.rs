//! Left factors of products, cut into tiles whose sums stay in registers, and rows of vectors.

use crate::ops::buffer::Buffer;
use pulp::Simd;

/// Rows of a tile.
const ROWS: usize = 4;

/// A left factor `[rows, inner]`, multiplied a few rows at a time. Every entry has one number for
/// all vectors of a row of the right factor, or one for each.
pub(super) struct Tiles<const NUMBERS: usize> {
    /// `[rows / ROWS, inner, ROWS, NUMBERS]`
    words: Buffer,
    rows: usize,
    inner: usize,
}

impl<const NUMBERS: usize> Tiles<NUMBERS> {
    pub(super) fn new(
        rows: usize,
        inner: usize,
        at: impl Fn(usize, usize) -> [f32; NUMBERS],
    ) -> Self {
        let mut words = Buffer::take(rows.next_multiple_of(ROWS) * inner * NUMBERS);
        let places = words.as_chunks_mut().0;
        for (tile, places) in places.chunks_exact_mut(ROWS * inner).enumerate() {
            for i in 0..ROWS {
                let row = tile * ROWS + i;
                for (k, place) in places[i..].iter_mut().step_by(ROWS).enumerate() {
                    *place = if row < rows {
                        at(row, k)
                    } else {
                        [0.0; NUMBERS]
                    };
                }
            }
        }
        Self { words, rows, inner }
    }

    /// Passes every row of `start` + self · `b` to `finish`; both yield the vectors of a row one by
    /// one.
    #[inline(always)]
    pub(super) fn multiply<S: Simd, const VECTORS: usize>(
        &self,
        simd: S,
        start: impl Fn(usize, usize) -> S::f32s + Copy,
        b: impl Fn(usize, usize) -> S::f32s + Copy,
        mut finish: impl FnMut(usize, [S::f32s; VECTORS]),
    ) {
        let places = self.words.as_chunks::<NUMBERS>().0.as_chunks::<ROWS>().0;
        for (index, tile) in places.chunks_exact(self.inner).enumerate() {
            let rows = index * ROWS..self.rows.min((index + 1) * ROWS);
            // The sums and their factors fit into the registers.
            let all = ROWS * VECTORS + 2 <= S::REGISTER_COUNT;
            for row in rows.step_by(if all { ROWS } else { ROWS / 2 }) {
                let finish = &mut finish;
                if all {
                    self.part::<S, VECTORS, ROWS>(simd, tile, row, start, b, finish);
                } else {
                    self.part::<S, VECTORS, { ROWS / 2 }>(simd, tile, row, start, b, finish);
                }
            }
        }
    }

    /// Some rows of a tile, from `row` on.
    #[inline(always)]
    fn part<S: Simd, const VECTORS: usize, const SOME: usize>(
        &self,
        simd: S,
        tile: &[[[f32; NUMBERS]; ROWS]],
        row: usize,
        start: impl Fn(usize, usize) -> S::f32s + Copy,
        b: impl Fn(usize, usize) -> S::f32s + Copy,
        finish: &mut impl FnMut(usize, [S::f32s; VECTORS]),
    ) {
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; VECTORS]; SOME];
        for (i, sums) in sums.iter_mut().enumerate() {
            let row = (row + i).min(self.rows - 1);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = start(row, v);
            }
        }
        let of_tile = row % ROWS;
        for (k, places) in tile.iter().enumerate() {
            let places = &places[of_tile..][..SOME];
            for v in 0..VECTORS {
                let vector = b(k, v);
                for (sums, numbers) in sums.iter_mut().zip(places) {
                    let number = simd.splat_f32s(numbers[v % NUMBERS]);
                    sums[v] = simd.mul_add_e_f32s(number, vector, sums[v]);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let row = row + i;
            if row < self.rows {
                (*finish)(row, sums);
            }
        }
    }
}
