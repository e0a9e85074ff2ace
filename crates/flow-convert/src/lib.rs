//! `cargo xtask convert-checkpoint`: models of other programs, read exactly and written back.
//!
//! Reading order: [`state_dict`] gets named tensors out of files that nobody should trust;
//! [`choice`] finds the model among them; [`dialects`] knows what each program means by them;
//! [`parameters`] and [`matrix`] hold what they share.

mod choice;
mod dialects;
mod facts;
mod fold;
mod matrix;
mod parameters;
mod source;
mod state_dict;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flow_glow::{Checkpoint, Dequantization, Fit, GlowConfig, Peer, Preprocessing};
use serde_json::json;
use tempfile::NamedTempFile;

use choice::Choice;
use dialects::Dialect;
use facts::Facts;
use parameters::{Model, Parameters};
use source::Source;
use state_dict::Contents;

/// Options of `convert-checkpoint`.
#[derive(Args)]
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
pub(crate) struct Options {
    /// The file to read
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// The program that wrote IN: nflows, rosinality, normflows, y0ast, chrischute, or auto for the one
    /// that its names belong to
    #[arg(long, value_name = "PROGRAM", default_value = "auto", value_parser = program)]
    from: From,

    /// Convert a checkpoint of this project for another program
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = IMPORT, value_parser = peer())]
    to: Option<Peer>,

    /// A JSON file that says what IN does not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The prefix below which the model stands in IN, if there are several: keys and the beginnings of
    /// names, each with a dot, such as `ema_model.`
    #[arg(long, value_name = "PREFIX", alias = "key")]
    prefix: Option<String>,

    /// What the model was trained on, such as `mnist`
    #[arg(long, value_name = "NAME", default_value = "unknown")]
    dataset: String,

    #[command(flatten)]
    facts: Facts,
}

/// What is said of files of other programs.
const IMPORT: [&str; 11] = [
    "from",
    "config",
    "prefix",
    "dataset",
    "size",
    "channels",
    "bits",
    "preprocessing",
    "scale_map",
    "padding",
    "passing",
];

/// `auto` is nothing.
#[derive(Clone, Copy)]
struct From(Option<Dialect>);

fn program(text: &str) -> Result<From, String> {
    if text == "auto" {
        return Ok(From(None));
    }
    let found = Dialect::from_str(text, false);
    found.map(|dialect| From(Some(dialect))).map_err(|_| {
        let names: Vec<_> = Dialect::value_variants().iter().map(name).collect();
        format!("expected auto, {}", names.join(", "))
    })
}

/// What `--to` takes.
fn peer() -> impl TypedValueParser<Value = Peer> {
    PossibleValuesParser::new(Peer::ALL.map(Peer::as_str)).map(|name| {
        let mut all = Peer::ALL.into_iter();
        let found = all.find(|peer| peer.as_str() == name);
        found.expect("it is one of the names")
    })
}

/// What a program is called on the command line.
fn name(program: &impl ValueEnum) -> String {
    let value = program.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Converts a file.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.to {
        Some(peer) => export(&options.input, &options.output, peer),
        None => import(options),
    }
}

fn import(options: &Options) -> Result<()> {
    let facts = match &options.config {
        Some(path) => options.facts.clone().or_of(path)?,
        None => options.facts.clone(),
    };
    let dialect = match (options.from.0, facts.kind.as_deref()) {
        (None, Some(kind)) => Some(
            program(kind)
                .ok()
                .and_then(|found| found.0)
                .with_context(|| format!("`{kind}` is no program whose models are known"))?,
        ),
        (dialect, _) => dialect,
    };
    let unusable = || format!("`{}` is not a usable state dict", options.input.display());
    let cannot = || format!("cannot convert `{}`", options.input.display());
    let mut contents = Contents::read(&options.input).with_context(unusable)?;
    let mut file = contents.parse().with_context(unusable)?;
    let choice = Choice::of(&file, dialect, options.prefix.as_deref()).with_context(cannot)?;
    let tensors = file.load(&choice.tensors).with_context(unusable)?;
    let source = Source::new(tensors).with_context(cannot)?;
    let dialect = choice.dialect;
    let Model { config, parameters } = dialect.read(source, &facts).with_context(cannot)?;
    let tensors = parameters.into_single().with_context(cannot)?;
    Checkpoint::save(&options.output, &config, &options.dataset, tensors).with_context(cannot)?;
    if let Some(remark) = choice.remark() {
        eprintln!("{remark}");
    }
    println!(
        "{}: images of {}, {} levels of {} steps, {} hidden channels -> `{}`",
        name(&dialect),
        config.image,
        config.levels,
        config.steps,
        config.width,
        options.output.display()
    );
    Ok(())
}

fn export(input: &Path, output: &Path, peer: Peer) -> Result<()> {
    let checkpoint = Checkpoint::load(input, &Device::Cpu)?;
    let model = Model {
        config: checkpoint.model.config().clone(),
        parameters: Parameters::of(&checkpoint.weights)?,
    };
    let cannot = || format!("cannot convert `{}`", input.display());
    let export = dialects::write(peer, &model).with_context(cannot)?;
    let preprocessing = json!({
        "bits": model.config.bits,
        "preprocessing": model.config.preprocessing,
    });
    let metadata = HashMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("model".to_owned(), export.model()),
        ("preprocessing".to_owned(), preprocessing.to_string()),
    ]);
    let bytes = export.serialize(metadata).with_context(cannot)?;
    write(output, &bytes).with_context(|| format!("cannot write `{}`", output.display()))?;
    println!("{} -> `{}`", peer.as_str(), output.display());
    tell(&model.config, peer);
    Ok(())
}

/// What whoever uses the file has to know.
fn tell(config: &GlowConfig, peer: Peer) {
    let pixels = match &config.preprocessing {
        Preprocessing::Unit => "p itself".to_owned(),
        Preprocessing::Centered => "p - 1/2".to_owned(),
        Preprocessing::Logit { alpha } => format!("logit({alpha} + {} p)", 1.0 - 2.0 * alpha),
        Preprocessing::Equalized { .. } => {
            "its logit after equalization, of which the metadata have the shares".to_owned()
        }
    };
    println!(
        "the model sees of a pixel p in [0, 1), of {} bits: {pixels}",
        config.bits
    );
    if config.dequantization != Dequantization::Uniform {
        println!(
            "the learned noise of its pixels is left behind: it is no part of the density of x"
        );
    }
    let parts = peer.differences(config).into_iter();
    let parts: Vec<_> = parts
        .filter(|(_, fit)| *fit == Fit::Part)
        .map(|(setting, _)| format!("`{}`", setting.name()))
        .collect();
    if !parts.is_empty() {
        println!(
            "parts of {} beside its own Glow make up for {}: see docs/conversion.md",
            peer.as_str(),
            parts.join(", ")
        );
    }
}

/// Writes a file that appears whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| *folder != OsStr::new(""));
    ensure!(!path.is_dir(), "it is a folder");
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
