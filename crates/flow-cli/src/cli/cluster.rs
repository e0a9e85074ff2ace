//! Options of `flow cluster`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use flow_analysis::clusters::Method;
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, values};

/// Options of `flow cluster`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Images are encoded without noise, and as of class 0 by a model with classes: labels judge the
clusters, and take no part in finding them. Purity is the share of images whose label is the most
frequent one of their cluster. NMI is the mutual information of clusters and labels over the mean of
their entropies. Both are 1 if clusters are classes. For comparison, the pixels themselves are
clustered too."
)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Take N images only, evenly spread over the split [default: all]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) limit: Option<usize>,

    /// Method of clustering
    #[arg(long, default_value = "k-means", value_parser = method())]
    pub(crate) method: Method,

    /// Number of clusters [default: the number of classes]
    #[arg(long, value_name = "K", value_parser = values::count_up_to::<1000>)]
    pub(crate) clusters: Option<usize>,

    /// Cluster by this many principal components, at most 128: more take minutes
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = values::count_up_to::<128>)]
    pub(crate) components: usize,

    /// Seed of the initial clusters
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// A picture to write, a .png, .jpg or .gif: the first two principal components of the latents,
    /// by label and by cluster
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// A method of clustering.
fn method() -> impl TypedValueParser<Value = Method> {
    let k_means =
        PossibleValue::new("k-means").help("Each image belongs to the nearest of K means");
    let gaussians = PossibleValue::new("gaussians")
        .help("Each image belongs to the likeliest of K Gaussians with a covariance each");
    PossibleValuesParser::new([k_means, gaussians]).map(|name| match name.as_str() {
        "k-means" => Method::KMeans,
        _ => Method::Gaussians,
    })
}
