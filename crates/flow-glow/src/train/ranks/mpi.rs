//! Ranks that MPI connects. It sees host memory only: what is on another device passes through it.

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

/// How long a rank asks again and again before it begins to nap: an answer mostly comes sooner.
const EAGER: Duration = Duration::from_micros(200);

/// What it naps between two questions then, at least and at most, so that it leaves the processor to those who
/// compute; a part of what it has waited lies between.
const NAPS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(2)];
const NAP_SHARE: u32 = 8;

/// A process that stood still for longer than this between two questions was not waiting, but stopped.
const LONGEST_TURN: Duration = Duration::from_millis(20);

/// How long rank 0 waits for others once it was asked to stop: launchers ask, and kill a second later.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// How much longer than rank 0, which saves the training, others are patient.
const AFTER_YOU: Duration = Duration::from_secs(5);

/// The processes that `mpirun` or `srun` started.
pub struct Mpi {
    device: Device,
    stop: Arc<AtomicBool>,
    sums: RefCell<Vec<Sum>>,
    idle: RefCell<Vec<[Vec<f32>; 2]>>,
    world: SimpleCommunicator,
    // Last: it ends MPI when it is dropped.
    _universe: Universe,
}

/// A sum under way.
struct Sum {
    request: Request<'static, [f32]>,
    target: Tensor,
    /// What this rank adds, and where the sum comes.
    buffers: [Vec<f32>; 2],
}

impl Mpi {
    /// Joins the others; once in a process. `device` is where tensors are that are added up. After `stop` is
    /// set, rank 0 hardly waits for them any more.
    ///
    /// # Errors
    /// [`Error::Ranks`] if it was called before.
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

    /// Waits politely. An unfinished request is forgotten: its buffers must never be freed then.
    fn wait<D: ?Sized>(
        &self,
        mut request: Request<'static, D>,
        patience: Option<Duration>,
    ) -> Result<()> {
        let leads = self.leads();
        let patience = patience.map(|limit| if leads { limit } else { limit + AFTER_YOU });
        let (mut waited, mut since_stop) = (Duration::ZERO, Duration::ZERO);
        let mut last = Instant::now();
        loop {
            request = match request.test() {
                Ok(_) => return Ok(()),
                Err(unfinished) => unfinished,
            };
            let turn = last.elapsed().min(LONGEST_TURN);
            last = Instant::now();
            waited += turn;
            if leads && self.stop.load(Ordering::Relaxed) {
                since_stop += turn;
            }
            let stopped = since_stop >= LAST_WAIT;
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
            if waited < EAGER {
                thread::yield_now();
            } else {
                let [least, most] = NAPS;
                thread::sleep((waited / NAP_SHARE).clamp(least, most));
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
        // SAFETY: the buffers are on the heap and move into a `Sum`, which leaves them alone until the
        // request is done, or is forgotten together with it.
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
        // Any question moves all of them.
        if let Some(Sum {
            request,
            target,
            buffers,
        }) = sums.pop()
        {
            match request.test() {
                // Asked again, it would wait for ever: what is done is done.
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
        // SAFETY: the buffer is on the heap and stays until the request is done, or for ever.
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
        // The end of MPI waits for everyone, and after a panic in one rank nobody else comes there.
        if thread::panicking() || !self.sums.borrow().is_empty() {
            self.abort(1);
        }
    }
}

/// What `use_them` makes of the numbers of a contiguous tensor.
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
