//! Settings of a fit.

use super::{Data, Memory, Optimization};
use crate::Result;
use candle_core::bail;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held-out data, by which epochs are compared.
#[derive(Clone, Debug)]
pub enum Validation {
    /// A share of the data, in 0..1, drawn at random. With 0, nothing is held out.
    Share(f64),
    /// Other samples, and their contexts.
    Samples(Data),
}

/// Settings of a fit.
#[derive(Clone, Debug)]
pub struct FitSettings {
    /// Samples per step.
    pub batch_size: usize,
    /// Largest number of passes over the data.
    pub epochs: usize,
    /// Largest number of steps.
    pub max_steps: usize,
    /// Settings of a step. With an average, it is what epochs are compared by and what the fit ends
    /// with.
    pub optimization: Optimization,
    /// Residuals that a step keeps of the forward pass.
    pub memory: Memory,
    /// Held-out data.
    pub validation: Validation,
    /// Epochs without improvement after which training ends.
    pub patience: usize,
    /// Ends with the weights of the best epoch instead of the last.
    pub keep_best: bool,
    /// Initialises data-dependent parameters, such as ActNorm's statistics, from a batch first.
    pub initialize: bool,
    /// Seeds the choice of held-out data, shuffling, and dropout.
    pub seed: u64,
    /// A flag that ends the training before the next step when another thread sets it. Going on
    /// begins the interrupted epoch again. It is an error if no epoch was completed.
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl Default for FitSettings {
    /// Adam at 10⁻³ along a cosine, batches of 256, at most 100 epochs. A tenth is held out, and
    /// ten epochs without improvement end the training.
    fn default() -> Self {
        Self {
            batch_size: 256,
            epochs: 100,
            max_steps: usize::MAX,
            optimization: Optimization::default(),
            memory: Memory::default(),
            validation: Validation::Share(0.1),
            patience: 10,
            keep_best: true,
            initialize: true,
            seed: 0,
            interrupt: None,
        }
    }
}

impl FitSettings {
    /// True if the training is to end before the next step.
    pub(super) fn interrupted(&self) -> bool {
        let flag = self.interrupt.as_ref();
        flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// # Errors
    /// If a setting is invalid; the error names it and its value.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("batch_size", self.batch_size),
            ("epochs", self.epochs),
            ("max_steps", self.max_steps),
            ("patience", self.patience),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            bail!("training: {name} must be at least 1, not 0");
        }
        self.optimization.check()?;
        match &self.validation {
            Validation::Share(share) if !(0.0..1.0).contains(share) => {
                bail!("training: validation must lie in 0..1, not {share}")
            }
            Validation::Share(_) => Ok(()),
            Validation::Samples(data) => data.check(),
        }
    }
}
