//! The other processes of this job, if a launcher started any.

use std::{
    fmt,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Error, Result, bail};
use candle_core::Device;
use clap::ValueEnum;
use flow_glow::ranks::{Alone, Launch, Ranks, gather};

use crate::{device::DeviceChoice, output::report};

/// A library that connects processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Mpi,
    Nccl,
}

/// This process among those of its job.
pub(crate) struct ProcessGroup {
    /// Communication with the other processes.
    pub(crate) ranks: Rc<dyn Ranks>,
    /// The device that computes.
    pub(crate) device: Device,
}

/// A failure that all processes know and that was reported to the user.
#[derive(Debug)]
pub(crate) struct AlreadyReported;

impl ProcessGroup {
    /// Joins the others by the backend of `--distributed`, if it is given. `stop` is set when the
    /// user asks to stop.
    pub(crate) fn join(
        backend: Option<Backend>,
        choice: DeviceChoice,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let launch = Launch::from_env();
        let Some(backend) = backend else {
            if let Some(Launch { size, .. }) = launch.filter(|launch| launch.size > 1) {
                bail!(
                    "a launcher has started this command {size} times, and each would do the same work; {}",
                    how_to_distribute()
                );
            }
            return Ok(Self {
                ranks: Rc::new(Alone),
                device: choice.open()?,
            });
        };
        backend.check_built()?;
        let launch = launch.with_context(|| {
            format!(
                "`--distributed {backend}` needs a launcher, as in `mpirun -n 2 flow train --distributed {backend}`"
            )
        })?;
        backend.join(&launch, choice, stop)
    }

    /// Fails in all processes if one has failed; that one reports its error.
    pub(crate) fn agree<T>(&self, result: Result<T>) -> Result<T> {
        let ranks = &*self.ranks;
        if ranks.is_alone() {
            return result;
        }
        let failed = f64::from(u8::from(result.is_err()));
        let failed = gather(ranks, ranks.size(), [(ranks.rank(), failed)], None)?;
        let Some(first) = failed.iter().position(|failed| *failed > 0.0) else {
            return result;
        };
        if let Err(error) = result
            && first == ranks.rank()
        {
            report::failure(&error);
        }
        ranks.barrier()?;
        Err(AlreadyReported.into())
    }

    /// Runs `work` in the first process alone.
    pub(crate) fn lead(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.agree(if self.ranks.leads() { work() } else { Ok(()) })
    }

    /// Ends the command in this process. A failure that the others do not know ends them too.
    pub(crate) fn end(&self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if !self.ranks.is_alone() && !error.is::<AlreadyReported>() => {
                report::failure(&error);
                self.ranks.abort(1)
            }
            result => result,
        }
    }
}

impl Backend {
    #[cfg_attr(
        all(feature = "mpi", feature = "nccl"),
        allow(clippy::unnecessary_wraps, reason = "other builds lack a backend")
    )]
    fn check_built(self) -> Result<()> {
        let (built, name) = match self {
            Self::Mpi => (cfg!(feature = "mpi"), "MPI"),
            Self::Nccl => (cfg!(feature = "nccl"), "NCCL"),
        };
        if !built {
            bail!(
                "this binary was built without {name}; build it with `--features {self}`, or leave out \
                 `--distributed {self}`"
            );
        }
        Ok(())
    }

    #[allow(unused_variables, reason = "some builds have no backend")]
    fn join(
        self,
        launch: &Launch,
        choice: DeviceChoice,
        stop: Arc<AtomicBool>,
    ) -> Result<ProcessGroup> {
        match self {
            #[cfg(feature = "mpi")]
            Self::Mpi => {
                let device = choice.open()?;
                let ranks = flow_glow::ranks::Mpi::join(&device, stop)?;
                if ranks.size() != launch.size {
                    bail!(
                        "the launcher has started {}, but MPI sees {}; launch with that of the MPI this \
                         binary was built with",
                        crate::output::words::count(launch.size, "process"),
                        ranks.size()
                    );
                }
                let ranks = Rc::new(ranks);
                Ok(ProcessGroup { ranks, device })
            }
            #[cfg(feature = "nccl")]
            Self::Nccl => {
                let choice = match choice {
                    DeviceChoice::Auto => DeviceChoice::Cuda(launch.local_rank),
                    choice => choice,
                };
                let device = choice.open()?;
                let messenger = messenger(launch, stop)?;
                let ranks = flow_glow::ranks::Nccl::join(launch, &device, messenger.as_deref())?;
                let ranks = Rc::new(ranks);
                Ok(ProcessGroup { ranks, device })
            }
            #[allow(unreachable_patterns, reason = "some builds have all engines")]
            backend => backend
                .check_built()
                .and_then(|()| bail!("there is no backend")),
        }
    }
}

/// MPI to carry the name of a job of NCCL, where it is at hand.
#[cfg(feature = "nccl")]
#[allow(
    unused_variables,
    clippy::unnecessary_wraps,
    reason = "some builds have no MPI"
)]
fn messenger(launch: &Launch, stop: Arc<AtomicBool>) -> Result<Option<Box<dyn Ranks>>> {
    #[cfg(feature = "mpi")]
    if launch.by_mpi {
        let ranks = flow_glow::ranks::Mpi::join(&Device::Cpu, stop)?;
        return Ok(Some(Box::new(ranks)));
    }
    Ok(None)
}

fn how_to_distribute() -> &'static str {
    if cfg!(feature = "nccl") {
        "name `--distributed nccl`"
    } else if cfg!(feature = "mpi") {
        "name `--distributed mpi`"
    } else {
        "build it with `--features mpi` and name `--distributed mpi`"
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mpi => "mpi",
            Self::Nccl => "nccl",
        })
    }
}

impl fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another process of this job has failed")
    }
}

impl std::error::Error for AlreadyReported {}

/// True if the processes of a job have lost each other.
pub(crate) fn are_lost(error: &Error) -> bool {
    let of_glow = error.downcast_ref::<flow_glow::Error>();
    of_glow.is_some_and(|error| matches!(error, flow_glow::Error::Ranks(_)))
}
