//! `flow encode`: the latents of images, and their likelihood.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Tensor};
use flow_core::standard_normal_log_prob;
use flow_data::DatasetName;
use flow_glow::{Glow, GlowConfig, ImageShape};

use crate::{
    cli::EncodeArgs,
    data,
    files::Output,
    measure,
    tensors::{self, Tensors},
    tiles,
};

/// What to encode: u8 images or numbers of the model `[N, C, H, W]`, and labels `[N]` if it has classes.
struct Images {
    x: Tensor,
    labels: Option<Tensor>,
}

/// Writes latents.
pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(args.class.is_some(), &device)?;
    let model = &checkpoint.model;
    let config = model.config();
    let images = match (&args.input, args.dataset) {
        (Some(path), _) => from_file(args, path, config)?,
        (None, name) => from_dataset(args, name.context("there are no images")?, config)?,
    };
    let output = Output::create(&args.out)?;

    let mut parts = vec![&images.x];
    parts.extend(&images.labels);
    let mut batch = 0;
    let mut found = tensors::in_batches(&parts, &device, |parts| {
        let (x, offset) = if args.raw {
            (parts[0].clone(), None)
        } else {
            let seed = measure::batch_seed(args.seed, batch);
            let (x, offset) = model.dequantize(&parts[0], seed)?;
            (x, Some(offset))
        };
        batch += 1;
        encode(model, &x, parts.get(1), offset)
    })?;
    let log_prob = found.pop().context("a model has latents")?;
    let latents = found
        .into_iter()
        .enumerate()
        .map(|(level, z)| (format!("z.{level}"), z));
    let mut tensors: Vec<_> = latents.collect();
    tensors.push(("log_prob".to_owned(), log_prob));
    tensors.extend(images.labels.map(|labels| ("labels".to_owned(), labels)));
    output.write(&tensors::serialize(tensors)?)
}

/// The latents of a batch and, last, its log-likelihoods in nats.
fn encode(
    model: &Glow,
    x: &Tensor,
    labels: Option<&Tensor>,
    offset: Option<Tensor>,
) -> Result<Vec<Tensor>> {
    let (latents, mut log_prob) = model.encode(x, labels)?;
    for latent in &latents.0 {
        log_prob = (log_prob + standard_normal_log_prob(latent)?)?;
    }
    if let Some(offset) = offset {
        log_prob = (log_prob + offset)?;
    }
    let mut found = latents.0;
    found.push(log_prob);
    Ok(found)
}

fn from_dataset(args: &EncodeArgs, name: DatasetName, config: &GlowConfig) -> Result<Images> {
    let [mut dataset] = data::open(name, [args.split], &args.data_dir)?;
    data::check_fit(config, &dataset)?;
    dataset.thin_out(args.limit.unwrap_or(usize::MAX));
    let batch = dataset.batch(&(0..dataset.len()).collect::<Vec<_>>())?;
    let labels = match (config.classes, args.class) {
        (Some(_), None) => Some(batch.labels),
        (_, class) => tensors::labels(config, class, dataset.len())?,
    };
    Ok(Images {
        x: batch.images,
        labels,
    })
}

fn from_file(args: &EncodeArgs, path: &Path, config: &GlowConfig) -> Result<Images> {
    if path.extension().is_some_and(|extension| extension == "png") {
        ensure!(
            !args.raw,
            "a PNG holds pixels; `--raw` takes a safetensors file"
        );
        let x = tiles::read(path, config.image)?;
        let labels = tensors::labels(config, args.class, x.dim(0)?)?;
        return Ok(Images { x, labels });
    }
    let tensors = Tensors::read(path)?;
    let x = if args.raw {
        tensors.numbers("x")?
    } else {
        let x = tensors.get("x")?;
        ensure!(
            x.dtype() == DType::U8,
            "tensor `x` of `{}` holds {:?}, but pixels are u8; `--raw` takes numbers of the model",
            path.display(),
            x.dtype()
        );
        x.clone()
    };
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    let fits = matches!(*x.dims(), [_, c, h, w] if [c, h, w] == [channels, height, width]);
    ensure!(
        fits,
        "tensor `x` of `{}` has shape {:?}, but should have [N, {channels}, {height}, {width}]",
        path.display(),
        x.dims()
    );
    let labels = tensors.labels(config, args.class, x.dim(0)?)?;
    Ok(Images { x, labels })
}
