//! A progress bar of the training, with averages over the last steps.

use std::time::Duration;

use flow_glow::StepReport;
use indicatif::HumanCount;

use super::current_epoch;
use crate::output::console::Progress;

/// Decay of the averages in a step.
const SMOOTHING: f64 = 0.95;

/// A progress bar with averages over the last steps.
pub(super) struct TrainingBar {
    bar: Progress,
    bits_per_dim: Option<f64>,
    step_seconds: Option<f64>,
}

impl TrainingBar {
    pub(super) fn new(bar: Progress) -> Self {
        Self {
            bar,
            bits_per_dim: None,
            step_seconds: None,
        }
    }

    /// Shows a step on `images` images that took `time` and led to `progress`, a `share` of the
    /// whole.
    pub(super) fn show(
        &mut self,
        report: &StepReport,
        images: usize,
        time: Duration,
        progress: &flow_glow::Progress,
        share: f64,
    ) {
        let bits = smooth(&mut self.bits_per_dim, report.bits_per_dim);
        let speed = images as f64 / smooth(&mut self.step_seconds, time.as_secs_f64());
        let message = format!(
            "epoch {}  step {}  {bits:.3} bits/dim  {speed:.0} images/s",
            current_epoch(progress),
            HumanCount(progress.step)
        );
        self.bar.update(share, &message);
    }
}

fn smooth(average: &mut Option<f64>, value: f64) -> f64 {
    let smoothed = average.map_or(value, |old| SMOOTHING * old + (1.0 - SMOOTHING) * value);
    *average = Some(smoothed);
    smoothed
}
