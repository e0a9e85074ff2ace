//! Sizes of the network and its images, and the layout of its parameters.

use super::im2col::Image;
use crate::ops::product::padded;

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

    /// Number of whole images in a group of about `pixels` pixels.
    pub(super) fn images(self, pixels: usize) -> usize {
        (pixels / self.pixels()).max(1)
    }

    /// Lengths of w₁, b₁, w₂, b₂, w₃, b₃, which are contiguous.
    pub(super) fn parameters(self) -> [usize; 6] {
        let (inputs, hidden, outputs) = (self.inputs, self.hidden, self.outputs);
        [
            9 * inputs * hidden,
            hidden,
            hidden * hidden,
            hidden,
            9 * hidden * outputs,
            outputs,
        ]
    }

    /// Lengths of the sums of their gradients: `[9·I, K]`, `[K]`, `[K, K]`, `[K]`, `[9·O, K]`,
    /// `[O]`, with each K padded.
    pub(super) fn sums(self) -> [usize; 6] {
        let row = padded(self.hidden);
        [
            9 * self.inputs * row,
            row,
            self.hidden * row,
            row,
            9 * self.outputs * row,
            self.outputs,
        ]
    }

    /// Index in w₁ of the weight from the input `column` = (neighbour, channel) to the hidden `k`.
    pub(super) fn in_w1(self, column: usize, k: usize) -> usize {
        let (neighbour, input) = (column / self.inputs, column % self.inputs);
        (k * self.inputs + input) * 9 + neighbour
    }

    /// Index in w₂ of the weight from the hidden `from` to the hidden `to`.
    pub(super) fn in_w2(self, from: usize, to: usize) -> usize {
        to * self.hidden + from
    }

    /// Index in w₃ of the weight with which the hidden `k` of a pixel adds to the output `column` =
    /// (neighbour, channel). Seen from that neighbour, the pixel is the opposite one.
    pub(super) fn in_w3(self, k: usize, column: usize) -> usize {
        let (neighbour, output) = (column / self.outputs, column % self.outputs);
        (output * self.hidden + k) * 9 + (8 - neighbour)
    }

    pub(super) fn input(self) -> Image {
        Image {
            channels: self.inputs,
            height: self.height,
            width: self.width,
        }
    }

    pub(super) fn output(self) -> Image {
        Image {
            channels: self.outputs,
            height: self.height,
            width: self.width,
        }
    }
}

/// `whole` in consecutive parts.
pub(super) fn cut(mut whole: &[f32], lengths: [usize; 6]) -> [&[f32]; 6] {
    lengths.map(|length| whole.split_off(..length).expect("the lengths add up"))
}

/// As [`cut`], mutable.
pub(super) fn cut_mut(mut whole: &mut [f32], lengths: [usize; 6]) -> [&mut [f32]; 6] {
    lengths.map(|length| whole.split_off_mut(..length).expect("the lengths add up"))
}
