//! Numbers of `flow eval`, `verify`, `density` and `outliers` about a model, sound or spoiled, by
//! the real binary.

mod eval;
mod outliers;
mod verify;

use serde_json::Value;

use crate::sandbox::{Sandbox, with_tensor};

const MODEL: &str = "run/model.safetensors";

const SETTINGS: &str =
    "--max-steps 20 --levels 1 --steps 2 --width 8 --batch-size 32 --eval-images 20";

impl Sandbox {
    /// A folder with a model that has learned for a while.
    fn with_learned() -> Self {
        Self::trained(SETTINGS)
    }

    /// The same with classes.
    fn with_learned_classes() -> Self {
        Self::trained(&format!("{SETTINGS} --classes"))
    }

    /// JSON of a command, and its one error line if it must fail with status 1.
    #[track_caller]
    fn json_and_error(&self, words: &str) -> (Value, Option<String>) {
        let report = self.run(words);
        let error = match report.status {
            Some(0) => {
                assert!(!report.stderr.contains("error: "), "{report:#?}");
                None
            }
            _ => Some(report.failed()),
        };
        (serde_json::from_str(&report.stdout).unwrap(), error)
    }

    /// Writes the model to `name` with another `tensor`.
    fn spoil(&self, name: &str, tensor: &str, change: impl FnOnce(&mut [f32])) {
        self.write(name, with_tensor(&self.read(MODEL), tensor, change));
    }
}
