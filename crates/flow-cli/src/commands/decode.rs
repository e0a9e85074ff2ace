//! `flow decode`: images from latents.

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::{finite_rows, train::Data};
use flow_glow::{Glow, quantize};

use crate::{
    cli::DecodeArgs,
    input::{
        classes,
        tensors::{self, Tensors},
    },
    output::{files, report, tensor_file::TensorFile},
};

/// Formats of images; other ones of pictures lose pixels.
const FORMATS: [&str; 4] = ["png", "safetensors", "npz", "npy"];

/// Writes images.
pub(crate) fn run(args: &DecodeArgs) -> Result<()> {
    let as_png = match files::extension(&args.out, &FORMATS)? {
        Some(extension) => extension == "png",
        None => bail!(
            "`{}` ends in none of {}",
            args.out.display(),
            files::listed(&FORMATS)
        ),
    };
    ensure!(
        !(args.raw && as_png),
        "a PNG holds pixels; `--raw` writes a file of tensors"
    );
    let device = args.device.device.open()?;
    let input = Tensors::read(&args.input)?;
    // Latents of a model with classes have labels.
    let with_classes = input.get("labels").is_ok();
    let checkpoint = args
        .model
        .load(with_classes || args.class.is_some(), &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    let latents = tensors::latents(&input, &checkpoint.model)?;
    let precise = tensors::beyond_single(&latents)?;
    let latents = input.labelled(&latents, &checkpoint.header, class)?;
    let output = TensorFile::create(&args.out, &FORMATS)?;

    let single = latents.with_samples(&latents.samples().to_dtype(DType::F32)?);
    let mut x = decode(&checkpoint.model, &single, args.raw, &device)?;
    if !precise.is_empty() {
        let latents = tensors::select(&latents, &precise)?;
        let double = decode(&checkpoint.in_f64()?, &latents, args.raw, &Device::Cpu)?;
        x = tensors::with_rows(&x, &precise, &double)?;
    }
    let finite = if args.raw { finite_rows(&x)? } else { vec![] };
    let bad = finite.iter().filter(|&&finite| !finite).count();
    output.write(vec![("x".to_owned(), x)])?;
    report::ensure_finite(bad, finite.len(), "images are not finite")
}

/// The images `[N, C, H, W]` of latents `[N, D]`, in u8 or, if `raw`, as the model itself sees
/// them, on the CPU.
pub(super) fn decode(model: &Glow, latents: &Data, raw: bool, device: &Device) -> Result<Tensor> {
    let [x] = tensors::in_batches(latents, device, |_, latents| {
        Ok([model.conditioned_on(latents)?.decode(latents.samples())?])
    })?;
    Ok(if raw {
        x
    } else {
        quantize::quantize(model.config(), &x)?
    })
}
