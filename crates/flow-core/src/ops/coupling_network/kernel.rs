//! The network on one group of images, forwards and backwards.
//!
//! Inside a group a matrix has one row for each pixel of its images, channels side by side. Then every
//! product reads its factors in the order in which they lie.

use super::im2col::gather;
use super::sizes::{Sizes, cut, cut_mut};
use crate::ops::buffer::Buffer;
use crate::ops::product::{Finish, Kernel, Packed, padded};
use crate::ops::simd;
use crate::ops::view::Samples;

/// The forward pass.
pub(super) struct Forward<'a> {
    kernel: Kernel,
    sizes: Sizes,
    x: Samples<'a>,
    /// `[9·I, K]`
    w1: Packed,
    b1: Vec<f32>,
    /// `[K, K]`
    w2: Packed,
    b2: Vec<f32>,
    /// `[K, 9·O]`, what a pixel adds to its neighbours
    w3: Packed,
    b3: &'a [f32],
}

impl<'a> Forward<'a> {
    pub(super) fn new(kernel: Kernel, sizes: Sizes, x: Samples<'a>, parameters: &'a [f32]) -> Self {
        let (inputs, hidden, outputs) = (sizes.inputs, sizes.hidden, sizes.outputs);
        let [w1, b1, w2, b2, w3, b3] = cut(parameters, sizes.parameters());
        let with_room = |bias: &[f32]| {
            let mut bias = bias.to_vec();
            bias.resize(padded(hidden), 0.0);
            bias
        };
        Self {
            kernel,
            sizes,
            x,
            w1: kernel.pack(9 * inputs, hidden, |column, k| w1[sizes.in_w1(column, k)]),
            b1: with_room(b1),
            w2: kernel.pack(hidden, hidden, |from, to| w2[sizes.in_w2(from, to)]),
            b2: with_room(b2),
            w3: kernel.pack(hidden, 9 * outputs, |k, column| w3[sizes.in_w3(k, column)]),
            b3,
        }
    }

    /// Images from `first` on: writes h₁ and h₂ to `activations` and the result to `y`.
    pub(super) fn run(&self, first: usize, activations: &mut [f32], y: &mut [f32]) {
        let Self { kernel, sizes, .. } = *self;
        let rows = y.len() / sizes.outputs;
        let (h1, h2) = activations.split_at_mut(activations.len() / 2);

        let neighbours = self::neighbours(kernel, sizes, self.x, first, rows);
        kernel.multiply(&neighbours, &self.w1, h1, Finish::BiasRelu(&self.b1));
        kernel.multiply(h1, &self.w2, h2, Finish::BiasRelu(&self.b2));
        let width = padded(9 * sizes.outputs);
        let mut products = Buffer::take(width * rows);
        kernel.multiply(h2, &self.w3, &mut products, Finish::Plain);
        let image = sizes.output();
        let images = y.chunks_exact_mut(sizes.outputs * image.pixels());
        for (y, products) in images.zip(products.chunks_exact(width * image.pixels())) {
            image.scatter(products, self.b3, y);
        }
    }
}

/// The backward pass.
pub(super) struct Backward<'a> {
    kernel: Kernel,
    sizes: Sizes,
    x: Samples<'a>,
    /// `[K, 9·I]`
    w1: Packed,
    /// `[K, K]`, from the second layer to the first
    w2: Packed,
    /// `[9·O, K]`
    w3: Packed,
}

impl<'a> Backward<'a> {
    pub(super) fn new(kernel: Kernel, sizes: Sizes, x: Samples<'a>, parameters: &'a [f32]) -> Self {
        let (inputs, hidden, outputs) = (sizes.inputs, sizes.hidden, sizes.outputs);
        let [w1, _, w2, _, w3, _] = cut(parameters, sizes.parameters());
        Self {
            kernel,
            sizes,
            x,
            w1: kernel.pack(hidden, 9 * inputs, |k, column| w1[sizes.in_w1(column, k)]),
            w2: kernel.pack(hidden, hidden, |to, from| w2[sizes.in_w2(from, to)]),
            w3: kernel.pack(9 * outputs, hidden, |column, k| w3[sizes.in_w3(k, column)]),
        }
    }

