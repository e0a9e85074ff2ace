//! Checks that CUDA's libraries exist, before cudarc panics without them.

use crate::Result;
use candle_core::Error;
use candle_core::cuda_backend::cudarc::{cublas, curand, driver};

/// Errors carry no backtrace, which would follow the line that names the missing library.
///
/// # Errors
/// If the driver, or a library that opening a device needs, cannot be loaded.
#[allow(unsafe_code)]
pub(super) fn check() -> Result<()> {
    // SAFETY: these calls load a library, run its initialisers and release it. They look for the
    // names that cudarc itself loads a moment later, so no other code runs.
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
