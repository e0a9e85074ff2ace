//! Work that takes seconds: it runs beside the engine, tells how far it is, and its result is kept.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Result, anyhow};
use rayon::ThreadPoolBuilder;

/// Results that are kept; the oldest goes first.
const KEPT: usize = 128;

/// Tasks that are begun and not done, at most.
const BEGUN: usize = 16;

/// The state of a task.
pub(super) enum State<T> {
    /// The share that is done.
    Running(f64),
    Done(Arc<T>),
}

/// Tasks by name.
pub(super) struct Tasks<T> {
    known: Arc<Mutex<Known<T>>>,
    /// Held by the task that runs, so that one runs at a time.
    turn: Arc<Mutex<()>>,
}

struct Known<T> {
    tasks: HashMap<String, Task<T>>,
    begun: u64,
}

struct Task<T> {
    number: u64,
    progress: Arc<AtomicU64>,
    result: Option<Result<Arc<T>, String>>,
}

impl<T: Send + Sync + 'static> Tasks<T> {
    pub(super) fn new(turn: Arc<Mutex<()>>) -> Self {
        let known = Known {
            tasks: HashMap::new(),
            begun: 0,
        };
        Self {
            known: Arc::new(Mutex::new(known)),
            turn,
        }
    }

    /// The state of the task `name`. Unless it has begun before, it begins with the work that
    /// `prepare` gives, which gets a function to report the share that is done. Only the engine
    /// begins tasks, so none begins twice.
    ///
    /// # Errors
    /// If it has failed, `prepare` fails, or too many tasks wait.
    pub(super) fn get<W>(&self, name: &str, prepare: impl FnOnce() -> Result<W>) -> Result<State<T>>
    where
        W: FnOnce(&dyn Fn(f64)) -> Result<T> + Send + 'static,
    {
        if let Some(task) = lock(&self.known).tasks.get(name) {
            return match &task.result {
                None => Ok(State::Running(share(&task.progress))),
                Some(Ok(result)) => Ok(State::Done(result.clone())),
                Some(Err(reason)) => Err(anyhow!("{reason}")),
            };
        }
        let work = prepare()?;
        let progress = lock(&self.known).begin(name)?;
        let (all, turn, name) = (self.known.clone(), self.turn.clone(), name.to_owned());
        thread::spawn(move || {
            let held = lock(&turn);
            let result =
                alone(|| work(&|share: f64| progress.store(share.to_bits(), Ordering::Relaxed)));
            drop(held);
            if let Some(task) = lock(&all).tasks.get_mut(&name) {
                task.result = Some(result.map(Arc::new).map_err(|error| format!("{error:#}")));
            }
        });
        Ok(State::Running(0.0))
    }
}

impl<T> Known<T> {
    fn begin(&mut self, name: &str) -> Result<Arc<AtomicU64>> {
        let running = self.tasks.values().filter(|task| task.result.is_none());
        if running.count() >= BEGUN {
            return Err(anyhow!("too much is being measured; try again in a moment"));
        }
        let done = self.tasks.iter().filter(|(_, task)| task.result.is_some());
        let oldest = done.min_by_key(|(_, task)| task.number);
        let oldest = oldest.map(|(name, _)| name.clone());
        if self.tasks.len() >= KEPT
            && let Some(oldest) = oldest
        {
            self.tasks.remove(&oldest);
        }
        self.begun += 1;
        let progress = Arc::<AtomicU64>::default();
        let task = Task {
            number: self.begun,
            progress: progress.clone(),
            result: None,
        };
        self.tasks.insert(name.to_owned(), task);
        Ok(progress)
    }
}

/// Does `work` on one thread, which leaves the other processors to the engine.
fn alone<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
    let result = catch_unwind(AssertUnwindSafe(|| pool.install(work)));
    result.unwrap_or_else(|_| Err(anyhow!("the program failed; its terminal says more")))
}

fn share(progress: &AtomicU64) -> f64 {
    f64::from_bits(progress.load(Ordering::Relaxed))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
