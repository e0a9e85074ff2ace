//! normflows: a `MultiscaleFlow` of `GlowBlock`s.
//!
//! Its flows map latents to data, so that levels and blocks stand in the opposite order: level 0 is
//! the deepest, and data pass the blocks of a level from the last to the first. ActNorm and the
//! shift of couplings have the opposite sign.

mod base;
mod write;

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_core::Passing;
use flow_glow::{Conventions, Coupling, GlowConfig, Preprocessing, ScaleMap};

use super::conv1x1_form;
use super::layers::{put_hidden_convs, read_plu};
use super::reader::{Dialect, Reader, Sizes};
use crate::facts::Facts;
use crate::fold;
use crate::matrix;
use crate::parameters::{Rows, negated, scaled_rows};
use crate::source::Source;
use base::{Base, read_base};

pub(super) use write::write;

/// The scale maps of its couplings, its default first.
const SCALE_MAPS: [ScaleMap; 3] = [ScaleMap::Sigmoid, ScaleMap::Exp, ScaleMap::SigmoidInverse];

/// The channels that pass its couplings, its default first.
const PASSING: [Passing; 2] = [Passing::FirstHalf, Passing::SecondHalf];

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flows.0.0.flows.0.flows.1.param_map.net.0.weight"];

/// Its models.
pub(super) struct Normflows {
    bases: Vec<Base>,
    layers: Layers,
}

impl Dialect for Normflows {
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)> {
        let levels = source.indices("flows.").len();
        ensure!(levels > 0, "tensor `flows.0.0.flows.2.s` is missing");
        let steps = source.indices(&format!("flows.{}.", levels - 1)).len();
        let last_steps = source.indices("flows.0.").len();
        let first = format!("flows.{}.0.flows", levels - 1);
        let [_, channels, _, _] = source.shape(&format!("{first}.2.s"))?;
        let network = format!("{first}.0.flows.1.param_map.net");
        let [width, inputs, ..] = source.shape::<4>(&format!("{network}.0.weight"))?;
        ensure!(
            2 * inputs == channels,
            "its networks see {inputs} of {channels} channels: only the split modes `channel` and \
             `channel_inv` are read"
        );
        let layers = Layers::of(source, &network);
        let [outputs, ..] = source.shape::<4>(&format!("{network}.{}.weight", layers.last))?;
        let bases = (0..levels)
            .map(|level| Base::of(source, level))
            .collect::<Result<Vec<_>>>()?;
        let sizes = Sizes {
            levels,
            steps,
            last_steps,
            width,
            channels,
            outputs,
            last_sides: bases[0].sides,
        };
        let is_plain = |level: usize| source.has(&format!("flows.{level}.0.flows.1.W"));
        let config = GlowConfig {
            scale_map: facts.scale_map(&SCALE_MAPS)?,
            classes: bases.iter().filter_map(|base| base.classes).max(),
            conventions: Conventions {
                conv1x1: conv1x1_form(is_plain(levels - 1), is_plain(0))?,
                passing: facts.passing(&PASSING)?,
                split_prior: Base::common(&bases[1..])?.unwrap_or(bases[0].form),
                top_prior: bases[0].form,
                ..Conventions::default()
            },
            ..sizes.config(facts, Preprocessing::Unit)?
        };
        Ok((Self { bases, layers }, config))
    }

    fn step(&self, reader: &mut Reader<'_>, [level, step]: [usize; 2], to: &str) -> Result<()> {
        let deepest = reader.config.levels - 1 - level;
        let from = format!("flows.{deepest}.{}.flows", reader.steps(level) - 1 - step);
        let channels = reader.channels(level);
        for (theirs, ours) in [("s", "log_scale"), ("t", "shift")] {
            let value = reader.take(&format!("{from}.2.{theirs}"), &[1, channels, 1, 1])?;
            reader.put(format!("{to}.actnorm.{ours}"), value.neg()?);
        }
        let flag = format!("{from}.2.data_dep_init_done");
        reader.source.skip_done(&flag)?;
        read_conv1x1(reader, [&from, to], channels)?;
        self.layers.read_network(reader, [&from, to], level)
    }

    fn level_end(&self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        let config = reader.config;
        let to = if reader.is_last(level) {
            "prior".to_owned()
        } else {
            format!("levels.{level}.split")
        };
        let deepest = config.levels - 1 - level;
        let shape = fold::latent_shape(config, level);
        let of_level = self.bases[deepest].classes;
        let gaussian = read_base(reader, [&format!("q0.{deepest}"), &to], shape, of_level)?;
        // Not every level has to depend on the class.
        if let (Some(classes), None) = (config.classes, of_level) {
            let mut shape = gaussian.dims().to_vec();
            shape[0] = classes;
            let zeros = matrix::zeros_tensor(&shape)?;
            reader.put(format!("{to}.class_gaussian"), zeros);
        }
        Ok(())
    }
}

