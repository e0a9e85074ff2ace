//! Options that several commands have.

use std::path::PathBuf;

use clap::Args;

use crate::{device::DeviceChoice, process_group::Backend};

/// The model that a command takes.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The model: the `model.safetensors` that `flow train` or a conversion writes [default: a
    /// model of MNIST that ships with this program]
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

/// The option of all commands that compute.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Device that computes: auto, cpu, cuda, cuda:N or metal; auto is the accelerator this binary
    /// was built for, or the CPU
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
}

/// The option of all commands that read data sets.
#[derive(Debug, Args)]
pub(crate) struct DataDirArgs {
    /// The folder data sets lie in, as `flow fetch` or other programs lay them out [default: data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// The option of commands that several processes can share.
#[derive(Debug, Args)]
pub(crate) struct DistributedArgs {
    /// Share the work with the other processes that a launcher started, as in `mpirun -n 2 flow …`:
    /// mpi, or nccl for one GPU each
    #[arg(long, value_name = "ENGINE", hide_possible_values = true)]
    pub(crate) distributed: Option<Backend>,
}
