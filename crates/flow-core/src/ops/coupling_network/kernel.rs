//! The network on one group of images, forwards and backwards.
//!
//! Inside a group a matrix has one row for each pixel of its images, channels side by side. Then every
//! product reads both factors in the order in which they lie, and the matrix kernels pack little.

use super::taps::{Image, incoming, outgoing, transpose};
use crate::ops::buffer::Buffer;
use crate::ops::matrix::{Into, Matrix, multiply};
use crate::ops::simd;
use crate::ops::view::Samples;

/// Groups are made of whole images, of about so many pixels: many rows for the matrix kernels, and two
/// layers of activations that fit into the second-level cache.
const GROUP_PIXELS: usize = 400;

/// Sizes of the network and its images.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) inputs: usize,
    pub(super) hidden: usize,
    pub(super) outputs: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Sizes {
    pub(super) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Images in a group.
    pub(super) fn group_images(self) -> usize {
        (GROUP_PIXELS / self.pixels()).max(1)
    }

    /// Numbers in all parameters.
    pub(super) fn parameters(self) -> usize {
        self.parameter_lengths().iter().sum()
    }

    fn parameter_lengths(self) -> [usize; 6] {
        let Self {
            inputs,
            hidden,
            outputs,
            ..
        } = self;
        [
            9 * inputs * hidden,
            hidden,
            hidden * hidden,
            hidden,
            9 * hidden * outputs,
            outputs,
        ]
    }

    /// w₁, b₁, w₂, b₂, w₃, b₃, which lie in `packed` one after the other.
    fn unpack(self, mut packed: &[f32]) -> [&[f32]; 6] {
        self.parameter_lengths()
            .map(|length| packed.split_off(..length).expect("the lengths add up"))
    }

    fn unpack_mut(self, mut packed: &mut [f32]) -> [&mut [f32]; 6] {
        self.parameter_lengths()
            .map(|length| packed.split_off_mut(..length).expect("the lengths add up"))
    }

    fn input(self) -> Image {
        Image {
            channels: self.inputs,
            height: self.height,
            width: self.width,
        }
    }

    fn output(self) -> Image {
        Image {
            channels: self.outputs,
            height: self.height,
            width: self.width,
        }
    }
}

/// The forward pass.
pub(super) struct Forward<'a> {
    sizes: Sizes,
    x: Samples<'a>,
    /// `[9, I, K]`
    w1: Vec<f32>,
    b1: &'a [f32],
    /// `[K, K]`, inputs first
    w2: Vec<f32>,
    b2: &'a [f32],
    /// `[K, 9, O]`, what a pixel adds to its neighbours
    w3: Vec<f32>,
    b3: &'a [f32],
}

impl<'a> Forward<'a> {
    pub(super) fn new(sizes: Sizes, x: Samples<'a>, packed: &'a [f32]) -> Self {
        let Sizes {
            inputs,
            hidden,
            outputs,
            ..
        } = sizes;
        let [w1, b1, w2, b2, w3, b3] = sizes.unpack(packed);
        Self {
            sizes,
            x,
            w1: transpose(&transpose(w1, inputs, 9), hidden, 9 * inputs),
            b1,
            w2: transpose(w2, hidden, hidden),
            b2,
            w3: transpose(&outgoing(w3, outputs, hidden), 9 * outputs, hidden),
            b3,
        }
    }

    /// Images from `first` on: writes h₁ and h₂ to `activations` and the result to `y`.
    pub(super) fn run(&self, first: usize, activations: &mut [f32], y: &mut [f32]) {
        let Sizes {
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let rows = y.len() / outputs;
        let (h1, h2) = activations.split_at_mut(hidden * rows);

        let mut neighbours = Buffer::take(9 * inputs * rows);
        gather_inputs(self.sizes, self.x, first, &mut neighbours);
        let neighbours = Matrix::new(&neighbours, rows, 9 * inputs);
        multiply(
            h1,
            neighbours,
            Matrix::new(&self.w1, 9 * inputs, hidden),
            Into::Fresh,
        );
        bias_relu(h1, self.b1);

        let w2 = Matrix::new(&self.w2, hidden, hidden);
        multiply(h2, Matrix::new(h1, rows, hidden), w2, Into::Fresh);
        bias_relu(h2, self.b2);

        let mut products = Buffer::take(9 * outputs * rows);
        let w3 = Matrix::new(&self.w3, hidden, 9 * outputs);
        multiply(
            &mut products,
            Matrix::new(h2, rows, hidden),
            w3,
            Into::Fresh,
        );
        let image = self.sizes.output();
        let mut bordered = Buffer::take(image.bordered());
        let images = y.chunks_exact_mut(outputs * image.pixels());
        for (y, products) in images.zip(products.chunks_exact(9 * outputs * image.pixels())) {
            bordered.fill(0.0);
            image.scatter(products, &mut bordered);
            image.without_border(&bordered, self.b3, y);
        }
    }
}

/// The backward pass.
pub(super) struct Backward<'a> {
    sizes: Sizes,
    x: Samples<'a>,
    /// `[K, 9, I]`
    w1: Vec<f32>,
    /// `[K, K]`, outputs first
    w2: &'a [f32],
    /// `[9, O, K]`
    w3: Vec<f32>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(sizes: Sizes, x: Samples<'a>, packed: &'a [f32]) -> Self {
        let [w1, _, w2, _, w3, _] = sizes.unpack(packed);
        Self {
            sizes,
            x,
            w1: transpose(w1, sizes.inputs, 9),
            w2,
            w3: outgoing(w3, sizes.outputs, sizes.hidden),
        }
    }

