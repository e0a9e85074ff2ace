//! Training: objective, optimiser, schedule, moving average, the guard over them, and the trainer that
//! holds them.

mod batch;
mod by_inversion;
mod companions;
mod exchange;
mod fault;
mod guard;
mod objective;
mod origin;
mod portion;
pub mod ranks;
mod resume;
mod settings;
mod state;
mod together;
mod trainer;

pub use by_inversion::Inversion;
pub use exchange::Exchange;
pub use fault::Fault;
pub use guard::Divergence;
pub use origin::Origin;
pub use portion::Portion;
pub(crate) use resume::ResumeRecord;
pub use settings::{Memory, Progress, TrainSettings, UnsoundInversion};
pub use trainer::{BatchGradient, StepReport, Trainer};
