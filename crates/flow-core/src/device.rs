//! Accelerators: opening one that may be absent, and testing code for one on machines without.

use crate::Result;
use candle_core::Device;
use std::cell::Cell;

#[cfg(all(feature = "cuda", feature = "dynamic-loading"))]
mod libraries;
#[cfg(feature = "cuda")]
mod memory;

/// The CUDA device with this number.
///
/// # Errors
/// If this build has no CUDA, or the machine lacks the driver, one of CUDA's libraries, or the
/// device.
pub fn cuda(number: usize) -> Result<Device> {
    // A binary that loads CUDA at run time would panic later.
    #[cfg(all(feature = "cuda", feature = "dynamic-loading"))]
    libraries::check()?;
    Device::new_cuda(number)
}

/// The Metal device.
///
/// # Errors
/// If this build has no Metal, or the machine has no such device.
pub fn metal() -> Result<Device> {
    Device::new_metal(0)
}

/// Peak bytes of tensors on `device`, if the device reports them: on CUDA.
///
/// # Errors
/// If the driver reports an error.
pub fn peak_memory(device: &Device) -> Result<Option<u64>> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(cuda) = device {
        return memory::peak(cuda).map(Some);
    }
    let _ = device;
    Ok(None)
}

/// Lets matrix products of f32 on CUDA round their factors to TF32, with a fraction of ten bits,
/// from now on.
pub fn allow_tf32() {
    candle_core::cuda::set_gemm_reduced_precision_f32(true);
}

thread_local! {
    static REHEARSING: Cell<bool> = const { Cell::new(false) };
}

/// True if `device` is the CPU, where fused forms apply and each thread takes a run of a batch.
pub fn is_host(device: &Device) -> bool {
    device.is_cpu() && !REHEARSING.get()
}

/// Runs `work` on the CPU and this thread as an accelerator would: composed forms, batches in one
/// piece, and [copies](crate::transfer) counted as on an accelerator.
pub fn rehearse<T>(work: impl FnOnce() -> T) -> T {
    struct Until(bool);
    impl Drop for Until {
        fn drop(&mut self) {
            REHEARSING.set(self.0);
        }
    }
    let _until = Until(REHEARSING.replace(true));
    work()
}
