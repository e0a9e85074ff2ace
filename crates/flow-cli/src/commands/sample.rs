//! `flow sample`: new images from a trained model, as one PNG.

use anyhow::{Result, bail};
use flow_glow::Checkpoint;

use crate::{cli::SampleArgs, draw, files::Output, image_grid};

/// Draws a picture of samples.
pub(crate) fn run(args: &SampleArgs) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = Checkpoint::load(&args.checkpoint, &device)?;
    let model = &checkpoint.model;
    match (args.class, model.config().classes) {
        (Some(_), None) => {
            bail!("the model knows no classes; leave out `--class`, or train one with `--classes`")
        }
        (Some(class), Some(classes)) if class as usize >= classes => bail!(
            "there is no class {class}: the model knows {classes}, 0 to {}",
            classes - 1
        ),
        _ => {}
    }
    let output = Output::create(&args.out)?;
    let images = draw::images(
        model,
        args.count,
        args.class,
        args.temperature,
        args.seed,
        &device,
    )?;
    output.write(&image_grid::png(&images)?)?;
    tracing::info!("{} samples in `{}`", args.count, args.out.display());
    Ok(())
}
