//! `flow encode`: the latents of images, and their likelihood.

use std::path::Path;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use flow_analysis::likelihood::{BATCH_SIZE, batch_seed};
use flow_core::{random, train::Data};
use flow_data::picture;
use flow_glow::{
    Checkpoint, Glow, Header, ImageShape, finite,
    quantize::{self, Change},
};

use super::decode;
use crate::{
    cli::EncodeArgs,
    input::{
        classes,
        data::{self, Choice},
        exact,
        image_files::PictureReader,
        tensors::{self, FORMATS, Tensors},
    },
    output::{
        console::Console,
        report,
        tensor_file::{self, TensorFile},
        tiles,
    },
};

/// Images to encode: u8 or numbers of the model `[N, C, H, W]`, labels `[N]` if it has classes, and
/// the noise of pixels, of their shape.
struct Images {
    data: Data,
    noise: Option<Tensor>,
}

/// Writes latents.
pub(crate) fn run(args: &EncodeArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(args.class.is_some(), &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    let data = if let Some(path) = &args.input {
        from_file(args, path, &checkpoint.header, class)?
    } else {
        from_dataset(args, &checkpoint.header, class, console)?
    };
    let output = TensorFile::create(&args.out, &tensor_file::SEVERAL)?;

    let noise = (!args.raw).then(|| noise(args.seed, &data)).transpose()?;
    let images = Images { data, noise };
    let found = if args.raw {
        of_numbers(&checkpoint, &images, &device)?
    } else {
        of_pixels(&checkpoint, &images, &device)?
    };
    let bad = finite::bad_rows(&found)?;
    let [z, log_prob] = found;
    let latents = checkpoint.model.latents(&z)?.0.into_iter().enumerate();
    let latents = latents.map(|(level, z)| (format!("z.{level}"), z));
    let mut tensors: Vec<_> = latents.collect();
    tensors.push(("log_prob".to_owned(), log_prob));
    let labels = images
        .data
        .context()
        .map(|labels| ("labels".to_owned(), labels.clone()));
    tensors.extend(labels);
    output.write(tensors)?;
    let unlikely = "images have latents or a likelihood that is not finite";
    report::ensure_finite(bad, z.dim(0)?, unlikely)
}

/// The latents `[N, D]` of numbers of the model and their log-likelihoods in nats `[N]`, in the
/// precision of the numbers.
fn of_numbers(checkpoint: &Checkpoint, images: &Images, device: &Device) -> Result<[Tensor; 2]> {
    if images.data.samples().dtype() == DType::F64 {
        encode(&checkpoint.in_f64()?, images, &Device::Cpu)
    } else {
        encode(&checkpoint.model, images, device)
    }
}

/// The same of pixels: in single precision where that brings an image back to the pixel, in double
/// precision otherwise. Warns of images that do not come back in either.
fn of_pixels(checkpoint: &Checkpoint, images: &Images, device: &Device) -> Result<[Tensor; 2]> {
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
    exact::warn(&lost, images.data.samples())?;
    let [z, log_prob] = [0, 1].map(|i| tensors::with_rows(&single[i], &rows, &double[i]));
    Ok([z?, log_prob?])
}

/// The images that do not come back to the pixel, of those whose numbers in `found` are finite.
fn changes(
    model: &Glow,
    images: &Images,
    found: &[Tensor; 2],
    device: &Device,
) -> Result<Vec<Change>> {
    let finite = (0..).zip(finite::rows_of_all(found)?);
    let rows: Vec<u32> = finite
        .filter_map(|(row, finite)| finite.then_some(row))
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let latents = tensors::select(&images.data.with_samples(&found[0]), &rows)?;
    let returned = decode::decode(model, &latents, false, device)?;
    let images = tensors::select(&images.data, &rows)?;
    let mut changes = quantize::changes(model.config(), images.samples(), &returned)?;
    for change in &mut changes {
        change.image = rows[change.image] as usize;
    }
    Ok(changes)
}

/// The uniform numbers that `flow eval` draws for pixels.
fn noise(seed: u64, pixels: &Data) -> Result<Tensor> {
    let [drawn] = tensors::in_batches(pixels, &Device::Cpu, |rows, pixels| {
        let seed = batch_seed(seed, rows.range().start / BATCH_SIZE);
        let shape = pixels.samples().shape();
        Ok([random::uniform(seed, shape, DType::F32, &Device::Cpu)?])
    })?;
    Ok(drawn)
}

impl Images {
    /// Some of them, for a model in double precision. Noise is a multiple of 2⁻²⁴: it gets the
    /// middle of the step, since 0 lies on the edge to another pixel value.
    fn in_double(&self, rows: &[u32]) -> Result<Self> {
        let places = Tensor::new(rows, &Device::Cpu)?;
        let noise = |noise: &Tensor| {
            noise.index_select(&places, 0)?.to_dtype(DType::F64)? + 2_f64.powi(-25)
        };
        Ok(Self {
            data: tensors::select(&self.data, rows)?,
            noise: self.noise.as_ref().map(noise).transpose()?,
        })
    }
}

/// The latents `[N, D]` of all images and their log-likelihoods in nats `[N]`, on the CPU.
fn encode(model: &Glow, images: &Images, device: &Device) -> Result<[Tensor; 2]> {
    tensors::in_batches(&images.data, device, |rows, data| {
        let model = model.conditioned_on(data)?;
        let likelihood = |x: &Tensor| -> Result<_> {
            let (z, log_det) = model.encode(x)?;
            let log_prob = model.base().add_log_prob(&log_det, &z)?;
            Ok((z, log_prob))
        };
        let Some(noise) = &images.noise else {
            return Ok(likelihood(data.samples())?.into());
        };
        let noise = rows.of(noise)?.to_device(device)?;
        let (x, offset) = model.dequantize_by(data.samples(), &noise)?;
        let (z, log_prob) = likelihood(&x)?;
        Ok([z, (log_prob + offset)?])
    })
}

fn from_dataset(
    args: &EncodeArgs,
    header: &Header,
    class: Option<u32>,
    console: &Console,
) -> Result<Data> {
    let choice = Choice::of(args.dataset.as_ref(), header)?;
    let [mut dataset] = data::open(&choice, [args.split], &args.data_dir, console)?;
    data::check_fit(header, &dataset)?;
    dataset.thin_out(args.limit.unwrap_or(usize::MAX));
    let batch = dataset.all()?;
    match (header.model.classes, class) {
        (Some(_), None) => Ok((&batch.images, &batch.labels).into()),
        (_, class) => tensors::of_class(&batch.images, &header.model, class),
    }
}

fn from_file(args: &EncodeArgs, path: &Path, header: &Header, class: Option<u32>) -> Result<Data> {
    let config = &header.model;
    if path.is_dir() || picture::has_extension(path) {
        ensure!(!args.raw, "a picture holds pixels; `--raw` takes {FORMATS}");
        let (fit, background) = (args.fitting.fit, args.fitting.background);
        let x = if path.is_dir() || fit.is_some() {
            let reader = PictureReader::of(header, fit, background)?;
            reader.read(&[path.to_owned()])?
        } else {
            ensure!(
                background.is_none(),
                "`--background` goes with `--fit`, or with a folder"
            );
            tiles::read(path, config.image)?
        };
        return tensors::of_class(&x, config, class);
    }
    let (tensors, x) = if args.raw {
        let tensors = Tensors::read(path)?;
        let x = tensors.numbers("x")?;
        (tensors, x)
    } else {
        let tensors = Tensors::of_pixels(path)?;
        let x = tensors.get("x")?.clone();
        ensure!(
            x.dtype() == DType::U8,
            "tensor `x` of `{}` holds {:?}, but pixels are u8; `--raw` takes numbers of the model",
            path.display(),
            x.dtype()
        );
        (tensors, x)
    };
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    let fits = matches!(*x.dims(), [_, c, h, w] if [c, h, w] == [channels, height, width]);
    ensure!(
        fits,
        "the images of `{}` have shape {:?}, but should have [N, {channels}, {height}, {width}]",
        path.display(),
        x.dims()
    );
    tensors.labelled(&x, header, class)
}
