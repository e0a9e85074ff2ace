//! nflows: a `MultiscaleCompositeTransform` whose levels are a squeeze, steps of `ActNorm`,
//! `OneByOneConvolution` and a coupling, and at the end of each perhaps one more
//! `OneByOneConvolution`, as bayesiains/nsf builds it.
//!
//! ActNorm is e^s·x + t; the 1×1 convolution permutes first, then applies U and L, and adds a bias;
//! the coupling scales first, and any channels may pass it; the second half of the channels goes
//! on.

mod conv1x1;
mod mask;
mod signs;
mod write;

use anyhow::{Context, Result, ensure};
use flow_core::Order;
use flow_glow::{
    Conv1x1Form, Conventions, GlowConfig, Half, LevelEnd, Padding, Preprocessing, PriorForm,
    ScaleMap,
};

use conv1x1::read_conv1x1;
use mask::passing;

use super::layers::read_hidden_convs;
use super::reader::{Dialect, Reader, Sizes};
use crate::facts::Facts;
use crate::matrix;
use crate::source::Source;

#[cfg(test)]
pub(crate) use signs::turned;
pub(super) use write::write;

/// The scale maps of its couplings, its default first.
const SCALE_MAPS: [ScaleMap; 2] = [ScaleMap::SigmoidOffset, ScaleMap::Softplus];

/// Name that `Flow` gives its transform, with a dot.
const FLOW: &str = "_transform.";

/// Ends of the names of the first step.
const FIRST_STEP: &str = "_transforms.0._transforms.1._transforms.1.unconstrained_upper_diag";

/// The tensor by which its models are known: of a `Flow` or of a transform alone, with
/// preprocessing before the levels or without.
pub(super) const FIRST_TENSOR: [&str; 4] = [
    "_transform._transforms.1._transforms.0._transforms.1._transforms.1.unconstrained_upper_diag",
    "_transforms.1._transforms.0._transforms.1._transforms.1.unconstrained_upper_diag",
    "_transform._transforms.0._transforms.1._transforms.1.unconstrained_upper_diag",
    FIRST_STEP,
];

/// Its models.
pub(super) struct Nflows {
    /// Prefix of the levels.
    base: &'static str,
    /// A 1×1 convolution ends each level.
    has_end: bool,
    /// The last convolution of a coupling network has a gain.
    has_gain: bool,
}

impl Dialect for Nflows {
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)> {
        let base = base(source)?;
        let levels = source.indices(&format!("{base}_transforms.")).len();
        let members = source.indices(&format!("{base}_transforms.0._transforms."));
        let is_end = |name: String| source.has(&format!("{name}.unconstrained_upper_diag"));
        let has_end = members.iter().any(|&index| is_end(member(base, 0, index)));
        let last = source.indices(&format!("{base}_transforms.{}._transforms.", levels - 1));
        let [steps, last_steps] =
            [members, last].map(|members| members.len().saturating_sub(usize::from(has_end)));
        let first = step(base, 0, 0);
        let [channels] = source.shape(&format!("{first}.0.log_scale"))?;
        let network = format!("{first}.2.transform_net.net");
        let [width, ..] = source
            .shape::<4>(&format!("{network}.0.weight"))
            .context("only coupling networks of three convolutions, 3×3, 1×1 and 3×3, are read")?;
        let has_gain = source.has(&format!("{network}.4.scale"));
        let [outputs, ..] = source.shape::<4>(&last_conv(&network, has_gain, "weight"))?;
        let sizes = Sizes {
            levels,
            steps,
            last_steps,
            width,
            channels,
            outputs,
            last_sides: None,
        };
        let sized = sizes.config(facts, Preprocessing::Unit)?;
        let (passing, alternating) = passing(source, base, &sizes)?;
        let (preprocessing, bits) = preprocessing(source, base, facts)?;
        let level_end = if has_end {
            LevelEnd::Conv1x1
        } else {
            LevelEnd::Bare
        };
        let config = GlowConfig {
            scale_map: facts.scale_map(&SCALE_MAPS)?,
            preprocessing,
            bits,
            conventions: Conventions {
                conv1x1: Conv1x1Form::LowerUpperRotation,
                level_end,
                passing,
                alternating,
                affine_order: Order::ScaleFirst,
                padding: facts.padding(&[Padding::Zeros, Padding::Ones])?,
                split_keeps: Half::Second,
                split_prior: PriorForm::Standard,
                top_prior: PriorForm::Standard,
                ..Conventions::default()
            },
            ..sized
        };
        let dialect = Self {
            base,
            has_end,
            has_gain,
        };
        Ok((dialect, config))
    }

    fn step(&self, reader: &mut Reader<'_>, [level, index]: [usize; 2], to: &str) -> Result<()> {
        let (from, channels) = (step(self.base, level, index), reader.channels(level));
        let log_scale = reader.take(&format!("{from}.0.log_scale"), &[channels])?;
        let shift = reader.take(&format!("{from}.0.shift"), &[channels])?;
        let shape = (1, channels, 1, 1);
        let shift = (shift * log_scale.neg()?.exp()?)?.reshape(shape)?;
        reader.put(format!("{to}.actnorm.shift"), shift);
        reader.put(format!("{to}.actnorm.log_scale"), log_scale.reshape(shape)?);
        reader.source.skip(&format!("{from}.0.initialized"));
        let conv1x1 = [&*format!("{from}.1"), &format!("{to}.conv1x1")];
        read_conv1x1(reader, conv1x1, channels)?;
        self.read_network(reader, [&from, to], level)
    }

    fn level_end(&self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        if !self.has_end {
            return Ok(());
        }
        let from = member(self.base, level, reader.steps(level) + 1);
        let to = format!("levels.{level}.conv1x1");
        read_conv1x1(reader, [&from, &to], reader.channels(level))
    }
}

