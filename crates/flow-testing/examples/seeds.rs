//! Writes the files from which the fuzzers begin: small, and as real ones are.
//!
//! ```text
//! cargo run -p flow-testing --example seeds -- fuzz/corpus
//! ```

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use flow_data::{Dataset, Split, cifar10, idx};
use flow_testing::parquet_file::{self, Images, Pages};

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Images of a file; the fuzzer of parquet files expects as many.
const IMAGES: usize = 6;

/// Bytes of a state dict; fuzzers are slow on large files.
const LARGEST_STATE_DICT: u64 = 20 << 10;

/// Writes a folder of seeds for each fuzzer.
fn main() -> Result<()> {
    let corpus = env::args_os().nth(1).context("name the folder of seeds")?;
    let corpus = Path::new(&corpus);
    let digits = digits()?;
    let colors = digits.pixels.iter().cycle();
    let colors = colors.take(IMAGES * cifar10::CHANNELS * cifar10::SIDE.pow(2));
    let photographs = Images {
        pixels: colors.copied().collect(),
        labels: digits.labels.clone(),
    };
    let images = idx::encode_images(&digits.pixels);
    let labels = idx::encode_labels(&digits.labels);
    put(corpus.join("idx_gz/images"), &gzip(&images)?)?;
    put(corpus.join("idx_gz/labels"), &gzip(&labels)?)?;
    put(corpus.join("idx/images"), &images)?;
    put(corpus.join("idx/labels"), &labels)?;
    let batch = cifar10::encode(&photographs.pixels, &photographs.labels);
    put(corpus.join("cifar10/batch"), &batch)?;
    let side = cifar10::SIDE;
    downloads(
        corpus,
        "digits",
        &digits,
        "image",
        (1, idx::SIDE, idx::SIDE),
    )?;
    downloads(
        corpus,
        "photographs",
        &photographs,
        "img",
        (cifar10::CHANNELS, side, side),
    )?;
    for (name, options) in [
        ("plain", "--levels 1"),
        (
            "classes",
            "--levels 2 --classes --coupling additive --scale-map sigmoid",
        ),
    ] {
        checkpoints(&corpus.join("checkpoint"), name, options)?;
    }
    state_dicts(&corpus.join("state_dict"))
}

/// Parquet files of these images, and the first of them as PNG.
fn downloads(
    corpus: &Path,
    name: &str,
    images: &Images,
    column: &str,
    shape @ (c, h, w): (usize, usize, usize),
) -> Result<()> {
    for (kind, pages) in [("snappy", Pages::Compressed), ("plain", Pages::Plain)] {
        let file = parquet_file::encode(images, column, shape, pages);
        put(corpus.join(format!("parquet/{name}-{kind}")), &file)?;
    }
    let png = parquet_file::png(&images.pixels[..c * h * w], shape);
    put(corpus.join("png").join(name), &png)
}

/// The small ones of those that the tests of conversion read.
fn state_dicts(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(Path::new(ROOT).join("assets/reference"))? {
        let entry = entry?;
        let (name, size) = (entry.file_name(), entry.metadata()?.len());
        if name.as_encoded_bytes().ends_with(b".pt") && size <= LARGEST_STATE_DICT {
            fs::copy(entry.path(), folder.join(name))?;
        }
    }
    Ok(())
}

/// The first bundled digits.
fn digits() -> Result<Images> {
    let batch = Dataset::bundled(Split::Test)?.batch(&(0..IMAGES).collect::<Vec<_>>())?;
    let labels = batch.labels.to_vec1::<u32>()?;
    Ok(Images {
        pixels: batch.images.flatten_all()?.to_vec1()?,
        labels: labels
            .into_iter()
            .map(u8::try_from)
            .collect::<Result<_, _>>()?,
    })
}

/// The files of the smallest training.
fn checkpoints(folder: &Path, name: &str, options: &str) -> Result<()> {
    let run = tempfile::tempdir()?;
    let status = Command::new(env!("CARGO"))
        .args([
            "run",
            "-p",
            "flow-cli",
            "--quiet",
            "--",
            "train",
            "--overwrite",
            "--out",
        ])
        .arg(run.path())
        // Of the bundled images, so that everybody's seeds are the same.
        .args("--data-dir assets --steps 1 --width 1 --dequantization uniform --batch-size 16 --max-steps 1".split(' '))
        .args(options.split(' '))
        .current_dir(ROOT)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ensure!(
        status.context("cannot run cargo")?.success(),
        "no checkpoint could be trained"
    );
    fs::create_dir_all(folder)?;
    for file in ["model", "training"] {
        let from = run.path().join(format!("{file}.safetensors"));
        fs::copy(from, folder.join(format!("{name}-{file}")))?;
    }
    Ok(())
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn put(path: PathBuf, content: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a seed lies in a folder")?)?;
    fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))
}
