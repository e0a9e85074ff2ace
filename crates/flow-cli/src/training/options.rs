//! Options that change a setting, one line each: the option's name, the setting, the value asked
//! for.
//!
//! A fresh training is set up by the same lines that tell a resumed one which options contradict
//! it.

use flow_glow::{GlowConfig, TrainSettings};

use super::{Notes, settings::preset};
use crate::cli::{DataArgs, ModelArgs, OptimizationArgs};

/// Settings that options change one after the other.
struct Changes<'a, S> {
    settings: &'a mut S,
    /// Settings that stand for options that are not given.
    defaults: Option<S>,
    names: Vec<&'static str>,
}

impl<'a, S> Changes<'a, S> {
    fn of(settings: &'a mut S) -> Self {
        Self {
            settings,
            defaults: None,
            names: Vec::new(),
        }
    }

    /// From here on, `defaults` stand for options that are not given.
    fn with_defaults(self, defaults: Option<S>) -> Self {
        Self { defaults, ..self }
    }

    /// Sets a field, and keeps the name of the option if it had exactly another value.
    fn set<T: PartialEq + Clone>(
        mut self,
        option: &'static str,
        field: fn(&mut S) -> &mut T,
        asked: Option<T>,
    ) -> Self {
        let default = self.defaults.as_mut().map(|all| field(all).clone());
        let setting = field(self.settings);
        if let Some(value) = asked.or(default)
            && value != *setting
        {
            *setting = value;
            self.names.push(option);
        }
        self
    }

    /// Sets a field that may change whenever a training is resumed.
    fn set_freely<T>(self, field: fn(&mut S) -> &mut T, asked: Option<T>) -> Self {
        if let Some(value) = asked {
            *field(self.settings) = value;
        }
        self
    }
}

/// Applies the options of size and form. Returns those that changed something.
pub(super) fn apply_form(args: &ModelArgs, config: &mut GlowConfig) -> Vec<&'static str> {
    let peer = args.peer.map(|peer| peer.adapt(config.clone()).conventions);
    let defaults = args
        .preset
        .map(|name| preset(name, args.peer, config.image));
    Changes::of(config)
        .set("--for", |config| &mut config.conventions, peer)
        .with_defaults(defaults)
        .set("--levels", |config| &mut config.levels, args.levels)
        .set("--steps", |config| &mut config.steps, args.steps)
        .set(
            "--last-steps",
            |config| &mut config.last_steps,
            args.last_steps.map(Some),
        )
        .set("--width", |config| &mut config.width, args.width)
        .set("--coupling", |config| &mut config.coupling, args.coupling)
        .set(
            "--scale-map",
            |config| &mut config.scale_map,
            args.scale_map,
        )
        .set("--bits", |config| &mut config.bits, args.bits)
        .names
}

/// Applies the options that add to a model of some form. Returns those that changed something.
pub(super) fn apply_additions(
    args: &ModelArgs,
    classes: usize,
    config: &mut GlowConfig,
) -> Vec<&'static str> {
    let classes = args.classes.then_some(Some(classes));
    Changes::of(config)
        .set(
            "--dequantization",
            |config| &mut config.dequantization,
            args.dequantization,
        )
        .set("--classes", |config| &mut config.classes, classes)
        .names
}

/// Applies the options of a training. Returns those that changed something.
pub(super) fn apply_optimization(
    args: &OptimizationArgs,
    settings: &mut TrainSettings,
) -> Vec<&'static str> {
    Changes::of(settings)
        .set("--batch-size", |all| &mut all.batch_size, args.batch_size)
        .set("--lr", |all| &mut all.optimization.learning_rate, args.lr)
        .set(
            "--optimizer",
            |all| &mut all.optimization.optimizer,
            args.optimizer,
        )
        .set("--precision", |all| &mut all.precision, args.precision)
        .set(
            "--warmup-steps",
            |all| &mut all.optimization.warmup_steps,
            args.warmup_steps,
        )
        .set(
            "--clip-norm",
            |all| &mut all.optimization.clip_norm,
            args.clip_norm,
        )
        .set(
            "--average-decay",
            |all| &mut all.optimization.average_decay,
            args.average_decay,
        )
        .set(
            "--classification",
            |all| &mut all.classification,
            args.classification,
        )
        .set("--seed", |all| &mut all.seed, args.seed)
        .set_freely(|all| &mut all.memory, args.memory)
        .set_freely(|all| &mut all.unsound_inversion, args.unsound_inversion)
        .names
}

/// Applies the options of how images are changed. Returns those that changed something.
pub(super) fn apply_data(args: &DataArgs, notes: &mut Notes) -> Vec<&'static str> {
    let flip = args.flip.then_some(true);
    Changes::of(notes)
        .set("--flip", |notes| &mut notes.flip, flip)
        .set("--mutate", |notes| &mut notes.mutate, args.mutate)
        .names
}
