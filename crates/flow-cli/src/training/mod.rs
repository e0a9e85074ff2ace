//! The parts of a training run that `flow train` puts together.

mod conflicts;
pub(crate) mod course;
mod divergence;
mod events;
mod folder;
mod follower;
mod images;
mod interrupt;
mod limits;
mod metrics;
mod notes;
mod options;
mod order;
mod progress_bar;
mod results;
mod session;
mod settings;

pub(crate) use conflicts::{check_form, resumed_settings};
pub(crate) use events::EventLog;
pub(crate) use folder::RunFolder;
pub(crate) use follower::Follower;
pub(crate) use images::Images;
pub(crate) use interrupt::Interrupt;
pub(crate) use limits::{DEFAULT_EPOCHS, Limits};
pub(crate) use metrics::{Journal, MetricsLog, Record, current_epoch};
pub(crate) use notes::Notes;
pub(crate) use session::{Outcome, Session};
pub(crate) use settings::{
    EXP_TANH, canvas, check_peer, config, config_from, config_of, default_canvas, settings,
    settings_from, shape,
};
