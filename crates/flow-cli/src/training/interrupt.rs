//! Ctrl-C: the first one asks the training to stop in order, the second one stops it.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};

/// The exit status of a process that Ctrl-C ended: 128 + SIGINT.
const KILLED: i32 = 130;

/// Requests to stop the training, by Ctrl-C, SIGTERM or SIGHUP.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen; `what` is at hand when a request comes.
    pub(crate) fn listen(what: &'static str) -> Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let flag = requested.clone();
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                process::exit(KILLED);
            }
            tracing::warn!(
                "stopping after the {what} at hand; Ctrl-C again stops at once and loses what is not saved"
            );
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self(requested))
    }

    /// The flag that a request sets.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// True if the training is to stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
