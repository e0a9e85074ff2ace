//! Options of size and form of a model, and the presets.

use clap::{Args, ValueEnum, builder::TypedValueParser};
use flow_glow::{Coupling, Dequantization, Peer, ScaleMap, TrainSettings};

use crate::cli::values;
use crate::training::EXP_TANH;

/// Size and form of the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Size and form of the model [default: small]; the options below change parts of it
    #[arg(long)]
    pub(crate) preset: Option<Preset>,

    /// Give the model the form of this program's Glow, so that `flow convert --to PROGRAM` can
    /// write it: scale map, order, priors, splits, preprocessing and even noise. Its size stays the
    /// preset's
    #[arg(long = "for", value_name = "PROGRAM", value_parser = peer())]
    pub(crate) peer: Option<Peer>,

    /// Levels, each at half the height and width of the one before (L) [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<16>)]
    pub(crate) levels: Option<usize>,

    /// Flow steps in each level (K) [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<256>)]
    pub(crate) steps: Option<usize>,

    /// Flow steps in the last level, the coarsest, whose steps cost least and join what an image
    /// shows [default: as many as in each level]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<256>)]
    pub(crate) last_steps: Option<usize>,

    /// Hidden channels of the coupling networks [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<8192>)]
    pub(crate) width: Option<usize>,

    /// Transform of a coupling's half of the channels [default: affine]
    #[arg(long, value_parser = values::choice([
        ("affine", Coupling::Affine),
        ("additive", Coupling::Additive),
    ]))]
    pub(crate) coupling: Option<Coupling>,

    /// Scale of an affine coupling: σ(s+2), σ(s+2)+0.001, or exp(b·tanh(s/b)) [default: the
    /// preset's]
    #[arg(long, value_parser = values::choice([
        ("sigmoid", ScaleMap::Sigmoid),
        ("sigmoid-offset", ScaleMap::SigmoidOffset),
        ("exp-tanh", EXP_TANH),
    ]))]
    pub(crate) scale_map: Option<ScaleMap>,

    /// Form in which the model sees a pixel [default: equalized; centered for paper]
    #[arg(long, value_enum)]
    pub(crate) preprocessing: Option<PreprocessingChoice>,

    /// Noise in the gaps between pixel values: even, or learned by a small flow that sees the
    /// image. Learned noise makes training a fifth slower and leaves sampling as fast [default:
    /// variational; uniform for paper and in bench]
    #[arg(long, value_parser = values::choice([
        ("uniform", Dequantization::Uniform),
        ("variational", Dequantization::VARIATIONAL),
    ]))]
    pub(crate) dequantization: Option<Dequantization>,

    /// Bits kept of each channel value, 1 to 8 [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) bits: Option<u32>,

    /// Train with the class of each image, so that the model can draw one class
    #[arg(long)]
    pub(crate) classes: bool,
}

/// A form of preprocessing, before anything of the data is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PreprocessingChoice {
    /// Its value, centered on 0: the paper's
    Centered,
    /// The logit of it, which makes room at black and white
    Logit,
    /// The logit of its rank: the more often a value occurs in the training images, the more room
    /// it gets
    Equalized,
}

/// A named model configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// 2 levels of 8 steps, width 64: minutes on a CPU
    #[default]
    Small,
    /// 2 levels of 16 steps, width 128: an hour or more on a CPU
    Base,
    /// The paper's model, 3 levels (2 for MNIST) of 32 steps, width 512: for a GPU
    Paper,
}

impl Preset {
    /// Its name on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Base => "base",
            Self::Paper => "paper",
        }
    }

    /// The form in which its model sees a pixel.
    pub(crate) fn preprocessing(self) -> PreprocessingChoice {
        match self {
            Self::Small | Self::Base => PreprocessingChoice::Equalized,
            Self::Paper => PreprocessingChoice::Centered,
        }
    }

    /// The noise by which its model fills the gaps between pixel values.
    pub(crate) fn dequantization(self) -> Dequantization {
        match self {
            Self::Small | Self::Base => Dequantization::VARIATIONAL,
            Self::Paper => Dequantization::Uniform,
        }
    }

    /// The learning rate it starts from.
    pub(crate) fn settings(self) -> TrainSettings {
        match self {
            Self::Small => TrainSettings::default(),
            Self::Base => TrainSettings::base(),
            Self::Paper => TrainSettings::paper(),
        }
    }

    pub(crate) fn learning_rate(self) -> f64 {
        self.settings().optimization.learning_rate
    }
}

/// Values of `--for`.
pub(in crate::cli) fn peer() -> impl TypedValueParser<Value = Peer> {
    values::choice(Peer::ALL.map(|peer| (peer.as_str(), peer)))
}
