//! Adam, Adamax and Muon with state that can be saved, and the moving average of the weights
//! (Kingma & Ba 2015, arXiv:1412.6980, algorithms 1 and 2; Polyak averaging, section 7.2).

use super::StateStore;
use super::in_place::Elementwise;
use crate::device::is_host;
use crate::ops::orthogonal::orthogonal;
use crate::{Gradients, Result};
use candle_core::{DType, Tensor, Var};

/// Update rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Optimizer {
    /// Scales by the root of the mean square of past gradients.
    #[default]
    Adam,
    /// Scales by their largest magnitude, which decays.
    Adamax,
    /// Moves the weights of hidden layers by the orthogonal direction of their momentum as a matrix
    /// `[out, in…]` (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>), with steps of
    /// numbers as large for any shape (Liu et al. 2025, arXiv:2502.16982, section 2.2); all others as
    /// Adam does.
    Muon,
}

/// Decay of Muon's momentum.
const MOMENTUM: f64 = 0.95;

/// Root mean square of the numbers of Muon's steps, in learning rates: twice that of Liu et al.,
/// which is Adam's. It is better for Glow, docs/results.md.
const MUON_SIZE: f64 = 0.4;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Average and moments of one parameter, in its shape.
pub struct ParameterState {
    /// Moving average of the weight; `None` if disabled.
    pub average: Option<Var>,
    /// First and second moment of the gradient; Muon's momentum and zeros.
    pub moments: [Var; 2],
}

/// Constants of one step.
#[derive(Clone, Copy)]
pub(super) struct Update {
    /// Rule that turns gradients into steps.
    pub(super) optimizer: Optimizer,
    /// Steps taken before this one.
    pub(super) step: u64,
    /// The size of a step, before corrections.
    pub(super) learning_rate: f64,
    /// Decoupled decay of the weights.
    pub(super) weight_decay: f64,
    /// Factor of the gradients, for clipping.
    pub(super) gradient_scale: f64,
    /// Decay of the average.
    pub(super) average_decay: f64,
}

impl ParameterState {
    /// Muon's update of the weights of a hidden layer.
    fn update_matrix(&self, weight: &Var, update: Update, grad: &Tensor) -> Result<()> {
        let [momentum, _] = &self.moments;
        let ahead = {
            let grad = (grad * update.gradient_scale)?;
            momentum.set(&((momentum.as_tensor() * MOMENTUM)? + &grad)?)?;
            // Nesterov's look ahead.
            (grad + (momentum.as_tensor() * MOMENTUM)?)?
        };
        let direction = orthogonal(&ahead)?;
        drop(ahead);
        let sides = [weight.dim(0)?, weight.elem_count() / weight.dim(0)?];
        let size = MUON_SIZE * (sides[0].max(sides[1]) as f64).sqrt();
        let change = (direction * (size * update.learning_rate))?;
        let kept = (weight.as_tensor() * update.kept())?;
        weight.set(&(kept - change)?)?;
        self.follow(weight, update)
    }

    /// Moves the average towards the weight.
    fn follow(&self, weight: &Var, update: Update) -> Result<()> {
        let Some(average) = &self.average else {
            return Ok(());
        };
        let change = ((weight.as_tensor() - average.as_tensor())? * (1.0 - update.average_decay))?;
        average.set(&(average.as_tensor() + change)?)
    }

    /// The update without temporaries, on the CPU.
    fn update_in_place(&self, weight: &Var, update: Update, grad: &Tensor) -> Result<()> {
        let [first, second] = &self.moments;
        first.inplace_op2(grad, &Elementwise(update.first_moment()))?;
        second.inplace_op2(grad, &Elementwise(update.second_moment()))?;
        weight.inplace_op3(first, second, &Elementwise(update.weight()))?;
        match &self.average {
            Some(average) => average.inplace_op2(weight, &Elementwise(update.average())),
            None => Ok(()),
        }
    }

