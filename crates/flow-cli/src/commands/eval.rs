//! `flow eval`: bits per dimension of a data set under a trained model.

use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;
use flow_analysis::likelihood::{self, Measurement, Noise, OfClasses};
use flow_glow::Checkpoint;
use indicatif::HumanCount;
use serde::Serialize;

use crate::{
    cli::EvalArgs,
    input::{
        condition,
        data::{self, Choice},
        examples::Examples,
    },
    output::{console::Console, report, words::count},
    process_group::ProcessGroup,
};

/// Numbers that are not finite are `null`.
#[derive(Serialize)]
struct Evaluation<'a> {
    bits_per_dim: f64,
    standard_error: Option<f64>,
    images: usize,
    non_finite: usize,
    importance_samples: usize,
    #[serde(flatten)]
    of_classes: Option<ClassEvaluation>,
    dataset: &'a str,
    split: &'static str,
}

/// Bits per dimension without the class, and the accuracy, of a model with classes.
#[derive(Serialize)]
struct ClassEvaluation {
    marginal_bits_per_dim: f64,
    marginal_standard_error: Option<f64>,
    /// Share of images whose class is found.
    accuracy: f64,
}

impl From<OfClasses> for ClassEvaluation {
    fn from(found: OfClasses) -> Self {
        Self {
            marginal_bits_per_dim: found.marginal.bits_per_dim,
            marginal_standard_error: found.marginal.standard_error,
            accuracy: found.accuracy,
        }
    }
}

/// Measures a model.
pub(crate) fn run(args: &EvalArgs, console: &Console) -> Result<()> {
    let (backend, device) = (args.distributed.distributed, args.device.device);
    let group = ProcessGroup::join(backend, device, Arc::default())?;
    group.end(evaluate(args, console, &group))
}

fn evaluate(args: &EvalArgs, console: &Console, group: &ProcessGroup) -> Result<()> {
    let (checkpoint, examples) = group.agree(open(args, &group.device, console))?;
    let total = examples.len() as u64;
    let mut progress = console.progress(0.0);
    let go_on = |images| {
        let message = format!(
            "{} of {} images",
            HumanCount(images as u64),
            HumanCount(total)
        );
        progress.update(images as f64 / total as f64, &message);
        true
    };
    let (model, ranks) = (&checkpoint.model, &*group.ranks);
    let noise = Noise {
        seed: args.seed,
        draws: args.importance_samples,
    };
    let batches = examples.batches(model.config());
    let (measured, of_classes) = if model.config().classes.is_some() {
        let found = likelihood::of_classes(model, batches, noise, ranks, go_on)?;
        (found.map(|found| found.given), found)
    } else {
        (
            likelihood::bits_per_dim(model, batches, noise, ranks, go_on)?,
            None,
        )
    };
    drop(progress);
    let measured = measured.expect("nobody asked to stop");
    group.lead(|| {
        print(args, examples.name(), &measured, of_classes)?;
        let model = args.model.name();
        let unlikely =
            format!("images have no finite likelihood under {model}; `flow verify` says why");
        report::ensure_finite(measured.non_finite, measured.images, &unlikely)?;
        let untold = of_classes.map_or(0, |found| found.marginal.non_finite);
        let unclear = format!("images have no finite likelihood in some class under {model}");
        report::ensure_finite(untold, measured.images, &unclear)
    })
}

fn open(args: &EvalArgs, device: &Device, console: &Console) -> Result<(Checkpoint, Examples)> {
    let checkpoint = args.model.load_conditional(false, device)?;
    let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
    let [dataset] = data::open(&choice, [args.split], &args.data_dir, console)?;
    data::check_fit(&checkpoint.header, &dataset)?;
    let rows = condition::asked(args.condition.as_deref(), checkpoint.model.config())?;
    let such = format!("{} image", args.split);
    let numbers = rows.map(|(rows, of)| rows.of_images(dataset.len(), &such)?.numbers(of));
    let mut examples = Examples::new(dataset, numbers.transpose()?);
    examples.thin_out(args.limit.unwrap_or(usize::MAX))?;
    Ok((checkpoint, examples))
}

fn print(
    args: &EvalArgs,
    name: &str,
    measured: &Measurement,
    of_classes: Option<OfClasses>,
) -> Result<()> {
    if args.json {
        return report::json(&Evaluation {
            bits_per_dim: measured.bits_per_dim,
            standard_error: measured.standard_error,
            images: measured.images,
            non_finite: measured.non_finite,
            importance_samples: args.importance_samples,
            of_classes: of_classes.map(ClassEvaluation::from),
            dataset: name,
            split: args.split.as_str(),
        });
    }
    let images = count(measured.images, &format!("{} image", args.split));
    let noise = match args.importance_samples {
        1 => "1 draw for each image".to_owned(),
        samples => format!(
            "{} for each image, importance-weighted",
            count(samples, "draw")
        ),
    };
    let mut rows = vec![
        ("result", measured.to_string()),
        ("data", format!("{images} of {name}")),
        ("noise", noise),
    ];
    if let Some(found) = of_classes.filter(|found| found.marginal.non_finite == 0) {
        let share = format!(
            "{:.2} % of images are likeliest in their own",
            100.0 * found.accuracy
        );
        rows.insert(1, ("without class", found.marginal.to_string()));
        rows.push(("classes", share));
    }
    report::table(&rows)
}
