//! Memory of a CUDA device, as the driver reports it.

use crate::Result;
use candle_core::CudaDevice;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::result::{device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute;

/// The high-water mark of the pool that tensors are allocated from, in bytes.
#[allow(unsafe_code)]
pub(super) fn peak(cuda: &CudaDevice) -> Result<u64> {
    let stream = cuda.cuda_stream();
    let context = stream.context();
    context.bind_to_thread().w()?;
    let mut bytes = 0_u64;
    let attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    // SAFETY: the device is that of a context which is alive, its default pool lives as long as the
    // device, and the attribute is 64 bits wide.
    unsafe {
        let pool = device::get_default_mem_pool(context.cu_device()).w()?;
        mem_pool::get_attribute(pool, attribute, (&raw mut bytes).cast()).w()?;
    }
    Ok(bytes)
}
