//! Single-threaded matrix products on slices: the `gemm` crate behind bounds checks.

use super::number::Number;
use gemm::Parallelism;

/// A strided view of a slice as a matrix.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `data` as rows of `columns` numbers, in row-major order.
    pub(super) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert!(
            data.len() >= rows * columns,
            "a matrix needs {rows}×{columns} numbers"
        );
        Self {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The transposed matrix, without a copy.
    pub(super) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// β of BLAS's `gemm`, the factor of the destination.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Beta {
    /// Overwrites the destination.
    Zero,
    /// Adds to the destination.
    One,
}

/// dst (row-major) = β·dst + lhs · rhs.
#[allow(unsafe_code)]
pub(super) fn multiply<T: Number>(dst: &mut [T], lhs: Matrix<T>, rhs: Matrix<T>, beta: Beta) {
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    assert_eq!(k, rhs.rows, "inner dimensions of a matrix product");
    assert!(
        dst.len() >= m * n,
        "a matrix product of {m}×{n} needs a destination of that size"
    );
    // SAFETY: `Matrix` guarantees that both operands lie inside their slices, the assertion above
    // that the destination does, and `dst` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            n as isize,
            beta == Beta::One,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
