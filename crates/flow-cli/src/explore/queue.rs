//! Work that waits for the engine.
//!
//! A view has one piece of work at most: a newer one takes the place of an older one, so a slider
//! that is dragged fast ends at its last value. Work is dropped, too, once its client has gone.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use tokio::sync::oneshot;

use super::{engine::Engine, failure::Failure};

/// Pieces of work that wait at most.
const LONGEST: usize = 256;

/// A piece of work.
pub(super) type Work = Box<dyn FnOnce(&mut Engine<'_>) + Send>;

struct Waiting {
    view: Option<String>,
    work: Work,
}

/// Work in the order in which it was asked for.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    arrived: Condvar,
}

impl Queue {
    /// The result of `work` on the engine. Older work of the same `view` that has not begun is
    /// dropped.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        view: Option<String>,
        work: impl FnOnce(&mut Engine<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, answer) = oneshot::channel();
        let work = move |engine: &mut Engine<'_>| {
            if sender.is_closed() {
                return;
            }
            // A panic must not end the program; the engine holds caches alone, which stay whole.
            let result = catch_unwind(AssertUnwindSafe(|| work(engine)));
            // The client may have gone in the meantime.
            let _ = sender.send(result);
        };
        self.push(view, Box::new(work))?;
        match answer.await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) => Err(Failure::failed()),
            Err(_) => Err(Failure::superseded()),
        }
    }

    fn push(&self, view: Option<String>, work: Work) -> Result<(), Failure> {
        let mut waiting = self.waiting();
        if view.is_some() {
            waiting.retain(|older| older.view != view);
        }
        if waiting.len() >= LONGEST {
            return Err(Failure::busy());
        }
        waiting.push_back(Waiting { view, work });
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits until there is work, and leaves it there.
    pub(super) fn wait(&self) {
        let waiting = self
            .arrived
            .wait_while(self.waiting(), |waiting| waiting.is_empty());
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// The oldest piece of work.
    pub(super) fn next(&self) -> Option<Work> {
        self.waiting().pop_front().map(|waiting| waiting.work)
    }

    /// The lock is never poisoned: nothing panics while it is held.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn newer_work_of_a_view_takes_the_place_of_older_work() {
        let queue = Queue::default();
        let push = |view: Option<&str>| {
            let kept = Arc::new(());
            let work = Arc::clone(&kept);
            let work = Box::new(move |_: &mut Engine<'_>| drop(work));
            queue.push(view.map(ToOwned::to_owned), work).unwrap();
            kept
        };
        let pushed = [Some("draw"), Some("mix"), None, Some("draw"), None].map(push);
        let waits = pushed.each_ref().map(|work| Arc::strong_count(work) == 2);
        assert_eq!(waits, [false, true, true, true, true]);
        let waiting = queue.waiting();
        let views = waiting.iter().map(|work| work.view.as_deref());
        let views = views.collect::<Vec<_>>();
        let expected = [Some("mix"), None, Some("draw"), None];
        assert_eq!(views, expected);
    }
}
