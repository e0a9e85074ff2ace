//! The loops of the products. A tile is a part of the result that fits into the registers.

use super::{Arithmetic, Finish, Job, Packed, Vector};
use crate::ops::buffer::Buffer;
use crate::ops::simd::vectors;
use pulp::Simd;
use std::ops::Range;
use std::slice::ChunksExact;

/// Columns of the left factor from which [`AddOuter`] copies its factors to strips: rows of more lie
/// too far apart for a tile that reads a few numbers of each.
const WIDE: usize = 192;

/// Vectors in a row of the largest tile. Its sums, one row of the right factor and one number of
/// the left one use all registers.
#[inline(always)]
pub(super) fn max_vectors<A: Arithmetic>() -> usize {
    if A::Simd::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Calls a method with the rows and vectors of the tiles that are `$vectors` wide.
macro_rules! for_tile {
    ($self:ident.$method:ident::<$a:ident>($vectors:expr; $($argument:expr),*)) => {
        if $a::Simd::REGISTER_COUNT >= 32 {
            match $vectors {
                4 => $self.$method::<$a, 6, 4>($($argument),*),
                3 => $self.$method::<$a, 8, 3>($($argument),*),
                2 => $self.$method::<$a, 12, 2>($($argument),*),
                _ => $self.$method::<$a, 12, 1>($($argument),*),
            }
        } else if $vectors == 2 {
            $self.$method::<$a, 6, 2>($($argument),*)
        } else {
            $self.$method::<$a, 12, 1>($($argument),*)
        }
    };
}

/// [`Kernel::multiply`](super::Kernel::multiply).
pub(super) struct Multiply<'a> {
    pub(super) a: &'a [f32],
    /// Words from one row of `a` to the next.
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) b: &'a Packed,
    pub(super) out: &'a mut [f32],
    pub(super) finish: Finish<'a>,
}

impl Job for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self, arithmetic: A) {
        let b = self.b;
        let mut panels = &b.words[..];
        let mut column = 0;
        while column < b.filled {
            let vectors = ((b.filled - column) / A::Simd::F32_LANES).min(max_vectors::<A>());
            let width = vectors * A::Simd::F32_LANES;
            let (panel, rest) = panels.split_at(b.inner * width);
            for_tile!(self.panel::<A>(vectors; arithmetic, panel, column));
            panels = rest;
            column += width;
        }
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn panel<A: Arithmetic, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        arithmetic: A,
        panel: &[f32],
        column: usize,
    ) {
        let mut row = 0;
        while row + ROWS <= self.rows {
            self.tile::<A, ROWS, VECTORS>(arithmetic, panel, row, column);
            row += ROWS;
        }
        while row + 2 <= self.rows {
            self.tile::<A, 2, VECTORS>(arithmetic, panel, row, column);
            row += 2;
        }
        for row in row..self.rows {
            self.tile::<A, 1, VECTORS>(arithmetic, panel, row, column);
        }
    }

    #[inline(always)]
    fn tile<A: Arithmetic, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        arithmetic: A,
        panel: &[f32],
        row: usize,
        column: usize,
    ) {
        let simd = arithmetic.simd();
        let inner = self.b.inner;
        let a: [&[f32]; ROWS] =
            std::array::from_fn(|i| &self.a[(row + i) * self.stride..][..inner]);
        let b = &vectors::<A::Simd, VECTORS>(panel)[..inner];
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (k, b) in b.iter().enumerate() {
            for (sums, a) in sums.iter_mut().zip(a) {
                let a = simd.splat_f32s(a[k]);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = arithmetic.multiply_add(a, *b, *sum);
                }
            }
        }
        self.finish(arithmetic, sums, row, column);
    }

    #[inline(always)]
    fn finish<A: Arithmetic, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        arithmetic: A,
        tile: [[Vector<A>; VECTORS]; ROWS],
        row: usize,
        column: usize,
    ) {
        let simd = arithmetic.simd();
        let (lanes, words) = (A::Simd::F32_LANES, A::words());
        let zero = simd.splat_f32s(0.0);
        let width = self.b.width;
        // Offset of a vector in a left factor.
        let word = |i: usize, j: usize| ((row + i) * width + column + j * lanes) / lanes * words;
        match &mut self.finish {
            Finish::Plain => {
                for (i, products) in tile.iter().enumerate() {
                    let out = &mut self.out[(row + i) * width + column..][..VECTORS * lanes];
                    A::Simd::as_mut_simd_f32s(out).0.copy_from_slice(products);
                }
            }
            Finish::BiasRelu(bias) => {
                let bias = A::Simd::as_simd_f32s(&bias[column..]).0;
                for (i, products) in tile.iter().enumerate() {
                    for (j, product) in products.iter().enumerate() {
                        let sum = simd.add_f32s(*product, bias[j]);
                        let value = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                        arithmetic.store(value, &mut self.out[word(i, j)..][..words]);
                    }
                }
            }
            Finish::MaskAndSum { activations, sums } => {
                let sums = A::Simd::as_mut_simd_f32s(&mut sums[column..]).0;
                for (j, sum) in sums[..VECTORS].iter_mut().enumerate() {
                    let mut of_column = *sum;
                    for (i, products) in tile.iter().enumerate() {
                        let at = word(i, j);
                        let activation = arithmetic.load(&activations[at..][..words]);
                        let active = simd.less_than_f32s(zero, activation);
                        let value = simd.select_f32s(active, products[j], zero);
                        of_column = simd.add_f32s(of_column, value);
                        arithmetic.store(value, &mut self.out[at..][..words]);
                    }
                    *sum = of_column;
                }
            }
        }
    }
}

