//! The network without a graph. No activations are stored: a panel of pixels passes all three
//! layers while it is in the first-level cache.
//!
//! Channels are rows and pixels lie side by side, as in the tensors themselves. 3×3 convolutions
//! process pairs of pixels with two thirds of the multiplications; see
//! [`winograd`](super::winograd). The 1×1 convolution multiplies two channels by such a pair with
//! seven products instead of eight; see [`strassen`](super::strassen).

use super::sizes::{Sizes, cut};
use super::strassen::{self, PRODUCTS};
use super::tiles::Tiles;
use super::winograd::{Lines, POINTS, at_points};
use crate::ops::buffer::Buffer;
use crate::ops::simd::{vectors, vectors_mut};
use crate::ops::view::Samples;
use pulp::{Arch, Simd, WithSimd};

/// Vectors of pixels in a panel: one of the first and one of the second pixels of pairs.
const PANEL: usize = 2;

/// The network with packed weights, and the images to evaluate.
pub(super) struct Panels<'a> {
    arch: Arch,
    sizes: Sizes,
    x: Samples<'a, f32>,
    /// `[K, 3·I]`, at each point
    w1: Tiles<POINTS>,
    b1: Vec<f32>,
    /// `[K/2, K/2]`, as the factors of seven products
    w2: Tiles<PRODUCTS>,
    b2: Vec<f32>,
    /// `[3·O, K]`, at each point: a pixel's contributions to its neighbours
    w3: Tiles<POINTS>,
    b3: &'a [f32],
}

impl<'a> Panels<'a> {
    pub(super) fn new(
        arch: Arch,
        sizes: Sizes,
        x: Samples<'a, f32>,
        parameters: &'a [f32],
    ) -> Self {
        let (inputs, hidden, outputs) = (sizes.inputs, sizes.hidden, sizes.outputs);
        let [w1, b1, w2, b2, w3, b3] = cut(parameters, sizes.parameters());
        // An odd channel is paired with zeros.
        let even = hidden.next_multiple_of(2);
        let with_room = |bias: &[f32]| {
            let mut bias = bias.to_vec();
            bias.resize(even, 0.0);
            bias
        };
        let in_w1 = |column: usize, k: usize| {
            if k < hidden {
                w1[sizes.in_w1(column, k)]
            } else {
                0.0
            }
        };
        let in_w2 = |from: usize, to: usize| {
            if from.max(to) < hidden {
                w2[sizes.in_w2(from, to)]
            } else {
                0.0
            }
        };
        let in_w3 = |k: usize, column: usize| w3[sizes.in_w3(k, column)];
        // (neighbour, channel) of a tap in a row (row of neighbours, channel).
        let column = |row: usize, tap: usize, channels: usize| {
            (row / channels * 3 + tap) * channels + row % channels
        };
        Self {
            arch,
            sizes,
            x,
            w1: Tiles::new(even, 3 * inputs, |k, row| {
                let weight = |tap| in_w1(column(row, tap, inputs), k);
                at_points([weight(0), weight(1), weight(2)])
            }),
            b1: with_room(b1),
            w2: Tiles::new(even / 2, even / 2, |to, from| {
                let weight = |i, j| in_w2(2 * from + j, 2 * to + i);
                strassen::left([[weight(0, 0), weight(0, 1)], [weight(1, 0), weight(1, 1)]])
            }),
            b2: with_room(b2),
            w3: Tiles::new(3 * outputs, hidden, |row, k| {
                let weight = |tap| in_w3(k, column(row, tap, outputs));
                at_points([weight(0), weight(1), weight(2)])
            }),
            b3,
        }
    }

    /// Writes the network's output for the images from `first` on to `y`.
    pub(super) fn run(&self, first: usize, y: &mut [f32]) {
        let network = self;
        self.arch.dispatch(Run { network, first, y });
    }

    /// Passes every channel of the second layer to `finish`, at the pixels of a panel.
    #[inline(always)]
    fn second_layer<S: Simd>(
        &self,
        simd: S,
        h1: &[[S::f32s; PRODUCTS]],
        mut finish: impl FnMut(usize, [S::f32s; PANEL]),
    ) {
        self.w2.multiply(
            simd,
            #[inline(always)]
            |_, _| simd.splat_f32s(0.0),
            #[inline(always)]
            |pair, product| h1[pair][product],
            #[inline(always)]
            |pair, products| {
                for (i, mut pixels) in strassen::sums(simd, products).into_iter().enumerate() {
                    let k = 2 * pair + i;
                    for sum in &mut pixels {
                        *sum = simd.add_f32s(*sum, simd.splat_f32s(self.b2[k]));
                    }
                    finish(k, relu(simd, pixels));
                }
            },
        );
    }

