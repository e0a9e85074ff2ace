//! Support for each setting of a model in a program.

use super::{Fit, Peer, Setting};
use crate::config::{Coupling, Dequantization, GlowConfig, Preprocessing, ScaleMap};
use crate::conventions::{Half, LevelEnd, NetworkInput, Padding, PriorForm};
use flow_core::{Order, Passing};

impl Peer {
    pub(super) fn fit(self, setting: Setting, config: &GlowConfig) -> Fit {
        let conventions = &config.conventions;
        let has_splits = config.levels > 1;
        match setting {
            Setting::ScaleMap | Setting::AffineOrder if config.coupling == Coupling::Additive => {
                Fit::Own
            }
            Setting::LastSteps => {
                own(self != Self::Rosinality || config.steps_of(true) == config.steps)
            }
            Setting::ScaleMap => self.scale_map(config),
            Setting::AffineOrder => self.affine_order(config),
            Setting::NetworkInput => own(conventions.network_input == NetworkInput::Plain),
            Setting::Padding => self.padding(config),
            Setting::Passing => self.passing(config),
            Setting::LevelEnd => {
                own(self == Self::Nflows || conventions.level_end == LevelEnd::Bare)
            }
            Setting::SplitKeeps if has_splits => match (self, conventions.split_keeps) {
                (Self::Nflows, Half::Second)
                | (Self::Normflows | Self::Rosinality, Half::First) => Fit::Own,
                (Self::Nflows, Half::First) => Fit::Part,
                _ => Fit::Missing,
            },
            Setting::SplitPrior if has_splits => self.prior(conventions.split_prior, Fit::Part),
            Setting::SplitKeeps | Setting::SplitPrior => Fit::Own,
            Setting::TopPrior => self.prior(conventions.top_prior, Fit::Weights),
            Setting::Classes => match (self, config.classes) {
                (_, None) | (Self::Normflows, _) => Fit::Own,
                (Self::Nflows, _) => Fit::Part,
                (Self::Rosinality, _) => Fit::Missing,
            },
            Setting::Preprocessing => match (self, &config.preprocessing) {
                (Self::Nflows, Preprocessing::Unit | Preprocessing::Centered)
                | (Self::Normflows, Preprocessing::Unit)
                | (Self::Rosinality, Preprocessing::Centered) => Fit::Own,
                _ => Fit::Outside,
            },
            Setting::Dequantization => match config.dequantization {
                Dequantization::Uniform => Fit::Own,
                Dequantization::Variational { .. } => Fit::Outside,
            },
        }
    }

    fn scale_map(self, config: &GlowConfig) -> Fit {
        let shifts_first = config.conventions.affine_order == Order::ShiftFirst;
        match (self, config.scale_map) {
            (Self::Nflows, ScaleMap::SigmoidOffset | ScaleMap::Softplus)
            | (Self::Normflows, ScaleMap::Exp | ScaleMap::SigmoidInverse)
            | (Self::Normflows | Self::Rosinality, ScaleMap::Sigmoid) => Fit::Own,
            (Self::Nflows, ScaleMap::Exp | ScaleMap::ExpTanh { .. }) if shifts_first => Fit::Part,
            (Self::Normflows, ScaleMap::ExpTanh { .. }) => Fit::Part,
            _ => Fit::Missing,
        }
    }

    /// nflows scales first, except in the inverse of a coupling by e^raw, whose inverse is e^−raw.
    fn affine_order(self, config: &GlowConfig) -> Fit {
        let is_odd = matches!(config.scale_map, ScaleMap::Exp | ScaleMap::ExpTanh { .. });
        match (self, config.conventions.affine_order) {
            (Self::Nflows, Order::ScaleFirst)
            | (Self::Normflows | Self::Rosinality, Order::ShiftFirst) => Fit::Own,
            (Self::Nflows, Order::ShiftFirst) if is_odd => Fit::Part,
            _ => Fit::Missing,
        }
    }

    /// One more hidden channel compensates for another border in a coupling network. The prior of a
    /// split has no hidden channel.
    fn padding(self, config: &GlowConfig) -> Fit {
        let own = match self {
            Self::Nflows | Self::Normflows => Padding::Zeros,
            Self::Rosinality => Padding::Ones,
        };
        let conventions = &config.conventions;
        if conventions.padding == own {
            Fit::Own
        } else if config.levels > 1 && conventions.split_prior == PriorForm::Convolution {
            Fit::Missing
        } else {
            Fit::Weights
        }
    }

    fn passing(self, config: &GlowConfig) -> Fit {
        let passing = config.conventions.passing;
        let most_steps = config.steps.max(config.steps_of(true));
        let is_constant = !config.conventions.alternating || most_steps == 1;
        own(match self {
            Self::Nflows => true,
            Self::Normflows => {
                let halves = [Passing::FirstHalf, Passing::SecondHalf];
                is_constant && halves.contains(&passing)
            }
            Self::Rosinality => is_constant && passing == Passing::FirstHalf,
        })
    }

    /// `convolution` is normflows' substitute for a prior by convolution.
    fn prior(self, form: PriorForm, convolution: Fit) -> Fit {
        match (self, form) {
            (Self::Nflows, PriorForm::Standard)
            | (Self::Rosinality, PriorForm::Convolution)
            | (Self::Normflows, PriorForm::Standard | PriorForm::Channel | PriorForm::Element) => {
                Fit::Own
            }
            (Self::Nflows, _) => Fit::Part,
            (Self::Normflows, PriorForm::Convolution) => convolution,
            (Self::Rosinality, PriorForm::Element) => Fit::Missing,
            (Self::Rosinality, PriorForm::Standard | PriorForm::Channel) => Fit::Weights,
        }
    }
}

fn own(is_own: bool) -> Fit {
    if is_own { Fit::Own } else { Fit::Missing }
}
