//! Ranks connected by MPI. It accesses host memory only, so tensors of other devices are copied
//! there.

use super::Ranks;
use crate::{Error, Result};
use candle_core::{CpuStorage, Device, Storage, Tensor};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request::{Request, StaticScope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{mem, slice, thread};

/// Time that a rank polls without a pause: most answers come sooner.
const SPIN_TIME: Duration = Duration::from_micros(200);

/// Shortest and longest pause between two polls after that, which leaves the processor to ranks
/// that compute. Between them, the pause is a fraction of the time waited so far.
const PAUSES: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(2)];
const PAUSE_SHARE: u32 = 8;

/// A process that stood still for longer than this between two polls was stopped, not waiting.
const MAX_POLL_TIME: Duration = Duration::from_millis(20);

/// Time that rank 0 waits for others after a request to stop: launchers kill a second later.
const STOP_PATIENCE: Duration = Duration::from_millis(300);

/// Extra patience of the other ranks, so that rank 0 can save the training first.
const EXTRA_PATIENCE: Duration = Duration::from_secs(5);

/// The processes that `mpirun` or `srun` started.
pub struct Mpi {
    device: Device,
    stop: Arc<AtomicBool>,
    sums: RefCell<Vec<Sum>>,
    idle: RefCell<Vec<[Vec<f32>; 2]>>,
    world: SimpleCommunicator,
    // The last field, because dropping it ends MPI.
    _universe: Universe,
}

/// A pending sum.
struct Sum {
    request: Request<'static, [f32]>,
    target: Tensor,
    /// This rank's summand, and the result.
    buffers: [Vec<f32>; 2],
}

impl Mpi {
    /// Joins the others; once per process. `device` is the device of the summed tensors. After
    /// `stop` is set, rank 0 hardly waits for the others.
    ///
    /// # Errors
    /// [`Error::Ranks`] on a second call.
    pub fn join(device: &Device, stop: Arc<AtomicBool>) -> Result<Self> {
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            return Err(Error::Ranks("MPI has been initialized before".into()));
        };
        Ok(Self {
            device: device.clone(),
            stop,
            sums: RefCell::default(),
            idle: RefCell::default(),
            world: universe.world(),
            _universe: universe,
        })
    }

    /// Waits with pauses. An unfinished request is leaked: its buffers must then never be freed.
    fn wait<D: ?Sized>(
        &self,
        mut request: Request<'static, D>,
        patience: Option<Duration>,
    ) -> Result<()> {
        let leads = self.leads();
        let patience = patience.map(|limit| if leads { limit } else { limit + EXTRA_PATIENCE });
        let (mut waited, mut since_stop) = (Duration::ZERO, Duration::ZERO);
        let mut last = Instant::now();
        loop {
            request = match request.test() {
                Ok(_) => return Ok(()),
                Err(unfinished) => unfinished,
            };
            let turn = last.elapsed().min(MAX_POLL_TIME);
            last = Instant::now();
            waited += turn;
            if leads && self.stop.load(Ordering::Relaxed) {
                since_stop += turn;
            }
            let stopped = since_stop >= STOP_PATIENCE;
            if stopped || patience.is_some_and(|limit| waited >= limit) {
                mem::forget(request);
                return Err(Error::Ranks(if stopped {
                    "asked to stop while the other ranks do not answer".into()
                } else {
                    format!(
                        "the other ranks have not answered for {} s",
                        waited.as_secs()
                    )
                }));
            }
            if waited < SPIN_TIME {
                thread::yield_now();
            } else {
                let [least, most] = PAUSES;
                thread::sleep((waited / PAUSE_SHARE).clamp(least, most));
            }
        }
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn begin_sum(&self, flat: &Tensor) -> Result<()> {
        let [mut own, mut sum] = self.idle.borrow_mut().pop().unwrap_or_default();
        own.clear();
        with_floats(flat, |floats| own.extend_from_slice(floats))?;
        sum.resize(own.len(), 0.0);
        // SAFETY: the buffers are on the heap and move into a `Sum`, which leaves them alone until
        // the request is done, or is leaked together with it.
        #[allow(unsafe_code)]
        let (send, receive) = unsafe {
            (
                slice::from_raw_parts(own.as_ptr(), own.len()),
                slice::from_raw_parts_mut(sum.as_mut_ptr(), sum.len()),
            )
        };
        let all = SystemOperation::sum();
        let request = self
            .world
            .immediate_all_reduce_into(StaticScope, send, receive, all);
        self.sums.borrow_mut().push(Sum {
            request,
            target: flat.clone(),
            buffers: [own, sum],
        });
        Ok(())
    }

    fn advance(&self) -> Result<()> {
        let mut sums = self.sums.borrow_mut();
        // Testing one request advances all of them.
        if let Some(Sum {
            request,
            target,
            buffers,
        }) = sums.pop()
        {
            match request.test() {
                // A second test would wait for ever, so the sum is finished now.
                Ok(_) => self.finish(&target, buffers)?,
                Err(request) => sums.push(Sum {
                    request,
                    target,
                    buffers,
                }),
            }
        }
        Ok(())
    }

    fn finish_sums(&self, patience: Option<Duration>) -> Result<()> {
        for sum in self.sums.take() {
            if let Err(error) = self.wait(sum.request, patience) {
                mem::forget(sum.buffers);
                return Err(error);
            }
            self.finish(&sum.target, sum.buffers)?;
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<()> {
        let mut buffer = bytes.to_vec();
        // SAFETY: the buffer is on the heap and stays until the request is done, or is leaked.
        #[allow(unsafe_code)]
        let moved = unsafe { slice::from_raw_parts_mut(buffer.as_mut_ptr(), buffer.len()) };
        let root = self.world.process_at_rank(0);
        let request = root.immediate_broadcast_into(StaticScope, moved);
        if let Err(error) = self.wait(request, None) {
            mem::forget(buffer);
            return Err(error);
        }
        bytes.copy_from_slice(&buffer);
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        self.wait(self.world.immediate_barrier(), None)
    }

    fn abort(&self, status: i32) -> ! {
        self.world.abort(status)
    }
}

impl Mpi {
    fn finish(&self, target: &Tensor, buffers: [Vec<f32>; 2]) -> Result<()> {
        let sum = Tensor::from_slice(&buffers[1], target.dims(), target.device())?;
        target.slice_set(&sum, 0, 0)?;
        self.idle.borrow_mut().push(buffers);
        Ok(())
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // MPI_Finalize waits for everyone, and after a panic in one rank the others never call it.
        if thread::panicking() || !self.sums.borrow().is_empty() {
            self.abort(1);
        }
    }
}

/// Applies `use_them` to the numbers of a contiguous tensor.
fn with_floats<T>(tensor: &Tensor, use_them: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.to_device(&Device::Cpu)?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(floats)), Some((start, end))) => {
            Ok(use_them(&floats[start..end]))
        }
        _ => Err(Error::Ranks(
            "only contiguous tensors of f32 are added up".into(),
        )),
    }
}
