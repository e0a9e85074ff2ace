//! The command line of flow: train, evaluate and sample normalizing flows.
//!
//! Reading order: [`cli`] has the options, [`commands`] a file or folder for each command.
//! [`input`] reads, [`output`] writes and shows, [`training`] has the parts of a training run, and
//! [`explore`] serves a page.
//! [`device`] and [`process_group`] open the device and join the processes of a job. Results go to
//! stdout, everything else to stderr.

mod cli;
mod commands;
mod device;
mod explore;
mod input;
mod output;
mod process_group;
mod training;

use std::process::ExitCode;

use output::report;

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
