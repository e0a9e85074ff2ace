//! `flow encode`: the latents of images, and their likelihood.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use flow_analysis::likelihood::batch_seed;
use flow_core::{random, standard_normal_log_prob};
use flow_glow::{
    Checkpoint, Glow, GlowConfig, Header, ImageShape, finite,
    quantize::{self, Change},
};

use super::decode;
use crate::{
    cli::EncodeArgs,
    input::{
        data::{self, Choice},
        exact, image_files,
        tensors::{self, Tensors},
    },
    output::{report, tiles},
};

/// Images to encode: u8 or numbers of the model `[N, C, H, W]`, labels `[N]` if it has classes, and
/// the noise of images, of their shape.
struct Images {
    x: Tensor,
    labels: Option<Tensor>,
    noise: Option<Tensor>,
}

/// Writes latents.
pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(false, args.class, &device)?;
    let config = checkpoint.model.config();
    let mut images = if let Some(path) = &args.input {
        from_file(args, path, &checkpoint.header)?
    } else {
        let choice = Choice::of(args.dataset, &checkpoint.header.dataset)?;
        from_dataset(args, choice, config)?
    };
    let output = tensors::create(&args.out)?;

    let mut found = if args.raw {
        of_numbers(&checkpoint, &images, &device)?
    } else {
        images.noise = Some(noise(args.seed, &images.x)?);
        of_pixels(&checkpoint, &images, &device)?
    };
    let (bad, all) = (finite::bad_rows(&found)?, images.x.dim(0)?);
    let log_prob = found.pop().context("a model has latents")?;
    let latents = found
        .into_iter()
        .enumerate()
        .map(|(level, z)| (format!("z.{level}"), z));
    let mut tensors: Vec<_> = latents.collect();
    tensors.push(("log_prob".to_owned(), log_prob));
    tensors.extend(images.labels.map(|labels| ("labels".to_owned(), labels)));
    output.write(&tensors::serialize(tensors)?)?;
    let unlikely = "images have latents or a likelihood that is not finite";
    report::ensure_finite(bad, all, unlikely)
}

/// The latents of numbers of the model and, last, their log-likelihoods in nats, in the precision
/// of the numbers.
fn of_numbers(checkpoint: &Checkpoint, images: &Images, device: &Device) -> Result<Vec<Tensor>> {
    if images.x.dtype() == DType::F64 {
        encode(&checkpoint.in_f64()?, images, &Device::Cpu)
    } else {
        encode(&checkpoint.model, images, device)
    }
}

/// The same of pixels: in single precision if the image comes back to the pixel, in double
/// precision otherwise. Warns of images that do not come back in either.
fn of_pixels(checkpoint: &Checkpoint, images: &Images, device: &Device) -> Result<Vec<Tensor>> {
    let model = &checkpoint.model;
    let single = encode(model, images, device)?;
    let lost = changes(model, images, &single, device)?;
    let lost = lost.iter().map(|change| change.image as u32);
    let finite = (0..).zip(finite::rows_of_all(&single)?);
    let bad = finite.filter(|(_, finite)| !finite).map(|(row, _)| row);
    let rows: Vec<u32> = lost.chain(bad).collect();
    if rows.is_empty() {
        return Ok(single);
    }
    let model = exact::in_double(checkpoint)?;
    let few = images.in_double(&rows)?;
    let double = encode(&model, &few, &Device::Cpu)?;
    let mut lost = changes(&model, &few, &double, &Device::Cpu)?;
    for change in &mut lost {
        change.image = rows[change.image] as usize;
    }
    exact::warn(&lost, &images.x)?;
    let pairs = single.iter().zip(&double);
    pairs
        .map(|(single, double)| tensors::with_rows(single, &rows, double))
        .collect()
}

