//! Memory of the process.

use anyhow::Result;

/// The peak memory of the process in MiB, where the system reports it.
#[cfg(unix)]
pub(crate) fn peak_mb() -> Result<Option<u64>> {
    use nix::sys::resource::{UsageWho, getrusage};
    let peak = getrusage(UsageWho::RUSAGE_SELF)?.max_rss().unsigned_abs();
    // macOS counts bytes, others kibibytes.
    let shift = if cfg!(target_os = "macos") { 20 } else { 10 };
    Ok(Some(peak >> shift))
}

#[cfg(not(unix))]
pub(crate) fn peak_mb() -> Result<Option<u64>> {
    Ok(None)
}
