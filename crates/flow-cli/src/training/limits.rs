//! Limits of a training run, and the share of it that is done.

use std::{fmt, time::Duration};

use flow_glow::Progress;
use serde::{Deserialize, Serialize};

use crate::{cli::LimitArgs, output::words::count};

/// Passes over the training images if no limit is given.
pub(crate) const DEFAULT_EPOCHS: u64 = 12;

/// The limits of a run. The first one reached ends it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    epochs: Option<u64>,
    steps: Option<u64>,
    time: Option<Duration>,
}

impl Limits {
    /// The limits that options set, if they set any.
    pub(crate) fn asked_for(args: &LimitArgs) -> Option<Self> {
        let limits = Self {
            epochs: args.epochs,
            steps: args.max_steps,
            time: args.time_limit,
        };
        let none = limits.epochs.is_none() && limits.steps.is_none() && limits.time.is_none();
        (!none).then_some(limits)
    }

    /// The share of the run that is done, 0 to 1, by the limit that is nearest. An epoch has
    /// `batches` steps.
    pub(crate) fn share(&self, progress: &Progress, batches: u64) -> f64 {
        let epochs = progress.epoch as f64 + progress.batch as f64 / batches as f64;
        let shares = [
            self.epochs.map(|limit| epochs / limit as f64),
            self.steps.map(|limit| progress.step as f64 / limit as f64),
            self.time
                .map(|limit| progress.seconds / limit.as_secs_f64()),
        ];
        shares.into_iter().flatten().fold(0.0, f64::max).min(1.0)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            epochs: Some(DEFAULT_EPOCHS),
            steps: None,
            time: None,
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = [
            self.epochs.map(|epochs| count(epochs as usize, "epoch")),
            self.steps.map(|steps| count(steps as usize, "step")),
            self.time
                .map(|time| humantime::format_duration(time).to_string()),
        ];
        f.write_str(
            &limits
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" or "),
        )
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    fn limits(epochs: Option<u64>, steps: Option<u64>, seconds: Option<u64>) -> Limits {
        Limits::asked_for(&LimitArgs {
            epochs,
            max_steps: steps,
            time_limit: seconds.map(Duration::from_secs),
        })
        .unwrap_or_default()
    }

    fn at(step: u64, epoch: u64, batch: u64, seconds: f64) -> Progress {
        Progress {
            step,
            epoch,
            batch,
            seconds,
            rollbacks: 0,
            halvings: 0.0,
        }
    }

    #[test]
    fn the_nearest_limit_counts() {
        let progress = at(25, 2, 5, 30.0);
        assert_eq!(limits(Some(5), None, None).share(&progress, 10), 0.5);
        assert_eq!(
            limits(Some(5), Some(100), Some(40)).share(&progress, 10),
            0.75
        );
        assert!(limits(Some(5), Some(26), None).share(&progress, 10) < 1.0);
        assert!(limits(Some(5), Some(25), None).share(&progress, 10) >= 1.0);
        assert_eq!(limits(None, Some(5), None).share(&progress, 10), 1.0);
    }

    #[test]
    fn epochs_are_reached_exactly() {
        for batches in [1, 3, 7, 156, 937] {
            for epochs in 1..50 {
                let limits = limits(Some(epochs), None, None);
                assert!(limits.share(&at(0, epochs - 1, batches - 1, 0.0), batches) < 1.0);
                assert!(limits.share(&at(0, epochs, 0, 0.0), batches) >= 1.0);
            }
        }
    }

    #[test]
    fn without_a_limit_there_is_a_default() {
        assert_eq!(
            limits(None, None, None).to_string(),
            format!("{DEFAULT_EPOCHS} epochs")
        );
        assert_eq!(limits(None, Some(3), None).to_string(), "3 steps");
        assert_eq!(limits(Some(1), None, None).to_string(), "1 epoch");
    }
}
