//! Looks for CUDA's libraries before cudarc panics because they are missing.

use crate::Result;
use candle_core::Error;
use candle_core::cuda_backend::cudarc::{cublas, curand, driver};

/// Errors are without a backtrace: it would follow the line that says what is missing.
///
/// # Errors
/// If the driver, or a library that opening a device needs, cannot be loaded.
#[allow(unsafe_code)]
pub(super) fn check() -> Result<()> {
    // SAFETY: these load a library, which runs its initialisers, and let go of it. They look for the names that
    // cudarc itself loads a moment later, so nothing runs that would not run anyway.
    let (driver, cublas, curand) = unsafe {
        (
            driver::sys::is_culib_present(),
            cublas::sys::is_culib_present(),
            curand::sys::is_culib_present(),
        )
    };
    if !driver {
        return Err(Error::Msg(
            "there is no NVIDIA driver on this machine (`libcuda`)".into(),
        ));
    }
    #[cfg(feature = "cudnn")]
    // SAFETY: as above.
    let cudnn = unsafe { candle_core::cuda_backend::cudarc::cudnn::sys::is_culib_present() };
    #[cfg(not(feature = "cudnn"))]
    let cudnn = true;
    let needed = [("cublas", cublas), ("curand", curand), ("cudnn", cudnn)];
    match needed.into_iter().find(|(_, present)| !present) {
        Some((name, _)) => Err(Error::Msg(format!(
            "CUDA's library `lib{name}` is not found; `LD_LIBRARY_PATH` must name the folder it is in"
        ))),
        None => Ok(()),
    }
}
