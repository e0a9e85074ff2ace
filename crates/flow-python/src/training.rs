//! A training beside the interpreter, which can end it.
//!
//! A training has a thread of its own. The caller's thread waits, handles signals and passes reports
//! on to Python, since Python handles signals in its main thread alone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::threads::Threads;

/// The longest time between two looks at signals.
const LOOK: Duration = Duration::from_millis(50);

/// The end of a training that reports to the interpreter and takes its answers.
pub(crate) struct Link<R> {
    interrupt: Arc<AtomicBool>,
    reports: SyncSender<R>,
    answers: Receiver<ControlFlow<()>>,
}

impl<R> Link<R> {
    /// A flag that ends the training before its next step.
    pub(crate) fn interrupt(&self) -> Arc<AtomicBool> {
        self.interrupt.clone()
    }

    /// The answer to a report: to go on or to end.
    pub(crate) fn report(&self, report: R) -> ControlFlow<()> {
        match self.reports.send(report) {
            Ok(()) => self.answers.recv().unwrap_or(ControlFlow::Break(())),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The result of `train`; `answer` is called in this thread with its reports, and ends it when it
/// is true.
///
/// # Errors
/// The exception of a signal or of `answer`.
pub(crate) fn beside<T: Send, R: Send>(
    py: Python<'_>,
    train: impl FnOnce(&Link<R>) -> T + Send,
    mut answer: impl FnMut(Python<'_>, R) -> PyResult<bool> + Send,
) -> PyResult<T> {
    let threads = Threads::of(py)?;
    let interrupt = Arc::new(AtomicBool::new(false));
    let (reports, received) = sync_channel(0);
    let (answered, answers) = sync_channel(0);
    let link = Link {
        interrupt: interrupt.clone(),
        reports,
        answers,
    };
    let (result, exception) = py.detach(move || {
        thread::scope(|scope| {
            // The training owns the link: when it ends, there are no more reports.
            let training = scope.spawn(move || threads.run(move || train(&link)));
            let mut exception = None;
            loop {
                let report = match received.recv_timeout(LOOK) {
                    Ok(report) => Some(report),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                let waits = report.is_some();
                let ends = Python::attach(|py| {
                    py.check_signals()?;
                    report.map_or(Ok(false), |report| answer(py, report))
                });
                let ends = ends.unwrap_or_else(|error| {
                    interrupt.store(true, Ordering::Relaxed);
                    exception.get_or_insert(error);
                    true
                });
                let flow = if ends {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                };
                if waits && answered.send(flow).is_err() {
                    break;
                }
            }
            (training.join(), exception)
        })
    });
    match (result, exception) {
        (_, Some(exception)) => Err(exception),
        (Ok(result), None) => Ok(result),
        (Err(_), None) => Err(PyRuntimeError::new_err("the training panicked")),
    }
}
