//! Training: objective, optimiser, schedule, moving average, the guard over them, and the trainer that
//! holds them.

mod batch;
mod guard;
mod resume;
mod settings;
mod state;
mod trainer;

pub use guard::Divergence;
pub(crate) use resume::ResumeRecord;
pub use settings::{Optimizer, Precision, Progress, TrainSettings};
pub use trainer::{BatchGradient, StepReport, Trainer};
