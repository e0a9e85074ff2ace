//! `flow density`: the likelihood of image files.

use std::f64::consts::LN_2;

use anyhow::Result;
use flow_analysis::outliers::ImageBits;
use flow_glow::{quantize, ranks::Alone};
use serde::Serialize;

use crate::{
    cli::DensityArgs,
    input::{classes, image_files::PictureReader, named_images::NamedImages},
    output::{
        console::Console,
        files::Output,
        picture_file::PictureFile,
        pixel_map,
        records::{self, Format},
        report,
    },
};

/// In JSON, numbers that are not finite are `null`.
#[derive(Serialize)]
struct Density<'a> {
    image: &'a str,
    log_likelihood: f64,
    bits_per_dim: f64,
}

/// Measures image files.
pub(crate) fn run(args: &DensityArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(args.class.is_some(), &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    let model = &checkpoint.model;
    let config = model.config();
    let fitting = &args.fitting;
    let reader = PictureReader::of(&checkpoint.header, fitting.fit, fitting.background)?;
    let collection = NamedImages::of_files(&args.images, &reader)?;
    let output = args.out.as_deref().map(Output::create).transpose()?;

    let map = args.map.as_deref().map(PictureFile::create).transpose()?;

    let mut draws = vec![Vec::new(); collection.len()];
    for draw in 0..args.importance_samples as u64 {
        let mut progress = console.progress(0.0);
        let seed = args.seed.wrapping_add(draw);
        let found = collection.observe(model, class, seed, &Alone, &mut progress)?;
        for (draws, one) in draws.iter_mut().zip(found) {
            draws.push(one.bits_per_dim);
        }
    }
    let densities: Vec<_> = collection
        .ids
        .iter()
        .zip(&draws)
        .map(|(image, draws)| {
            let bits_per_dim = quantize::importance_weighted(config, draws);
            Density {
                image,
                log_likelihood: -bits_per_dim * LN_2 * config.image.dimensions() as f64,
                bits_per_dim,
            }
        })
        .collect();
    let format = if args.json { Format::Json } else { Format::Csv };
    let content = records::lines(&densities, format)?;
    match output {
        Some(output) => output.write(&content)?,
        None => report::bytes(&content)?,
    }
    if let Some(map) = map {
        let maps = (0..collection.len()).map(|image| {
            let image = collection.images.narrow(0, image, 1)?;
            Ok(ImageBits::of(model, &image, args.seed)?.pixels)
        });
        let maps = maps.collect::<Result<Vec<_>>>()?;
        map.write(&pixel_map::picture(&maps, config.image)?)?;
    }
    let bad = densities
        .iter()
        .filter(|one| !one.bits_per_dim.is_finite())
        .count();
    report::ensure_finite(bad, densities.len(), "images have no finite likelihood")?;
    collection.ensure_complete()
}
