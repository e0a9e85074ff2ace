//! The command line of flow: train, evaluate and sample normalizing flows.
//!
//! Reading order: [`cli`] (what can be typed), [`commands`] (what it does, one file a command),
//! [`training`] (the parts of a training run). Results go to stdout, everything else to stderr.

mod animation;
mod attribute;
mod classes;
mod cli;
mod clustering;
mod collection;
mod commands;
mod console;
mod curve;
mod data;
mod device;
mod draw;
mod event_file;
mod exact;
mod files;
mod image_files;
mod image_grid;
mod measure;
mod memory;
mod picture_file;
mod plot;
mod pretrained;
mod ranks;
mod records;
mod report;
mod select;
mod tensors;
mod tiles;
mod training;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::read();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if report::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}
