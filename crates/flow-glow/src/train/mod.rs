//! Training: objective, optimiser, schedule, moving average, and the trainer that holds them.

mod optimizer;
mod settings;
mod trainer;

pub use optimizer::Optimizer;
pub use settings::{Progress, TrainSettings};
pub use trainer::{StepReport, Trainer};
