//! Integration tests of the model, its training and its checkpoints.

#![allow(clippy::unwrap_used)]

mod checkpoint_input;
mod conventions;
mod doors;
mod far;
mod finite;
mod independence;
mod model;
mod peer;
mod settings_json;
mod training;
mod transfers;
mod verify;
