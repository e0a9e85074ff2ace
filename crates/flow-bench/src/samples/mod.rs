//! `flow-bench samples`: distances of samples from images of digits.
//!
//! A [`classifier`] gives each image its features; `flow_analysis::samples` compares two sets of
//! them.

mod classifier;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use flow_analysis::samples::{Features, Quality, compare};
use flow_core::Bijection;
use flow_data::{Batch, Dataset, DatasetName, Split, idx};
use flow_glow::{Checkpoint, Glow, ImageShape};

use crate::tools::table;
use classifier::Classifier;

/// At most as many samples as test images, so that both sets can have the same size.
const MOST: usize = 10_000;

#[derive(clap::Args)]
#[command(after_help = "\
Every set of images is compared with as many training images, since all three figures depend on the
number of images. The test images show the figures of real images.")]
pub(crate) struct Options {
    /// A model of MNIST whose samples are compared; several may be given
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,

    /// Samples in an IDX file of 28×28 pixels, as `flow-bench training` leaves them; several
    /// may be given
    #[arg(long, value_name = "FILE")]
    images: Vec<PathBuf>,

    /// Temperatures at which each model is sampled
    #[arg(long, value_name = "T,…", value_delimiter = ',', default_value = "1")]
    temperature: Vec<f64>,

    /// Also compare test images of which each model draws one level anew, level by level
    #[arg(long)]
    by_level: bool,

    /// Images of each kind; fewer if a file of images holds fewer
    #[arg(long, value_name = "N", default_value_t = MOST as u32, value_parser = clap::value_parser!(u32).range(2..=MOST as i64))]
    samples: u32,

    /// Rank of the neighbor that sets the radius of the ball around a point
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    neighbors: u32,

    /// File of the classifier, which is trained if the file is missing
    #[arg(
        long,
        value_name = "FILE",
        default_value = "runs/classifier.safetensors"
    )]
    classifier: PathBuf,

    /// The folder fetched data sets lie in
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,

    /// Seed of the samples of models
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Images of one kind, `[N, 1, 28, 28]` in u8.
struct Images {
    name: String,
    pixels: Tensor,
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    for &temperature in &options.temperature {
        ensure!(
            temperature.is_finite() && temperature >= 0.0,
            "`--temperature` must be 0 or more, not {temperature}"
        );
    }
    let train = load(Split::Train, &options.data_dir)?;
    let test = load(Split::Test, &options.data_dir)?;
    let files = options.images.iter().map(|path| of_file(path));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    let mut count = (options.samples as usize).min(test.len());
    for file in &mut files {
        count = count.min(file.pixels.dim(0)?);
    }
    let classifier = Classifier::open(&options.classifier, &train, &test)?;

    let neighbors = options.neighbors as usize;
    let reference = classifier.features(&spread(&train, count)?.images)?;
    let reference = Features::new(&reference, neighbors)?;
    println!("\n{count} images of each kind, as many training images, {neighbors} neighbors\n");
    table::head(&["images", "Fréchet distance", "precision", "recall"]);
    let judge = |images: Images| {
        let features = classifier.features(&images.pixels.narrow(0, 0, count)?)?;
        let quality = compare(&Features::new(&features, neighbors)?, &reference)?;
        print(&images.name, &quality);
        Ok(())
    };
    let test = spread(&test, count)?;
    judge(Images {
        name: "test images".to_owned(),
        pixels: test.images.clone(),
    })?;
    for path in &options.checkpoint {
        let model = open(path)?;
        for &temperature in &options.temperature {
            judge(Images {
                name: format!("`{}` at temperature {temperature}", path.display()),
                pixels: sample(&model, count, temperature, options.seed)?,
            })?;
        }
        if options.by_level {
            for (level, pixels) in (1..).zip(redrawn(&model, &test, options.seed)?) {
                let path = path.display();
                judge(Images {
                    name: format!("test images, level {level} of `{path}` drawn anew"),
                    pixels,
                })?;
            }
        }
    }
    files.into_iter().try_for_each(judge)
}

fn print(name: &str, quality: &Quality) {
    table::row(&[
        name.to_owned(),
        format!("{:.3}", quality.frechet_distance),
        format!("{:.3}", quality.precision),
        format!("{:.3}", quality.recall),
    ]);
}

fn load(split: Split, data_dir: &Path) -> Result<Dataset> {
    let dataset = Dataset::load(DatasetName::Mnist, split, data_dir);
    dataset.context("cannot open the images; run `cargo xtask fetch-mnist` first")
}

/// `count` images, evenly spread over a data set.
fn spread(dataset: &Dataset, count: usize) -> Result<Batch> {
    let mut dataset = dataset.clone();
    dataset.thin_out(count);
    let batch = dataset.in_order(count).next();
    Ok(batch.context("there are no images")??)
}

fn of_file(path: &Path) -> Result<Images> {
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let pixels = idx::read_images(path, file, MOST)?;
    let count = pixels.len() / (idx::SIDE * idx::SIDE);
    Ok(Images {
        name: format!("`{}`", path.display()),
        pixels: Tensor::from_vec(pixels, (count, 1, idx::SIDE, idx::SIDE), &Device::Cpu)?,
    })
}

fn open(path: &Path) -> Result<Glow> {
    let model = Checkpoint::load(path, &Device::Cpu)?.model;
    let image = model.config().image;
    ensure!(
        image == ImageShape::new(1, idx::SIDE, idx::SIDE),
        "`{}` draws images of {image}, not digits",
        path.display()
    );
    Ok(model)
}

/// Samples of a model: of each class in turn, if it has any.
fn sample(model: &Glow, count: usize, temperature: f64, seed: u64) -> Result<Tensor> {
    let classes = model.config().classes.unwrap_or(1);
    let in_turn = (0..count).map(|image| (image % classes) as u32);
    let model = given(model, &Tensor::from_iter(in_turn, &Device::Cpu)?)?;
    Ok(model
        .at_temperature(temperature)?
        .sample_images(count, seed)?)
}

/// The images of a batch with the latents of the first level drawn anew, of the second, and so on.
fn redrawn(model: &Glow, batch: &Batch, seed: u64) -> Result<Vec<Tensor>> {
    let model = given(model, &batch.labels)?;
    let latents = model.encode_images(&batch.images)?;
    let drawn = model.draw_latents(latents.count()?, seed)?;
    let redrawn = drawn.0.into_iter().enumerate().map(|(level, drawn)| {
        let mut latents = latents.clone();
        latents.0[level] = drawn;
        Ok(model.decode_images(&latents)?)
    });
    redrawn.collect()
}

/// The model given a class of each image, if it has classes.
fn given<'a>(model: &'a Glow, labels: &Tensor) -> Result<Glow<Box<dyn Bijection + 'a>>> {
    Ok(match model.config().classes {
        None => model.unconditional(),
        Some(_) => model.given(labels)?,
    })
}
