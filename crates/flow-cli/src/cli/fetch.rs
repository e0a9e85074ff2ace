//! Options of `flow fetch`.

use std::path::PathBuf;

use clap::Args;
use flow_data::DatasetName;

use super::values;

/// Options of `flow fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
The digest of every file is compared with that of its authors' file, and nothing is written before
all are right. HF_ENDPOINT sets the address of the hub, HF_TOKEN the token for it, HF_HOME the folder
of downloads.")]
pub(crate) struct FetchArgs {
    /// The data set
    #[arg(value_name = "NAME", value_parser = values::dataset())]
    pub(crate) dataset: DatasetName,

    /// The folder data sets lie in; this one goes into a folder of its name there
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data_dir: PathBuf,

    /// Take the data set's own files from this folder instead of the network: IDX, plain or in
    /// gzip, or the binary version of CIFAR-10, also in torchvision's layout
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}
