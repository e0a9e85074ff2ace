//! Options of `flow fetch`.

use std::path::PathBuf;

use clap::Args;
use flow_data::{HubName, Location};

use super::values;

/// Options of `flow fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
The digest of every file is compared with that of its authors' file, or with the one that the hub
announces, and nothing is written before all are right. HF_ENDPOINT sets the address of the hub,
HF_TOKEN the token for it, HF_HOME the folder of downloads.")]
pub(crate) struct FetchArgs {
    /// The data set: mnist, fashion-mnist, cifar10, or any of the hub's with images in parquet files
    /// as hub:OWNER/NAME, to which `--dataset` then refers by the same name
    #[arg(value_name = "NAME", value_parser = values::fetched)]
    pub(crate) dataset: Location,

    /// The folder data sets lie in; this one goes into a folder of its name there
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data_dir: PathBuf,

    /// Take the data set's own files from this folder instead of the network: IDX, plain or in
    /// gzip, or the binary version of CIFAR-10, also in torchvision's layout
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,

    /// The configuration of a data set of the hub that has several; `--dataset` then refers to
    /// hub:OWNER/NAME/CONFIG
    #[arg(long, value_name = "NAME")]
    pub(crate) config: Option<String>,

    /// The column of images of a data set of the hub [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    pub(crate) image_column: Option<String>,

    /// The column of classes of a data set of the hub [default: the one that is marked as such, or
    /// that is called label]
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,
}

impl FetchArgs {
    /// The data set, with its configuration.
    ///
    /// # Errors
    /// Options do not fit it: those of the hub's data sets and of published ones exclude each other.
    pub(crate) fn location(&self) -> Result<Location, String> {
        let of_hub = [
            ("--config", self.config.is_some()),
            ("--image-column", self.image_column.is_some()),
            ("--label-column", self.label_column.is_some()),
        ];
        let given = of_hub.iter().find(|(_, is_given)| *is_given);
        let (Location::Hub(name), config) = (&self.dataset, &self.config) else {
            return match given {
                Some((option, _)) => Err(format!("`{option}` is for data sets `hub:OWNER/NAME`")),
                None => Ok(self.dataset.clone()),
            };
        };
        if self.from.is_some() {
            return Err("`--from` is for published data sets, not for those of the hub".into());
        }
        let name = match (&name.config, config) {
            (None, Some(config)) => format!("{name}/{config}").parse(),
            (Some(named), Some(config)) if named != config => {
                return Err(format!(
                    "`{named}` and `--config {config}` are two configurations"
                ));
            }
            _ => Ok(name.clone()),
        };
        let name = name.map_err(|error| error.to_string());
        name.map(|name: HubName| Location::Hub(name))
    }
}
