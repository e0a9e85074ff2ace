//! Ranks connected by NCCL: one for each GPU.

use super::rendezvous;
use super::{Launch, Ranks};
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::nccl::result::NcclError;
use candle_core::cuda_backend::cudarc::nccl::safe::{Comm, Id, ReduceOp};
use candle_core::{CpuStorage, CudaStorage, DType, Device, InplaceOp1, Layout, Tensor};
use std::{process, time::Duration};

/// Bytes of the unique id of a job.
const ID: usize = 128;

/// The processes of a job, each with its own GPU.
pub struct Nccl {
    device: Device,
    comm: Comm,
}

impl Nccl {
    /// Joins the others. NCCL's unique id goes through `messenger` if it is given, and otherwise
    /// through `MASTER_ADDR:MASTER_PORT`, where rank 0 serves it.
    ///
    /// # Errors
    /// [`Error::Ranks`] if `device` is not a CUDA device, or the others cannot be reached.
    pub fn join(launch: &Launch, device: &Device, messenger: Option<&dyn Ranks>) -> Result<Self> {
        let Device::Cuda(cuda) = device else {
            return Err(Error::Ranks("NCCL connects CUDA devices only".into()));
        };
        let mut id = [0; ID];
        if launch.rank == 0 {
            id = Id::new().map_err(failed)?.internal().map(|byte| byte as u8);
        }
        match messenger {
            Some(messenger) => messenger.broadcast(&mut id)?,
            None => rendezvous::share(launch, &mut id)?,
        }
        let id = Id::uninit(id.map(|byte| byte as _));
        let comm = Comm::from_rank(cuda.cuda_stream(), launch.rank, launch.size, id);
        Ok(Self {
            device: device.clone(),
            comm: comm.map_err(failed)?,
        })
    }
}

impl Ranks for Nccl {
    fn rank(&self) -> usize {
        self.comm.rank()
    }

    fn size(&self) -> usize {
        self.comm.world_size()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn begin_sum(&self, flat: &Tensor) -> Result<()> {
        Ok(flat.inplace_op1(&Collective(&self.comm, Call::Sum))?)
    }

    fn advance(&self) -> Result<()> {
        Ok(())
    }

    fn finish_sums(&self, _patience: Option<Duration>) -> Result<()> {
        // Later operations wait on the same stream.
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<()> {
        // Sums take floats only, so each float carries one byte.
        let floats = bytes.iter().copied().map(f32::from);
        let flat = Tensor::from_iter(floats, &self.device)?;
        flat.inplace_op1(&Collective(&self.comm, Call::Broadcast))?;
        let floats = flat.to_vec1::<f32>()?;
        for (byte, float) in bytes.iter_mut().zip(floats) {
            *byte = float as u8;
        }
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        let one = Tensor::zeros(1, DType::F32, &self.device)?;
        self.begin_sum(&one)?;
        one.to_vec1::<f32>()?;
        Ok(())
    }

    fn abort(&self, status: i32) -> ! {
        // The launcher ends the others.
        process::exit(status)
    }
}

/// A call of NCCL on the memory of a contiguous tensor.
struct Collective<'a>(&'a Comm, Call);

#[derive(Clone, Copy)]
enum Call {
    Sum,
    Broadcast,
}

impl InplaceOp1 for Collective<'_> {
    fn name(&self) -> &'static str {
        "nccl"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        candle_core::bail!("NCCL needs a CUDA device")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("only contiguous tensors are sent")
        };
        let mut numbers = storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end);
        let Self(comm, call) = self;
        let called = match call {
            Call::Sum => comm.all_reduce_in_place(&mut numbers, &ReduceOp::Sum),
            Call::Broadcast => comm.broadcast_in_place(&mut numbers, 0),
        };
        match called {
            Ok(_) => Ok(()),
            Err(error) => candle_core::bail!("NCCL failed: {:?}", error.0),
        }
    }
}

fn failed(error: NcclError) -> Error {
    Error::Ranks(format!("NCCL failed: {:?}", error.0))
}
