//! Adam and Adamax with state that can be saved, and the moving average of the weights
//! (Kingma & Ba 2015, arXiv:1412.6980, algorithms 1 and 2; Polyak averaging, section 7.2).

use crate::Gradients;
use crate::device::is_host;
use candle_core::{CpuStorage, DType, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use std::collections::BTreeMap;

/// Which update is made of a gradient.
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
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// First and second moment of each parameter's gradient, by the parameter's name.
#[derive(Default)]
pub struct Moments(BTreeMap<String, [Var; 2]>);

/// One step's numbers.
#[derive(Clone, Copy)]
pub struct Update {
    /// Rule that turns gradients into steps.
    pub optimizer: Optimizer,
    /// Steps taken before this one.
    pub step: u64,
    /// The size of a step, before corrections.
    pub learning_rate: f64,
    /// Factor of the gradients, to clip them.
    pub gradient_scale: f64,
    /// Decay of the average.
    pub average_decay: f64,
}

impl Moments {
    /// Moves every parameter that has a gradient.
    ///
    /// # Errors
    /// If a number of `update` is not one: then nothing moves.
    pub fn update(&mut self, update: Update, grads: &Gradients) -> Result<()> {
        update.check()?;
        for (name, var, grad) in grads.iter() {
            if !self.0.contains_key(name) {
                let zeros = || Var::zeros(var.shape(), var.dtype(), var.device());
                self.0.insert(name.to_owned(), [zeros()?, zeros()?]);
            }
            update.apply(var, grad, &self.0[name], None)?;
        }
        Ok(())
    }
}

/// Tensors of one parameter.
struct State<'a> {
    weight: &'a Var,
    average: Option<&'a Var>,
    moments: &'a [Var; 2],
}

impl State<'_> {
    /// Without temporaries, on the CPU.
    fn update_in_place(&self, update: Update, grad: &Tensor) -> Result<()> {
        let [first, second] = self.moments;
        first.inplace_op2(grad, &Elementwise(update.first_moment()))?;
        second.inplace_op2(grad, &Elementwise(update.second_moment()))?;
        self.weight
            .inplace_op3(first, second, &Elementwise(update.weight()))?;
        match self.average {
            Some(average) => average.inplace_op2(self.weight, &Elementwise(update.average())),
            None => Ok(()),
        }
    }

    /// The specification, in plain candle operations; on every other device.
    fn update_composed(&self, update: Update, grad: &Tensor) -> Result<()> {
        let [first, second] = self.moments;
        let grad = (grad * update.gradient_scale)?;
        first.set(&((first.as_tensor() * BETA1)? + (&grad * (1.0 - BETA1))?)?)?;
        let decayed = (second.as_tensor() * BETA2)?;
        second.set(&match update.optimizer {
            Optimizer::Adam => (decayed + (grad.sqr()? * (1.0 - BETA2))?)?,
            Optimizer::Adamax => decayed.maximum(&grad.abs()?)?,
        })?;
        let scale = match update.optimizer {
            Optimizer::Adam => (second.as_tensor() * update.second_correction())?.sqrt()?,
            Optimizer::Adamax => second.as_detached_tensor(),
        };
        let change = ((first.as_tensor() * update.rate())? / (scale + EPSILON)?)?;
        self.weight.set(&(self.weight.as_tensor() - change)?)?;
        let Some(average) = self.average else {
            return Ok(());
        };
        let change =
            ((self.weight.as_tensor() - average.as_tensor())? * (1.0 - update.average_decay))?;
        average.set(&(average.as_tensor() + change)?)
    }
}

impl Update {
    /// Moves `weight` by its gradient, with its `moments`, and then its `average`, if it has one. All are of one shape.
    pub fn apply(
        self,
        weight: &Var,
        grad: &Tensor,
        moments: &[Var; 2],
        average: Option<&Var>,
    ) -> Result<()> {
        let state = State {
            weight,
            average,
            moments,
        };
        if is_host(weight.device()) && weight.dtype() == DType::F32 {
            state.update_in_place(self, &grad.contiguous()?)
        } else {
            state.update_composed(self, grad)
        }
    }

    /// The step after `step` others, without clipping and without an average.
    pub fn new(optimizer: Optimizer, step: u64, learning_rate: f64) -> Self {
        Self {
            optimizer,
            step,
            learning_rate,
            gradient_scale: 1.0,
            average_decay: 0.0,
        }
    }

