//! Other programs with a Glow: the settings that they have, and what an export compensates for.

mod fit;

use crate::config::{Dequantization, GlowConfig, Preprocessing, ScaleMap};
use crate::conventions::{Conv1x1Form, Conventions, Half, Padding, PriorForm};
use flow_core::{Order, Passing};

/// A program that trained models are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// nflows: a `MultiscaleCompositeTransform`.
    Nflows,
    /// normflows: a `MultiscaleFlow` of `GlowBlock`s.
    Normflows,
    /// rosinality/glow-pytorch.
    Rosinality,
}

/// Support for a setting of a model in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The program's Glow has it.
    Own,
    /// The exported weights compensate for it.
    Weights,
    /// An added layer of the program compensates for it.
    Part,
    /// It concerns pixels, and the program works on what follows them.
    Outside,
    /// No support.
    Missing,
}

/// A setting in which implementations differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setting {
    LastSteps,
    ScaleMap,
    AffineOrder,
    NetworkInput,
    Padding,
    Passing,
    LevelEnd,
    SplitKeeps,
    SplitPrior,
    TopPrior,
    Classes,
    Preprocessing,
    Dequantization,
}

impl Setting {
    const ALL: [Self; 13] = [
        Self::LastSteps,
        Self::ScaleMap,
        Self::AffineOrder,
        Self::NetworkInput,
        Self::Padding,
        Self::Passing,
        Self::LevelEnd,
        Self::SplitKeeps,
        Self::SplitPrior,
        Self::TopPrior,
        Self::Classes,
        Self::Preprocessing,
        Self::Dequantization,
    ];

    /// Its name in the header of a checkpoint.
    pub fn name(self) -> &'static str {
        match self {
            Self::LastSteps => "last_steps",
            Self::ScaleMap => "scale_map",
            Self::AffineOrder => "affine_order",
            Self::NetworkInput => "network_input",
            Self::Padding => "padding",
            Self::Passing => "passing",
            Self::LevelEnd => "level_end",
            Self::SplitKeeps => "split_keeps",
            Self::SplitPrior => "split_prior",
            Self::TopPrior => "top_prior",
            Self::Classes => "classes",
            Self::Preprocessing => "preprocessing",
            Self::Dequantization => "dequantization",
        }
    }
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nflows, Self::Normflows, Self::Rosinality];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nflows => "nflows",
            Self::Normflows => "normflows",
            Self::Rosinality => "rosinality",
        }
    }

    /// A model of the size of `config` with the program's own settings.
    #[must_use]
    pub fn adapt(self, config: GlowConfig) -> GlowConfig {
        let common = Conventions::default();
        let (scale_map, preprocessing, conventions) = match self {
            Self::Nflows => (
                ScaleMap::SigmoidOffset,
                Preprocessing::Unit,
                Conventions {
                    conv1x1: Conv1x1Form::LowerUpperRotation,
                    passing: Passing::Even,
                    alternating: true,
                    affine_order: Order::ScaleFirst,
                    split_keeps: Half::Second,
                    split_prior: PriorForm::Standard,
                    top_prior: PriorForm::Standard,
                    ..common
                },
            ),
            Self::Normflows => (
                ScaleMap::Sigmoid,
                Preprocessing::Unit,
                Conventions {
                    split_prior: PriorForm::Element,
                    top_prior: PriorForm::Element,
                    ..common
                },
            ),
            Self::Rosinality => (
                ScaleMap::Sigmoid,
                Preprocessing::Centered,
                Conventions {
                    padding: Padding::Ones,
                    top_prior: PriorForm::Convolution,
                    ..common
                },
            ),
        };
        GlowConfig {
            scale_map,
            preprocessing,
            conventions,
            dequantization: Dequantization::Uniform,
            ..config
        }
    }

    /// The settings of `config` that the program lacks, each with its support.
    pub fn differences(self, config: &GlowConfig) -> Vec<(Setting, Fit)> {
        let fits = Setting::ALL.map(|setting| (setting, self.fit(setting, config)));
        let mut fits = fits.to_vec();
        fits.retain(|(_, fit)| *fit != Fit::Own);
        fits
    }

    /// The settings of `config` that an export cannot compensate for.
    pub fn obstacles(self, config: &GlowConfig) -> Vec<Setting> {
        let differences = self.differences(config).into_iter();
        let missing = differences.filter(|(_, fit)| *fit == Fit::Missing);
        missing.map(|(setting, _)| setting).collect()
    }

    /// The option of `flow train` that avoids an obstacle.
    pub fn remedy(self, setting: Setting) -> &'static str {
        match (self, setting) {
            (_, Setting::LastSteps) => "no `--last-steps`",
            (_, Setting::Classes) => "no `--classes`",
            (Self::Nflows, Setting::ScaleMap | Setting::AffineOrder) => "`--scale-map exp-tanh`",
            (_, Setting::ScaleMap) => "`--scale-map sigmoid`",
            (Self::Nflows, _) => "`--for nflows`",
            (Self::Normflows, _) => "`--for normflows`",
            (Self::Rosinality, _) => "`--for rosinality`",
        }
    }
}
