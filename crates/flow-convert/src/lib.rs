//! Checkpoints of other programs' Glows, read exactly and written back.
//!
//! [`read`] imports a model from a file of another program, of PyTorch or of safetensors.
//! [`export`] writes one of this project for another program. [`Program`] lists the programs that
//! are read, [`Peer`](flow_glow::Peer) those that are written for. Code in a file is never run.
//!
//! Reading order: [`state_dict`] reads named tensors from untrusted files; `choice` finds the model
//! among them; `dialects` has the names and forms of each program; `parameters` and `matrix` hold
//! what they share.
//!
//! ```
//! # let work = tempfile::tempdir()?;
//! # let [checkpoint, back] = ["model", "back"].map(|name| work.path().join(name));
//! use std::path::Path;
//!
//! use flow_convert::Facts;
//! use flow_glow::{Checkpoint, Peer};
//!
//! // A state dict of nflows does not tell the size of its images.
//! let facts = Facts { size: Some([8, 8]), ..Facts::default() };
//! let file = Path::new("../../assets/reference/nflows-gain.pt");
//! let found = flow_convert::read(file, None, &facts)?;
//! assert_eq!(found.program.as_str(), "nflows");
//! Checkpoint::save(&checkpoint, &found.config, "unknown", found.parameters)?;
//!
//! let model = Checkpoint::load(&checkpoint, &candle_core::Device::Cpu)?;
//! flow_convert::export(&model, Peer::Nflows)?.save(&back)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choice;
mod dialects;
mod error;
mod export;
mod facts;
mod fold;
mod import;
mod matrix;
mod parameters;
mod program;
mod source;
pub mod state_dict;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use export::{Export, export};
pub use facts::Facts;
pub use import::{Import, read};
pub use program::Program;
