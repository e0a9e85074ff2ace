//! Options that several commands have.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use flow_data::{
    Preparation,
    picture::{Color, Fit, parse_background, parse_size},
};

use super::values;
use crate::{device::DeviceChoice, process_group::Backend};

/// The model that a command takes.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The model: the `model.safetensors` that `flow train` or a conversion writes, or one of MNIST
    /// that ships with this program: mnist, or mnist-classes [default: that of these which the
    /// command needs]
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

    /// The folder of images that were prepared from your own collections [default: cache in
    /// --data-dir]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Leave out pictures of your own collections that cannot be read
    #[arg(long)]
    pub(crate) skip_damaged: bool,
}

/// The way that pictures of one's own become images.
#[derive(Debug, Args)]
pub(crate) struct PictureArgs {
    /// Size of images: pixels a side, or WIDTHxHEIGHT [default: that of all pictures, if they share
    /// one of at most 128 pixels a side; otherwise a square of 64 or less]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<(usize, usize)>,

    /// Scaling of pictures of another size: crop cuts off what stands out, pad adds a margin,
    /// stretch changes proportions [default: crop]
    #[arg(long, value_name = "FIT")]
    pub(crate) fit: Option<Fit>,

    /// Channels of images: grey or rgb [default: grey if all pictures are]
    #[arg(long, value_name = "COLOR")]
    pub(crate) color: Option<Color>,

    /// The color behind transparent pictures and beside padded ones: white, black or #RRGGBB
    /// [default: white]
    #[arg(long, value_name = "COLOR", value_parser = parse_background)]
    pub(crate) background: Option<[u8; 3]>,

    /// Share of the images that are kept for testing, chosen by their names, where the collection
    /// has no part for these [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = values::share)]
    pub(crate) test_share: Option<f64>,
}

/// The options of commands that read picture files.
#[derive(Debug, Args)]
pub(crate) struct FittingArgs {
    /// Scaling of pictures of another size than the model's images: crop cuts off what stands out,
    /// pad adds a margin, stretch changes proportions [default: as the training data were fitted;
    /// if they were not, other sizes are refused]
    #[arg(long, value_name = "FIT")]
    pub(crate) fit: Option<Fit>,

    /// The color behind transparent pictures and beside padded ones: white, black or #RRGGBB
    /// [default: that of the training data; if they had none, transparent pictures are refused]
    #[arg(long, value_name = "COLOR", value_parser = parse_background)]
    pub(crate) background: Option<[u8; 3]>,
}

/// The option of commands that several processes can share.
#[derive(Debug, Args)]
pub(crate) struct DistributedArgs {
    /// Share the work with the other processes that a launcher started, as in `mpirun -n 2 flow …`:
    /// mpi, or nccl for one GPU each
    #[arg(long, value_name = "ENGINE", hide_possible_values = true)]
    pub(crate) distributed: Option<Backend>,
}

impl PictureArgs {
    /// The way that pictures become images, where options do not ask for another than `base`.
    pub(crate) fn preparation(&self, base: Preparation) -> Preparation {
        Preparation {
            size: self.size.or(base.size),
            fit: self.fit.unwrap_or(base.fit),
            color: self.color.or(base.color),
            background: self.background.or(base.background),
            test_share: self.test_share.unwrap_or(base.test_share),
            ..base
        }
    }

    /// Checks that no option is given, as for published data sets.
    ///
    /// # Errors
    /// Names the first of those that are.
    pub(crate) fn ensure_none(&self) -> Result<()> {
        let given = [
            ("--size", self.size.is_some()),
            ("--fit", self.fit.is_some()),
            ("--color", self.color.is_some()),
            ("--background", self.background.is_some()),
            ("--test-share", self.test_share.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => bail!(
                "`{option}` is for images of your own; leave it out, or name the path of such images"
            ),
        }
    }
}
