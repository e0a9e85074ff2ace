//! The network on one group of images, forwards and backwards.
//!
//! A matrix of a group has one row for each pixel of its images, with channels side by side.
//! Products then read their factors in memory order.

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
    x: Samples<'a, f32>,
    /// `[9·I, K]`
    w1: Packed,
    b1: Vec<f32>,
    /// `[K, K]`
    w2: Packed,
    b2: Vec<f32>,
    /// `[K, 9·O]`, a pixel's contributions to its neighbours
    w3: Packed,
    b3: &'a [f32],
}

impl<'a> Forward<'a> {
    pub(super) fn new(
        kernel: Kernel,
        sizes: Sizes,
        x: Samples<'a, f32>,
        parameters: &'a [f32],
    ) -> Self {
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

    /// Processes images from `first` on: writes h₁ and h₂ to `activations` and the result to `y`.
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
    x: Samples<'a, f32>,
    /// `[K, 9·I]`
    w1: Packed,
    /// `[K, K]`, from the second layer to the first
    w2: Packed,
    /// `[9·O, K]`
    w3: Packed,
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        kernel: Kernel,
        sizes: Sizes,
        x: Samples<'a, f32>,
        parameters: &'a [f32],
    ) -> Self {
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

    /// Processes images from `first` on: writes ∂L/∂x to `grad_x` and adds the gradients of the
    /// parameters to `sums`; see [`Sizes::sums`].
    pub(super) fn run(
        &self,
        first: usize,
        activations: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
        sums: &mut [f32],
    ) {
        let Self { kernel, sizes, .. } = *self;
        let rows = grad_y.len() / sizes.outputs;
        let [grad_w1, grad_b1, grad_w2, grad_b2, grad_w3, grad_b3] = cut_mut(sums, sizes.sums());
        let (h1, h2) = activations.split_at(activations.len() / 2);

        let grad_products = self.grad_products(grad_y, rows, grad_b3);
        self.add_outer(&grad_products, 9 * sizes.outputs, h2, grad_w3);
        let grad_h2 = self.grad_hidden(&grad_products, &self.w3, h2, grad_b2);
        self.add_outer(h1, sizes.hidden, &grad_h2, grad_w2);
        let grad_h1 = self.grad_hidden(&grad_h2, &self.w2, h1, grad_b1);
        let neighbours = neighbours(kernel, sizes, self.x, first, rows);
        self.add_outer(&neighbours, 9 * sizes.inputs, &grad_h1, grad_w1);
        self.scatter(&grad_h1, rows, grad_x);
    }

    /// The gradient of the last product, from that of y; adds the gradient of b₃ to `grad_b3`.
    fn grad_products(&self, grad_y: &[f32], rows: usize, grad_b3: &mut [f32]) -> Buffer {
        let Self { kernel, sizes, .. } = *self;
        let output = sizes.output();
        let row = kernel.row(9 * sizes.outputs);
        let mut grad_products = Buffer::take(row * rows);
        let images = grad_y.chunks_exact(sizes.outputs * output.pixels());
        let chunks = grad_products.chunks_exact_mut(row * output.pixels());
        for (grad_y, grad_products) in images.zip(chunks) {
            for (sum, plane) in grad_b3.iter_mut().zip(grad_y.chunks_exact(output.pixels())) {
                *sum += simd::sum(plane);
            }
            gather(kernel, output, grad_y, grad_products);
        }
        grad_products
    }

    /// sums += aᵀ · b, where `a` has `columns` columns and `b` those of a hidden layer.
    fn add_outer(&self, a: &[f32], columns: usize, b: &[f32], sums: &mut [f32]) {
        let [a, b] = [(a, columns), (b, self.sizes.hidden)]
            .map(|(rows, columns)| self.kernel.stack(rows, columns));
        self.kernel.add_outer(&a, columns, &b, sums);
    }

    /// The gradient of a hidden layer before its ReLU, from that of the layer after it; adds the
    /// gradient of its bias to `sums`.
    fn grad_hidden(
        &self,
        grad: &[f32],
        weight: &Packed,
        activations: &[f32],
        sums: &mut [f32],
    ) -> Buffer {
        let mut grad_hidden = Buffer::take(activations.len());
        let mask = Finish::MaskAndSum { activations, sums };
        self.kernel.multiply(grad, weight, &mut grad_hidden, mask);
        grad_hidden
    }

    /// Writes ∂L/∂x to `grad_x`, from the gradient of the first layer.
    fn scatter(&self, grad_h1: &[f32], rows: usize, grad_x: &mut [f32]) {
        let sizes = self.sizes;
        let width = padded(9 * sizes.inputs);
        let mut grad_neighbours = Buffer::take(width * rows);
        let out = &mut grad_neighbours;
        self.kernel.multiply(grad_h1, &self.w1, out, Finish::Plain);
        let input = sizes.input();
        let no_bias = vec![0.0; sizes.inputs];
        let images = grad_x.chunks_exact_mut(sizes.inputs * input.pixels());
        for (grad_x, rows) in images.zip(grad_neighbours.chunks_exact(width * input.pixels())) {
            input.scatter(rows, &no_bias, grad_x);
        }
    }

    /// The gradients of the parameters, in their order, from the sums of all groups.
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

/// The neighbours of every pixel of the images from `first` on: `rows` rows of `[9, I]`, a left
/// factor.
fn neighbours(kernel: Kernel, sizes: Sizes, x: Samples<f32>, first: usize, rows: usize) -> Buffer {
    let image = sizes.input();
    let row = kernel.row(9 * sizes.inputs);
    let mut neighbours = Buffer::take(row * rows);
    let chunks = neighbours.chunks_exact_mut(row * image.pixels());
    for (index, chunk) in chunks.enumerate() {
        gather(kernel, image, x.get(first + index), chunk);
    }
    neighbours
}
