//! Options of `flow convert`.

use std::path::PathBuf;

use clap::Args;
use flow_convert::{Facts, Program};
use flow_core::Passing;
use flow_glow::{Padding, Peer, Preprocessing, ScaleMap};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::train;

/// Options of `flow convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
IN is a `.pt` that PyTorch wrote, in the format of 1.6 or an older one, or a safetensors file. The
model is looked for under all keys and below all prefixes of names; what lies beside it is ignored,
and nothing that the file holds is run. What it does not tell of its model is said by options, or in
a file by the same names and `kind`, `levels`, `steps`, `hidden`.

With --to, OUT is a safetensors file of which
  model.load_state_dict(safetensors.torch.load_file(OUT))
works in the peer. Its metadata say how the model is built (`model`: what `build` in
assets/reference/peers.py takes) and what becomes of pixels first (`preprocessing`), which is not in
a state dict. Models of `flow train --for PROGRAM` need nothing but the program's own Glow; others
may need parts that it has beside that, which docs/conversion.md shows.")]
pub(crate) struct ConvertArgs {
    /// The file to read
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,

    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// Convert a checkpoint of this project for another program
    #[arg(long, value_name = "PROGRAM", conflicts_with = "ImportArgs", value_parser = train::peer())]
    pub(crate) to: Option<Peer>,

    #[command(flatten)]
    pub(crate) import: ImportArgs,
}

/// Options about files of other programs.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The program that wrote IN: nflows, rosinality, normflows, y0ast, chrischute, or auto for the
    /// one that its names belong to
    #[arg(long, value_name = "PROGRAM", default_value = "auto", value_parser = program)]
    from: FromProgram,

    /// A JSON file that says what IN does not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The prefix below which the model stands in IN, if there are several: keys and the beginnings
    /// of names, each with a dot, such as `ema_model.`
    #[arg(long, value_name = "PREFIX", alias = "key")]
    pub(crate) prefix: Option<String>,

    /// Data set of its training, such as `mnist`
    #[arg(long, value_name = "NAME", default_value = "unknown")]
    pub(crate) dataset: String,

    /// Height and width of the images: `28`, or `32x64`
    #[arg(long, value_name = "N", value_parser = size)]
    size: Option<[usize; 2]>,

    /// Channels of the images
    #[arg(long, value_name = "N")]
    channels: Option<usize>,

    /// Bits of a pixel that the model was trained on [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    bits: Option<u32>,

    /// Form of a pixel in [0, 1) for the model: `centered` (pixel − ½), `unit` (the pixel), or
    /// `logit:ALPHA` [default: that of the program itself]
    #[arg(long, value_name = "FORM", value_parser = preprocessing)]
    preprocessing: Option<Preprocessing>,

    /// The scale of affine couplings: normflows has `sigmoid`, `exp` and `sigmoid-inverse`, nflows
    /// `sigmoid-offset` and `softplus` [default: the first of them]
    #[arg(long, value_name = "MAP", value_parser = named::<ScaleMap>)]
    scale_map: Option<ScaleMap>,

    /// Values around an image for nflows' last convolutions, `zeros` or `ones` [default: zeros]
    #[arg(long, value_name = "VALUES", value_parser = named::<Padding>)]
    padding: Option<Padding>,

    /// Channels that pass normflows' couplings: `first-half`, its split mode `channel`, or
    /// `second-half`, `channel_inv` [default: first-half]
    #[arg(long, value_name = "CHANNELS", value_parser = named::<Passing>)]
    passing: Option<Passing>,
}

/// A program, or `auto`.
#[derive(Clone, Copy, Debug)]
struct FromProgram(Option<Program>);

impl ImportArgs {
    /// The facts that the options state, and those of `--config` for all others.
    ///
    /// # Errors
    /// If the file of `--config` cannot be read.
    pub(crate) fn facts(&self) -> Result<Facts, flow_convert::Error> {
        let file = self.config.as_deref().map(Facts::from_file);
        let file = file.transpose()?.unwrap_or_default();
        Ok(Facts {
            program: self.from.0.or(file.program),
            size: self.size.or(file.size),
            channels: self.channels.or(file.channels),
            bits: self.bits.or(file.bits),
            preprocessing: self.preprocessing.clone().or(file.preprocessing),
            scale_map: self.scale_map.or(file.scale_map),
            padding: self.padding.or(file.padding),
            passing: self.passing.or(file.passing),
            ..file
        })
    }
}

fn program(text: &str) -> Result<FromProgram, String> {
    if text == "auto" {
        return Ok(FromProgram(None));
    }
    let found = text.parse();
    let expected = |_| {
        format!(
            "expected auto, {}",
            Program::ALL.map(Program::as_str).join(", ")
        )
    };
    found
        .map(|program| FromProgram(Some(program)))
        .map_err(expected)
}

fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

fn preprocessing(text: &str) -> Result<Preprocessing, String> {
    match text.strip_prefix("logit:") {
        Some(alpha) => {
            let alpha = alpha.parse::<f64>().map_err(|error| error.to_string())?;
            serde_json::from_value(json!({ "logit": { "alpha": alpha } }))
                .map_err(|error| error.to_string())
        }
        None => named(text),
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let number = |text: &str| {
        let number = text.parse::<usize>();
        number.map_err(|_| "expected a number of pixels, or two as in 32x64".to_owned())
    };
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    Ok([number(height)?, number(width)?])
}
