//! Latents of images that decode to exactly these images, with warnings about the others.

use anyhow::Result;
use candle_core::Tensor;
use flow_analysis::exact::Exact;
use flow_core::train::Data;
use flow_glow::{Checkpoint, Glow, quantize::Change};

/// Encodes u8 images `[N, C, H, W]`, of one class if the model has classes. Warns of images that do
/// not come back even in double precision.
///
/// # Errors
/// If the latents of an image are not finite even then.
pub(crate) fn encode<'a>(checkpoint: &'a Checkpoint, data: &Data) -> Result<Exact<'a>> {
    if let Some(exact) = Exact::in_single(&checkpoint.model, data)? {
        return Ok(exact);
    }
    report_double();
    let exact = Exact::in_double(checkpoint, data)?;
    warn(exact.changes(), data.samples())?;
    Ok(exact)
}

/// The model in double precision, for images that single precision does not bring back.
pub(crate) fn in_double(checkpoint: &Checkpoint) -> Result<Glow> {
    report_double();
    Ok(checkpoint.in_f64()?)
}

fn report_double() {
    tracing::info!("single precision does not bring every image back; going on in double");
}

/// Warns of each of the `images` `[N, C, H, W]` that does not come back in double precision either.
pub(crate) fn warn(changes: &[Change], images: &Tensor) -> Result<()> {
    let (count, channels, height, width) = images.dims4()?;
    let pixels = channels * height * width;
    for change in changes {
        tracing::warn!(
            "image {} of {count} does not come back exactly: {} of {pixels} pixels differ, by up to {} of 255; \
             `flow verify` says more of the model's inverse",
            change.image + 1,
            change.pixels,
            change.largest
        );
    }
    Ok(())
}
