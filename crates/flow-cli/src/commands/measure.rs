//! `flow measure`: attributes of images in numbers.

use std::path::Path;

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};
use flow_analysis::{
    attribute::{Measure, mostly, on_black_ground},
    likelihood::BATCH_SIZE,
};
use serde::Serialize;

use crate::{
    cli::MeasureArgs,
    input::{
        data::{self, Choice},
        image_files,
        tensors::{self, Tensors},
    },
    output::{
        console::Console,
        files::Output,
        records::{self, Format},
        report,
    },
};

/// A line; the fields of a measure are empty where an image is black all over, and those of strokes
/// where images have no black ground.
#[derive(Serialize)]
struct Line {
    index: usize,
    thickness: Option<f64>,
    slant: Option<f64>,
    width: Option<f64>,
    brightness: Option<f64>,
}

/// Measures images.
pub(crate) fn run(args: &MeasureArgs, console: &Console) -> Result<()> {
    let (mut lines, mut on_black) = (Vec::new(), Vec::new());
    if args.images.is_empty() {
        let choice = Choice::without_model(args.dataset.as_ref());
        let [dataset] = data::open(&choice, [args.split], &args.data_dir, console)?;
        for batch in dataset.in_order(BATCH_SIZE) {
            measure(&batch?.images, &mut lines, &mut on_black)?;
        }
    }
    for file in image_files::files(&args.images)? {
        let file = file?;
        measure(&images(&file)?, &mut lines, &mut on_black)?;
    }
    if !mostly(&on_black) {
        tracing::warn!(
            "thickness, slant and width measure bright strokes on black, and the images have no black \
             ground; these columns are left empty"
        );
        for line in &mut lines {
            (line.thickness, line.slant, line.width) = (None, None, None);
        }
    }
    let content = records::lines(&lines, Format::Csv)?;
    match &args.out {
        Some(path) => Output::create(path)?.write(&content),
        None => report::bytes(&content),
    }
}

/// The u8 images `[N, C, H, W]` in a picture or a file of tensors.
fn images(file: &Path) -> Result<Tensor> {
    if !tensors::is_one(file) {
        return image_files::read_any(file, None);
    }
    let tensors = Tensors::of_pixels(file)?;
    let x = tensors.get("x")?;
    ensure!(
        x.dtype() == DType::U8 && x.rank() == 4,
        "tensor `x` of `{}` has shape {:?} in {:?}, but images are [N, C, H, W] in u8",
        file.display(),
        x.dims(),
        x.dtype()
    );
    Ok(x.clone())
}

fn measure(images: &Tensor, lines: &mut Vec<Line>, on_black: &mut Vec<bool>) -> Result<()> {
    on_black.extend(on_black_ground(images)?);
    let of = |measure: Measure| measure.of(images);
    let thickness = of(Measure::Thickness)?.into_iter();
    let others = of(Measure::Slant)?.into_iter().zip(of(Measure::Width)?);
    let others = others.zip(of(Measure::Brightness)?);
    for (thickness, ((slant, width), brightness)) in thickness.zip(others) {
        lines.push(Line {
            index: lines.len(),
            thickness,
            slant,
            width,
            brightness,
        });
    }
    Ok(())
}
