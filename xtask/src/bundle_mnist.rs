//! Makes the subset of MNIST that is embedded in the program.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use clap::Args;
use flow_data::{
    DatasetName,
    hub::folder::{self, Content},
    idx,
};

/// Every fifth image is taken. The writers of MNIST are of two kinds: the training images alternate
/// between them, the test images have one after the other. So the step is odd and goes to the end.
const STEP: usize = 5;

/// At most so many images are taken of a split.
const MOST: usize = 10_000;

#[derive(Args)]
pub(crate) struct Options {
    /// The folder of `mnist/`, as `cargo xtask fetch-mnist` writes it.
    #[arg(long, default_value = "data")]
    data_dir: PathBuf,
}

/// Writes `assets/mnist/`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let source = DatasetName::Mnist.source();
    let whole = folder::read_all(&source, &options.data_dir, &mut |_| {})
        .map_err(|err| anyhow!("{:#}; run `cargo xtask fetch-mnist` first", Error::new(err)))?;
    let (splits, _) = whole.as_chunks::<2>();
    let mut subset = Vec::new();
    for [images, labels] in splits {
        subset.extend(some_of(images, labels)?);
    }
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/mnist");
    folder::write_all(&subset, &assets, &mut |_| {})?;
    println!("wrote `assets/mnist`");
    Ok(())
}

fn some_of(images: &Content, labels: &Content) -> Result<[Content; 2]> {
    let pixels = idx::read_images(Path::new(images.0.name), &images.1[..], usize::MAX)?;
    let classes = idx::read_labels(Path::new(labels.0.name), &labels.1[..], usize::MAX)?;
    let pixels = pixels
        .chunks(idx::SIDE * idx::SIDE)
        .step_by(STEP)
        .take(MOST);
    let classes: Vec<u8> = classes.into_iter().step_by(STEP).take(MOST).collect();
    Ok([
        (
            images.0,
            idx::encode_images(&pixels.collect::<Vec<_>>().concat()),
        ),
        (labels.0, idx::encode_labels(&classes)),
    ])
}
