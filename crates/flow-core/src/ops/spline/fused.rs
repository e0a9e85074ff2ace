//! Splines of single numbers on the CPU in f32.
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
use crate::ops::simd;

pub(super) struct FusedSpline {
    knots: Knots,
    /// Parameters of each number.
    parameters: usize,
    /// False if the inverse may leave its log_det zero: a logarithm for each number is an eighth of
    /// its time.
    inverse_log_det: bool,
}

impl FusedSpline {
    pub(super) fn new(spline: IntervalSpline) -> Self {
        Self {
            knots: Knots::new(spline),
            parameters: spline.parameters(),
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

impl Elementwise for FusedSpline {
    const NAME: &'static str = "spline";
    const MIN_NUMBERS: usize = 512;

    type Workspace = Workspace;

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn workspace(&self) -> Workspace {
        Workspace {
            shares: self.knots.shares(),
            parameters: vec![0.0; self.parameters],
            gradients: vec![0.0; self.parameters],
        }
    }

    fn forward(
        &self,
        x: &[f32],
        y: &mut [f32],
        parameters: Planes<&[f32]>,
        workspace: &mut Workspace,
    ) -> f32 {
        let knots = &self.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let mut log_det = 0.0;
                for (index, (x, y)) in x.iter().zip(y).enumerate() {
                    *y = *x;
                    if knots.is_inside(*x) {
                        let bin = workspace.bin(knots, *x, Axis::X, parameters, index);
                        let (value, log_slope) = bin.forward(*x);
                        *y = value.min(knots.high);
                        log_det += log_slope;
                    }
                }
                log_det
            },
        )
    }

    fn inverse(
        &self,
        y: &[f32],
        x: &mut [f32],
        parameters: Planes<&[f32]>,
        workspace: &mut Workspace,
    ) -> f32 {
        if self.inverse_log_det {
            self.invert::<true>(y, x, parameters, workspace)
        } else {
            self.invert::<false>(y, x, parameters, workspace)
        }
    }

    fn differentiate(&self, gradients: Gradients, workspace: &mut Workspace) {
        self.differentiate_each(
            gradients,
            workspace,
            #[inline(always)]
            |bin, x, grad_y, grad_log| {
                let gradient = bin.backward(x, grad_y, grad_log);
                (gradient.x, gradient)
            },
        );
    }

    fn differentiate_inverse(&self, gradients: Gradients, workspace: &mut Workspace) {
        self.differentiate_each(
            gradients,
            workspace,
            #[inline(always)]
            |bin, x, grad_x, grad_log| {
                let (_, log_slope) = bin.forward(x);
                let grad_x = grad_x + bin.backward(x, 0.0, -grad_log).x;
                let grad_y = grad_x * simd::exp(-log_slope);
                (grad_y, bin.backward(x, -grad_y, -grad_log))
            },
        );
    }
}

impl FusedSpline {
    /// Writes x, and returns its log_det or zero.
    fn invert<const WITH_LOG_DET: bool>(
        &self,
        y: &[f32],
        x: &mut [f32],
        parameters: Planes<&[f32]>,
        workspace: &mut Workspace,
    ) -> f32 {
        let knots = &self.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let mut log_det = 0.0;
                for (index, (y, x)) in y.iter().zip(x).enumerate() {
                    *x = *y;
                    if knots.is_inside(*y) {
                        let bin = workspace.bin(knots, *y, Axis::Y, parameters, index);
                        *x = bin.inverse(*y).min(knots.high);
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
    fn differentiate_each(
        &self,
        gradients: Gradients,
        workspace: &mut Workspace,
        at: impl Fn(Bin, f32, f32, f32) -> (f32, BinGradient),
    ) {
        let Gradients {
            x,
            parameters,
            log_det,
            of_result,
            of_input,
            mut of_parameters,
        } = gradients;
        let knots = &self.knots;
        simd::dispatch(
            #[inline(always)]
            || {
                let numbers = x.iter().zip(of_result).zip(of_input);
                for (index, ((x, of_result), of_input)) in numbers.enumerate() {
                    *of_input = *of_result;
                    if knots.is_inside(*x) {
                        let bin = workspace.bin(knots, *x, Axis::X, parameters, index);
                        let (grad, gradient) = at(bin, *x, *of_result, log_det);
                        *of_input = grad;
                        workspace.differentiate(knots, bin, &gradient);
                        workspace.scatter(&mut of_parameters, index);
                    }
                }
            },
        );
    }
}

/// Workspace of one thread, reused for every number.
pub(super) struct Workspace {
    shares: Shares,
    parameters: Vec<f32>,
    gradients: Vec<f32>,
}

impl Workspace {
    /// The bin that holds `value`, the number at `index` of its sample.
    #[inline(always)]
    fn bin(
        &mut self,
        knots: &Knots,
        value: f32,
        on: Axis,
        planes: Planes<&[f32]>,
        index: usize,
    ) -> Bin {
        let start = self.start(planes.pixels, index);
        let values = planes.values[start..].iter().step_by(planes.pixels);
        self.parameters
            .iter_mut()
            .zip(values)
            .for_each(|(to, from)| *to = *from);
        knots.bin(value, on, &self.parameters, &mut self.shares)
    }

    /// The gradients of the parameters of the number whose bin was found last.
    #[inline(always)]
    fn differentiate(&mut self, knots: &Knots, bin: Bin, gradient: &BinGradient) {
        let Self {
            shares,
            parameters,
            gradients,
        } = self;
        knots.differentiate(bin, gradient, parameters, shares, gradients);
    }

    #[inline(always)]
    fn scatter(&self, planes: &mut Planes<&mut [f32]>, index: usize) {
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