/// The images that do not come back to the pixel, of those whose numbers in `found` are finite.
fn changes(
    model: &Glow,
    images: &Images,
    found: &[Tensor],
    device: &Device,
) -> Result<Vec<Change>> {
    let finite = (0..).zip(finite::rows_of_all(found)?);
    let rows: Vec<u32> = finite
        .filter_map(|(row, finite)| finite.then_some(row))
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let places = Tensor::new(rows.as_slice(), &Device::Cpu)?;
    let of = |tensor: &Tensor| tensor.index_select(&places, 0);
    let latents = found[..found.len() - 1].iter().map(of);
    let latents = latents.collect::<candle_core::Result<Vec<_>>>()?;
    let labels = images.labels.as_ref().map(of).transpose()?;
    let returned = decode::decode(model, &latents, labels.as_ref(), false, device)?;
    let mut changes = quantize::changes(model.config(), &of(&images.x)?, &returned)?;
    for change in &mut changes {
        change.image = rows[change.image] as usize;
    }
    Ok(changes)
}

/// The uniform numbers that `flow eval` draws for pixels `x`.
fn noise(seed: u64, x: &Tensor) -> Result<Tensor> {
    let mut batch = 0;
    let mut drawn = tensors::in_batches(&[x], &Device::Cpu, |parts| {
        let seed = batch_seed(seed, batch);
        batch += 1;
        let shape = parts[0].shape();
        Ok(vec![random::uniform(
            seed,
            shape,
            DType::F32,
            &Device::Cpu,
        )?])
    })?;
    drawn.pop().context("one tensor was asked for")
}

impl Images {
    /// Some of them, for a model in double precision. Noise is a multiple of 2⁻²⁴: it gets the
    /// middle of the step, since 0 lies on the edge to another pixel value.
    fn in_double(&self, rows: &[u32]) -> Result<Self> {
        let rows = Tensor::new(rows, &Device::Cpu)?;
        let of = |tensor: &Tensor| tensor.index_select(&rows, 0);
        let noise = |noise| of(noise)?.to_dtype(DType::F64)? + 2_f64.powi(-25);
        Ok(Self {
            x: of(&self.x)?,
            labels: self.labels.as_ref().map(of).transpose()?,
            noise: self.noise.as_ref().map(noise).transpose()?,
        })
    }
}

/// The latents of all images and, last, their log-likelihoods in nats, on the CPU.
fn encode(model: &Glow, images: &Images, device: &Device) -> Result<Vec<Tensor>> {
    let parts = [&images.x].into_iter().chain(&images.noise);
    let parts: Vec<_> = parts.chain(&images.labels).collect();
    let noisy = images.noise.is_some();
    tensors::in_batches(&parts, device, |parts| {
        let (x, offset) = if noisy {
            let (x, offset) = model.dequantize_by(&parts[0], &parts[1])?;
            (x, Some(offset))
        } else {
            (parts[0].clone(), None)
        };
        let (latents, mut log_prob) = model.encode(&x, parts.get(1 + usize::from(noisy)))?;
        for latent in &latents.0 {
            log_prob = (log_prob + standard_normal_log_prob(latent)?)?;
        }
        if let Some(offset) = offset {
            log_prob = (log_prob + offset)?;
        }
        let mut found = latents.0;
        found.push(log_prob);
        Ok(found)
    })
}

fn from_dataset(args: &EncodeArgs, choice: Choice, config: &GlowConfig) -> Result<Images> {
    let [mut dataset] = data::open(choice, [args.split], &args.data_dir)?;
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
        noise: None,
    })
}

fn from_file(args: &EncodeArgs, path: &Path, header: &Header) -> Result<Images> {
    let config = &header.model;
    if image_files::has_extension(path) {
        ensure!(
            !args.raw,
            "a picture holds pixels; `--raw` takes a safetensors file"
        );
        let x = tiles::read(path, config.image)?;
        let labels = tensors::labels(config, args.class, x.dim(0)?)?;
        return Ok(Images {
            x,
            labels,
            noise: None,
        });
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
    let labels = tensors.labels(header, args.class, x.dim(0)?)?;
    Ok(Images {
        x,
        labels,
        noise: None,
    })
}
