//! 3×3 convolutions between planes of pixels, as products with matrices whose columns are pairs of
//! pixels.
//!
//! The nine neighbours of a pixel are three rows of three taps. The weights of three taps are a
//! polynomial g₀ + g₁·x + g₂·x². Two adjacent pixels e and o contribute the coefficients of (e +
//! o·x)·g(x) to four pixels. A polynomial of degree 3 is known by its values at 0, 1, −1 and ∞:
//! four products instead of six (Toom and Cook). The transpose gives two pixels from their four
//! neighbours: F(2, 3) of Lavin & Gray 2016 (arXiv:1509.09308, section 4.1).
//!
//! A row of odd width ends with a pair whose second pixel is padding. So a pair never joins two
//! images or two rows, and an image's numbers do not depend on its batch.

use crate::ops::buffer::Buffer;

/// Number of values of a polynomial of degree 3: at 0, 1, −1 and ∞.
pub(super) const POINTS: usize = 4;

/// The pairs of pixels of images of one size, as columns of matrices `[3, C, 4, length]`.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    height: usize,
    width: usize,
    length: usize,
}

/// The values of g at the four points, from its three coefficients. The halves at 1 and −1 are the
/// divisions of [`coefficients`].
pub(super) fn at_points([g0, g1, g2]: [f32; 3]) -> [f32; POINTS] {
    [g0, 0.5 * (g0 + g1 + g2), 0.5 * (g0 - g1 + g2), g2]
}

impl Lines {
    /// The columns of `images` images, padded to a multiple of `lanes`.
    pub(super) fn new(images: usize, height: usize, width: usize, lanes: usize) -> Self {
        let columns = images * height * width.div_ceil(2);
        Self {
            height,
            width,
            length: columns.next_multiple_of(lanes),
        }
    }

    /// Number of columns, with padding.
    pub(super) fn length(self) -> usize {
        self.length
    }

    /// Columns of a row of an image.
    fn step(self) -> usize {
        self.width.div_ceil(2)
    }

    /// Columns of an image.
    pub(super) fn of_image(self) -> usize {
        self.height * self.step()
    }

    /// Rows of the matrix of planes of `channels`.
    pub(super) fn rows(channels: usize) -> usize {
        3 * channels * POINTS
    }

    /// Writes 1 for every column with a second pixel, and 0 where it is padding.
    pub(super) fn mark_seconds(self, columns: &mut [f32]) {
        columns.fill(1.0);
        if !self.width.is_multiple_of(2) {
            let last = columns[self.step() - 1..].iter_mut().step_by(self.step());
            last.for_each(|column| *column = 0.0);
        }
    }

    /// The columns of the image `index`, in one row of a matrix.
    fn in_row(self, index: usize, row: usize) -> std::ops::Range<usize> {
        let start = row * self.length + index * self.of_image();
        start..start + self.of_image()
    }

    /// Offset of the row above (0), the row itself (1), or the row below (2).
    fn above_or_below(self, row: usize) -> isize {
        (row as isize - 1) * self.step() as isize
    }

    /// Fills the columns of the image `index` with the neighbours of its pixels in `planes` `[C, H,
    /// W]`.
    #[inline(always)]
    pub(super) fn gather(self, index: usize, planes: &[f32], rows: &mut [f32]) {
        let channels = planes.len() / (self.height * self.width);
        let planes = planes.chunks_exact(self.height * self.width);
        let mut points = Buffer::take(POINTS * self.of_image());
        for (channel, plane) in planes.enumerate() {
            self.points_of_neighbours(plane, &mut points);
            for i in 0..3 {
                for (point, values) in points.chunks_exact(self.of_image()).enumerate() {
                    let row = (i * channels + channel) * POINTS + point;
                    let row = &mut rows[self.in_row(index, row)];
                    copy_shifted(values, self.above_or_below(i), row);
                }
            }
        }
    }

