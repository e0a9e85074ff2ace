//! Settings of a fit.

use super::{Memory, Optimization};
use crate::Result;
use candle_core::bail;

/// Settings of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitSettings {
    /// Samples of a step.
    pub batch_size: usize,
    /// At most so many passes over the data.
    pub epochs: usize,
    /// At most so many steps.
    pub max_steps: usize,
    /// Settings of a step. With an average, epochs are compared by it and the fit ends with it.
    pub optimization: Optimization,
    /// Residuals that a step keeps of the forward pass.
    pub memory: Memory,
    /// The share of the data that is held out, in 0..1, drawn at random.
    pub validation: f64,
    /// After so many epochs without a better one training ends.
    pub patience: usize,
    /// Ends with the weights of the best epoch, and not with those of the last.
    pub keep_best: bool,
    /// True if what depends on data, as ActNorm's statistics, is first set from a batch.
    pub initialize: bool,
    /// Seeds the choice of what is held out, and shuffling.
    pub seed: u64,
}

impl Default for FitSettings {
    /// Adam at 10⁻³ along a cosine, batches of 256, at most 100 epochs; a tenth is held out, and ten epochs
    /// without a better one end it.
    fn default() -> Self {
        Self {
            batch_size: 256,
            epochs: 100,
            max_steps: usize::MAX,
            optimization: Optimization::default(),
            memory: Memory::default(),
            validation: 0.1,
            patience: 10,
            keep_best: true,
            initialize: true,
            seed: 0,
        }
    }
}

impl FitSettings {
    /// # Errors
    /// If a setting cannot be: names it and its value.
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
        if !(0.0..1.0).contains(&self.validation) {
            bail!(
                "training: validation, the share that is held out, must lie in 0..1, not {}",
                self.validation
            );
        }
        Ok(())
    }
}