impl Nflows {
    fn read_network(
        &self,
        reader: &mut Reader<'_>,
        [from, to]: [&str; 2],
        level: usize,
    ) -> Result<()> {
        let (inputs, width) = (reader.channels(level) / 2, reader.config.width);
        let outputs = reader.outputs(level);
        let from = format!("{from}.2.transform_net.net");
        let to = format!("{to}.coupling.network");
        read_hidden_convs(reader, [&from, &to], inputs)?;
        let gain = if self.has_gain {
            let gain = reader.take(&format!("{from}.4.scale"), &[1, outputs, 1, 1])?;
            gain.flatten_all()?
        } else {
            matrix::zeros_tensor(&[outputs])?
        };
        reader.put(format!("{to}.conv3.log_gain"), gain);
        for (name, shape) in [
            ("weight", &[outputs, width, 3, 3][..]),
            ("bias", &[outputs]),
        ] {
            let tensor = reader.take(&last_conv(&from, self.has_gain, name), shape)?;
            reader.put(format!("{to}.conv3.{name}"), tensor);
        }
        Ok(())
    }
}

/// Prefix of the levels, and of the layers before them.
fn base(source: &Source) -> Result<&'static str> {
    let mut places = FIRST_TENSOR.iter();
    let first = places.find(|name| source.has(name));
    let first = first.with_context(|| format!("tensor `…{FIRST_STEP}` is missing"))?;
    Ok(&first[..first.len() - FIRST_STEP.len()])
}

/// The names of a step; the first member of a level is its squeeze.
fn step(base: &str, level: usize, step: usize) -> String {
    format!("{}._transforms", member(base, level, step + 1))
}

/// The name of a member of a level.
fn member(base: &str, level: usize, member: usize) -> String {
    format!("{base}_transforms.{level}._transforms.{member}")
}

fn last_conv(network: &str, has_gain: bool, name: &str) -> String {
    let conv = if has_gain { "4.conv" } else { "4" };
    format!("{network}.{conv}.{name}")
}

/// Preprocessing of bayesiains/nsf, of pixels in [0, 2^bits): x·scale + shift, all before the first
/// level.
fn preprocessing(source: &mut Source, base: &str, facts: &Facts) -> Result<(Preprocessing, u32)> {
    let Some(before) = base.strip_suffix("1.") else {
        return Ok((facts.preprocessing(Preprocessing::Unit), facts.bits()));
    };
    let mut number = |name: &str| -> Result<f64> {
        Ok(source.take(&format!("{before}{name}"), &[])?.to_scalar()?)
    };
    let scale = number("0._scale").context("only its preprocessing `glow` is read")?;
    let shift = number("0._shift")?;
    let bits = scale.recip().log2();
    ensure!(
        [-0.5].contains(&shift) && (1..=8).any(|whole| f64::from(whole).total_cmp(&bits).is_eq()),
        "its preprocessing x·{scale} + {shift} is not x/2^bits − ½"
    );
    Ok((Preprocessing::Centered, bits as u32))
}
