//! 3×3 convolutions between planes of pixels, as products with matrices whose columns are pixels or pairs of them.
//!
//! The nine neighbours of a pixel are three rows of three taps. Weights of the taps are a polynomial g₀ + g₁·x + g₂·x², and
//! what two pixels e and o side by side add to the four that they reach are the coefficients of (e + o·x)·g(x). A
//! polynomial of degree 3 is known by its values at the points 0, 1, −1 and ∞: four products in the place of six (Toom and
//! Cook). Transposed, that gives two pixels from their four neighbours: F(2, 3) of Lavin & Gray 2016 (arXiv:1509.09308,
//! section 4.1).

use crate::ops::buffer::Buffer;

/// Values that stand for a polynomial of degree 3: at 0, 1, −1 and ∞.
pub(super) const POINTS: usize = 4;

/// What a column is.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// A pixel. Rows are its neighbours: `[3, 3, C]`.
    Pixel,
    /// Two pixels side by side. Rows are the points of three rows of neighbours: `[3, C, 4]`.
    Pair,
}

/// The columns of images of one size, in rows of `length` numbers.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub(super) column: Column,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) length: usize,
}

/// The value of g at every point, of its three coefficients. Halves at 1 and −1 are what [`coefficients`] would divide by.
pub(super) fn at_points([g0, g1, g2]: [f32; 3]) -> [f32; POINTS] {
    [g0, 0.5 * (g0 + g1 + g2), 0.5 * (g0 - g1 + g2), g2]
}

impl Column {
    /// Pairs, if they fill the rows of an image.
    pub(super) fn of(width: usize) -> Self {
        if width.is_multiple_of(2) {
            Self::Pair
        } else {
            Self::Pixel
        }
    }

    /// Pixels in it.
    pub(super) fn pixels(self) -> usize {
        match self {
            Self::Pixel => 1,
            Self::Pair => 2,
        }
    }

    /// Rows for the neighbours in so many channels.
    pub(super) fn rows(self, channels: usize) -> usize {
        match self {
            Self::Pixel => 9 * channels,
            Self::Pair => 3 * channels * POINTS,
        }
    }
}

impl Lines {
    /// Columns of a row of an image.
    fn step(self) -> usize {
        self.width / self.column.pixels()
    }

    /// Columns of an image.
    pub(super) fn of_image(self) -> usize {
        self.height * self.step()
    }

    /// The columns of the image `index`, in one of the rows of a matrix.
    fn in_row(self, index: usize, row: usize) -> std::ops::Range<usize> {
        let start = row * self.length + index * self.of_image();
        start..start + self.of_image()
    }

    /// How far away the row above (0), a row itself (1), and the row below (2) are.
    fn above_or_below(self, row: usize) -> isize {
        (row as isize - 1) * self.step() as isize
    }

    /// Fills the columns of the image `index` with the neighbours of its pixels in `planes` `[C, H, W]`.
    #[inline(always)]
    pub(super) fn gather(self, index: usize, planes: &[f32], rows: &mut [f32]) {
        let channels = planes.len() / (self.height * self.width);
        let planes = planes.chunks_exact(self.height * self.width);
        match self.column {
            Column::Pixel => {
                for (channel, plane) in planes.enumerate() {
                    for (i, j) in taps() {
                        let row = &mut rows[self.in_row(index, (3 * i + j) * channels + channel)];
                        copy_shifted(plane, self.above_or_below(i) + j as isize - 1, row);
                        self.clear_edge(j, row);
                    }
                }
            }
            Column::Pair => {
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
        }
    }

    /// What products with [`at_points`] make two pixels of, for each pair of them: `[4, pairs]`.
    #[inline(always)]
    fn points_of_neighbours(self, plane: &[f32], points: &mut [f32]) {
        let count = self.of_image();
        for (y, line) in plane.chunks_exact(self.width).enumerate() {
            // Beyond the border are zeros.
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

    /// Adds up what the pixels of the image `index` give their neighbours, and `bias` `[C]`: to `planes` `[C, H, W]`. Of pairs,
    /// `rows` have the coefficients that [`coefficients`] gives. What goes beyond a border is cleared in `rows`.
    #[inline(always)]
    pub(super) fn scatter(self, index: usize, rows: &mut [f32], bias: &[f32], planes: &mut [f32]) {
        let channels = bias.len();
        let planes = planes.chunks_exact_mut(self.height * self.width).zip(bias);
        match self.column {
            Column::Pixel => {
                for (channel, (plane, bias)) in planes.enumerate() {
                    plane.fill(*bias);
                    for (i, j) in taps() {
                        let row = &mut rows[self.in_row(index, (3 * i + j) * channels + channel)];
                        self.clear_edge(j, row);
                        add_shifted(row, self.above_or_below(i) + j as isize - 1, plane);
                    }
                }
            }
            Column::Pair => {
                // Of each coefficient, which pixel of which pair it belongs to: of the one before, of this one, of the one after.
                const REACHED: [(usize, usize); POINTS] = [(0, 1), (1, 0), (1, 1), (2, 0)];
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
                    let (first, second) = pairs.split_at(count);
                    for ((pair, first), second) in
                        plane.as_chunks_mut().0.iter_mut().zip(first).zip(second)
                    {
                        *pair = [*first, *second];
                    }
                }
            }
        }
    }

    /// Clears the first (`tap` 0) or last (2) column of every row of an image: it would be a neighbour of the row before or
    /// after.
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

/// Rows and taps of a 3×3 convolution.
fn taps() -> impl Iterator<Item = (usize, usize)> {
    (0..3).flat_map(|i| (0..3).map(move |j| (i, j)))
}

/// to[q] = from[q + by], or zero where there is none.
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

/// to[q + by] += from[q], where there is one.
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
