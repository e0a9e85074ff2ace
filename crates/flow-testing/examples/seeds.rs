//! Writes the files from which the fuzzers begin: small, and as real ones are.
//!
//! ```text
//! cargo run -p flow-testing --example seeds -- fuzz/corpus
//! ```

use std::{
    env, fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device};
use flate2::{Compression, write::GzEncoder};
use flow_core::{MlpSize, random, recipes};
use flow_data::{Dataset, Split, cifar10, idx};
use flow_testing::damage::without_digest;
use flow_testing::parquet_file::{self, Images, Pages};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
    arrays(&corpus.join("arrays"), &images, &batch, &digits)?;
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
    parquet_files(&corpus.join("parquet"))?;
    let rows = "a,b;c,d\n1.5,x,3,\n-2e3,\"y, z\",NA,4\n0.25,x,5,6\n";
    put(corpus.join("table/rows"), rows.as_bytes())?;
    let png = parquet_file::png(&digits.pixels[..49], (1, 7, 7));
    archives(corpus, &png)?;
    for (name, options) in [
        ("plain", "--levels 1"),
        (
            "classes",
            "--levels 2 --classes --coupling additive --scale-map sigmoid",
        ),
    ] {
        checkpoints(&corpus.join("checkpoint"), name, options)?;
    }
    pictures(&corpus.join("picture"))?;
    models(&corpus.join("model"))?;
    state_dicts(&corpus.join("state_dict"))
}

/// Those that the tests of decoding read.
fn pictures(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(Path::new(ROOT).join("crates/flow-data/tests/data/pictures"))? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    Ok(())
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

/// Those of another writer that the tests read.
fn parquet_files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(Path::new(ROOT).join("crates/flow-data/tests/data/parquet"))? {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension() == Some("parquet".as_ref()))
        {
            fs::copy(&path, folder.join(name))?;
        }
    }
    Ok(())
}

/// Archives of a picture and its class, and of folders.
fn archives(corpus: &Path, png: &[u8]) -> Result<()> {
    let sample = [
        ("0.png", png),
        ("0.cls", b"7"),
        ("1.png", png),
        ("1.json", br#"{"label": 2}"#),
    ];
    let long = format!("{}/0.png", "x".repeat(120));
    let folder = [("train/cat/0.png", png), (&*long, png)];
    for (name, files) in [("sample", &sample[..]), ("folder", &folder)] {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, *content)?;
        }
        let archive = archive.into_inner()?;
        put(corpus.join("tar").join(name), &archive)?;
        put(
            corpus.join("tar").join(format!("{name}-gz")),
            &gzip(&archive)?,
        )?;
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let path = corpus.join(format!("zip/{name}-{method}"));
            put(path, &zip_of(files, method)?)?;
        }
    }
    Ok(())
}

fn zip_of(files: &[(&str, &[u8])], method: CompressionMethod) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (path, content) in files {
        archive.start_file(*path, options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Arrays, each behind the byte that tells the fuzzer of which kind it is.
fn arrays(folder: &Path, idx: &[u8], batch: &[u8], digits: &Images) -> Result<()> {
    let npy = |dtype: &str, shape: &str, elements: &[u8]| {
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), elements].concat()
    };
    let pixels = &digits.pixels[..150];
    let images = npy("|u1", "(2, 5, 5, 3)", pixels);
    let labels = npy("<i2", "(2,)", &[1, 0, 2, 0]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let files = [("x_train.npy", &*images), ("y_train.npy", &*labels)];
        let seed = [&[0], &*zip_of(&files, method)?].concat();
        put(folder.join(format!("npz-{method}")), &seed)?;
    }
    let header = concat!(
        r#"{"images":{"dtype":"U8","shape":[2,3,5,5],"data_offsets":[0,150]},"#,
        r#""labels":{"dtype":"I8","shape":[2],"data_offsets":[150,152]}}"#,
    );
    let length = (header.len() as u64).to_le_bytes();
    let tensors = [&length, header.as_bytes(), pixels, &[1, 2]].concat();
    for (kind, name, content) in [
        (1, "npy", &*images),
        (2, "safetensors", &tensors),
        (3, "idx", idx),
        (4, "cifar", batch),
    ] {
        put(folder.join(name), &[&[kind], content].concat())?;
    }
    Ok(())
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
        put(
            folder.join(format!("{name}-{file}")),
            &without_digest(&fs::read(from)?),
        )?;
    }
    Ok(())
}

/// A small model of every recipe, with all that a file can hold.
fn models(folder: &Path) -> Result<()> {
    let x = random::normal(0, (9, 3), DType::F32, &Device::Cpu)?;
    fs::create_dir_all(folder)?;
    for (name, recipe) in recipes::ALL {
        let recipe = recipe(3).layers(1).width(2).blocks(1).context(3);
        let size = MlpSize {
            width: 2,
            blocks: 1,
            ..MlpSize::default()
        };
        let recipe = recipe.embedding(size, 1).standardize((&x, &x))?;
        let model = recipe.build(0, DType::F32, &Device::Cpu)?;
        let path = folder.join(name);
        model.save(&path)?;
        put(path.clone(), &without_digest(&fs::read(path)?))?;
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
