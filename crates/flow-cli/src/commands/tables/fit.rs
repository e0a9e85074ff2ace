//! `flow fit`: a flow of the columns of a table, and how much better it is than Gaussians.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use candle_core::DType;
use flow_analysis::mixtures;
use flow_core::{
    Model,
    train::{Epoch, Fit, FitSettings, Optimization},
};
use flow_table::{Survey, Table};
use indicatif::HumanCount;

use super::{
    describe, flow, pictures,
    record::{TableRecord, TestRows},
    rows,
    training_rows::TrainingRows,
};
use crate::{
    cli::{FitArgs, FlowArgs},
    output::{console::Console, files::Output, picture_file::PictureFile, report, words::count},
    training::Interrupt,
};

/// Rows at least.
const LEAST_ROWS: u64 = 20;

/// Steps of a fit, about, and limits of the epochs that they take.
const STEPS: usize = 10_000;
const EPOCHS: [usize; 2] = [10, 500];

/// Epochs without improvement at least.
const PATIENCE: usize = 10;

/// Fits a flow to a table.
pub(crate) fn run(args: &FitArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let interrupt = Interrupt::listen("epoch")?;
    ensure!(
        args.out != Path::new("-"),
        "a model is written to a file; name one with `--out`"
    );
    // Found out before the fit, which may be long.
    drop(Output::create(&args.out)?);
    let create = |path: &Option<PathBuf>| path.as_deref().map(PictureFile::create).transpose();
    let (plot, calibration) = (create(&args.plot)?, create(&args.calibration)?);
    let table = Table::at(&args.table).repeatable()?;
    let choice = args.columns.choice();
    let survey = Survey::of(&table, &choice)?;
    let recipe = flow::choice(&args.flow, &survey.schema)?;
    ensure!(
        survey.rows >= LEAST_ROWS,
        "{} has {}, and a fit needs {LEAST_ROWS} or more",
        table.name(),
        count(survey.rows as usize, "row")
    );
    show(&survey, &table);
    let data = TrainingRows::of(&table, &survey, args, &device)?;
    let TrainingRows { sample, test, .. } = &data;

    let architecture = flow::architecture(recipe, &args.flow, &survey.schema, sample)?;
    let mut model = Model::new(architecture, args.seed, DType::F32, &device)?;
    let began = Instant::now();
    let fitted = fit(&model, &data, args, console, &interrupt)?;
    let seconds = began.elapsed().as_secs_f64();

    let log_prob = rows::log_prob_of(&model, test)?;
    let bad = log_prob
        .iter()
        .filter(|log_prob| !log_prob.is_finite())
        .count();
    report::ensure_finite(
        bad,
        log_prob.len(),
        "test rows have no finite ln p under the flow",
    )?;
    let baselines = mixtures::baselines(sample, test, args.seed);
    let baselines =
        baselines.inspect_err(|error| tracing::warn!("no Gaussian to compare: {error}"));
    let record = TableRecord {
        schema: survey.schema.clone(),
        table: args.table.display().to_string(),
        recipe: recipe.name(),
        rows: data.count,
        epochs: fitted.epochs,
        best_epoch: fitted.best.epoch,
        seed: args.seed,
        test: Some(TestRows::of(log_prob, baselines.ok())),
    };
    model.notes = serde_json::to_value(&record)?;
    model.save(&args.out)?;
    if let Some(plot) = plot {
        plot.write(&pictures::pairs(&model, &record.schema, test, args.seed)?)?;
    }
    if let Some(calibration) = calibration {
        calibration.write(&pictures::calibration(
            &model,
            &record.schema,
            test,
            args.seed,
        )?)?;
    }
    print(args, &record, seconds)
}

/// Says what was found in the table.
fn show(survey: &Survey, table: &Table) {
    let dropped = match survey.dropped {
        0 => String::new(),
        dropped => format!("; {} with a missing value left out", HumanCount(dropped)),
    };
    tracing::info!(
        "{} of {}{dropped}",
        count(survey.rows as usize, "row"),
        table.name()
    );
    let columns = describe::schema(&survey.schema);
    let width = columns.iter().map(|(name, _)| name.chars().count()).max();
    for (name, kind) in &columns {
        tracing::info!("  {name:0$}  {kind}", width.unwrap_or(0));
    }
    for name in &survey.constant {
        tracing::warn!("the column `{name}` has the same value in all rows and is left out");
    }
}

fn fit(
    model: &Model,
    data: &TrainingRows,
    args: &FitArgs,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<Fit> {
    let settings = settings(&args.flow, data.count, args.seed);
    let mut progress = console.progress(0.0);
    let mut best = f64::NEG_INFINITY;
    let report = |epoch: &Epoch| {
        let log_prob = -epoch.validation.unwrap_or(epoch.train);
        best = best.max(log_prob);
        let share = epoch.epoch as f64 / settings.epochs as f64;
        progress.update(
            share,
            &format!(
                "epoch {}  held-out ln p {log_prob:.4}, best {best:.4}",
                epoch.epoch
            ),
        );
        if interrupt.requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let fitted = match &data.batches {
        None => model.fit(&data.sample, &settings, report)?,
        Some(batches) => {
            let settings = batches.settings(settings.clone())?;
            let of_epoch = |epoch| batches.of_epoch(epoch, settings.batch_size);
            model.fit_batches(of_epoch, &settings, report)?
        }
    };
    drop(progress);
    if interrupt.requested() {
        let (last, best) = (fitted.epochs, fitted.best.epoch);
        tracing::warn!("stopped after epoch {last}; the model is that of epoch {best}");
    }
    Ok(fitted)
}

fn settings(args: &FlowArgs, rows: usize, seed: u64) -> FitSettings {
    let [fewest, most] = EPOCHS;
    let by_steps = || (STEPS * args.batch_size / rows.max(1)).clamp(fewest, most);
    let epochs = args.epochs.unwrap_or_else(by_steps);
    FitSettings {
        batch_size: args.batch_size,
        epochs,
        patience: args.patience.unwrap_or((epochs / 10).max(PATIENCE)),
        optimization: Optimization {
            learning_rate: args.lr,
            ..Optimization::default()
        },
        seed,
        ..FitSettings::default()
    }
}

fn print(args: &FitArgs, record: &TableRecord, seconds: f64) -> Result<()> {
    if args.json {
        let mut value = serde_json::to_value(record)?;
        value["seconds"] = seconds.into();
        value["file"] = args.out.display().to_string().into();
        return report::json(&value);
    }
    let mut lines = Vec::new();
    if let Some(test) = &record.test {
        lines.push(("ln p a row", test.summary()));
        lines.extend(test.baselines());
    }
    let epochs = count(record.epochs, "epoch");
    lines.push((
        "flow",
        format!(
            "{}, {epochs} in {seconds:.1} s, the best {}",
            record.recipe, record.best_epoch
        ),
    ));
    lines.push(("model", args.out.display().to_string()));
    report::table(&lines)
}