    /// Images from `first` on: writes ∂L/∂x to `grad_x` and adds to the parameters' gradients in `sums`,
    /// which are in the order of this struct until [`finish`](Self::finish).
    pub(super) fn run(
        &self,
        first: usize,
        activations: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
        sums: &mut [f32],
    ) {
        let Sizes {
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let rows = grad_y.len() / outputs;
        let (h1, h2) = activations.split_at(hidden * rows);
        let (h1, h2) = (Matrix::new(h1, rows, hidden), Matrix::new(h2, rows, hidden));
        let [grad_w1, grad_b1, grad_w2, grad_b2, grad_w3, grad_b3] = self.sizes.unpack_mut(sums);

        let output = self.sizes.output();
        let mut grad_products = Buffer::take(9 * outputs * rows);
        {
            let mut bordered = Buffer::take(output.bordered());
            bordered.fill(0.0);
            let images = grad_y.chunks_exact(outputs * output.pixels());
            let rows = grad_products.chunks_exact_mut(9 * outputs * output.pixels());
            for (grad_y, rows) in images.zip(rows) {
                for (sum, plane) in grad_b3.iter_mut().zip(grad_y.chunks_exact(output.pixels())) {
                    *sum += simd::sum(plane);
                }
                output.add_border(grad_y, &mut bordered);
                output.gather(&bordered, rows);
            }
        }
        let grad_products = Matrix::new(&grad_products, rows, 9 * outputs);
        multiply(grad_w3, grad_products.t(), h2, Into::Sum);

        let mut grad_h2 = Buffer::take(hidden * rows);
        let w3 = Matrix::new(&self.w3, 9 * outputs, hidden);
        multiply(&mut grad_h2, grad_products, w3, Into::Fresh);
        mask_and_sum(&mut grad_h2, h2.data(), grad_b2);
        let grad_h2 = Matrix::new(&grad_h2, rows, hidden);
        multiply(grad_w2, grad_h2.t(), h1, Into::Sum);

        let mut grad_h1 = Buffer::take(hidden * rows);
        multiply(
            &mut grad_h1,
            grad_h2,
            Matrix::new(self.w2, hidden, hidden),
            Into::Fresh,
        );
        mask_and_sum(&mut grad_h1, h1.data(), grad_b1);
        let grad_h1 = Matrix::new(&grad_h1, rows, hidden);

        let mut neighbours = Buffer::take(9 * inputs * rows);
        gather_inputs(self.sizes, self.x, first, &mut neighbours);
        multiply(
            grad_w1,
            grad_h1.t(),
            Matrix::new(&neighbours, rows, 9 * inputs),
            Into::Sum,
        );

        let w1 = Matrix::new(&self.w1, hidden, 9 * inputs);
        multiply(&mut neighbours, grad_h1, w1, Into::Fresh);
        let input = self.sizes.input();
        let mut bordered = Buffer::take(input.bordered());
        let no_bias = vec![0.0; inputs];
        let images = grad_x.chunks_exact_mut(inputs * input.pixels());
        for (grad_x, rows) in images.zip(neighbours.chunks_exact(9 * inputs * input.pixels())) {
            bordered.fill(0.0);
            input.scatter(rows, &mut bordered);
            input.without_border(&bordered, &no_bias, grad_x);
        }
    }

    /// The gradient of the packed parameters, from the sums of all groups.
    pub(super) fn finish(&self, mut sums: Vec<f32>) -> Vec<f32> {
        let Sizes {
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let [w1, _, _, _, w3, _] = self.sizes.unpack_mut(&mut sums);
        w1.copy_from_slice(&transpose(w1, 9, inputs));
        w3.copy_from_slice(&incoming(w3.to_vec(), outputs, hidden));
        sums
    }
}

/// The neighbours of every pixel of the images from `first` on, `[rows, 9, I]`.
fn gather_inputs(sizes: Sizes, x: Samples, first: usize, neighbours: &mut [f32]) {
    let image = sizes.input();
    let mut bordered = Buffer::take(image.bordered());
    bordered.fill(0.0);
    let rows = neighbours.chunks_exact_mut(9 * image.channels * image.pixels());
    for (index, rows) in rows.enumerate() {
        image.add_border(x.get(first + index), &mut bordered);
        image.gather(&bordered, rows);
    }
}

/// h = relu(h + bias), row by row; keeps NaN, so that a broken model shows.
fn bias_relu(h: &mut [f32], bias: &[f32]) {
    simd::dispatch(
        #[inline(always)]
        || {
            for row in h.chunks_exact_mut(bias.len()) {
                for (value, bias) in row.iter_mut().zip(bias) {
                    let sum = *value + bias;
                    *value = if sum < 0.0 { 0.0 } else { sum };
                }
            }
        },
    );
}

/// Clears the gradient where the activation `h` is zero, and adds up each column.
fn mask_and_sum(grad: &mut [f32], h: &[f32], sums: &mut [f32]) {
    let columns = sums.len();
    simd::dispatch(
        #[inline(always)]
        || {
            for (grad, h) in grad.chunks_exact_mut(columns).zip(h.chunks_exact(columns)) {
                for ((grad, h), sum) in grad.iter_mut().zip(h).zip(sums.iter_mut()) {
                    *grad = if *h > 0.0 { *grad } else { 0.0 };
                    *sum += *grad;
                }
            }
        },
    );
}
