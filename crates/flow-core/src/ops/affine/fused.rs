//! The affine transform of single numbers on the CPU.
//!
//! ```text
//! of the inverse:
//! ∂L/∂y     = ∂L/∂x ⊙ exp(−ln s)
//! ∂L/∂shift = −∂L/∂y  scaled first, or −∂L/∂x
//! ∂L/∂ln s  = −∂L/∂x ⊙ (y's number before it was scaled) − ∂L/∂log_det
//! ```

use super::scale::{
    Exp, ExpTanh, First, Scale, Sigmoid, SigmoidInverse, SigmoidOffset, Softplus, SoftplusUnbounded,
};
use super::{Order, ScaleMap};
use crate::ops::elementwise::{Elementwise, Gradients, Planes};
use crate::ops::number::Number;
use crate::ops::simd;

pub(super) struct Affine(pub(super) ScaleMap, pub(super) Order);

/// Evaluates `$body` with `$scale` bound to the scalar form of `$affine`'s map and order, so that
/// each gets its own compiled loop.
macro_rules! with_scale {
    ($affine:expr, $scale:ident => $body:expr) => {
        with_scale!(@maps $affine, $scale => $body,
            Sigmoid => Sigmoid,
            SigmoidOffset => SigmoidOffset,
            SigmoidInverse => SigmoidInverse,
            Softplus => Softplus,
            SoftplusUnbounded => SoftplusUnbounded,
            Exp => Exp,
            ExpTanh { bound } => ExpTanh(bound),
        )
    };
    (@maps $affine:expr, $scale:ident => $body:expr, $($variant:ident $({ $field:ident })? => $value:expr,)*) => {
        match ($affine.0, $affine.1) {
            $(
                (ScaleMap::$variant $({ $field })?, Order::ShiftFirst) => {
                    let $scale = &$value;
                    $body
                }
                (ScaleMap::$variant $({ $field })?, Order::ScaleFirst) => {
                    let $scale = &First($value);
                    $body
                }
            )*
        }
    };
}

impl<T: Number> Elementwise<T> for Affine {
    const NAME: &'static str = "affine";
    const MIN_NUMBERS: usize = 1 << 11;

    type Workspace = ();

    fn parameters(&self) -> usize {
        2
    }

    fn workspace(&self) {}

    fn forward(&self, x: &[T], y: &mut [T], parameters: Planes<&[T]>, (): &mut ()) -> T {
        with_scale!(self, scale => transform(scale, x, y, parameters.values))
    }

    fn inverse(&self, y: &[T], x: &mut [T], parameters: Planes<&[T]>, (): &mut ()) -> T {
        with_scale!(self, scale => invert(scale, y, x, parameters.values))
    }

    fn differentiate(&self, gradients: Gradients<T>, (): &mut ()) {
        with_scale!(self, scale => differentiate(scale, gradients));
    }

    fn differentiate_inverse(&self, gradients: Gradients<T>, (): &mut ()) {
        with_scale!(self, scale => differentiate_inverse(scale, gradients));
    }
}

/// Numbers per block, small enough to stay in registers and the first-level cache.
const BLOCK: usize = 64;

fn transform<T: Number, S: Scale<T>>(scale: &S, x: &[T], y: &mut [T], h: &[T]) -> T {
    let (shift, raw) = h.split_at(x.len());
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = T::zero();
            let parameters = shift.chunks(BLOCK).zip(raw.chunks(BLOCK));
            let numbers = y.chunks_mut(BLOCK).zip(x.chunks(BLOCK));
            for ((y, x), (shift, raw)) in numbers.zip(parameters) {
                let mut log_scales = [T::zero(); BLOCK];
                let parameters = shift.iter().zip(raw).zip(&mut log_scales);
                let numbers = y.iter_mut().zip(x);
                for ((y, x), ((shift, raw), log_scale)) in numbers.zip(parameters) {
                    *log_scale = scale.at(*raw).0;
                    let scale = simd::exp(*log_scale);
                    *y = if S::FIRST {
                        *x * scale + *shift
                    } else {
                        (*x + *shift) * scale
                    };
                }
                log_det += simd::sum(&log_scales);
            }
            log_det
        },
    )
}

