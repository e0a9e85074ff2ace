//! `flow measure`: attributes of images in numbers.

use std::path::Path;

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};
use flow_analysis::attribute::Measure;
use flow_data::DatasetName;
use serde::Serialize;

use crate::{
    cli::MeasureArgs,
    input::{
        data::{self, Choice},
        image_files,
        tensors::Tensors,
    },
    output::{
        files::Output,
        records::{self, Format},
        report,
    },
};

/// A line; the fields of a measure are empty where an image is black all over.
#[derive(Serialize)]
struct Line {
    index: usize,
    thickness: Option<f64>,
    slant: Option<f64>,
    width: Option<f64>,
    brightness: Option<f64>,
}

/// Measures images.
pub(crate) fn run(args: &MeasureArgs) -> Result<()> {
    let mut lines = Vec::new();
    if args.images.is_empty() {
        let choice = match args.dataset {
            Some(name) => Choice::Named(name),
            None => Choice::Default(DatasetName::Mnist),
        };
        let [dataset] = data::open(choice, [args.split], &args.data_dir)?;
        let all = (0..dataset.len()).collect::<Vec<_>>();
        measure(&dataset.batch(&all)?.images, &mut lines)?;
    }
    for file in image_files::files(&args.images)? {
        let file = file?;
        measure(&images(&file)?, &mut lines)?;
    }
    let content = records::lines(&lines, Format::Csv)?;
    match &args.out {
        Some(path) => Output::create(path)?.write(&content),
        None => report::bytes(&content),
    }
}

/// The u8 images `[N, C, H, W]` in a picture or a file of tensors.
fn images(file: &Path) -> Result<Tensor> {
    if file
        .extension()
        .is_none_or(|extension| extension != "safetensors")
    {
        return image_files::read_any(file);
    }
    let tensors = Tensors::read(file)?;
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

fn measure(images: &Tensor, lines: &mut Vec<Line>) -> Result<()> {
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
