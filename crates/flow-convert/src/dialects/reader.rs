//! The walk through a state dict that all programs share: sizes and settings, then level by level.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_glow::{Coupling, GlowConfig, Preprocessing};

use crate::Facts;
use crate::parameters::{Model, Parameters};
use crate::source::Source;

/// A program's models in its state dicts.
pub(super) trait Dialect: Sized {
    /// Finds sizes and settings.
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)>;

    /// Reads a step of a level: ActNorm, 1×1 convolution and coupling, below `to`.
    fn step(&self, reader: &mut Reader<'_>, place: [usize; 2], to: &str) -> Result<()>;

    /// Reads the layers behind the steps of a level: a 1×1 convolution, a split or a prior.
    fn level_end(&self, _reader: &mut Reader<'_>, _level: usize) -> Result<()> {
        Ok(())
    }
}

/// A model from its state dict.
pub(super) fn read<D: Dialect>(source: &mut Source, facts: &Facts) -> Result<Model> {
    let (dialect, config) = D::config(source, facts)?;
    config.validate()?;
    let mut reader = Reader {
        source,
        config: &config,
        parameters: Parameters::default(),
    };
    for level in 0..config.levels {
        for step in 0..reader.steps(level) {
            let to = format!("levels.{level}.steps.{step}");
            dialect.step(&mut reader, [level, step], &to)?;
        }
        dialect.level_end(&mut reader, level)?;
    }
    let parameters = reader.parameters;
    Ok(Model { config, parameters })
}

/// A state dict on its way into a model of ours.
pub(super) struct Reader<'a> {
    pub(super) source: &'a mut Source,
    pub(super) config: &'a GlowConfig,
    pub(super) parameters: Parameters,
}

impl Reader<'_> {
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.source.take(name, shape)
    }

    pub(super) fn put(&mut self, name: String, tensor: Tensor) {
        self.parameters.put(name, tensor);
    }

    /// Channels of the steps of a level.
    pub(super) fn channels(&self, level: usize) -> usize {
        (4 * self.config.image.channels) << level
    }

    /// The steps of a level.
    pub(super) fn steps(&self, level: usize) -> usize {
        self.config.steps_of(self.is_last(level))
    }

    pub(super) fn is_last(&self, level: usize) -> bool {
        level + 1 == self.config.levels
    }

    /// Outputs of the coupling networks of a level.
    pub(super) fn outputs(&self, level: usize) -> usize {
        let channels = self.channels(level);
        match self.config.coupling {
            Coupling::Affine => channels,
            Coupling::Additive => channels - channels / 2,
        }
    }
}

/// Sizes that a state dict tells.
pub(super) struct Sizes {
    pub(super) levels: usize,
    /// Steps of all levels but the last.
    pub(super) steps: usize,
    pub(super) last_steps: usize,
    /// Hidden channels of the coupling networks.
    pub(super) width: usize,
    /// Channels of the steps of the first level.
    pub(super) channels: usize,
    /// Outputs of their coupling networks.
    pub(super) outputs: usize,
    /// Height and width of the latents of the last level, if they are known.
    pub(super) last_sides: Option<[usize; 2]>,
}

impl Sizes {
    /// A configuration of these sizes that agrees with the facts. Settings without a fact have
    /// their defaults, except for the program's `own` preprocessing.
    pub(super) fn config(&self, facts: &Facts, own: Preprocessing) -> Result<GlowConfig> {
        let &Self {
            levels,
            steps,
            last_steps,
            width,
            channels,
            outputs,
            last_sides,
        } = self;
        ensure!(
            channels % 4 == 0,
            "the first step has {channels} channels, but needs a multiple of 4"
        );
        facts.check(levels, steps, width)?;
        let sides = last_sides.map(|sides| sides.map(|side| side << levels.min(30)));
        Ok(GlowConfig {
            levels,
            steps,
            last_steps: (last_steps != steps).then_some(last_steps),
            width,
            coupling: if outputs == channels {
                Coupling::Affine
            } else {
                Coupling::Additive
            },
            preprocessing: facts.preprocessing(own),
            bits: facts.bits(),
            ..GlowConfig::small(facts.image(channels / 4, sides)?)
        })
    }
}
