//! Training: objective, optimiser, schedule, moving average, the guard over them, and the trainer that
//! holds them.

mod batch;
mod by_inversion;
mod companions;
mod exchange;
mod guard;
mod objective;
mod portion;
pub mod ranks;
mod resume;
mod settings;
mod state;
mod together;
mod trainer;

pub use by_inversion::Inversion;
pub use exchange::Exchange;
pub use guard::Divergence;
pub use portion::Portion;
pub(crate) use resume::ResumeRecord;
pub use settings::{Memory, Optimizer, Precision, Progress, TrainSettings, UnsoundInversion};
pub use trainer::{BatchGradient, StepReport, Trainer};
