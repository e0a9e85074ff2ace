//! Gets a data set, from the hub or from files the user has, and checks it.

mod hub;
mod parquet;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use flow_data::{DatasetName, Split, source::Source};
use hf_hub::HFClientSync;

use crate::folder;

#[derive(Args)]
pub(crate) struct Options {
    /// Where data sets are kept; this one goes into `<data-dir>/<name>/`.
    #[arg(long, default_value = "data")]
    data_dir: PathBuf,

    /// Take the data set's own files from this folder instead of the network: IDX, under gzip or
    /// not, or the binary version of CIFAR-10; also as torchvision lays them out.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

pub(crate) fn run(dataset: DatasetName, options: &Options) -> Result<()> {
    let source = dataset.source();
    let folder = options.data_dir.join(dataset.as_str());
    if let Some(complete) = folder::complete(&source, &options.data_dir) {
        println!("{dataset} is complete in `{}`", complete.display());
        return Ok(());
    }
    match &options.from {
        Some(from) => take(&source, from, &folder),
        None => HFClientSync::new()
            .context("cannot use the hub; check `HF_ENDPOINT`")
            .and_then(|client| download(&client, &source, &folder)),
    }
    .with_context(|| format!("cannot fetch {dataset}"))?;
    println!("wrote {dataset} to `{}`", folder.display());
    Ok(())
}

fn take(source: &Source, from: &Path, folder: &Path) -> Result<()> {
    let contents = folder::read_all(source, from).map_err(|err| {
        let dataset = source.dataset;
        anyhow!("{err:#}; run `cargo xtask fetch {dataset}` without `--from` to download it")
    })?;
    folder::write_all(&contents, folder)
}

fn download(client: &HFClientSync, source: &Source, folder: &Path) -> Result<()> {
    let mut contents = Vec::new();
    for split in [Split::Train, Split::Test] {
        contents.extend(hub::fetch(client, source, source.part(split))?);
    }
    folder::write_all(&contents, folder)
}
