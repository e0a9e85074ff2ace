//! `flow eval`: bits per dimension of a data set under a trained model.

use anyhow::{Result, ensure};
use flow_data::DatasetName;
use flow_glow::Checkpoint;
use indicatif::HumanCount;
use serde::Serialize;

use crate::{cli::EvalArgs, console::Console, data, measure, report};

#[derive(Serialize)]
struct Evaluation {
    bits_per_dim: f64,
    standard_error: Option<f64>,
    images: usize,
    dataset: &'static str,
    split: &'static str,
}

/// Measures a model.
pub(crate) fn run(args: &EvalArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = Checkpoint::load(&args.checkpoint, &device)?;
    let name = match args.dataset {
        Some(name) => name,
        None => checkpoint.header.dataset.parse::<DatasetName>()?,
    };
    let [mut dataset] = data::open(name, [args.split], &args.data_dir)?;
    data::check_fit(checkpoint.model.config(), &dataset)?;
    dataset.thin_out(args.limit.unwrap_or(usize::MAX));

    let total = dataset.len() as u64;
    let mut progress = console.progress(0.0);
    let measured =
        measure::bits_per_dim(&checkpoint.model, &dataset, &device, args.seed, |images| {
            let message = format!(
                "{} of {} images",
                HumanCount(images as u64),
                HumanCount(total)
            );
            progress.update(images as f64 / total as f64, &message);
            true
        })?;
    drop(progress);
    let measured = measured.expect("nobody asked to stop");
    ensure!(
        measured.non_finite == 0,
        "{} of {total} images have no finite bits per dimension under this model",
        measured.non_finite
    );

    if args.json {
        return report::json(&Evaluation {
            bits_per_dim: measured.bits_per_dim,
            standard_error: measured.standard_error,
            images: measured.images,
            dataset: name.as_str(),
            split: args.split.as_str(),
        });
    }
    report::table(&[
        ("result", measured.to_string()),
        (
            "data",
            format!("{} {} images of {name}", HumanCount(total), args.split),
        ),
    ])
}
