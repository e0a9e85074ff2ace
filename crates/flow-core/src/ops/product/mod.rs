//! Single-threaded matrix products for a network of convolutions. Factors are row-major, and
//! operations that follow a product run while its numbers are in registers.
//!
//! Factors consist of words of 32 bits. In f32 a word is one number. In bf16 it is two numbers that
//! are adjacent in the inner dimension: the processor multiplies both pairs and adds them to a sum
//! in f32 (AVX512-BF16). All loops are the same; [`Arithmetic`] is the difference.
//!
//! Rows are padded to a multiple of [`PADDING`] numbers, so vectors never cross the end of a row.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod single;
mod tile;

use super::buffer::Buffer;
use pulp::{Arch, Simd};
use std::ops::Deref;
use tile::{AddOuter, Multiply, Stack};

/// Rows are padded to a multiple of this many numbers, one of the widest vectors.
const PADDING: usize = 16;

/// `columns` rounded up to whole vectors.
pub(super) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(PADDING)
}

/// Number type of the products of coupling networks; sums are always in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Precision {
    /// 24 bits of precision.
    #[default]
    F32,
    /// 8 bits of precision, at twice the speed, on processors with AVX512-BF16 (AMD from Zen 4,
    /// Intel from Cooper Lake); f32 on others.
    Bf16,
}

/// Instruction set of the products, detected at run time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    Single(Arch),
    #[cfg(target_arch = "x86_64")]
    Bf16(bf16::Bf16),
}

impl Kernel {
    /// The fastest of this machine.
    pub(super) fn new(precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16
            && let Some(bf16) = bf16::Bf16::detect()
        {
            return Self::Bf16(bf16);
        }
        let _ = precision;
        Self::Single(Arch::new())
    }

    /// Numbers in a word.
    pub(super) fn depth(self) -> usize {
        match self {
            Self::Single(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16(_) => 2,
        }
    }

    /// Words of a row of `columns` numbers.
    pub(super) fn row(self, columns: usize) -> usize {
        padded(columns) / self.depth()
    }

    /// Packs the matrix of `inner` × `columns` numbers `at(row, column)` for
    /// [`multiply`](Self::multiply).
    pub(super) fn pack(
        self,
        inner: usize,
        columns: usize,
        at: impl Fn(usize, usize) -> f32,
    ) -> Packed {
        let (rows, inner, width) = (inner, inner.div_ceil(self.depth()), padded(columns));
        let (panel, lanes) = self.panel();
        let filled = columns.next_multiple_of(lanes);
        let number = |row: usize, column: usize| {
            if row < rows && column < columns {
                at(row, column)
            } else {
                0.0
            }
        };
        let mut words = Buffer::take(inner * filled);
        let mut free = &mut words[..];
        for first in (0..filled).step_by(panel) {
            let columns = first..filled.min(first + panel);
            for row in 0..inner {
                let word = free
                    .split_off_mut(..columns.len())
                    .expect("panels fill the matrix");
                for (word, column) in word.iter_mut().zip(columns.clone()) {
                    *word = match self {
                        Self::Single(_) => number(row, column),
                        #[cfg(target_arch = "x86_64")]
                        Self::Bf16(_) => {
                            bf16::word([number(2 * row, column), number(2 * row + 1, column)])
                        }
                    };
                }
            }
        }
        Packed {
            words,
            rows,
            inner,
            filled,
            width,
        }
    }

    /// Writes the product of `a` (row-major) and `b` to `out`, after `finish`. Padding beyond the
    /// last vector keeps what it held.
    pub(super) fn multiply(self, a: &[f32], b: &Packed, out: &mut [f32], finish: Finish) {
        let rows = match &finish {
            Finish::Plain => out.len() / b.width,
            Finish::BiasRelu(_) | Finish::MaskAndSum { .. } => out.len() * self.depth() / b.width,
        };
        self.run(Multiply {
            a,
            stride: self.row(b.rows),
            rows,
            b,
            out,
            finish,
        });
    }

    /// sums += aᵀ · b, for two stacks with the same rows: `a` has `columns` columns, each a row of
    /// `sums`.
    pub(super) fn add_outer(self, a: &[f32], columns: usize, b: &[f32], sums: &mut [f32]) {
        let width = sums.len() / columns;
        self.run(AddOuter {
            a,
            columns,
            b,
            width,
            sums,
        });
    }

    /// `rows` of `columns` numbers, in the form that [`add_outer`](Self::add_outer) takes. Its
    /// inner dimension is the row index, so numbers of adjacent rows share a word.
    pub(super) fn stack(self, rows: &[f32], columns: usize) -> Stacked<'_> {
        if self.depth() == 1 {
            return Stacked::Same(rows);
        }
        let width = padded(columns);
        let count = rows.len() / self.row(columns);
        let mut stack = Buffer::take(count.div_ceil(self.depth()) * width);
        self.run(Stack {
            rows,
            width,
            out: &mut stack,
        });
        Stacked::Other(stack)
    }

