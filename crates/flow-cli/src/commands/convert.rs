//! `flow convert`: models of other programs as checkpoints, and checkpoints for other programs.

use anyhow::{Context, Result};
use candle_core::Device;
use flow_glow::{Checkpoint, Peer};

use crate::{cli::ConvertArgs, output::report};

/// Converts a file.
pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    match args.to {
        Some(peer) => export(args, peer),
        None => import(args),
    }
}

fn import(args: &ConvertArgs) -> Result<()> {
    let options = &args.import;
    let found = flow_convert::read(&args.input, options.prefix.as_deref(), &options.facts()?)?;
    let config = &found.config;
    Checkpoint::save(&args.output, config, &options.dataset, found.parameters)
        .with_context(|| format!("cannot convert `{}`", args.input.display()))?;
    if let Some(remark) = &found.remark {
        tracing::info!("{remark}");
    }
    let line = format!(
        "{}: images of {}, {} levels of {} steps, {} hidden channels -> `{}`\n",
        found.program.as_str(),
        config.image,
        config.levels,
        config.steps,
        config.width,
        args.output.display()
    );
    report::bytes(line.as_bytes())
}

fn export(args: &ConvertArgs, peer: Peer) -> Result<()> {
    let checkpoint = Checkpoint::load(&args.input, &Device::Cpu)?;
    let export = flow_convert::export(&checkpoint, peer)
        .with_context(|| format!("cannot convert `{}`", args.input.display()))?;
    export.save(&args.output)?;
    let mut text = format!("{} -> `{}`\n", peer.as_str(), args.output.display());
    for note in export.notes() {
        text += note;
        text.push('\n');
    }
    report::bytes(text.as_bytes())
}