    /// Factors whose products with [`at_points`] give two pixels, for each pair: `[4, pairs]`.
    #[inline(always)]
    fn points_of_neighbours(self, plane: &[f32], points: &mut [f32]) {
        let count = self.of_image();
        for (y, line) in plane.chunks_exact(self.width).enumerate() {
            // Zeros beyond the border.
            let before = |x: usize| line.get(x.wrapping_sub(1)).copied().unwrap_or(0.0);
            for pair in 0..self.step() {
                let [d0, d1, d2, d3] = [0, 1, 2, 3].map(|tap| before(2 * pair + tap));
                let values = [d0 - d2, d1 + d2, d2 - d1, d1 - d3];
                for (point, value) in values.into_iter().enumerate() {
                    points[point * count + y * self.step() + pair] = value;
                }
            }
        }
    }

    /// Adds the contributions of the image `index` to each pixel's neighbours, and `bias` `[C]`, in
    /// `planes` `[C, H, W]`. `rows` hold the coefficients of each pair; contributions beyond a
    /// border are cleared there.
    #[inline(always)]
    pub(super) fn scatter(self, index: usize, rows: &mut [f32], bias: &[f32], planes: &mut [f32]) {
        // (pair, pixel) of each coefficient, where pair 0 is the one before, 1 this one, 2 the one
        // after.
        const REACHED: [(usize, usize); POINTS] = [(0, 1), (1, 0), (1, 1), (2, 0)];
        let channels = bias.len();
        let planes = planes.chunks_exact_mut(self.height * self.width).zip(bias);
        let count = self.of_image();
        let mut pairs = Buffer::take(2 * count);
        for (channel, (plane, bias)) in planes.enumerate() {
            pairs.fill(*bias);
            for i in 0..3 {
                for (power, (j, pixel)) in REACHED.into_iter().enumerate() {
                    let row = (i * channels + channel) * POINTS + power;
                    let row = &mut rows[self.in_row(index, row)];
                    self.clear_edge(j, row);
                    let sums = &mut pairs[pixel * count..][..count];
                    add_shifted(row, self.above_or_below(i) + j as isize - 1, sums);
                }
            }
            self.interleave(&pairs, plane);
        }
    }

    /// The first pixels of all pairs, then the second ones → `plane` `[H, W]`.
    #[inline(always)]
    fn interleave(self, pairs: &[f32], plane: &mut [f32]) {
        let (first, second) = pairs.split_at(self.of_image());
        // Without padding, all rows form one.
        let (width, step) = if self.width.is_multiple_of(2) {
            (plane.len(), self.of_image())
        } else {
            (self.width, self.step())
        };
        let lines = first.chunks_exact(step).zip(second.chunks_exact(step));
        for (line, (first, second)) in plane.chunks_exact_mut(width).zip(lines) {
            let (whole, last) = line.as_chunks_mut();
            for ((pair, first), second) in whole.iter_mut().zip(first).zip(second) {
                *pair = [*first, *second];
            }
            if let [last] = last {
                *last = first[step - 1];
            }
        }
    }

    /// Clears the first (`tap` 0) or last (2) column of every row of an image, which would
    /// otherwise be a neighbour of the row before or after.
    #[inline(always)]
    fn clear_edge(self, tap: usize, row: &mut [f32]) {
        let edge = match tap {
            0 => 0,
            2 => self.step() - 1,
            _ => return,
        };
        row[edge..]
            .iter_mut()
            .step_by(self.step())
            .for_each(|number| *number = 0.0);
    }
}

/// to[q] = from[q + by], zero beyond the ends.
#[inline(always)]
fn copy_shifted(from: &[f32], by: isize, to: &mut [f32]) {
    let by_abs = by.unsigned_abs().min(from.len());
    let kept = from.len() - by_abs;
    if by < 0 {
        to[..by_abs].fill(0.0);
        to[by_abs..].copy_from_slice(&from[..kept]);
    } else {
        to[..kept].copy_from_slice(&from[by_abs..]);
        to[kept..].fill(0.0);
    }
}

/// to[q + by] += from[q], ignored beyond the ends.
#[inline(always)]
fn add_shifted(from: &[f32], by: isize, to: &mut [f32]) {
    let by_abs = by.unsigned_abs().min(from.len());
    let kept = from.len() - by_abs;
    let (from, to) = if by < 0 {
        (&from[by_abs..], &mut to[..kept])
    } else {
        (&from[..kept], &mut to[by_abs..])
    };
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
