//! Activations stored unit by unit, and products with some rows of a weight.
//!
//! ```text
//! out[u] = bias[u] + Σₖ weight[u, k]·a[k]         for some units u, over some inputs k
//! ```
//!
//! Each a[k] holds that number of all rows of a batch, so rows fill the vectors. A network that is
//! evaluated number by number multiplies a few units at a time, for which a matrix product would
//! mostly rearrange its operands.

use candle_core::WithDType;
use pulp::{Arch, Simd, WithSimd};
use std::array;

/// Rows are padded to a multiple of this many numbers, one of the widest vectors.
const PADDING: usize = 16;

/// Numbers of some units, each of which has one for every row of a batch.
#[derive(Clone)]
pub(crate) struct Units<T> {
    numbers: Vec<T>,
    stride: usize,
    rows: usize,
}

impl<T: WithDType> Units<T> {
    /// `count` units of zeros.
    pub(crate) fn zeros(count: usize, rows: usize) -> Self {
        let stride = rows.next_multiple_of(PADDING);
        Self {
            numbers: vec![T::from_f64(0.0); count * stride],
            stride,
            rows,
        }
    }

    /// Units of a matrix with a row of numbers for each row of the batch.
    pub(crate) fn from_rows(matrix: &[T], rows: usize) -> Self {
        let count = matrix.len() / rows.max(1);
        let mut units = Self::zeros(count, rows);
        for (row, numbers) in matrix.chunks_exact(count.max(1)).enumerate() {
            for (unit, number) in numbers.iter().enumerate() {
                units.unit_mut(unit)[row] = *number;
            }
        }
        units
    }

    /// The matrix with a row of numbers for each row of the batch.
    pub(crate) fn to_rows(&self) -> Vec<T> {
        let units = || self.numbers.chunks_exact(self.stride.max(1));
        let row = |row| units().map(move |unit| unit[row]);
        (0..self.rows).flat_map(row).collect()
    }

    /// All numbers, unit by unit, with the padding.
    pub(crate) fn numbers_mut(&mut self) -> &mut [T] {
        &mut self.numbers
    }

    fn unit(&self, unit: usize) -> &[T] {
        &self.numbers[unit * self.stride..][..self.stride]
    }

    /// The numbers of a unit; those after the rows of the batch are padding.
    pub(crate) fn unit_mut(&mut self, unit: usize) -> &mut [T] {
        &mut self.numbers[unit * self.stride..][..self.stride]
    }

    /// Copies all units of `part` to the given places.
    pub(crate) fn set(&mut self, places: &[usize], part: &Self) {
        for (index, place) in places.iter().enumerate() {
            self.unit_mut(*place).copy_from_slice(part.unit(index));
        }
    }

    /// Replaces each number by `f` of it and of the same row of the unit of `other` at its place.
    pub(crate) fn combine(&mut self, other: &Self, places: &[usize], f: impl Fn(T, T) -> T) {
        for (index, place) in places.iter().enumerate() {
            for (number, other) in self.unit_mut(index).iter_mut().zip(other.unit(*place)) {
                *number = f(*number, *other);
            }
        }
    }
}

/// A layer on the host.
pub(crate) struct HostLayer<T> {
    /// `[O, I]`, row by row.
    pub(crate) weight: Vec<T>,
    /// `[O]`.
    pub(crate) bias: Vec<T>,
}

impl<T: Number> HostLayer<T> {
    /// The outputs `units` of the layer, from its inputs `seen` alone.
    pub(crate) fn outputs(&self, units: &[usize], seen: &[usize], inputs: &Units<T>) -> Units<T> {
        let mut out = Units::zeros(units.len(), inputs.rows);
        Arch::new().dispatch(Product {
            layer: self,
            columns: self.weight.len() / self.bias.len().max(1),
            units,
            seen,
            inputs,
            out: &mut out,
        });
        out
    }
}

struct Product<'a, T> {
    layer: &'a HostLayer<T>,
    /// I.
    columns: usize,
    units: &'a [usize],
    seen: &'a [usize],
    inputs: &'a Units<T>,
    out: &'a mut Units<T>,
}

impl<T: Number> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        const TOGETHER: usize = 4;
        let mut first = 0;
        while first + TOGETHER <= self.units.len() {
            self.strip::<S, TOGETHER, 2>(simd, first);
            first += TOGETHER;
        }
        for unit in first..self.units.len() {
            self.strip::<S, 1, 8>(simd, unit);
        }
    }
}

impl<T: Number> Product<'_, T> {
    /// All rows of `UNITS` units, `VECTORS` vectors at a time.
    #[inline(always)]
    fn strip<S: Simd, const UNITS: usize, const VECTORS: usize>(&mut self, simd: S, first: usize) {
        let vectors = T::vectors::<S>(self.out.unit(first)).len();
        let mut at = 0;
        while at + VECTORS <= vectors {
            self.tile::<S, UNITS, VECTORS>(simd, first, at);
            at += VECTORS;
        }
        for at in at..vectors {
            self.tile::<S, UNITS, 1>(simd, first, at);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const UNITS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
        at: usize,
    ) {
        let unit = |index: usize| self.units[first + index];
        let weights: [&[T]; UNITS] = array::from_fn(|index| {
            &self.layer.weight[unit(index) * self.columns..][..self.columns]
        });
        let zero = T::splat(simd, T::from_f64(0.0));
        let mut sums = [[zero; VECTORS]; UNITS];
        for &input in self.seen {
            let numbers = &T::vectors::<S>(self.inputs.unit(input))[at..][..VECTORS];
            for (sums, weights) in sums.iter_mut().zip(&weights) {
                let weight = T::splat(simd, weights[input]);
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    *sum = T::multiply_add(simd, weight, *number, *sum);
                }
            }
        }
        for (index, sums) in sums.into_iter().enumerate() {
            let bias = T::splat(simd, self.layer.bias[unit(index)]);
            let out = T::vectors_mut::<S>(self.out.unit_mut(first + index));
            for (out, sum) in out[at..][..VECTORS].iter_mut().zip(sums) {
                *out = T::add_vectors(simd, bias, sum);
            }
        }
    }
}

/// A type of numbers in vectors of any instruction set.
pub(crate) trait Number: WithDType {
    type Vector<S: Simd>: Copy;
    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self::Vector<S>];
    fn splat<S: Simd>(simd: S, number: Self) -> Self::Vector<S>;
    fn add_vectors<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a·b + sum, rounded once where the processor can.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        sum: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

macro_rules! number {
    ($type:ty, $vector:ident, $as:ident, $as_mut:ident, $splat:ident, $add:ident, $multiply_add:ident) => {
        impl Number for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn vectors<S: Simd>(numbers: &[Self]) -> &[S::$vector] {
                S::$as(numbers).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut(numbers).0
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, number: Self) -> S::$vector {
                simd.$splat(number)
            }

            #[inline(always)]
            fn add_vectors<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                sum: S::$vector,
            ) -> S::$vector {
                simd.$multiply_add(a, b, sum)
            }
        }
    };
}

number!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    mul_add_e_f32s
);
number!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    mul_add_e_f64s
);
