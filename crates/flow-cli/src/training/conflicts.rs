//! Options that contradict the training to be resumed, or the model to begin with.

use anyhow::{Result, bail};
use flow_data::Dataset;
use flow_glow::{Dequantization, GlowConfig, TrainSettings, Trainer};

use super::{
    Notes,
    options::{apply_additions, apply_data, apply_form, apply_optimization},
    settings::preprocessing,
};
use crate::cli::{ModelArgs, TrainArgs};

/// The settings of a training to be resumed, with the changes that it may get.
///
/// # Errors
/// Names the options that contradict it.
pub(crate) fn resumed_settings(
    args: &TrainArgs,
    trainer: &Trainer,
    notes: &Notes,
    dataset: &Dataset,
) -> Result<TrainSettings> {
    let mut config = trainer.config().clone();
    let mut settings = trainer.settings().clone();
    let preprocessing = match args.model.preprocessing {
        None => false,
        Some(choice) => {
            let asked = preprocessing(choice, config.bits, &dataset.histogram()?);
            asked != config.preprocessing
        }
    };
    let different = [
        apply_form(&args.model, &mut config),
        preprocessing
            .then_some("--preprocessing")
            .into_iter()
            .collect(),
        apply_additions(&args.model, dataset.classes(), &mut config),
        apply_optimization(&args.optimization, &mut settings),
        apply_data(&args.data, &mut notes.clone()),
    ];
    refuse(
        "the training to resume was begun with",
        &different.concat(),
        &args.model,
    )?;
    Ok(settings)
}

/// Refuses options that ask for another form of model than that of the checkpoint `name`, whose
/// weights are to be taken.
pub(crate) fn check_form(args: &ModelArgs, config: &GlowConfig, name: &str) -> Result<()> {
    let mut different = apply_form(args, &mut config.clone());
    let uniform = args.dequantization == Some(Dequantization::Uniform);
    // Learned noise can be added, but not removed.
    if uniform && config.dequantization != Dequantization::Uniform {
        different.push("--dequantization");
    }
    refuse(&format!("{name} has"), &different, args)
}

fn refuse(what: &str, names: &[&str], args: &ModelArgs) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let preset = if args.preset.is_some() {
        " and `--preset`"
    } else {
        ""
    };
    let names = names.iter().map(|name| format!("`{name}`"));
    bail!(
        "{what} other values of {}; leave out these options{preset}",
        names.collect::<Vec<_>>().join(", ")
    );
}
