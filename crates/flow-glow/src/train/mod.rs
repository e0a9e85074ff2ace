//! Training: objective, optimiser, schedule, moving average, the guard over them, and the trainer that
//! holds them.

mod batch;
mod by_inversion;
mod guard;
mod resume;
mod settings;
mod state;
mod trainer;

pub use by_inversion::Inversion;
pub use guard::Divergence;
pub(crate) use resume::ResumeRecord;
pub use settings::{Memory, Optimizer, Precision, Progress, TrainSettings, UnsoundInversion};
pub use trainer::{BatchGradient, StepReport, Trainer};
