//! Options that contradict the training to be resumed, or the model to begin with.

use anyhow::{Result, bail};
use flow_data::Dataset;
use flow_glow::{Dequantization, GlowConfig, Trainer};

use super::{
    Notes,
    settings::{change_config, change_settings, preprocessing, preset},
};
use crate::cli::{ModelArgs, TrainArgs};

/// An error that names the options that ask for something else than what the training to be resumed
/// has.
pub(crate) fn check_same(
    args: &TrainArgs,
    trainer: &Trainer,
    notes: &Notes,
    dataset: &Dataset,
) -> Result<()> {
    let (config, settings) = (trainer.config(), trainer.settings());
    let asked = &args.model;
    let mut different = other_form(asked, config);
    let model = [
        (
            "--preprocessing",
            asked.preprocessing.is_some_and(|choice| {
                let asked = preprocessing(choice, config.bits, || dataset.histogram());
                differ(&asked, &config.preprocessing)
            }),
        ),
        (
            "--dequantization",
            asked
                .dequantization
                .is_some_and(|asked| differ(&asked, &config.dequantization)),
        ),
        (
            "--classes",
            asked.classes && config.classes != Some(dataset.classes()),
        ),
    ];
    let training = change_settings(&args.optimization, settings.clone());
    let optimization = [
        (
            "--batch-size",
            differ(&training.batch_size, &settings.batch_size),
        ),
        (
            "--lr",
            differ(&training.learning_rate, &settings.learning_rate),
        ),
        (
            "--optimizer",
            differ(&training.optimizer, &settings.optimizer),
        ),
        (
            "--precision",
            differ(&training.precision, &settings.precision),
        ),
        (
            "--warmup-steps",
            differ(&training.warmup_steps, &settings.warmup_steps),
        ),
        (
            "--clip-norm",
            differ(&training.clip_norm, &settings.clip_norm),
        ),
        (
            "--average-decay",
            differ(&training.average_decay, &settings.average_decay),
        ),
        (
            "--classification",
            differ(&training.classification, &settings.classification),
        ),
        ("--seed", differ(&training.seed, &settings.seed)),
        ("--flip", args.data.flip && !notes.flip),
        (
            "--mutate",
            args.data
                .mutate
                .is_some_and(|rate| differ(&rate, &notes.mutate)),
        ),
    ];
    different.extend(named(model));
    different.extend(named(optimization));
    refuse("the training to resume was begun with", &different, asked)
}

/// An error that names the options that ask for another form of model than that of the checkpoint `name`, whose
/// weights are to be taken.
pub(crate) fn check_form(args: &ModelArgs, config: &GlowConfig, name: &str) -> Result<()> {
    let mut different = other_form(args, config);
    let uniform = args.dequantization == Some(Dequantization::Uniform);
    // Learned noise can be added, and not be taken away.
    if uniform && config.dequantization != Dequantization::Uniform {
        different.push("--dequantization");
    }
    refuse(&format!("{name} has"), &different, args)
}

/// The options of size and form that ask for something else than `config`.
fn other_form(args: &ModelArgs, config: &GlowConfig) -> Vec<&'static str> {
    let base = match args.preset {
        Some(name) => preset(name, args.peer, config.image),
        None => config.clone(),
    };
    // Classes are no matter of form.
    let asked = change_config(args, 0, base);
    let different = [
        (
            "--for",
            args.peer.is_some_and(|peer| {
                let asked = peer.adapt(config.clone()).conventions;
                differ(&asked, &config.conventions)
            }),
        ),
        ("--levels", differ(&asked.levels, &config.levels)),
        ("--steps", differ(&asked.steps, &config.steps)),
        ("--width", differ(&asked.width, &config.width)),
        ("--coupling", differ(&asked.coupling, &config.coupling)),
        ("--scale-map", differ(&asked.scale_map, &config.scale_map)),
        ("--bits", differ(&asked.bits, &config.bits)),
    ];
    named(different).collect()
}

fn named<const N: usize>(options: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    let different = options.into_iter().filter(|(_, different)| *different);
    different.map(|(name, _)| name)
}

fn refuse(what: &str, names: &[&str], args: &ModelArgs) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let preset = if args.preset.is_some() {
        " and `--preset`"
    } else {
        ""
    };
    let names = names.iter().map(|name| format!("`{name}`"));
    bail!(
        "{what} other values of {}; leave out these options{preset}",
        names.collect::<Vec<_>>().join(", ")
    );
}

/// Settings are the same only if they are exactly the same, numbers too.
fn differ<T: PartialEq>(a: &T, b: &T) -> bool {
    a != b
}