    /// The specification, in plain candle operations, for every other device.
    fn update_composed(&self, weight: &Var, update: Update, grad: &Tensor) -> Result<()> {
        let [first, second] = &self.moments;
        let grad = (grad * update.gradient_scale)?;
        first.set(&((first.as_tensor() * BETA1)? + (&grad * (1.0 - BETA1))?)?)?;
        let decayed = (second.as_tensor() * BETA2)?;
        second.set(&match update.optimizer {
            Optimizer::Adam | Optimizer::Muon => (decayed + (grad.sqr()? * (1.0 - BETA2))?)?,
            Optimizer::Adamax => decayed.maximum(&grad.abs()?)?,
        })?;
        let scale = match update.optimizer {
            Optimizer::Adam | Optimizer::Muon => {
                (second.as_tensor() * update.second_correction())?.sqrt()?
            }
            Optimizer::Adamax => second.as_detached_tensor(),
        };
        let change = ((first.as_tensor() * update.rate())? / (scale + EPSILON)?)?;
        let kept = (weight.as_tensor() * update.kept())?;
        weight.set(&(kept - change)?)?;
        self.follow(weight, update)
    }
}

impl Update {
    /// Updates every parameter that has a gradient, with its average and moments in `store`.
    pub(super) fn apply<S: StateStore>(
        self,
        grads: &Gradients,
        store: &mut S,
    ) -> std::result::Result<(), S::Error> {
        for (name, weight, grad) in grads.iter() {
            let is_matrix = self.optimizer == Optimizer::Muon && grads.is_hidden(name);
            store.with(name, weight, self.average_decay > 0.0, |state| {
                if is_matrix {
                    state.update_matrix(weight, self, grad)
                } else if is_host(weight.device()) && weight.dtype() == DType::F32 {
                    state.update_in_place(weight, self, &grad.contiguous()?)
                } else {
                    state.update_composed(weight, self, grad)
                }
            })?;
        }
        Ok(())
    }

    /// m ← β₁·m + (1 − β₁)·g
    fn first_moment(self) -> impl Fn(f32, [f32; 1]) -> f32 {
        let scale = ((1.0 - BETA1) * self.gradient_scale) as f32;
        move |m, [g]| BETA1 as f32 * m + scale * g
    }

    /// Adam: v ← β₂·v + (1 − β₂)·g²; Adamax: u ← max(β₂·u, |g|)
    fn second_moment(self) -> impl Fn(f32, [f32; 1]) -> f32 {
        let scale = self.gradient_scale as f32;
        let beta2 = BETA2 as f32;
        move |v, [g]| {
            let g = scale * g;
            match self.optimizer {
                Optimizer::Adam | Optimizer::Muon => beta2 * v + (1.0 - BETA2) as f32 * g * g,
                Optimizer::Adamax => (beta2 * v).max(g.abs()),
            }
        }
    }

    /// Adam: w ← k·w − lr·m̂ / (√v̂ + ε); Adamax: w ← k·w − lr·m̂ / (u + ε); k = 1 − lr·decay
    fn weight(self) -> impl Fn(f32, [f32; 2]) -> f32 {
        let (rate, correction) = (self.rate() as f32, self.second_correction() as f32);
        let kept = self.kept() as f32;
        move |w, [m, v]| match self.optimizer {
            Optimizer::Adam | Optimizer::Muon => {
                kept * w - rate * m / ((v * correction).sqrt() + EPSILON as f32)
            }
            Optimizer::Adamax => kept * w - rate * m / (v + EPSILON as f32),
        }
    }

    /// The share of a weight that its decay leaves.
    fn kept(self) -> f64 {
        1.0 - self.learning_rate * self.weight_decay
    }

    /// The learning rate, corrected for the first moment's start at zero.
    fn rate(self) -> f64 {
        self.learning_rate / (1.0 - BETA1.powf((self.step + 1) as f64))
    }

    /// Correction of Adam's second moment for its start at zero.
    fn second_correction(self) -> f64 {
        1.0 / (1.0 - BETA2.powf((self.step + 1) as f64))
    }