    /// Columns of a panel of a packed matrix, equal to those of a row of tiles, and of a vector.
    fn panel(self) -> (usize, usize) {
        struct Widths;
        impl Job for Widths {
            type Output = (usize, usize);
            #[inline(always)]
            fn run<A: Arithmetic>(self, _: A) -> (usize, usize) {
                let lanes = A::Simd::F32_LANES;
                (tile::max_vectors::<A>() * lanes, lanes)
            }
        }
        self.run(Widths)
    }

    fn run<J: Job>(self, job: J) -> J::Output {
        match self {
            Self::Single(arch) => single::run(arch, job),
            #[cfg(target_arch = "x86_64")]
            Self::Bf16(bf16) => bf16.run(job),
        }
    }
}

/// A right factor: a sequence of panels of columns, each `[inner, columns of the panel]`.
pub(super) struct Packed {
    words: Buffer,
    rows: usize,
    /// Words of the inner dimension.
    inner: usize,
    /// Columns in whole vectors, which a product computes.
    filled: usize,
    /// Columns of a row of a product, padded.
    width: usize,
}

/// Operations on a product while it is in registers.
pub(super) enum Finish<'a> {
    /// Keeps the product in f32.
    Plain,
    /// relu(product + bias), as a left factor; NaN stays NaN, so that a broken model shows.
    BiasRelu(&'a [f32]),
    /// Clears the product where the activations, a left factor, are not positive. It becomes a left
    /// factor, and its columns are added to the sums.
    MaskAndSum {
        activations: &'a [f32],
        sums: &'a mut [f32],
    },
}

/// A factor of [`Kernel::add_outer`].
pub(super) enum Stacked<'a> {
    Same(&'a [f32]),
    Other(Buffer),
}

impl Deref for Stacked<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Same(words) => words,
            Self::Other(words) => words,
        }
    }
}

/// A generic loop that is compiled for every arithmetic. It must be inlinable.
trait Job {
    type Output;
    fn run<A: Arithmetic>(self, arithmetic: A) -> Self::Output;
}

/// Operations on words.
trait Arithmetic: Copy {
    type Simd: Simd;

    fn simd(self) -> Self::Simd;

    /// sum + a·b, over all numbers of each word.
    fn multiply_add(self, a: Vector<Self>, b: Vector<Self>, sum: Vector<Self>) -> Vector<Self>;

    /// Words that hold a vector of numbers.
    fn words() -> usize;

    fn load(self, words: &[f32]) -> Vector<Self>;

    fn store(self, numbers: Vector<Self>, words: &mut [f32]);

    /// Packs the numbers of two rows of words, or of one row and zeros, into common words.
    fn interleave(self, rows: [&[f32]; 2], stack: &mut [f32]);
}

type Vector<A> = <<A as Arithmetic>::Simd as Simd>::f32s;

#[cfg(test)]
pub(super) mod tests;
