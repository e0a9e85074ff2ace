//! `flow verify`: checks of the numbers of a trained model.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use candle_core::Device;
use flow_data::Split;
use flow_glow::{
    Checkpoint,
    verify::{self, Layer, Range, Report, Verdict},
};
use serde::Serialize;

use crate::{
    cli::VerifyArgs,
    input::{
        condition,
        data::{self, Choice},
        examples::Examples,
    },
    output::{console::Console, report},
};

#[derive(Serialize)]
struct Verification<'a> {
    passed: bool,
    verdicts: Vec<VerdictRecord<'a>>,
    layers: Vec<LayerRecord<'a>>,
    dataset: &'a str,
    images: usize,
}

/// Numbers that are not finite are `null`.
#[derive(Serialize)]
struct VerdictRecord<'a> {
    check: &'a str,
    passed: bool,
    value: f64,
    bound: f64,
    detail: &'a str,
}

#[derive(Serialize)]
struct LayerRecord<'a> {
    name: &'a str,
    round_trip_f32: f64,
    round_trip_f64: f64,
    condition: Option<f64>,
    actnorm_log_scale: Option<[f64; 2]>,
    log_scale: Option<[f64; 2]>,
}

/// Checks a model.
pub(crate) fn run(args: &VerifyArgs, console: &Console) -> Result<()> {
    // Only the CPU computes in double precision everywhere.
    let checkpoint = Checkpoint::load(&args.checkpoint, &Device::Cpu)?;
    let config = checkpoint.model.config();
    let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
    let [mut dataset] = data::open(&choice, [Split::Test], &args.data_dir, console)?;
    data::check_fit(&checkpoint.header, &dataset)?;
    dataset.thin_out(args.limit);
    let batch = dataset.all()?;
    // The mathematics is judged, which is the same under any condition.
    let examples = Examples::new(dataset, condition::means(config, batch.indices.len())?);
    let data = examples.data(&batch, config, &Device::Cpu)?;
    let found = verify::verify(config, &checkpoint.weights, data, args.full)?;

    let failed = found.verdicts.iter().filter(|verdict| !verdict.passed());
    let failed = failed.count();
    if args.json {
        report::json(&Verification {
            passed: failed == 0,
            verdicts: found.verdicts.iter().map(VerdictRecord::from).collect(),
            layers: found.layers.iter().map(LayerRecord::from).collect(),
            dataset: examples.name(),
            images: examples.len(),
        })?;
    } else {
        report::bytes(text(&found)?.as_bytes())?;
    }
    ensure!(
        failed == 0,
        "{failed} of {} checks failed on `{}`",
        found.verdicts.len(),
        args.checkpoint.display()
    );
    Ok(())
}

fn text(found: &Report) -> Result<String> {
    let mut text = String::new();
    for verdict in &found.verdicts {
        let word = if verdict.passed() { "pass" } else { "FAIL" };
        let Verdict {
            check,
            value,
            bound,
            detail,
        } = verdict;
        writeln!(
            text,
            "{word}  {check:29}  {:>7} (at most {})  {detail}",
            short(*value),
            short(*bound)
        )?;
    }
    writeln!(
        text,
        "\n{:18}  {:>12}  {:>12}  {:>9}  {:>16}  {:>16}",
        "layer", "inverts, f32", "inverts, f64", "condition", "ln s of ActNorm", "ln s"
    )?;
    for layer in &found.layers {
        let row = format!(
            "{:18}  {:>12}  {:>12}  {:>9}  {:>16}  {:>16}",
            layer.name,
            short(layer.round_trip_f32),
            short(layer.round_trip_f64),
            layer.condition.map(short).unwrap_or_default(),
            layer.actnorm_log_scale.map(span).unwrap_or_default(),
            layer.log_scale.map(span).unwrap_or_default()
        );
        writeln!(text, "{}", row.trim_end())?;
    }
    Ok(text)
}

/// A number in few characters.
fn short(value: f64) -> String {
    match value.abs() {
        size if size < 1e5 && size.fract() == 0.0 => format!("{value}"),
        0.1..1e5 => format!("{value:.1}"),
        _ => format!("{value:.1e}"),
    }
}

fn span(range: Range) -> String {
    format!("{:.2} to {:.2}", range.min, range.max)
}

impl<'a> From<&'a Verdict> for VerdictRecord<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            check: verdict.check,
            passed: verdict.passed(),
            value: verdict.value,
            bound: verdict.bound,
            detail: &verdict.detail,
        }
    }
}

impl<'a> From<&'a Layer> for LayerRecord<'a> {
    fn from(layer: &'a Layer) -> Self {
        let ends = |range: Range| [range.min, range.max];
        Self {
            name: &layer.name,
            round_trip_f32: layer.round_trip_f32,
            round_trip_f64: layer.round_trip_f64,
            condition: layer.condition,
            actnorm_log_scale: layer.actnorm_log_scale.map(ends),
            log_scale: layer.log_scale.map(ends),
        }
    }
}
