//! From options to the configuration of a model and of its training.

use anyhow::{Result, bail};
use flow_data::Dataset;
use flow_glow::{
    Dequantization, GlowConfig, ImageShape, Preprocessing, ScaleMap, TrainSettings, Trainer,
};

use super::Notes;
use crate::cli::{ModelArgs, OptimizationArgs, PreprocessingChoice, Preset, TrainArgs};

/// What `--scale-map exp-tanh` means: scales between e⁻² and e².
pub(crate) const EXP_TANH: ScaleMap = ScaleMap::ExpTanh { bound: 2.0 };

/// What `--preprocessing logit` means.
const LOGIT: Preprocessing = Preprocessing::Logit { alpha: 0.01 };

/// What `--dequantization variational` means.
pub(crate) const VARIATIONAL: Dequantization = Dequantization::Variational {
    steps: 4,
    width: 64,
};

/// What `--classes` means for the objective: classes are told apart better, at little cost to the likelihood.
const CLASSIFICATION: f64 = 5.0;

/// The model the options ask for, for the images of `dataset`.
pub(crate) fn config(args: &ModelArgs, dataset: &Dataset) -> GlowConfig {
    let (channels, height, width) = dataset.shape();
    let image = ImageShape::new(channels, height, width);
    let config = config_of(args, image, dataset.classes(), || dataset.histogram());
    let learned = args.preset.unwrap_or_default().dequantization();
    GlowConfig {
        dequantization: args.dequantization.unwrap_or(learned),
        ..config
    }
}

/// The model the options ask for, for images of this shape, whose pixel values occur as often as the histogram says.
/// Noise is learned only if they say so.
pub(crate) fn config_of(
    args: &ModelArgs,
    image: ImageShape,
    classes: usize,
    histogram: impl Fn() -> [u64; 256],
) -> GlowConfig {
    let name = args.preset.unwrap_or_default();
    let config = change_config(args, classes, preset(name, image));
    let choice = args.preprocessing.unwrap_or(name.preprocessing());
    GlowConfig {
        preprocessing: preprocessing(choice, config.bits, histogram),
        ..config
    }
}

/// The training the options ask for.
pub(crate) fn settings(args: &TrainArgs) -> TrainSettings {
    let preset = args.model.preset.unwrap_or_default();
    let base = TrainSettings {
        learning_rate: preset.learning_rate(),
        classification: if args.model.classes {
            CLASSIFICATION
        } else {
            0.0
        },
        ..TrainSettings::default()
    };
    change_settings(&args.optimization, base)
}

/// An error that names the options that ask for something else than what the training to be resumed
/// has.
pub(crate) fn check_same(
    args: &TrainArgs,
    trainer: &Trainer,
    notes: &Notes,
    dataset: &Dataset,
) -> Result<()> {
    let (config, settings) = (trainer.config(), trainer.settings());
    let base = match args.model.preset {
        Some(name) => preset(name, config.image),
        None => config.clone(),
    };
    let model = change_config(&args.model, dataset.classes(), base);
    let training = change_settings(&args.optimization, settings.clone());
    let different = [
        ("--levels", differ(&model.levels, &config.levels)),
        ("--steps", differ(&model.steps, &config.steps)),
        ("--width", differ(&model.width, &config.width)),
        ("--coupling", differ(&model.coupling, &config.coupling)),
        ("--scale-map", differ(&model.scale_map, &config.scale_map)),
        (
            "--preprocessing",
            args.model.preprocessing.is_some_and(|choice| {
                let asked = preprocessing(choice, model.bits, || dataset.histogram());
                differ(&asked, &config.preprocessing)
            }),
        ),
        (
            "--dequantization",
            args.model
                .dequantization
                .is_some_and(|asked| differ(&asked, &config.dequantization)),
        ),
        ("--bits", differ(&model.bits, &config.bits)),
        (
            "--classes",
            args.model.classes && model.classes != config.classes,
        ),
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
    let names = different
        .iter()
        .filter_map(|&(name, different)| different.then_some(name))
        .collect::<Vec<_>>();
    if !names.is_empty() {
        let preset = if args.model.preset.is_some() {
            " and `--preset`"
        } else {
            ""
        };
        bail!(
            "the training to resume was begun with other values of {}; leave out these options{preset}",
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    Ok(())
}

fn preset(preset: Preset, image: ImageShape) -> GlowConfig {
    match preset {
        Preset::Small => GlowConfig::small(image),
        Preset::Base => GlowConfig::base(image),
        Preset::Paper => GlowConfig::paper(image),
    }
}

fn preprocessing(
    choice: PreprocessingChoice,
    bits: u32,
    histogram: impl Fn() -> [u64; 256],
) -> Preprocessing {
    match choice {
        PreprocessingChoice::Centered => Preprocessing::Centered,
        PreprocessingChoice::Logit => LOGIT,
        PreprocessingChoice::Equalized => Preprocessing::equalized(&histogram(), bits),
    }
}

/// What the options say of the model but for its preprocessing, which depends on the data.
fn change_config(args: &ModelArgs, classes: usize, base: GlowConfig) -> GlowConfig {
    GlowConfig {
        levels: args.levels.unwrap_or(base.levels),
        steps: args.steps.unwrap_or(base.steps),
        width: args.width.unwrap_or(base.width),
        coupling: args.coupling.unwrap_or(base.coupling),
        scale_map: args.scale_map.unwrap_or(base.scale_map),
        bits: args.bits.unwrap_or(base.bits),
        dequantization: args.dequantization.unwrap_or(base.dequantization),
        classes: if args.classes {
            Some(classes)
        } else {
            base.classes
        },
        ..base
    }
}

fn change_settings(args: &OptimizationArgs, base: TrainSettings) -> TrainSettings {
    TrainSettings {
        batch_size: args.batch_size.unwrap_or(base.batch_size),
        learning_rate: args.lr.unwrap_or(base.learning_rate),
        warmup_steps: args.warmup_steps.unwrap_or(base.warmup_steps),
        clip_norm: args.clip_norm.unwrap_or(base.clip_norm),
        average_decay: args.average_decay.unwrap_or(base.average_decay),
        optimizer: args.optimizer.unwrap_or(base.optimizer),
        precision: args.precision.unwrap_or(base.precision),
        memory: args.memory.unwrap_or(base.memory),
        unsound_inversion: args.unsound_inversion.unwrap_or(base.unsound_inversion),
        classification: args.classification.unwrap_or(base.classification),
        seed: args.seed.unwrap_or(base.seed),
    }
}

/// Settings are the same only if they are exactly the same, numbers too.
fn differ<T: PartialEq>(a: &T, b: &T) -> bool {
    a != b
}
