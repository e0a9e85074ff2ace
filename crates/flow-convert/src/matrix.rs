//! Matrices of channels: the triangular factors in which programs keep them, moved from one form to
//! another.
//!
//! Signs are moved, not computed: with D = diag(±1), D·L·D is unit lower triangular if L is, and
//! P·D is as orthogonal as P, so that P·L·U = (P·D)·(D·L·D)·(D·U), bit for bit.

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

type Rows = Vec<Vec<f64>>;

/// P·L·(U + diag(sign·e^log_scale)), with L unit lower and U strictly upper triangular: the form of
/// the published code, of rosinality, y0ast and normflows. Other entries of `lower` and `upper`
/// have no effect, and are kept.
pub(crate) struct Plu {
    pub(crate) permutation: Rows,
    pub(crate) lower: Rows,
    pub(crate) upper: Rows,
    pub(crate) log_scale: Vec<f64>,
    pub(crate) sign: Vec<f64>,
}

/// Q·L·(U + diag(e^log_scale)), with Q orthogonal: this project's.
pub(crate) struct Qlu {
    pub(crate) rotation: Rows,
    pub(crate) lower: Rows,
    pub(crate) upper: Rows,
    pub(crate) log_scale: Vec<f64>,
}

impl Plu {
    /// The same matrix, or with `columns`, ±1 each, the product with their diagonal.
    pub(crate) fn into_qlu(self, columns: &[f64]) -> Result<Qlu> {
        let Self {
            permutation,
            lower,
            upper,
            log_scale,
            sign,
        } = self;
        ensure!(
            is_permutation(&permutation),
            "the permutation matrix is not a permutation"
        );
        ensure!(
            sign.iter().all(|sign| [1.0, -1.0].contains(sign)),
            "a sign is neither 1 nor -1"
        );
        let signs: Vec<_> = sign.iter().zip(columns).map(|(a, b)| a * b).collect();
        let ones = vec![1.0; signs.len()];
        Ok(Qlu {
            rotation: scaled(&permutation, &ones, &signs),
            lower: scaled(&lower, &signs, &signs),
            upper: scaled(&upper, &signs, columns),
            log_scale,
        })
    }

    /// Any invertible matrix, by elimination with the largest pivot of each column.
    pub(crate) fn factorize(mut rows: Rows) -> Result<Self> {
        let n = rows.len();
        let mut order: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let largest = (k..n).max_by(|&i, &j| rows[i][k].abs().total_cmp(&rows[j][k].abs()));
            let pivot = largest.expect("k < n");
            rows.swap(k, pivot);
            order.swap(k, pivot);
            ensure!(
                rows[k][k] != 0.0 && rows[k][k].is_finite(),
                "a matrix of a 1×1 convolution has no inverse"
            );
            eliminate(&mut rows, k);
        }
        let mut permutation = zeros(n);
        for (row, &from) in order.iter().enumerate() {
            permutation[from][row] = 1.0;
        }
        Ok(Self {
            permutation,
            lower: unit_lower(&rows),
            upper: strict(&rows, Triangle::Upper),
            log_scale: (0..n).map(|i| rows[i][i].abs().ln()).collect(),
            sign: (0..n).map(|i| rows[i][i].signum()).collect(),
        })
    }
}

impl Qlu {
    /// The factors with a permutation and signs. The numbers stay the same if the rotation is a
    /// permutation up to signs; otherwise the product is factorised.
    pub(crate) fn into_plu(self) -> Result<Plu> {
        let unsigned: Rows = self
            .rotation
            .iter()
            .map(|row| row.iter().map(|v| v.abs()).collect())
            .collect();
        if !is_permutation(&unsigned) {
            return Plu::factorize(self.product());
        }
        let n = unsigned.len();
        let sign: Vec<f64> = (0..n)
            .map(|j| self.rotation.iter().map(|row| row[j]).sum())
            .collect();
        let ones = vec![1.0; n];
        Ok(Plu {
            permutation: unsigned,
            lower: scaled(&self.lower, &sign, &sign),
            upper: scaled(&self.upper, &sign, &ones),
            log_scale: self.log_scale,
            sign,
        })
    }

    pub(crate) fn product(&self) -> Rows {
        product(
            &self.rotation,
            &product(&unit_lower(&self.lower), &self.upper_with_diagonal()),
        )
    }

    /// U + diag(e^log_scale).
    pub(crate) fn upper_with_diagonal(&self) -> Rows {
        let mut upper = strict(&self.upper, Triangle::Upper);
        for (i, log_scale) in self.log_scale.iter().enumerate() {
            upper[i][i] = log_scale.exp();
        }
        upper
    }
}

/// diag(signs)·`matrix` = L·U·P with a positive diagonal of U: elimination with the largest pivot
/// of each row. P is given by the column that comes to each place.
pub(crate) struct Lup {
    pub(crate) lower: Rows,
    /// With its diagonal.
    pub(crate) upper: Rows,
    pub(crate) columns: Vec<usize>,
    pub(crate) signs: Vec<f64>,
}

