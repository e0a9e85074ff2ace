//! `cargo xtask convert-checkpoint`: models of other programs, read exactly and written back.
//!
//! Reading order: [`state_dict`] gets named tensors out of files that nobody should trust; [`dialects`] knows
//! what each program means by them; [`parameters`] and [`matrix`] hold what they share.

mod dialects;
mod facts;
mod matrix;
mod parameters;
mod source;
mod state_dict;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use clap::{Args, ValueEnum};
use flow_glow::Checkpoint;
use tempfile::NamedTempFile;

use dialects::{Dialect, Peer};
use facts::Facts;
use parameters::{Model, Parameters};
use source::Source;

/// Options of `convert-checkpoint`.
#[derive(Args)]
#[command(after_help = "\
IN is a `.pt` that PyTorch wrote, in the format of 1.6 or an older one, or a safetensors file. Of
a `.pt` only state dicts are read, alone or under a key; nothing that it holds is run. What it does
not tell of its model is said by options, or in a file by the same names and `kind`, `levels`,
`steps`, `hidden`.

With --to, OUT is a safetensors file of which
  model.load_state_dict(safetensors.torch.load_file(OUT))
works in the peer. nflows' is a `Flow` of a `MultiscaleCompositeTransform`.")]
pub(crate) struct Options {
    /// The file to read
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// The program that wrote IN: nflows, rosinality, normflows, y0ast, chrischute, or auto for the one
    /// that its names belong to
    #[arg(long, value_name = "PROGRAM", default_value = "auto", value_parser = choice)]
    from: Choice,

    /// Convert a checkpoint of this project for another program
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = IMPORT)]
    to: Option<Peer>,

    /// A JSON file that says what IN does not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The key under which the state dict stands in IN, if there are several
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

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
    "key",
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
struct Choice(Option<Dialect>);

fn choice(text: &str) -> Result<Choice, String> {
    if text == "auto" {
        return Ok(Choice(None));
    }
    let found = Dialect::from_str(text, false);
    found.map(|dialect| Choice(Some(dialect))).map_err(|_| {
        let names: Vec<_> = Dialect::value_variants().iter().map(name).collect();
        format!("expected auto, {}", names.join(", "))
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
    let tensors = state_dict::read(&options.input, options.key.as_deref())?;
    let source = Source::new(tensors);
    let read = || {
        let dialect = match (options.from.0, facts.kind.as_deref()) {
            (Some(dialect), _) => dialect,
            (None, Some(kind)) => choice(kind)
                .ok()
                .and_then(|found| found.0)
                .with_context(|| format!("`{kind}` is no program whose models are known"))?,
            (None, None) => Dialect::recognise(&source)?,
        };
        anyhow::Ok((dialect, dialect.read(source, &facts)?))
    };
    let cannot = || format!("cannot convert `{}`", options.input.display());
    let (dialect, Model { config, parameters }) = read().with_context(cannot)?;
    let tensors = parameters.into_single().with_context(cannot)?;
    Checkpoint::save(&options.output, &config, &options.dataset, tensors).with_context(cannot)?;
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
    let bytes = peer
        .write(&model)
        .and_then(|export| export.serialize())
        .with_context(cannot)?;
    write(output, &bytes).with_context(|| format!("cannot write `{}`", output.display()))?;
    println!("{} -> `{}`", name(&peer), output.display());
    Ok(())
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