    /// Images from `first` on: writes ∂L/∂x to `grad_x` and adds to the gradients of the parameters in
    /// `sums`; see [`Sizes::sums`].
    pub(super) fn run(
        &self,
        first: usize,
        activations: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
        sums: &mut [f32],
    ) {
        let Self { kernel, sizes, .. } = *self;
        let (hidden, output) = (sizes.hidden, sizes.output());
        let rows = grad_y.len() / sizes.outputs;
        let [grad_w1, grad_b1, grad_w2, grad_b2, grad_w3, grad_b3] = cut_mut(sums, sizes.sums());
        let (h1, h2) = activations.split_at(activations.len() / 2);

        let mut grad_products = Buffer::take(kernel.row(9 * sizes.outputs) * rows);
        let images = grad_y.chunks_exact(sizes.outputs * output.pixels());
        let chunks =
            grad_products.chunks_exact_mut(kernel.row(9 * sizes.outputs) * output.pixels());
        for (grad_y, grad_products) in images.zip(chunks) {
            for (sum, plane) in grad_b3.iter_mut().zip(grad_y.chunks_exact(output.pixels())) {
                *sum += simd::sum(plane);
            }
            gather(kernel, output, grad_y, grad_products);
        }
        let stacked = kernel.stack(&grad_products, 9 * sizes.outputs);
        kernel.add_outer(
            &stacked,
            9 * sizes.outputs,
            &kernel.stack(h2, hidden),
            grad_w3,
        );

        let mut grad_h2 = Buffer::take(h2.len());
        let mask = Finish::MaskAndSum {
            activations: h2,
            sums: grad_b2,
        };
        kernel.multiply(&grad_products, &self.w3, &mut grad_h2, mask);
        let stacked = kernel.stack(&grad_h2, hidden);
        kernel.add_outer(&kernel.stack(h1, hidden), hidden, &stacked, grad_w2);

        let mut grad_h1 = Buffer::take(h1.len());
        let mask = Finish::MaskAndSum {
            activations: h1,
            sums: grad_b1,
        };
        kernel.multiply(&grad_h2, &self.w2, &mut grad_h1, mask);
        let neighbours = self::neighbours(kernel, sizes, self.x, first, rows);
        let stacked = kernel.stack(&neighbours, 9 * sizes.inputs);
        kernel.add_outer(
            &stacked,
            9 * sizes.inputs,
            &kernel.stack(&grad_h1, hidden),
            grad_w1,
        );

        let width = padded(9 * sizes.inputs);
        let mut grad_neighbours = Buffer::take(width * rows);
        kernel.multiply(&grad_h1, &self.w1, &mut grad_neighbours, Finish::Plain);
        let input = sizes.input();
        let no_bias = vec![0.0; sizes.inputs];
        let images = grad_x.chunks_exact_mut(sizes.inputs * input.pixels());
        for (grad_x, rows) in images.zip(grad_neighbours.chunks_exact(width * input.pixels())) {
            input.scatter(rows, &no_bias, grad_x);
        }
    }

    /// The gradients of the parameters, in their own order, from the sums of all groups.
    pub(super) fn finish(&self, sums: &[f32]) -> Vec<f32> {
        let sizes = self.sizes;
        let hidden = sizes.hidden;
        let [w1, b1, w2, b2, w3, b3] = cut(sums, sizes.sums());
        let mut gradients = vec![0.0; sizes.parameters().iter().sum()];
        let [grad_w1, grad_b1, grad_w2, grad_b2, grad_w3, grad_b3] =
            cut_mut(&mut gradients, sizes.parameters());
        let spread = |sums: &[f32], grad: &mut [f32], at: &dyn Fn(usize, usize) -> usize| {
            for (row, sums) in sums.chunks_exact(padded(hidden)).enumerate() {
                for (k, sum) in sums[..hidden].iter().enumerate() {
                    grad[at(row, k)] = *sum;
                }
            }
        };
        spread(w1, grad_w1, &|column, k| sizes.in_w1(column, k));
        spread(w2, grad_w2, &|from, to| sizes.in_w2(from, to));
        spread(w3, grad_w3, &|column, k| sizes.in_w3(k, column));
        grad_b1.copy_from_slice(&b1[..hidden]);
        grad_b2.copy_from_slice(&b2[..hidden]);
        grad_b3.copy_from_slice(b3);
        gradients
    }
}

/// The neighbours of every pixel of the images from `first` on: `rows` rows of `[9, I]`, a left factor.
fn neighbours(kernel: Kernel, sizes: Sizes, x: Samples, first: usize, rows: usize) -> Buffer {
    let image = sizes.input();
    let row = kernel.row(9 * sizes.inputs);
    let mut neighbours = Buffer::take(row * rows);
    let chunks = neighbours.chunks_exact_mut(row * image.pixels());
    for (index, chunk) in chunks.enumerate() {
        gather(kernel, image, x.get(first + index), chunk);
    }
    neighbours
}
