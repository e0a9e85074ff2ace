//! Splines of single numbers on the CPU.
//!
//! ```text
//! y = f(x; h),  l = ln ∂f/∂x                       L: a loss with gradients in x and in −l
//! ∂L/∂y = (∂L/∂x + ∂L/∂(−l) · −∂l/∂x) / ∂f/∂x
//! ∂L/∂h = −∂L/∂y · ∂f/∂h − ∂L/∂(−l) · ∂l/∂h
//! ```
//!
//! So the gradients of the inverse are those of the forward map with other factors.

use super::IntervalSpline;
use super::scalar::{Axis, Bin, BinGradient, Knots, Shares};
use crate::ops::elementwise::{Elementwise, Gradients, Planes};
use crate::ops::number::Number;
use crate::ops::simd;
use num_traits::Float;

#[derive(Clone, Copy)]
pub(super) struct FusedSpline {
    spline: IntervalSpline,
    /// False if the inverse may leave its log_det zero: a logarithm for each number is an eighth of
    /// its time.
    inverse_log_det: bool,
}

impl FusedSpline {
    pub(super) fn new(spline: IntervalSpline) -> Self {
        Self {
            spline,
            inverse_log_det: true,
        }
    }

    pub(super) fn without_inverse_log_det(self) -> Self {
        Self {
            inverse_log_det: false,
            ..self
        }
    }
}

impl<T: Number> Elementwise<T> for FusedSpline {
    const NAME: &'static str = "spline";
    const MIN_NUMBERS: usize = 512;

    type Workspace = Workspace<T>;

    fn parameters(&self) -> usize {
        self.spline.parameters()
    }

    fn workspace(&self) -> Workspace<T> {
        let knots = Knots::new(self.spline);
        Workspace {
            knots,
            shares: knots.shares(),
            parameters: vec![T::zero(); self.spline.parameters()],
            gradients: vec![T::zero(); self.spline.parameters()],
        }
    }

    fn forward(
        &self,
        x: &[T],
        y: &mut [T],
        parameters: Planes<&[T]>,
        workspace: &mut Workspace<T>,
    ) -> T {
        let knots = workspace.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let mut log_det = T::zero();
                for (index, (x, y)) in x.iter().zip(y).enumerate() {
                    *y = *x;
                    if knots.is_inside(*x) {
                        let bin = workspace.bin(*x, Axis::X, parameters, index);
                        let (value, log_slope) = bin.forward(*x);
                        *y = Float::min(value, knots.high);
                        log_det += log_slope;
                    }
                }
                log_det
            },
        )
    }

    fn inverse(
        &self,
        y: &[T],
        x: &mut [T],
        parameters: Planes<&[T]>,
        workspace: &mut Workspace<T>,
    ) -> T {
        if self.inverse_log_det {
            Self::invert::<T, true>(y, x, parameters, workspace)
        } else {
            Self::invert::<T, false>(y, x, parameters, workspace)
        }
    }

    fn differentiate(&self, gradients: Gradients<T>, workspace: &mut Workspace<T>) {
        Self::differentiate_each(
            gradients,
            workspace,
            #[inline(always)]
            |bin, x, grad_y, grad_log| {
                let gradient = bin.backward(x, grad_y, grad_log);
                (gradient.x, gradient)
            },
        );
    }

    fn differentiate_inverse(&self, gradients: Gradients<T>, workspace: &mut Workspace<T>) {
        Self::differentiate_each(
            gradients,
            workspace,
            #[inline(always)]
            |bin, x, grad_x, grad_log| {
                let (_, log_slope) = bin.forward(x);
                let grad_x = grad_x + bin.backward(x, T::zero(), -grad_log).x;
                let grad_y = grad_x * simd::exp(-log_slope);
                (grad_y, bin.backward(x, -grad_y, -grad_log))
            },
        );
    }
}

impl FusedSpline {
    /// Writes x, and returns its log_det or zero.
    fn invert<T: Number, const WITH_LOG_DET: bool>(
        y: &[T],
        x: &mut [T],
        parameters: Planes<&[T]>,
        workspace: &mut Workspace<T>,
    ) -> T {
        let knots = workspace.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let mut log_det = T::zero();
                for (index, (y, x)) in y.iter().zip(x).enumerate() {
                    *x = *y;
                    if knots.is_inside(*y) {
                        let bin = workspace.bin(*y, Axis::Y, parameters, index);
                        *x = Float::min(bin.inverse(*y), knots.high);
                        if WITH_LOG_DET {
                            log_det -= bin.forward(*x).1;
                        }
                    }
                }
                log_det
            },
        )
    }

    /// The gradients of all numbers. From a number's bin, x, ∂L/∂ of the result and ∂L/∂log_det,
    /// `at` gives ∂L/∂ of the input, and the gradients of the bin.
    #[inline(always)]
    fn differentiate_each<T: Number>(
        gradients: Gradients<T>,
        workspace: &mut Workspace<T>,
        at: impl Fn(Bin<T>, T, T, T) -> (T, BinGradient<T>),
    ) {
        let Gradients {
            x,
            parameters,
            log_det,
            of_result,
            of_input,
            mut of_parameters,
        } = gradients;
        let knots = workspace.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let numbers = x.iter().zip(of_result).zip(of_input);
                for (index, ((x, of_result), of_input)) in numbers.enumerate() {
                    *of_input = *of_result;
                    if knots.is_inside(*x) {
                        let bin = workspace.bin(*x, Axis::X, parameters, index);
                        let (grad, gradient) = at(bin, *x, *of_result, log_det);
                        *of_input = grad;
                        workspace.differentiate(bin, &gradient);
                        workspace.scatter(&mut of_parameters, index);
                    }
                }
            },
        );
    }
}

/// Workspace of one thread, reused for every number.
pub(super) struct Workspace<T> {
    knots: Knots<T>,
    shares: Shares<T>,
    parameters: Vec<T>,
    gradients: Vec<T>,
}

impl<T: Number> Workspace<T> {
    /// The bin that holds `value`, the number at `index` of its sample.
    #[inline(always)]
    fn bin(&mut self, value: T, on: Axis, planes: Planes<&[T]>, index: usize) -> Bin<T> {
        let start = self.start(planes.pixels, index);
        let values = planes.values[start..].iter().step_by(planes.pixels);
        self.parameters
            .iter_mut()
            .zip(values)
            .for_each(|(to, from)| *to = *from);
        self.knots
            .bin(value, on, &self.parameters, &mut self.shares)
    }

    /// The gradients of the parameters of the number whose bin was found last.
    #[inline(always)]
    fn differentiate(&mut self, bin: Bin<T>, gradient: &BinGradient<T>) {
        let Self {
            knots,
            shares,
            parameters,
            gradients,
        } = self;
        knots.differentiate(bin, gradient, parameters, shares, gradients);
    }

    #[inline(always)]
    fn scatter(&self, planes: &mut Planes<&mut [T]>, index: usize) {
        let start = self.start(planes.pixels, index);
        let places = planes.values[start..].iter_mut().step_by(planes.pixels);
        places
            .zip(&self.gradients)
            .for_each(|(to, from)| *to = *from);
    }

    /// Offset of the parameters of the number at `index` in those of its sample.
    #[inline(always)]
    fn start(&self, pixels: usize, index: usize) -> usize {
        let (channel, pixel) = (index / pixels, index % pixels);
        channel * self.parameters.len() * pixels + pixel
    }
}
