//! `flow train`: images in; a model, its measurements and its pictures out.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use flow_data::{Batches, Dataset, DatasetName, Split};
use flow_glow::{Exchange, Trainer};
use indicatif::HumanCount;

use crate::{
    cli::TrainArgs,
    console::Console,
    data,
    measure::Measurement,
    memory,
    ranks::Team,
    report,
    training::{
        self, EventLog, Follower, Images, Interrupt, Journal, Limits, MetricsLog, Notes, RunFolder,
        Session,
    },
};

/// The data-dependent initialisation sees this many images.
const FIRST_IMAGES: usize = 256;

/// After each epoch this many test images are measured.
const PROBE_IMAGES: usize = 1000;

/// Trains a model.
pub(crate) fn run(args: &TrainArgs, console: Console) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let (engine, device) = (args.distributed.distributed, args.device.device);
    let team = Team::join(engine, device, interrupt.flag())?;
    team.end(train(args, console, interrupt, &team))
}

fn train(args: &TrainArgs, console: Console, interrupt: Interrupt, team: &Team) -> Result<()> {
    let ranks = &*team.ranks;
    let Start {
        mut trainer,
        images,
        notes,
        folder,
    } = team.agree(Start::of(args, team))?;
    trainer.unite(ranks)?;
    let exchange = Exchange::new(team.ranks.clone(), trainer.parameters());
    let device = team.device.clone();
    if !ranks.leads() {
        let images = &images;
        return Follower {
            trainer,
            images,
            exchange,
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
    let mut session = Session {
        log,
        events,
        limits: Limits::asked_for(&args.limits).unwrap_or(notes.limits),
        save_interval: args.output.save_interval,
        keep_interval: args.output.keep_interval,
        max_rollbacks: args.optimization.max_rollbacks,
        trainer,
        images: &images,
        exchange,
        folder,
        interrupt,
        device,
        console,
    };
    tracing::info!(
        "training for {} into `{}`{}",
        session.limits,
        session.folder.path().display(),
        match ranks.size() {
            1 => String::new(),
            size => format!(", shared by {size} processes"),
        }
    );
    if let Some(measured) = session.run()? {
        return print(&session, &measured);
    }
    tracing::info!(
        "stopped after step {} and saved to `{}`; the same command with `--resume`{} goes on",
        HumanCount(session.trainer.progress.step),
        session.folder.path().display(),
        if args.output.overwrite {
            " in place of `--overwrite`"
        } else {
            ""
        }
    );
    Ok(())
}

/// What a training begins or goes on with, the same in all processes.
struct Start {
    trainer: Trainer,
    images: Images,
    notes: Notes,
    folder: RunFolder,
}

impl Start {
    fn of(args: &TrainArgs, team: &Team) -> Result<Self> {
        let leads = team.ranks.leads();
        let mut folder = if leads {
            RunFolder::open(&args.output, default_folder(args))?
        } else {
            RunFolder::of_leader(&args.output, default_folder(args))
        };
        let (trainer, images, notes) = if args.output.resume {
            resume(args, &folder, &team.device)?
        } else {
            begin(args, &team.device)?
        };
        let (batch_size, size) = (trainer.settings().batch_size, team.ranks.size());
        ensure!(
            batch_size >= size,
            "a batch of {batch_size} images is too small for {size} processes; choose a larger `--batch-size`"
        );
        // Only now is it certain that there will be a training in place of what lies there.
        if leads && !args.output.resume {
            folder.clear()?;
        }
        Ok(Self {
            trainer,
            images,
            notes,
            folder,
        })
    }
}

/// A fresh training.
fn begin(args: &TrainArgs, device: &Device) -> Result<(Trainer, Images, Notes)> {
    let name = args.data.dataset.unwrap_or(DatasetName::Mnist);
    let images = open_images(args, name, args.data.flip, args.data.mutate.unwrap_or(0.0))?;
    let config = training::config(&args.model, &images.train);
    config.validate()?;
    let settings = training::settings(args);
    let (batch_size, seed) = (settings.batch_size, settings.seed);
    check_batch_size(batch_size, &images.train)?;

    let trainer = Trainer::new(&config, settings, name.as_str(), device)?;
    let count = FIRST_IMAGES.min(images.train.len());
    let mut first = Batches::new(&images.train, count, seed, 0).mutated(images.mutate);
    let first = first
        .next()
        .context("the data set holds no training images")??;
    let (first, _) = data::to_device(&first, &config, device)?;
    trainer.initialize(&first)?;
    let notes = Notes {
        limits: Limits::default(),
        images: images.train.len(),
        flip: images.flip,
        mutate: images.mutate,
        journal: Journal::default(),
    };
    Ok((trainer, images, notes))
}

/// The training that lies in the folder.
fn resume(
    args: &TrainArgs,
    folder: &RunFolder,
    device: &Device,
) -> Result<(Trainer, Images, Notes)> {
    let mut trainer = Trainer::resume(&folder.training(), device)?;
    let notes = Notes::read(&trainer)?;
    let name = trainer.dataset().parse::<DatasetName>()?;
    if let Some(other) = args.data.dataset
        && other != name
    {
        bail!("the training to resume was begun on `{name}`, not `{other}`; leave out `--dataset`");
    }
    let images = open_images(args, name, notes.flip, notes.mutate)?;
    data::check_fit(trainer.config(), &images.train)?;
    notes.check_images(images.train.len(), name.as_str())?;
    training::check_same(args, &trainer, &notes, &images.train)?;
    let batch_size = trainer.settings().batch_size;
    check_batch_size(batch_size, &images.train)?;
    ensure!(
        trainer.progress.batch < (images.train.len() / batch_size) as u64,
        "`{}` stands behind the end of its epoch, where no training can stand",
        folder.training().display()
    );
    let (settings, asked) = (trainer.settings(), &args.optimization);
    let memory = asked.memory.unwrap_or(settings.memory);
    let unsound_inversion = asked
        .unsound_inversion
        .unwrap_or(settings.unsound_inversion);
    trainer.set_memory(memory, unsound_inversion);
    tracing::info!("resuming after step {}", HumanCount(trainer.progress.step));
    Ok((trainer, images, notes))
}

fn open_images(args: &TrainArgs, name: DatasetName, flip: bool, mutate: f64) -> Result<Images> {
    ensure!(
        !(args.data.flip || flip) || name == DatasetName::Cifar10,
        "`--flip` is for `cifar10`: what `{name}` shows has a left and a right"
    );
    let [train, test] = data::open(name, [Split::Train, Split::Test], &args.data.data_dir)?;
    let mut probe = test.clone();
    probe.thin_out(PROBE_IMAGES);
    Ok(Images {
        train,
        test,
        probe,
        flip,
        mutate,
    })
}

fn check_batch_size(batch_size: usize, train: &Dataset) -> Result<()> {
    ensure!(
        batch_size <= train.len(),
        "a batch of {batch_size} images is more than the {} training images; choose a smaller `--batch-size`",
        train.len()
    );
    Ok(())
}

fn default_folder(args: &TrainArgs) -> PathBuf {
    let dataset = args.data.dataset.unwrap_or(DatasetName::Mnist);
    let preset = args.model.preset.unwrap_or_default();
    PathBuf::from("runs").join(format!("{dataset}-{}", preset.as_str()))
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
            format!(
                "{measured} on {} test images",
                HumanCount(measured.images as u64)
            ),
        ),
        (
            "training",
            format!(
                "{} steps ({epochs:.1} epochs) in {}, {:.0} images/s",
                HumanCount(progress.step),
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