impl Lup {
    /// Any invertible matrix.
    pub(crate) fn factorize(mut rows: Rows) -> Result<Self> {
        let n = rows.len();
        let mut columns: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let largest = (k..n).max_by(|&i, &j| rows[k][i].abs().total_cmp(&rows[k][j].abs()));
            let pivot = largest.expect("k < n");
            for row in &mut rows {
                row.swap(k, pivot);
            }
            columns.swap(k, pivot);
            ensure!(
                rows[k][k] != 0.0 && rows[k][k].is_finite(),
                "a matrix of a 1×1 convolution has no inverse"
            );
            eliminate(&mut rows, k);
        }
        let signs: Vec<f64> = (0..n).map(|i| rows[i][i].signum()).collect();
        let mut upper = strict(&rows, Triangle::Upper);
        for (i, row) in rows.iter().enumerate() {
            upper[i][i] = row[i];
        }
        Ok(Self {
            lower: scaled(&strict(&rows, Triangle::Lower), &signs, &signs),
            upper: scaled(&upper, &signs, &vec![1.0; n]),
            columns,
            signs,
        })
    }
}

/// One column of elimination, of which the ratios take the place.
fn eliminate(rows: &mut Rows, k: usize) {
    let (above, below) = rows.split_at_mut(k + 1);
    let pivot = &above[k];
    for row in below {
        let ratio = row[k] / pivot[k];
        row[k] = ratio;
        for (value, above) in row[k + 1..].iter_mut().zip(&pivot[k + 1..]) {
            *value -= ratio * above;
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Triangle {
    Lower,
    Upper,
}

/// A triangle without the diagonal, zeros elsewhere.
fn strict(matrix: &Rows, triangle: Triangle) -> Rows {
    let inside = |i: usize, j: usize| match triangle {
        Triangle::Lower => j < i,
        Triangle::Upper => i < j,
    };
    let entry = |i: usize, j: usize, value: f64| if inside(i, j) { value } else { 0.0 };
    let row = |(i, row): (usize, &Vec<f64>)| {
        row.iter()
            .enumerate()
            .map(|(j, &v)| entry(i, j, v))
            .collect()
    };
    matrix.iter().enumerate().map(row).collect()
}

/// The strict lower triangle, zeros elsewhere.
pub(crate) fn strict_lower(matrix: &Rows) -> Rows {
    strict(matrix, Triangle::Lower)
}

/// The strict lower triangle with ones on the diagonal.
pub(crate) fn unit_lower(lower: &Rows) -> Rows {
    let mut lower = strict(lower, Triangle::Lower);
    for (i, row) in lower.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    lower
}

/// diag(rows)·matrix·diag(columns). A zero keeps its sign, so that nothing is minus zero.
fn scaled(matrix: &Rows, rows: &[f64], columns: &[f64]) -> Rows {
    let row = |(row, sign): (&Vec<f64>, &f64)| {
        let entries = row.iter().zip(columns);
        entries
            .map(|(&v, column)| if v == 0.0 { v } else { v * sign * column })
            .collect()
    };
    matrix.iter().zip(rows).map(row).collect()
}

fn is_permutation(matrix: &Rows) -> bool {
    let once = |entries: &mut dyn Iterator<Item = f64>| {
        let nonzero: Vec<f64> = entries.filter(|&v| v != 0.0).collect();
        nonzero == [1.0]
    };
    let n = matrix.len();
    matrix
        .iter()
        .all(|row| row.len() == n && once(&mut row.iter().copied()))
        && (0..n).all(|j| once(&mut matrix.iter().map(|row| row[j])))
}

pub(crate) fn product(a: &Rows, b: &Rows) -> Rows {
    let n = b.len();
    let entry = |row: &Vec<f64>, j: usize| (0..n).map(|k| row[k] * b[k][j]).sum();
    a.iter()
        .map(|row| (0..n).map(|j| entry(row, j)).collect())
        .collect()
}

pub(crate) fn identity(n: usize) -> Rows {
    unit_lower(&zeros(n))
}

fn zeros(n: usize) -> Rows {
    vec![vec![0.0; n]; n]
}

/// A matrix of rows as a tensor.
pub(crate) fn tensor(rows: &Rows) -> Result<Tensor> {
    let n = rows.len();
    let values: Vec<f64> = rows.iter().flatten().copied().collect();
    Ok(Tensor::from_vec(values, (n, n), &Device::Cpu)?)
}

/// A vector as a tensor.
pub(crate) fn vector(values: &[f64]) -> Result<Tensor> {
    Ok(Tensor::new(values, &Device::Cpu)?)
}

/// Zeros, as a tensor.
pub(crate) fn zeros_tensor(shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::zeros(shape, DType::F64, &Device::Cpu)?)
}

/// A number as a tensor.
pub(crate) fn scalar(value: f64) -> Result<Tensor> {
    Ok(Tensor::new(value, &Device::Cpu)?)
}
