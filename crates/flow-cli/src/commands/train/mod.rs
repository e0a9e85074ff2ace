//! `flow train`: images in; a model, its measurements and its pictures out.

mod data;
mod images;
mod start;

use std::time::Duration;

use anyhow::Result;
use flow_analysis::likelihood::Measurement;
use flow_glow::AllReduce;
use indicatif::HumanCount;

use self::start::Start;
use crate::{
    cli::TrainArgs,
    output::{console::Console, memory, report, words::count},
    process_group::ProcessGroup,
    training::{self, EventLog, Follower, Interrupt, Limits, MetricsLog, Outcome, Session},
};

/// Trains a model.
pub(crate) fn run(args: &TrainArgs, console: Console) -> Result<()> {
    let interrupt = Interrupt::listen("images")?;
    let (backend, device) = (args.distributed.distributed, args.device.device);
    let group = ProcessGroup::join(backend, device, interrupt.flag())?;
    group.end(train(args, console, interrupt, &group))
}

fn train(
    args: &TrainArgs,
    console: Console,
    interrupt: Interrupt,
    group: &ProcessGroup,
) -> Result<()> {
    let ranks = &*group.ranks;
    let Start {
        mut trainer,
        images,
        notes,
        folder,
    } = group.agree(Start::of(args, group, &console))?;
    group.agree(images.check_united(ranks))?;
    trainer.unite(ranks)?;
    let all_reduce = AllReduce::new(group.ranks.clone(), trainer.parameters());
    let device = group.device.clone();
    if !ranks.leads() {
        let images = &images;
        return Follower {
            trainer,
            images,
            all_reduce,
            device,
        }
        .run();
    }
    trainer.keep_on_disk(folder.path())?;
    let log = MetricsLog::open(&folder.metrics(), notes.journal)?;
    let goes_on = args.output.resume && folder.events().exists();
    let events = (args.output.tensorboard || goes_on)
        .then(|| EventLog::create(&folder, log.records()))
        .transpose()?;
    let limits = Limits::asked_for(&args.limits).unwrap_or(notes.limits);
    let mut session = Session {
        log,
        events,
        limits,
        lasting: limits,
        save_interval: args.output.save_interval,
        keep_interval: args.output.keep_interval,
        max_rollbacks: args.optimization.max_rollbacks,
        trainer,
        images: &images,
        all_reduce,
        folder,
        interrupt,
        device,
        console,
    };
    announce(&mut session, notes.limits);
    let outcome = session.run()?;
    conclude(args, &session, &outcome)
}

/// Tells how long the training goes on, or that nothing is left to train; `planned` are the limits
/// of before.
fn announce(session: &mut Session<'_>, planned: Limits) {
    let limits = session.limits;
    tracing::info!(
        "training for {} into `{}`{}",
        limits,
        session.folder.path().display(),
        match session.all_reduce.ranks().size() {
            1 => String::new(),
            size => format!(", shared by {}", count(size, "process")),
        }
    );
    if session.share() >= 1.0 {
        // A limit that was passed must not replace the planned one.
        session.lasting = planned;
        let later = if limits == planned {
            "raise it to go on".to_owned()
        } else {
            format!("a later `--resume` still trains for {planned}")
        };
        tracing::warn!("nothing is left to train: the limit of {limits} is reached; {later}");
    }
}

/// Tells how the training ended.
fn conclude(args: &TrainArgs, session: &Session<'_>, outcome: &Outcome) -> Result<()> {
    let (step, folder) = (session.trainer.progress.step, session.folder.path());
    match outcome {
        Outcome::Measured(measured) => return print(session, measured),
        Outcome::Unmeasured => tracing::info!(
            "the training is complete after step {} and saved to `{}`; skipped measuring {}: `--resume` or \
             `flow eval --checkpoint {}` does it",
            HumanCount(step),
            folder.display(),
            count(session.images.test.len(), "test image"),
            session.folder.model().display()
        ),
        Outcome::Stopped => tracing::info!(
            "stopped after step {} and saved to `{}`; the same command with `--resume`{} goes on",
            HumanCount(step),
            folder.display(),
            instead_of(args)
        ),
    }
    Ok(())
}

/// Options of the first command that do not go with `--resume`.
fn instead_of(args: &TrainArgs) -> &'static str {
    match (args.output.overwrite, args.output.from.is_some()) {
        (true, true) => " in place of `--overwrite` and `--from`",
        (true, false) => " in place of `--overwrite`",
        (false, true) => " in place of `--from`",
        (false, false) => "",
    }
}

fn print(session: &Session<'_>, measured: &Measurement) -> Result<()> {
    let progress = &session.trainer.progress;
    let images = progress.step * session.trainer.settings().batch_size as u64;
    let folder = &session.folder;
    let whole_seconds = Duration::from_secs(progress.seconds.round() as u64);
    let epochs = images as f64 / session.images.train.len() as f64;
    let memory = match memory::peak_mb()? {
        Some(peak) => format!("{peak} MB at most"),
        None => "unknown".to_owned(),
    };
    report::table(&[
        (
            "result",
            format!("{measured} on {}", count(measured.images, "test image")),
        ),
        (
            "training",
            format!(
                "{} ({epochs:.1} epochs) in {}, {:.0} images/s",
                count(progress.step as usize, "step"),
                humantime::format_duration(whole_seconds),
                images as f64 / progress.seconds
            ),
        ),
        ("memory", memory),
        ("model", folder.model().display().to_string()),
        (
            "samples",
            folder
                .samples(training::current_epoch(progress))
                .display()
                .to_string(),
        ),
        ("curve", folder.curve().display().to_string()),
    ])
}
