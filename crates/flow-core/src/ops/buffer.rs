//! Memory for activations, reused from step to step.
//!
//! A training step takes the same large buffers as the one before it. The allocator would return
//! them to the system in between, and every page would fault in again. What was taken once stays with
//! the process: no more than its peak, in as many sizes as it asked for.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex};

static FREE: LazyLock<Mutex<HashMap<usize, Vec<Vec<f32>>>>> = LazyLock::new(Mutex::default);

/// Numbers of unspecified value; goes back to the pool when dropped.
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` numbers, left from an earlier use or zero.
    pub(super) fn take(len: usize) -> Self {
        let free = FREE
            .lock()
            .expect("no panic happens under this lock")
            .get_mut(&len)
            .and_then(Vec::pop);
        Self(free.unwrap_or_else(|| vec![0.0; len]))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.0);
        if let Ok(mut free) = FREE.lock() {
            free.entry(data.len()).or_default().push(data);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}