fn read_conv1x1(reader: &mut Reader<'_>, [from, to]: [&str; 2], channels: usize) -> Result<()> {
    let (from, to) = (format!("{from}.1"), format!("{to}.conv1x1"));
    if let Ok(weight) = reader.take(&format!("{from}.W"), &[channels, channels]) {
        reader.put(format!("{to}.weight"), weight);
        return Ok(());
    }
    reader.source.skip(&format!("{from}.eye"));
    let names = ["P", "L", "U", "log_S", "sign_S"];
    let plu = read_plu(reader.source, &from, names, channels)?;
    let qlu = plu.into_qlu(&vec![1.0; channels])?;
    reader.parameters.put_qlu(&to, &qlu)
}

/// Places of a network's layers in its list, which may have ActNorms in it.
#[derive(Clone, Copy)]
struct Layers {
    has_actnorm: bool,
    second: usize,
    last: usize,
}

impl Layers {
    fn of(source: &Source, network: &str) -> Self {
        let has_actnorm = source.has(&format!("{network}.1.actNorm.s"));
        let (second, last) = if has_actnorm { (3, 6) } else { (2, 4) };
        Self {
            has_actnorm,
            second,
            last,
        }
    }

    fn read_network(
        self,
        reader: &mut Reader<'_>,
        [from, to]: [&str; 2],
        level: usize,
    ) -> Result<()> {
        let (inputs, width) = (reader.channels(level) / 2, reader.config.width);
        let outputs = reader.outputs(level);
        let from = format!("{from}.0.flows.1.param_map.net");
        let to = format!("{to}.coupling.network");
        let convs = [
            self.read_hidden(reader, &from, 0, [width, inputs, 3, 3])?,
            self.read_hidden(reader, &from, self.second, [width, width, 1, 1])?,
        ];
        put_hidden_convs(reader, &to, convs)?;
        let last = format!("{from}.{}", self.last);
        let weight = reader.take(&format!("{last}.weight"), &[outputs, width, 3, 3])?;
        let bias = reader.take(&format!("{last}.bias"), &[outputs])?;
        let gain = bias.zeros_like()?;
        let config = reader.config;
        let ours = |tensor: Tensor| match config.coupling {
            Coupling::Affine => negated(&Rows::EvenOdd.ours(&tensor)?, negates_scale(config)),
            Coupling::Additive => negated(&tensor, true),
        };
        reader.put(format!("{to}.conv3.weight"), ours(weight)?);
        reader.put(format!("{to}.conv3.bias"), ours(bias)?);
        reader.put(format!("{to}.conv3.log_gain"), gain);
        Ok(())
    }

    /// Weight and bias of a hidden convolution, with the ActNorm behind it.
    fn read_hidden(
        self,
        reader: &mut Reader<'_>,
        network: &str,
        layer: usize,
        shape: [usize; 4],
    ) -> Result<(Tensor, Tensor)> {
        let width = shape[0];
        let weight = reader.take(&format!("{network}.{layer}.weight"), &shape)?;
        if !self.has_actnorm {
            let bias = reader.take(&format!("{network}.{layer}.bias"), &[width])?;
            return Ok((weight, bias));
        }
        // x·e^s + t, after a convolution without a bias.
        let actnorm = format!("{network}.{}.actNorm", layer + 1);
        let flag = format!("{actnorm}.data_dep_init_done");
        reader.source.skip_done(&flag)?;
        let each = [1, width, 1, 1];
        let scale = reader.take(&format!("{actnorm}.s"), &each)?.exp()?;
        let shift = reader.take(&format!("{actnorm}.t"), &each)?;
        Ok((scaled_rows(&weight, &scale)?, shift.flatten_all()?))
    }
}

/// Its `exp` divides data by e^raw.
fn negates_scale(config: &GlowConfig) -> bool {
    matches!(config.scale_map, ScaleMap::Exp | ScaleMap::ExpTanh { .. })
}