fn invert<T: Number, S: Scale<T>>(scale: &S, y: &[T], x: &mut [T], h: &[T]) -> T {
    let (shift, raw) = h.split_at(y.len());
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = T::zero();
            let parameters = shift.chunks(BLOCK).zip(raw.chunks(BLOCK));
            let numbers = x.chunks_mut(BLOCK).zip(y.chunks(BLOCK));
            for ((x, y), (shift, raw)) in numbers.zip(parameters) {
                let mut log_scales = [T::zero(); BLOCK];
                let parameters = shift.iter().zip(raw).zip(&mut log_scales);
                let numbers = x.iter_mut().zip(y);
                for ((x, y), ((shift, raw), log_scale)) in numbers.zip(parameters) {
                    *log_scale = scale.at(*raw).0;
                    let inverse_scale = simd::exp(-*log_scale);
                    *x = if S::FIRST {
                        (*y - *shift) * inverse_scale
                    } else {
                        *y * inverse_scale - *shift
                    };
                }
                log_det -= simd::sum(&log_scales[..x.len()]);
            }
            log_det
        },
    )
}

fn differentiate<T: Number, S: Scale<T>>(scale: &S, gradients: Gradients<T>) {
    let log_det = gradients.log_det;
    differentiate_each(
        scale,
        gradients,
        #[inline(always)]
        move |x, shift, log_scale, grad_y| {
            let grad_x = grad_y * simd::exp(log_scale);
            // The number that was scaled, and the gradient that the shift has.
            let (scaled, grad_shift) = if S::FIRST {
                (x, grad_y)
            } else {
                (x + shift, grad_x)
            };
            [grad_x, grad_shift, grad_x * scaled + log_det]
        },
    );
}

fn differentiate_inverse<T: Number, S: Scale<T>>(scale: &S, gradients: Gradients<T>) {
    let log_det = gradients.log_det;
    differentiate_each(
        scale,
        gradients,
        #[inline(always)]
        move |x, shift, log_scale, grad_x| {
            let grad_y = grad_x * simd::exp(-log_scale);
            let (scaled, grad) = if S::FIRST {
                (x, grad_y)
            } else {
                (x + shift, grad_x)
            };
            [grad_y, -grad, -(grad_x * scaled + log_det)]
        },
    );
}

/// The gradients of all numbers. From x, its shift, ln s and ∂L/∂ of the result, `at` gives ∂L/∂ of
/// the input, of the shift and of ln s. It owns what it captures: a reference could point into the
/// outputs, and the loop would not be vectorised.
#[inline(always)]
fn differentiate_each<T: Number, S: Scale<T>>(
    scale: &S,
    gradients: Gradients<T>,
    at: impl Fn(T, T, T, T) -> [T; 3] + 'static,
) {
    let Gradients {
        x,
        of_result,
        of_input,
        ..
    } = gradients;
    let (shift, raw) = gradients.parameters.values.split_at(x.len());
    let (of_shift, of_raw) = gradients.of_parameters.values.split_at_mut(x.len());
    simd::dispatch(
        #[inline(always)]
        || {
            let outputs = of_input.iter_mut().zip(of_shift).zip(of_raw);
            let inputs = x.iter().zip(shift).zip(raw).zip(of_result);
            for (((of_input, of_shift), of_raw), (((x, shift), raw), of_result)) in
                outputs.zip(inputs)
            {
                let (log_scale, slope) = scale.at(*raw);
                let [input, shift, log_scale] = at(*x, *shift, log_scale, *of_result);
                *of_input = input;
                *of_shift = shift;
                *of_raw = log_scale * slope;
            }
        },
    );
}
