//! Watches the memory that a reader takes.

/// What `read` returns.
///
/// # Panics
///
/// If this thread takes more than `limit` bytes at a time.
pub fn within<T>(limit: usize, read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let taken = allocation_counter::measure(|| result = Some(read())).bytes_max;
    assert!(
        taken <= limit as u64,
        "{taken} bytes are more than the {limit} allowed"
    );
    result.expect("it has run")
}