    fn check(self) -> Result<()> {
        let numbers = [
            ("learning_rate", self.learning_rate),
            ("gradient_scale", self.gradient_scale),
        ];
        for (name, value) in numbers {
            if !(value >= 0.0 && value.is_finite()) {
                bail!("optimizer: {name} must be finite and not negative, not {value}");
            }
        }
        if !(0.0..=1.0).contains(&self.average_decay) {
            bail!(
                "optimizer: average_decay must lie in 0..=1, not {}",
                self.average_decay
            );
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
                Optimizer::Adam => beta2 * v + (1.0 - BETA2) as f32 * g * g,
                Optimizer::Adamax => (beta2 * v).max(g.abs()),
            }
        }
    }

    /// Adam: w ← w − lr·m̂ / (√v̂ + ε); Adamax: w ← w − lr·m̂ / (u + ε)
    fn weight(self) -> impl Fn(f32, [f32; 2]) -> f32 {
        let (rate, correction) = (self.rate() as f32, self.second_correction() as f32);
        move |w, [m, v]| match self.optimizer {
            Optimizer::Adam => w - rate * m / ((v * correction).sqrt() + EPSILON as f32),
            Optimizer::Adamax => w - rate * m / (v + EPSILON as f32),
        }
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

/// dst ← f(dst, sources), number by number.
struct Elementwise<F>(F);

impl<F> Elementwise<F> {
    fn run<const N: usize>(
        &self,
        (dst, layout): (&mut CpuStorage, &Layout),
        sources: [(&CpuStorage, &Layout); N],
    ) -> Result<()>
    where
        F: Fn(f32, [f32; N]) -> f32,
    {
        let (start, end) = range(layout)?;
        let CpuStorage::F32(dst) = dst else {
            bail!("optimizer: parameters updated in place must be f32");
        };
        let mut operands = [&[][..]; N];
        for (operand, (storage, layout)) in operands.iter_mut().zip(sources) {
            let (start, end) = range(layout)?;
            *operand = &storage.as_slice::<f32>()?[start..end];
        }
        for (i, value) in dst[start..end].iter_mut().enumerate() {
            *value = (self.0)(*value, operands.map(|operand| operand[i]));
        }
        Ok(())
    }
}

impl<F: Fn(f32, [f32; 1]) -> f32> InplaceOp2 for Elementwise<F> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_l: &Layout,
        s: &CpuStorage,
        l: &Layout,
    ) -> Result<()> {
        self.run((dst, dst_l), [(s, l)])
    }
}

impl<F: Fn(f32, [f32; 2]) -> f32> InplaceOp3 for Elementwise<F> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_l: &Layout,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<()> {
        self.run((dst, dst_l), [(s1, l1), (s2, l2)])
    }
}

fn range(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(range) => Ok(range),
        None => bail!("optimizer: parameters and gradients must be contiguous"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check, random};
    use candle_core::Device;

    #[test]
    fn both_forms_take_the_same_steps() {
        let normal = |seed| random::normal(seed, 50, DType::F32, &Device::Cpu).unwrap();
        for optimizer in [Optimizer::Adam, Optimizer::Adamax] {
            let fresh = || {
                let zeros = || Var::zeros(50, DType::F32, &Device::Cpu).unwrap();
                [
                    Var::from_tensor(&normal(0)).unwrap(),
                    zeros(),
                    zeros(),
                    zeros(),
                ]
            };
            let (fused, composed) = (fresh(), fresh());
            for step in 0..5 {
                let update = Update {
                    optimizer,
                    step,
                    learning_rate: 0.1,
                    gradient_scale: 0.7,
                    average_decay: 0.9,
                };
                for ([weight, average, first, second], in_place) in
                    [(&fused, true), (&composed, false)]
                {
                    let moments = [first.clone(), second.clone()];
                    let state = State {
                        weight,
                        average: Some(average),
                        moments: &moments,
                    };
                    let grad = normal(step + 1);
                    let result = if in_place {
                        state.update_in_place(update, &grad)
                    } else {
                        state.update_composed(update, &grad)
                    };
                    result.unwrap();
                }
            }
            for (fused, composed) in fused.iter().zip(&composed) {
                check::close(fused, composed, 1e-6).unwrap();
            }
        }
    }
}