    /// a ← a + (1 − d)·(w − a)
    fn average(self) -> impl Fn(f32, [f32; 1]) -> f32 {
        let share = (1.0 - self.average_decay) as f32;
        move |a, [w]| a + share * (w - a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Init, ParamStore};
    use crate::train::{LossGradient, MemoryStore, Optimization, Steps};
    use crate::{check, random, transfer};
    use candle_core::Device;

    #[test]
    fn both_forms_take_the_same_steps() {
        let normal = |seed| random::normal(seed, 50, DType::F32, &Device::Cpu).unwrap();
        for optimizer in [Optimizer::Adam, Optimizer::Adamax, Optimizer::Muon] {
            let fresh = || {
                let zeros = || Var::zeros(50, DType::F32, &Device::Cpu).unwrap();
                let state = ParameterState {
                    average: Some(zeros()),
                    moments: [zeros(), zeros()],
                };
                (Var::from_tensor(&normal(0)).unwrap(), state)
            };
            let [fused, composed] = [fresh(), fresh()];
            for step in 0..5 {
                let update = Update {
                    optimizer,
                    step,
                    learning_rate: 0.1,
                    weight_decay: 0.2,
                    gradient_scale: 0.7,
                    average_decay: 0.9,
                };
                let grad = normal(step + 1);
                let (weight, state) = &fused;
                state.update_in_place(weight, update, &grad).unwrap();
                let (weight, state) = &composed;
                state.update_composed(weight, update, &grad).unwrap();
            }
            let numbers = |(weight, state): (Var, ParameterState)| {
                let [first, second] = state.moments;
                [weight, state.average.unwrap(), first, second]
            };
            for (fused, composed) in numbers(fused).iter().zip(&numbers(composed)) {
                check::close(fused, composed, 1e-6).unwrap();
            }
        }
    }

    #[test]
    fn muon_moves_weights_of_hidden_layers_as_matrices() {
        let params = ParamStore::new(0);
        let builder = params.builder(DType::F32, &Device::Cpu);
        let (shape, std) = ([4, 3, 2], 1.0);
        let hidden = builder.get_with_hints(&shape, "hidden", Init::Hidden { std });
        let other = builder.get_with_hints(&shape, "other", Init::Normal { std });
        let (hidden, other) = (hidden.unwrap(), other.unwrap());
        let before = [hidden.copy().unwrap(), other.copy().unwrap()];
        let slope = random::normal(1, &shape, DType::F32, &Device::Cpu).unwrap();
        let loss = ((&hidden + &other).unwrap() * &slope).unwrap();
        let loss = loss.sum_all().unwrap();
        let settings = Optimization {
            optimizer: Optimizer::Muon,
            ..Optimization::default()
        };
        let gradient = LossGradient::of(&loss, &params).unwrap();
        let mut store = MemoryStore::default();
        Steps::default()
            .take(&gradient, 0.1, &settings, &mut store)
            .unwrap();
        // The longer side of the matrix `[4, 6]` is 6; a first step of Adam is of the rate itself.
        let size = 0.1 * MUON_SIZE * 6_f64.sqrt();
        let steps = [
            (orthogonal(&slope).unwrap() * size).unwrap(),
            (slope.sign().unwrap() * 0.1).unwrap(),
        ];
        for ((after, before), step) in [hidden, other].iter().zip(&before).zip(&steps) {
            let moved = (before - after).unwrap();
            check::close(&moved, step, 1e-5).unwrap();
        }
    }

    /// As that of a network whose units are all dead: its momentum halves every 14 steps, until its
    /// squares underflow.
    #[test]
    fn a_hidden_layer_without_gradients_comes_to_rest() {
        let params = ParamStore::new(0);
        let builder = params.builder(DType::F32, &Device::Cpu);
        let init = Init::Hidden { std: 1.0 };
        let weight = builder.get_with_hints((4, 6), "weight", init).unwrap();
        let settings = Optimization {
            optimizer: Optimizer::Muon,
            ..Optimization::default()
        };
        let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
        let mut step = |slope: f64| {
            let slopes = (weight.ones_like().unwrap() * slope).unwrap();
            let loss = (&weight * slopes).unwrap().sum_all().unwrap();
            let gradient = LossGradient::of(&loss, &params).unwrap();
            steps.take(&gradient, 0.1, &settings, &mut store).unwrap();
        };
        step(1.0);
        (0..1000).for_each(|_| step(0.0));
        let at_rest = weight.copy().unwrap();
        assert!(
            transfer::numbers(&at_rest)
                .unwrap()
                .iter()
                .all(|w| w.is_finite())
        );
        (0..1000).for_each(|_| step(0.0));
        check::close(&weight, &at_rest, 1e-6).unwrap();
    }
}
