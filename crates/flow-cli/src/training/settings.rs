//! Configurations of a model and of its training, from options.

use anyhow::Result;
use flow_data::Dataset;
use flow_glow::{GlowConfig, Header, ImageShape, Peer, Preprocessing, ScaleMap, TrainSettings};

use super::options::{apply_additions, apply_form, apply_optimization};
use crate::{
    cli::{ModelArgs, OptimizationArgs, PreprocessingChoice, Preset, TrainArgs},
    input::data::halvable,
};

/// The value of `--scale-map exp-tanh`: scales between e⁻² and e².
pub(crate) const EXP_TANH: ScaleMap = ScaleMap::ExpTanh { bound: 2.0 };

/// The value of `--preprocessing logit`.
const LOGIT: Preprocessing = Preprocessing::Logit { alpha: 0.01 };

/// The side of images on which every preset has all its levels.
const ROOMY: usize = 1 << 10;

/// The model that options ask for, on the images of `dataset`.
///
/// # Errors
/// The images cannot be read.
pub(crate) fn config(args: &ModelArgs, dataset: &Dataset) -> Result<GlowConfig> {
    let histogram = dataset.histogram()?;
    let config = config_of(args, shape(dataset), dataset.classes(), &histogram);
    let preset = match args.peer {
        Some(_) => config.dequantization,
        None => args.preset.unwrap_or_default().dequantization(),
    };
    Ok(GlowConfig {
        dequantization: args.dequantization.unwrap_or(preset),
        ..config
    })
}

/// The shape of images that levels can halve, nearest to that of `image`, and the levels of the
/// model that options ask for on such images.
pub(crate) fn canvas(args: &ModelArgs, image: ImageShape) -> (ImageShape, usize) {
    halvable_by(image, |image| {
        let mut config = preset(args.preset.unwrap_or_default(), args.peer, image);
        apply_form(args, &mut config);
        config.levels
    })
}

/// The same shape for the model of a training without options.
pub(crate) fn default_canvas(image: ImageShape) -> ImageShape {
    halvable_by(image, |image| preset(Preset::default(), None, image).levels).0
}

fn halvable_by(image: ImageShape, levels: impl Fn(ImageShape) -> usize) -> (ImageShape, usize) {
    let size = (image.height, image.width);
    let own = levels(image);
    if own > 0 && halvable(size, own) == size {
        return (image, own);
    }
    let wanted = levels(ImageShape::new(image.channels, ROOMY, ROOMY));
    let (height, width) = halvable(size, wanted);
    (ImageShape::new(image.channels, height, width), wanted)
}

/// The shape of the images of a data set.
pub(crate) fn shape(dataset: &Dataset) -> ImageShape {
    let (channels, height, width) = dataset.shape();
    ImageShape::new(channels, height, width)
}

/// The model that options ask for, on images of this shape and histogram of pixel values. Noise is
/// learned only if an option says so.
pub(crate) fn config_of(
    args: &ModelArgs,
    image: ImageShape,
    classes: usize,
    histogram: &[u64; 256],
) -> GlowConfig {
    let name = args.preset.unwrap_or_default();
    let mut config = preset(name, args.peer, image);
    apply_form(args, &mut config);
    apply_additions(args, classes, &mut config);
    let choice = match (args.preprocessing, args.peer) {
        (Some(choice), _) => choice,
        (None, Some(_)) => return config,
        (None, None) => name.preprocessing(),
    };
    config.preprocessing = preprocessing(choice, config.bits, histogram);
    config
}

/// Checks that a Glow of the program of `--for` has all settings that other options ask for.
///
/// # Errors
/// Names the options that ask for other settings.
pub(crate) fn check_peer(args: &ModelArgs) -> Result<(), String> {
    let Some(peer) = args.peer else { return Ok(()) };
    // Size and data make no difference.
    let config = config_of(args, ImageShape::new(1, 32, 32), 10, &[1; 256]);
    let foreign = peer.differences(&config).into_iter();
    let options: Vec<_> = foreign
        .map(|(setting, _)| format!("`--{}`", setting.name().replace('_', "-")))
        .collect();
    if options.is_empty() {
        return Ok(());
    }
    let name = peer.as_str();
    Err(format!(
        "a Glow of {name} has no such {}: leave out {} or `--for {name}`",
        if options.len() == 1 {
            "setting"
        } else {
            "settings"
        },
        options.join(", "),
    ))
}

/// The training that options ask for.
pub(crate) fn settings(args: &TrainArgs) -> TrainSettings {
    let preset = args.model.preset.unwrap_or_default();
    let mut base = preset.settings();
    if args.model.classes {
        base.classification = TrainSettings::CLASSIFICATION;
    }
    changed(&args.optimization, base)
}

/// The model of a checkpoint with the additions of options: classes, learned noise, another
/// preprocessing.
///
/// # Errors
/// The images cannot be read.
pub(crate) fn config_from(
    args: &ModelArgs,
    source: &GlowConfig,
    dataset: &Dataset,
) -> Result<GlowConfig> {
    let mut asked = source.clone();
    apply_additions(args, dataset.classes(), &mut asked);
    if let Some(choice) = args.preprocessing {
        asked.preprocessing = preprocessing(choice, source.bits, &dataset.histogram()?);
    }
    Ok(source.extended(&asked))
}

/// The training that options ask for, of a model with the weights of a checkpoint. Other settings
/// are those of the checkpoint's training, or the paper's if another program trained it.
pub(crate) fn settings_from(
    args: &TrainArgs,
    source: &Header,
    config: &GlowConfig,
) -> TrainSettings {
    let training = source.training.as_ref();
    let preset = args.model.preset;
    let mut base = match training {
        Some(training) => training.settings.clone(),
        None => preset.unwrap_or(Preset::Paper).settings(),
    };
    if let Some(preset) = preset {
        base.optimization.learning_rate = preset.learning_rate();
    }
    if source.model.classes.is_none() && config.classes.is_some() {
        base.classification = TrainSettings::CLASSIFICATION;
    }
    changed(&args.optimization, base)
}

fn changed(args: &OptimizationArgs, mut base: TrainSettings) -> TrainSettings {
    apply_optimization(args, &mut base);
    base
}

pub(super) fn preset(preset: Preset, peer: Option<Peer>, image: ImageShape) -> GlowConfig {
    let config = match preset {
        Preset::Small => GlowConfig::small(image),
        Preset::Base => GlowConfig::base(image),
        Preset::Paper => GlowConfig::paper(image),
    };
    match peer {
        Some(peer) => peer.adapt(config),
        None => config,
    }
}

pub(super) fn preprocessing(
    choice: PreprocessingChoice,
    bits: u32,
    histogram: &[u64; 256],
) -> Preprocessing {
    match choice {
        PreprocessingChoice::Centered => Preprocessing::Centered,
        PreprocessingChoice::Logit => LOGIT,
        PreprocessingChoice::Equalized => Preprocessing::equalized(histogram, bits),
    }
}
