//! `flow inspect`: the content of a model or training file.

use std::time::Duration;

use anyhow::{Result, ensure};
use candle_core::Device;
use flow_glow::{
    Checkpoint, Dequantization, GlowConfig, Header, Origin, Preprocessing, ScaleMap, TrainingRecord,
};
use indicatif::HumanCount;
use serde::Serialize;

use super::tables;
use crate::{
    cli::InspectArgs,
    input::{classes, condition, data_record::DataRecord},
    output::{report, words::count},
};

#[derive(Serialize)]
struct Inspection<'a> {
    parameters: usize,
    #[serde(flatten)]
    header: &'a Header,
}

/// Shows a file.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    if tables::is_model(&args.file) {
        return tables::inspect(args);
    }
    ensure!(
        args.plot.is_none(),
        "`--plot` draws flows of two-dimensional vectors, and this is a model of images"
    );
    // Only loading the whole file proves its header right.
    let checkpoint = Checkpoint::load(&args.file, &Device::Cpu)?;
    let header = &checkpoint.header;
    let parameters = checkpoint.parameters;
    if args.json {
        return report::json(&Inspection { parameters, header });
    }
    let mut rows = model_rows(&header.model)?.to_vec();
    rows.extend([
        ("parameters", HumanCount(parameters as u64).to_string()),
        ("trained on", header.dataset.clone()),
    ]);
    if let Some(record) = DataRecord::read(&header.data)? {
        rows.extend(data_rows(&record));
    }
    let names = classes::names(header)?;
    if let Some(row) = rows.iter_mut().find(|row| row.0 == "classes")
        && !names.is_empty()
    {
        row.1 = format!("{}: {}", names.len(), names.join(", "));
    }
    if let Some(origin) = &header.origin {
        rows.push(("began with", name_of(origin)));
    }
    if let Some(training) = &header.training {
        rows.extend(training_rows(training)?);
    }
    let conventions = other_conventions(&header.model)?;
    if !conventions.is_empty() {
        rows.push(("conventions", conventions));
    }
    report::table(&rows)
}

/// Size and form of a model.
fn model_rows(model: &GlowConfig) -> Result<[(&'static str, String); 11]> {
    let classes = match model.classes {
        Some(classes) => classes.to_string(),
        None => "not told apart".to_owned(),
    };
    let condition = match &model.condition {
        None => "none".to_owned(),
        Some(condition) if condition.networks => condition::names_of(condition),
        Some(condition) => format!("{}, for the priors only", condition::names_of(condition)),
    };
    Ok([
        (
            "images",
            format!(
                "{}×{}×{}, {}",
                model.image.channels,
                model.image.height,
                model.image.width,
                count(model.bits as usize, "bit")
            ),
        ),
        ("levels", model.levels.to_string()),
        ("steps a level", model.steps.to_string()),
        ("steps in the last", model.steps_of(true).to_string()),
        ("width", model.width.to_string()),
        ("coupling", name(&model.coupling)?),
        (
            "scale map",
            match model.scale_map {
                ScaleMap::ExpTanh { bound } => format!("exp-tanh, bound {bound}"),
                other => name(&other)?,
            },
        ),
        (
            "preprocessing",
            match &model.preprocessing {
                Preprocessing::Logit { alpha } => format!("logit, alpha {alpha}"),
                Preprocessing::Equalized { .. } => "equalized".to_owned(),
                other => name(&other)?,
            },
        ),
        (
            "dequantization",
            match model.dequantization {
                Dequantization::Uniform => "uniform".to_owned(),
                Dequantization::Variational { steps, width } => {
                    format!("variational, {}, width {width}", count(steps, "step"))
                }
            },
        ),
        ("classes", classes),
        ("condition", condition),
    ])
}

/// The place and the form of the training data.
fn data_rows(record: &DataRecord) -> Vec<(&'static str, String)> {
    let mut rows = vec![("data from", record.location.clone())];
    if let (Some(fitting), Some(preparation)) = (&record.fitting, &record.preparation) {
        let fitted = format!(
            "{} to {}×{}, {}",
            fitting.fit, fitting.width, fitting.height, fitting.color
        );
        rows.push(("fitted by", fitted));
        rows.push(("test share", preparation.test_share.to_string()));
    }
    rows.push(("fingerprint", record.digest.chars().take(12).collect()));
    rows
}

/// The model that a training began with.
fn name_of(origin: &Origin) -> String {
    let steps = origin
        .steps
        .map(|steps| format!(", after step {}", HumanCount(steps)));
    format!(
        "{} ({}{})",
        origin.checkpoint,
        origin.dataset,
        steps.unwrap_or_default()
    )
}

/// The training of a model.
fn training_rows(training: &TrainingRecord) -> Result<[(&'static str, String); 5]> {
    let TrainingRecord { settings, progress } = training;
    let optimization = &settings.optimization;
    let time = Duration::from_secs(progress.seconds.max(0.0) as u64);
    Ok([
        (
            "trained for",
            format!(
                "{}, {}, {}",
                count(progress.step as usize, "step"),
                count(progress.epoch as usize, "whole epoch"),
                humantime::format_duration(time)
            ),
        ),
        (
            "optimizer",
            format!(
                "{}, learning rate {}, {}, gradient norm up to {}",
                name(&optimization.optimizer)?,
                optimization.learning_rate,
                count(optimization.warmup_steps as usize, "warm-up step"),
                optimization.clip_norm
            ),
        ),
        ("average decay", optimization.average_decay.to_string()),
        ("batch size", settings.batch_size.to_string()),
        ("seed", settings.seed.to_string()),
    ])
}

/// The settings in which a model differs from those that this program trains.
fn other_conventions(model: &GlowConfig) -> Result<String> {
    // Those of the presets paper and small.
    let paper = serde_json::to_value(GlowConfig::paper(model.image).conventions)?;
    let small = serde_json::to_value(GlowConfig::small(model.image).conventions)?;
    let value = serde_json::to_value(model.conventions)?;
    let fields = value.as_object().into_iter().flatten();
    let others = fields.filter(|(key, value)| {
        ![&paper, &small]
            .iter()
            .any(|own| own.get(key) == Some(value))
    });
    let others = others.map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key} {text}"),
        None => format!("{key} {value}"),
    });
    Ok(others.collect::<Vec<_>>().join(", ").replace('_', " "))
}

/// The name of a choice in the file, which is also its name on the command line.
fn name(choice: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_value(choice)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}