    /// All layers, panel by panel: `neighbours` `[3·I, 4, columns]` → `products` `[3·O, 4,
    /// columns]`, as coefficients. `seconds` `[columns]` is 1 where a pair has a second pixel, and
    /// 0 where it is padding.
    #[inline(always)]
    fn layers<S: Simd>(&self, simd: S, seconds: &[f32], neighbours: &[f32], products: &mut [f32]) {
        let columns = seconds.len();
        let (hidden, width) = (self.b1.len(), S::F32_LANES);
        let mut h1 = Buffer::take(hidden / 2 * PRODUCTS * width);
        let mut h2 = Buffer::take(hidden * POINTS * width);
        let h1 = vectors_mut::<S, PRODUCTS>(&mut h1);
        let h2 = vectors_mut::<S, POINTS>(&mut h2);
        let zero = simd.splat_f32s(0.0);
        for at in (0..columns).step_by(width) {
            let row = |k: usize, point: usize| {
                let start = (POINTS * k + point) * columns + at;
                start..start + width
            };
            let second = vectors::<S, 1>(&seconds[at..at + width])[0][0];
            self.w1.multiply(
                simd,
                #[inline(always)]
                // The first pixel is the sum of the first three products; the second pixel also
                // subtracts the last.
                |k, point| match point {
                    0 => simd.splat_f32s(self.b1[k]),
                    3 => simd.splat_f32s(-self.b1[k]),
                    _ => zero,
                },
                #[inline(always)]
                |k, point| vectors::<S, 1>(&neighbours[row(k, point)])[0][0],
                #[inline(always)]
                |k, [q0, q1, q2, q3]| {
                    let first = simd.add_f32s(q0, simd.add_f32s(q1, q2));
                    let second = simd.sub_f32s(simd.sub_f32s(q1, q2), q3);
                    keep(simd, h1, k, relu(simd, [first, second]));
                },
            );
            self.second_layer(
                simd,
                h1,
                #[inline(always)]
                |k, [e, o]| {
                    let o = simd.mul_f32s(o, second);
                    h2[k] = [e, simd.add_f32s(e, o), simd.sub_f32s(e, o), o];
                },
            );
            self.w3.multiply(
                simd,
                #[inline(always)]
                |_, _| zero,
                #[inline(always)]
                |k, v| h2[k][v],
                #[inline(always)]
                |k, [q0, q1, q2, q3]| {
                    let second = simd.sub_f32s(simd.sub_f32s(q1, q2), q3);
                    let third = simd.sub_f32s(simd.add_f32s(q1, q2), q0);
                    for (power, coefficient) in [q0, second, third, q3].into_iter().enumerate() {
                        vectors_mut::<S, 1>(&mut products[row(k, power)])[0] = [coefficient];
                    }
                },
            );
        }
    }
}

/// Writes the first layer's channel `k` of a panel to the right factors `h1`; a pair of channels is
/// complete with its second.
#[inline(always)]
fn keep<S: Simd>(simd: S, h1: &mut [[S::f32s; PRODUCTS]], k: usize, pixels: [S::f32s; PANEL]) {
    let factors = &mut h1[k / 2];
    if k.is_multiple_of(2) {
        factors[..PANEL].copy_from_slice(&pixels);
    } else {
        *factors = strassen::right(simd, [[factors[0], factors[1]], pixels]);
    }
}

/// [`Panels::run`], to be compiled for every instruction set.
struct Run<'a> {
    network: &'a Panels<'a>,
    first: usize,
    y: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { network, first, y } = self;
        let sizes = network.sizes;
        let image = sizes.outputs * sizes.pixels();
        let images = y.len() / image;
        let lines = Lines::new(images, sizes.height, sizes.width, S::F32_LANES);
        let columns = lines.length();
        let mut neighbours = Buffer::take(Lines::rows(sizes.inputs) * columns);
        for index in 0..images {
            lines.gather(index, network.x.get(first + index), &mut neighbours);
        }
        for row in neighbours.chunks_exact_mut(columns) {
            row[images * lines.of_image()..].fill(0.0);
        }
        let mut seconds = Buffer::take(columns);
        lines.mark_seconds(&mut seconds);
        let mut products = Buffer::take(Lines::rows(sizes.outputs) * columns);
        network.layers(simd, &seconds, &neighbours, &mut products);
        for (index, y) in y.chunks_exact_mut(image).enumerate() {
            lines.scatter(index, &mut products, network.b3, y);
        }
    }
}

/// Keeps NaN, so that a broken model shows.
#[inline(always)]
fn relu<S: Simd>(simd: S, mut pixels: [S::f32s; PANEL]) -> [S::f32s; PANEL] {
    let zero = simd.splat_f32s(0.0);
    for x in &mut pixels {
        *x = simd.select_f32s(simd.less_than_f32s(*x, zero), zero, *x);
    }
    pixels
}

#[cfg(test)]
mod tests;
