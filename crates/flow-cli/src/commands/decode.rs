//! `flow decode`: images from latents.

use std::slice;

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_glow::{Glow, Latents, finite, quantize};

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
    let labels = input.labels(&checkpoint.header, args.class, latents[0].dim(0)?)?;
    let output = Output::create(&args.out)?;

    let precise = tensors::beyond_single(&latents)?;
    let single: Vec<_> = latents
        .iter()
        .map(|z| z.to_dtype(DType::F32))
        .collect::<candle_core::Result<_>>()?;
    let mut x = decode(
        &checkpoint.model,
        &single,
        labels.as_ref(),
        args.raw,
        &device,
    )?;
    if !precise.is_empty() {
        let rows = Tensor::new(precise.as_slice(), &Device::Cpu)?;
        let of = |tensor: &Tensor| tensor.index_select(&rows, 0);
        let latents: Vec<_> = latents.iter().map(of).collect::<candle_core::Result<_>>()?;
        let labels = labels.as_ref().map(of).transpose()?;
        let model = checkpoint.in_f64()?;
        let double = decode(&model, &latents, labels.as_ref(), args.raw, &Device::Cpu)?;
        x = tensors::with_rows(&x, &precise, &double)?;
    }
    if as_png {
        return output.write(&tiles::png(&x)?);
    }
    let (bad, all) = if args.raw {
        (finite::bad_rows(slice::from_ref(&x))?, x.dim(0)?)
    } else {
        (0, 0)
    };
    output.write(&tensors::serialize(vec![("x".to_owned(), x)])?)?;
    report::ensure_finite(bad, all, "images are not finite")
}

/// The images `[N, C, H, W]` of latents, in u8 or, if `raw`, as the model itself sees them, on the
/// CPU.
pub(super) fn decode(
    model: &Glow,
    latents: &[Tensor],
    labels: Option<&Tensor>,
    raw: bool,
    device: &Device,
) -> Result<Tensor> {
    let levels = latents.len();
    let parts: Vec<_> = latents.iter().chain(labels).collect();
    let found = tensors::in_batches(&parts, device, |parts| {
        let (latents, labels) = parts.split_at(levels);
        let x = model.decode(&Latents(latents.to_vec()), labels.first())?;
        Ok(vec![x])
    })?;
    let [x] = <[_; 1]>::try_from(found).expect("one tensor was asked for");
    if raw {
        return Ok(x);
    }
    Ok(quantize::quantize(model.config(), &x)?)
}
