//! Training: objective, gradient, state in memory and in files, and the trainer that owns them.

mod all_reduce;
mod batch;
mod by_inversion;
mod fault;
mod objective;
mod optimizer_state;
mod origin;
pub mod ranks;
mod resume;
mod settings;
mod shard;
mod state;
mod together;
mod trainer;

pub use all_reduce::AllReduce;
pub use fault::Fault;
pub use origin::Origin;
pub(crate) use resume::ResumeRecord;
pub use settings::{Progress, TrainSettings, UnsoundInversion};
pub use shard::Shard;
pub use trainer::{BatchGradient, StepReport, Trainer};
