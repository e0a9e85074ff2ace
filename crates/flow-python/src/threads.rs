//! Threads of a process, also of one that was forked.
//!
//! rayon's global pool does its work until another number of threads is asked for. Its threads do
//! not live on in a forked process, where whoever waits for them waits for ever. So a forked process
//! makes a pool of its own at its first call.

use std::mem;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors;

/// The largest number of threads.
const MOST: usize = 1024;

/// Locked while the interpreter is held only. So no other thread has it when a process forks.
static STATE: Mutex<State> = Mutex::new(State {
    importer: 0,
    threads: None,
    pool: None,
});

struct State {
    /// The process that imported the package, in which the global pool lives.
    importer: u32,
    /// The number of threads that was asked for.
    threads: Option<usize>,
    /// A pool, and the process in which its threads live.
    pool: Option<(u32, Arc<ThreadPool>)>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn remember_process() {
    state().importer = process::id();
}

/// The threads that work for the caller: a pool, or the global one.
pub(crate) struct Threads(Option<Arc<ThreadPool>>);

impl Threads {
    /// Those of this process.
    pub(crate) fn of(_: Python<'_>) -> PyResult<Self> {
        let (mut state, process) = (state(), process::id());
        if state.threads.is_none() && state.importer == process {
            return Ok(Self(None));
        }
        if let Some((of, pool)) = &state.pool
            && *of == process
        {
            return Ok(Self(Some(pool.clone())));
        }
        let pool = ThreadPoolBuilder::new().num_threads(state.threads.unwrap_or_default());
        let pool = Arc::new(pool.build().map_err(errors::value)?);
        // Ending the pool of a parent process would wait for threads that are not here.
        mem::forget(state.pool.replace((process, pool.clone())));
        Ok(Self(Some(pool)))
    }

    /// The result of `work`, whose parallel parts these threads do.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// The result of `work` on the threads of this process, without the interpreter.
pub(crate) fn outside<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let threads = Threads::of(py)?;
    Ok(py.detach(|| threads.run(work)))
}

/// The number of threads that work for this process.
#[pyfunction]
pub(crate) fn get_num_threads(py: Python<'_>) -> PyResult<usize> {
    let Threads(pool) = Threads::of(py)?;
    Ok(pool.map_or_else(rayon::current_num_threads, |pool| {
        pool.current_num_threads()
    }))
}

/// Sets the number of threads that work for this process.
#[pyfunction]
pub(crate) fn set_num_threads(number: usize) -> PyResult<()> {
    if !(1..=MOST).contains(&number) {
        let message = format!("the number of threads must be from 1 to {MOST}, not {number}");
        return Err(PyValueError::new_err(message));
    }
    let mut state = state();
    if state.threads != Some(number) {
        state.threads = Some(number);
        // Calls at hand keep theirs.
        match state.pool.take() {
            Some((of, pool)) if of != process::id() => mem::forget(pool),
            _ => {}
        }
    }
    Ok(())
}
