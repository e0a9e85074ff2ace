//! 3×3 convolutions as matrix products: pixels are rows, and a row of nine neighbours is one row of the
//! other factor.
//!
//! Neighbours are numbered 0 to 8, row by row, so that three of them lie side by side in an image with
//! a border of zeros whose channels are innermost: `[H + 2, W + 2, C]`.

use crate::ops::simd;

/// Size of one image, and its channels.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Image {
    pub(super) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Numbers in an image with its border.
    pub(super) fn bordered(self) -> usize {
        (self.height + 2) * (self.width + 2) * self.channels
    }

    /// Where the pixel (row, column) of the image stands in the bordered one.
    fn at(self, row: usize, column: usize) -> usize {
        ((row + 1) * (self.width + 2) + column + 1) * self.channels
    }

    /// `image` `[C, H, W]` → `bordered`, whose border is zero already.
    pub(super) fn add_border(self, image: &[f32], bordered: &mut [f32]) {
        for (channel, plane) in image.chunks_exact(self.pixels()).enumerate() {
            for (row, values) in plane.chunks_exact(self.width).enumerate() {
                let pixels = bordered[self.at(row, 0) + channel..]
                    .iter_mut()
                    .step_by(self.channels);
                pixels
                    .zip(values)
                    .for_each(|(pixel, value)| *pixel = *value);
            }
        }
    }

    /// The inside of `bordered` → `image` `[C, H, W]`, `bias` added to each channel.
    pub(super) fn without_border(self, bordered: &[f32], bias: &[f32], image: &mut [f32]) {
        for ((channel, plane), bias) in image.chunks_exact_mut(self.pixels()).enumerate().zip(bias)
        {
            for (row, values) in plane.chunks_exact_mut(self.width).enumerate() {
                let pixels = bordered[self.at(row, 0) + channel..]
                    .iter()
                    .step_by(self.channels);
                values
                    .iter_mut()
                    .zip(pixels)
                    .for_each(|(value, pixel)| *value = pixel + bias);
            }
        }
    }

    /// Every pixel's neighbours: `bordered` → `rows` `[H·W, 9, C]`.
    pub(super) fn gather(self, bordered: &[f32], rows: &mut [f32]) {
        let triple = 3 * self.channels;
        for (pixel, row) in rows.chunks_exact_mut(3 * triple).enumerate() {
            for (offset, neighbours) in row.chunks_exact_mut(triple).enumerate() {
                neighbours.copy_from_slice(&bordered[self.neighbours(pixel, offset)..][..triple]);
            }
        }
    }

    /// The transpose of [`gather`](Self::gather): adds `rows` `[H·W, 9, C]` to each pixel's neighbours.
    pub(super) fn scatter(self, rows: &[f32], bordered: &mut [f32]) {
        let triple = 3 * self.channels;
        simd::dispatch(
            #[inline(always)]
            || {
                for (pixel, row) in rows.chunks_exact(3 * triple).enumerate() {
                    for (offset, neighbours) in row.chunks_exact(triple).enumerate() {
                        let sums = &mut bordered[self.neighbours(pixel, offset)..][..triple];
                        for (sum, value) in sums.iter_mut().zip(neighbours) {
                            *sum += value;
                        }
                    }
                }
            },
        );
    }

    /// Where the three neighbours of a pixel begin that lie in the row above (0), its own (1) or below (2).
    #[inline(always)]
    fn neighbours(self, pixel: usize, offset: usize) -> usize {
        let (row, column) = (pixel / self.width, pixel % self.width);
        ((row + offset) * (self.width + 2) + column) * self.channels
    }
}

/// Transposes every `rows` × `columns` matrix of those that follow each other in `from`.
pub(super) fn transpose(from: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    let matrices = to
        .chunks_exact_mut(rows * columns)
        .zip(from.chunks_exact(rows * columns));
    for (to, from) in matrices {
        for (row, values) in from.chunks_exact(columns).enumerate() {
            values
                .iter()
                .enumerate()
                .for_each(|(column, value)| to[column * rows + row] = *value);
        }
    }
    to
}

/// w `[O, K, 9]` → `[9, O, K]`, neighbours in opposite order: what a pixel adds to its neighbours rather
/// than what it takes from them.
pub(super) fn outgoing(w: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut taps = transpose(w, outputs * inputs, 9);
    reverse(&mut taps);
    taps
}

/// The inverse of [`outgoing`].
pub(super) fn incoming(mut taps: Vec<f32>, outputs: usize, inputs: usize) -> Vec<f32> {
    reverse(&mut taps);
    transpose(&taps, 9, outputs * inputs)
}

/// Puts nine equal parts in opposite order.
fn reverse(taps: &mut [f32]) {
    let part = taps.len() / 9;
    for tap in 0..4 {
        let (front, back) = taps.split_at_mut((8 - tap) * part);
        front[tap * part..][..part].swap_with_slice(&mut back[..part]);
    }
}
