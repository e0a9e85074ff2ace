//! 3×3 convolutions as matrix products: each pixel is a row of one factor, made of its nine
//! neighbours.
//!
//! Neighbours are numbered 0 to 8, row by row. Three of them lie side by side in an image with a
//! border of zeros and channels innermost: `[H + 2, W + 2, C]`.

use crate::ops::buffer::Buffer;
use crate::ops::product::{Kernel, padded};
use crate::ops::simd;
use half::bf16;
use pulp::bytemuck::cast_slice_mut;

/// Size of one image, and its channels.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Gathers every pixel's neighbours: `planes` `[C, H, W]` → `rows` `[H·W, 9, C]`, a left factor.
pub(super) fn gather(kernel: Kernel, image: Image, planes: &[f32], rows: &mut [f32]) {
    let mut bordered = Buffer::take(image.bordered().div_ceil(kernel.depth()));
    if kernel.depth() == 1 {
        image.gather(planes, |number| number, &mut bordered, rows);
    } else {
        let (bordered, rows) = (cast_slice_mut(&mut bordered), cast_slice_mut(rows));
        image.gather(planes, bf16::from_f32, bordered, rows);
    }
}

impl Image {
    pub(super) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Size of an image with its border.
    fn bordered(self) -> usize {
        (self.height + 2) * (self.width + 2) * self.channels
    }

    fn gather<T: Copy>(
        self,
        planes: &[f32],
        convert: impl Fn(f32) -> T,
        bordered: &mut [T],
        rows: &mut [T],
    ) {
        bordered.fill(convert(0.0));
        for (channel, plane) in planes.chunks_exact(self.pixels()).enumerate() {
            for (row, values) in plane.chunks_exact(self.width).enumerate() {
                let pixels = bordered[self.at(row, 0) + channel..]
                    .iter_mut()
                    .step_by(self.channels);
                pixels
                    .zip(values)
                    .for_each(|(pixel, value)| *pixel = convert(*value));
            }
        }
        let triple = 3 * self.channels;
        for (pixel, row) in rows.chunks_exact_mut(padded(3 * triple)).enumerate() {
            let (taps, room) = row.split_at_mut(3 * triple);
            for (offset, neighbours) in taps.chunks_exact_mut(triple).enumerate() {
                neighbours.copy_from_slice(&bordered[self.neighbours(pixel, offset)..][..triple]);
            }
            room.fill(convert(0.0));
        }
    }

    /// Adds every pixel's contributions to its neighbours, and `bias` `[C]`: `rows` `[H·W, 9, C]`,
    /// each padded → `planes` `[C, H, W]`.
    pub(super) fn scatter(self, rows: &[f32], bias: &[f32], planes: &mut [f32]) {
        let mut bordered = Buffer::take(self.bordered());
        bordered.fill(0.0);
        let triple = 3 * self.channels;
        simd::dispatch(
            #[inline(always)]
            || {
                for (pixel, row) in rows.chunks_exact(padded(3 * triple)).enumerate() {
                    for (offset, neighbours) in row.chunks_exact(triple).take(3).enumerate() {
                        let sums = &mut bordered[self.neighbours(pixel, offset)..][..triple];
                        for (sum, value) in sums.iter_mut().zip(neighbours) {
                            *sum += value;
                        }
                    }
                }
            },
        );
        for ((channel, plane), bias) in planes.chunks_exact_mut(self.pixels()).enumerate().zip(bias)
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

    /// Offset in the bordered image of the pixel (row, column).
    fn at(self, row: usize, column: usize) -> usize {
        ((row + 1) * (self.width + 2) + column + 1) * self.channels
    }

    /// Offset of a pixel's three neighbours in the row above (0), its own (1) or below (2).
    #[inline(always)]
    fn neighbours(self, pixel: usize, offset: usize) -> usize {
        let (row, column) = (pixel / self.width, pixel % self.width);
        ((row + offset) * (self.width + 2) + column) * self.channels
    }
}
