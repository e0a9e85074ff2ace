//! Notes of a model: the columns of its table, and how well it fits.

use anyhow::{Result, ensure};
use flow_analysis::mixtures::Baselines;
use flow_core::Model;
use flow_table::Schema;
use serde::{Deserialize, Serialize};

use crate::output::words::count;

/// Quantiles of ln p that are kept at most.
const QUANTILES: usize = 1001;

/// The notes of a model of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableRecord {
    /// The columns.
    pub(super) schema: Schema,
    /// The table as it was named.
    pub(super) table: String,
    /// The name of the recipe.
    pub(super) recipe: String,
    /// Rows that the flow was fitted to.
    pub(super) rows: usize,
    /// Epochs of the fit, and the best of them.
    pub(super) epochs: usize,
    pub(super) best_epoch: usize,
    /// Seed of weights, noise, batches and test rows.
    pub(super) seed: u64,
    /// Rows that took no part in it; unknown if the model comes from Python.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) test: Option<TestRows>,
}

/// ln p of rows that took no part in a fit, in nats.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRows {
    pub(super) rows: usize,
    pub(super) log_prob: f64,
    pub(super) standard_error: f64,
    /// Mean ln p under a Gaussian, and under a mixture of so many.
    pub(super) gaussian: Option<f64>,
    pub(super) mixture: Option<f64>,
    pub(super) components: Option<usize>,
    /// Quantiles of ln p, evenly spaced from the least to the greatest.
    pub(super) quantiles: Vec<f64>,
}

impl TableRecord {
    /// The notes of a model.
    ///
    /// # Errors
    /// If it has none of this form, or they do not fit its flow.
    pub(super) fn of(model: &Model) -> Result<Self> {
        let record: Self = serde_json::from_value(model.notes.clone())?;
        let (columns, features) = (record.schema.columns.len(), model.architecture().features);
        ensure!(
            columns == features,
            "{columns} columns for {features} numbers"
        );
        let context = model.architecture().context.as_ref();
        let (known, given) = (
            record.schema.context_size(),
            context.map_or(0, |map| map.size),
        );
        ensure!(known == given, "{known} given numbers instead of {given}");
        Ok(record)
    }
}

impl TestRows {
    /// Of ln p of each row, one or more, all of them finite.
    pub(super) fn of(mut log_prob: Vec<f64>, baselines: Option<Baselines>) -> Self {
        let (mean, standard_error) = mean(&log_prob);
        log_prob.sort_by(f64::total_cmp);
        let last = log_prob.len() - 1;
        let count = log_prob.len().min(QUANTILES);
        let quantile = |i: usize| log_prob[i * last / (count - 1).max(1)];
        Self {
            rows: log_prob.len(),
            log_prob: mean,
            standard_error,
            gaussian: baselines.map(|found| found.gaussian),
            mixture: baselines.map(|found| found.mixture),
            components: baselines.map(|found| found.components),
            quantiles: (0..count).map(quantile).collect(),
        }
    }

    /// Their mean ln p in words.
    pub(super) fn summary(&self) -> String {
        format!(
            "{:.4} ± {:.4} nats, mean of {}",
            self.log_prob,
            self.standard_error,
            count(self.rows, "test row")
        )
    }

    /// Mean ln p under Gaussians in words, with their names.
    pub(super) fn baselines(&self) -> Vec<(&'static str, String)> {
        let (Some(gaussian), Some(mixture), Some(components)) =
            (self.gaussian, self.mixture, self.components)
        else {
            return Vec::new();
        };
        let of = count(components, "Gaussian");
        vec![
            ("a Gaussian", format!("{gaussian:.4}")),
            ("a mixture", format!("{mixture:.4}, of {of}")),
        ]
    }

    /// The share of the rows that are less likely.
    pub(super) fn share_below(&self, log_prob: f64) -> f64 {
        let below = self
            .quantiles
            .partition_point(|&quantile| quantile < log_prob);
        below as f64 / self.quantiles.len().max(1) as f64
    }
}

/// The mean and its standard error, which is 0 for one number.
pub(super) fn mean(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares = numbers.iter().map(|number| (number - mean).powi(2));
    let variance = squares.sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}
