//! Trainings that are killed, interrupted, starved of disk, driven to divergence, started twice,
//! resumed on other data or begun with the weights of another: the real binary, on a small data
//! set, again and again.

mod faults;
mod fine_tuning;
mod kept;
mod limits;
mod lock;
mod other_images;
mod refused;
mod resume;
mod rollback;

use crate::sandbox::Sandbox;

/// The smallest model, and 24 batches an epoch.
pub(crate) const TINY: &str =
    "--levels 1 --steps 1 --width 8 --dequantization uniform --batch-size 16";

/// Saves the training after every step.
pub(crate) const EACH_STEP: &str = "--save-interval 1ns";

impl Sandbox {
    /// Bits per dimension of the test images of a data folder under the model of a checkpoint.
    #[track_caller]
    fn bits_per_dim(&self, checkpoint: &str, data: &str) -> f64 {
        let eval = format!("eval --json --checkpoint {checkpoint} --data-dir {data}");
        self.json(&eval)["bits_per_dim"].as_f64().unwrap()
    }

    /// Fails unless what lies at `checkpoint` is whole and its model gives finite likelihoods.
    #[track_caller]
    fn assert_usable(&self, checkpoint: &str) {
        assert!(self.bits_per_dim(checkpoint, "data").is_finite());
    }
}
