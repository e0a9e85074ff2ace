//! `flow decode`: images from latents.

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::{finite_rows, train::Data};
use flow_glow::{Glow, quantize};

use crate::{
    cli::DecodeArgs,
    input::tensors::{self, Tensors},
    output::{
        files::{self, Output},
        report, tiles,
    },
};

/// Writes images.
pub(crate) fn run(args: &DecodeArgs) -> Result<()> {
    // Other formats of pictures lose pixels.
    let as_png = match files::extension(&args.out, &["png", "safetensors"])? {
        Some("png") => true,
        Some(_) => false,
        None => bail!(
            "`{}` is neither a `.png` nor a `.safetensors`",
            args.out.display()
        ),
    };
    ensure!(
        !(args.raw && as_png),
        "a PNG holds pixels; `--raw` writes a safetensors file"
    );
    let device = args.device.device.open()?;
    let input = Tensors::read(&args.input)?;
    // Latents of a model with classes have labels.
    let with_classes = input.get("labels").is_ok();
    let checkpoint = args.model.load(with_classes, args.class, &device)?;
    let latents = tensors::latents(&input, &checkpoint.model)?;
    let precise = tensors::beyond_single(&latents)?;
    let latents = input.labelled(&latents, &checkpoint.header, args.class)?;
    let output = Output::create(&args.out)?;

    let single = latents.with_samples(&latents.samples().to_dtype(DType::F32)?);
    let mut x = decode(&checkpoint.model, &single, args.raw, &device)?;
    if !precise.is_empty() {
        let latents = tensors::select(&latents, &precise)?;
        let double = decode(&checkpoint.in_f64()?, &latents, args.raw, &Device::Cpu)?;
        x = tensors::with_rows(&x, &precise, &double)?;
    }
    if as_png {
        return output.write(&tiles::png(&x)?);
    }
    let finite = if args.raw { finite_rows(&x)? } else { vec![] };
    let bad = finite.iter().filter(|&&finite| !finite).count();
    output.write(&tensors::serialize(vec![("x".to_owned(), x)])?)?;
    report::ensure_finite(bad, finite.len(), "images are not finite")
}

/// The images `[N, C, H, W]` of latents `[N, D]`, in u8 or, if `raw`, as the model itself sees them, on the CPU.
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
