//! Memory for activations and sums, reused from step to step.
//!
//! Successive training steps use the same large buffers. The allocator would return them to the
//! system in between, and every page would fault again. Buffers stay with the process instead: at
//! most its peak of each size.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{LazyLock, Mutex};

static FREE: LazyLock<Mutex<HashMap<usize, Vec<Vec<f32>>>>> = LazyLock::new(Mutex::default);

/// Alignment of a buffer: the start of a cache line, which no vector then crosses.
const ALIGNMENT: usize = 64;

/// Numbers of unspecified value; the buffer returns to the pool when dropped.
pub(super) struct Buffer {
    data: Vec<f32>,
    range: Range<usize>,
}

impl Buffer {
    /// `len` numbers: zeros, or left from an earlier use.
    pub(super) fn take(len: usize) -> Self {
        let free = FREE
            .lock()
            .expect("no panic happens under this lock")
            .get_mut(&len)
            .and_then(Vec::pop);
        let data = free.unwrap_or_else(|| vec![0.0; len + ALIGNMENT / size_of::<f32>()]);
        let start = data.as_ptr().align_offset(ALIGNMENT);
        Self {
            range: start..start + len,
            data,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        if let Ok(mut free) = FREE.lock() {
            free.entry(self.range.len()).or_default().push(data);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.range.clone()]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.range.clone()]
    }
}