/// [`Kernel::add_outer`](super::Kernel::add_outer).
pub(super) struct AddOuter<'a> {
    pub(super) a: &'a [f32],
    pub(super) columns: usize,
    pub(super) b: &'a [f32],
    pub(super) width: usize,
    pub(super) sums: &'a mut [f32],
}

impl Job for AddOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self, arithmetic: A) {
        let mut left = None;
        let mut column = 0;
        while column < self.width {
            let vectors = ((self.width - column) / A::Simd::F32_LANES).min(max_vectors::<A>());
            for_tile!(self.panel::<A>(vectors; arithmetic, column, &mut left));
            column += vectors * A::Simd::F32_LANES;
        }
    }
}

impl AddOuter<'_> {
    /// `left` are the strips of `a` that the panel before copied.
    #[inline(always)]
    fn panel<A: Arithmetic, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        arithmetic: A,
        column: usize,
        left: &mut Option<Strips>,
    ) {
        let wide = self.columns >= WIDE;
        let row = super::padded(self.columns);
        let (a, b) = (self.a.chunks_exact(row), self.b.chunks_exact(self.width));
        let in_place = if wide { 0 } else { self.columns / ROWS * ROWS };
        let left = match left {
            Some(strips) if strips.width == ROWS => strips,
            _ => left.insert(Strips::copy(a.clone(), in_place..self.columns, ROWS)),
        };
        let count = VECTORS * A::Simd::F32_LANES;
        if wide {
            let b = Strips::copy(b, column..column + count, count);
            for (row, a) in (0..).step_by(ROWS).zip(left.iter()) {
                let a = a.as_chunks::<ROWS>().0.iter();
                let b = vectors::<A::Simd, VECTORS>(&b.numbers).iter();
                self.tile::<A, ROWS, VECTORS>(arithmetic, a.zip(b), row, column);
            }
            return;
        }
        let b = b.map(
            #[inline(always)]
            |b| &vectors::<A::Simd, VECTORS>(&b[column..column + count])[0],
        );
        for row in (0..in_place).step_by(ROWS) {
            let a = a.clone().map(
                #[inline(always)]
                |a| &a[row..row + ROWS].as_chunks::<ROWS>().0[0],
            );
            self.tile::<A, ROWS, VECTORS>(arithmetic, a.zip(b.clone()), row, column);
        }
        for a in left.iter() {
            let a = a.as_chunks::<ROWS>().0.iter();
            self.tile::<A, ROWS, VECTORS>(arithmetic, a.zip(b.clone()), in_place, column);
        }
    }

    /// Adds to the sums from (`row`, `column`) on, as far as there are rows.
    #[inline(always)]
    fn tile<'a, A: Arithmetic + 'a, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        arithmetic: A,
        factors: impl Iterator<Item = (&'a [f32; ROWS], &'a [Vector<A>; VECTORS])>,
        row: usize,
        column: usize,
    ) {
        let simd = arithmetic.simd();
        let count = VECTORS * A::Simd::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (a, b) in factors {
            for (sums, a) in sums.iter_mut().zip(a) {
                let a = simd.splat_f32s(*a);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = arithmetic.multiply_add(a, *b, *sum);
                }
            }
        }
        for (row, sums) in (row..self.columns).zip(&sums) {
            let out = &mut self.sums[row * self.width + column..][..count];
            for (out, sum) in A::Simd::as_mut_simd_f32s(out).0.iter_mut().zip(sums) {
                *out = simd.add_f32s(*out, *sum);
            }
        }
    }
}

/// Copies of columns, cut into strips as wide as a tile, `[strips, rows, width]`, with zeros beyond
/// the last column. A tile reads a strip from its start to its end.
struct Strips {
    numbers: Buffer,
    rows: usize,
    width: usize,
}

impl Strips {
    #[inline(always)]
    fn copy(rows: ChunksExact<f32>, columns: Range<usize>, width: usize) -> Self {
        let length = rows.len() * width;
        let mut numbers = Buffer::take(columns.len().div_ceil(width) * length);
        let strips = numbers.chunks_exact_mut(length);
        for (strip, first) in strips.zip(columns.clone().step_by(width)) {
            let count = width.min(columns.end - first);
            for (place, row) in strip.chunks_exact_mut(width).zip(rows.clone()) {
                place[..count].copy_from_slice(&row[first..first + count]);
                place[count..].fill(0.0);
            }
        }
        Self {
            numbers,
            rows: rows.len(),
            width,
        }
    }

    fn iter(&self) -> ChunksExact<'_, f32> {
        self.numbers.chunks_exact(self.rows * self.width)
    }
}

/// [`Kernel::stack`](super::Kernel::stack).
pub(super) struct Stack<'a> {
    pub(super) rows: &'a [f32],
    /// Numbers in a row.
    pub(super) width: usize,
    pub(super) out: &'a mut [f32],
}

impl Job for Stack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self, arithmetic: A) {
        let row = self.width / A::Simd::F32_LANES * A::words();
        let zeros = vec![0.0; row];
        let pairs = self.rows.chunks(2 * row);
        for (rows, stack) in pairs.zip(self.out.chunks_exact_mut(self.width)) {
            let (first, second) = rows.split_at(row);
            let second = if second.is_empty() {
                &zeros[..]
            } else {
                second
            };
            arithmetic.interleave([first, second], stack);
        }
    }
}
