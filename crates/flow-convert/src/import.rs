//! From a file of another program to a model of this project.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use candle_core::Tensor;
use flow_glow::GlowConfig;

use crate::choice::Choice;
use crate::parameters::Model;
use crate::source::Source;
use crate::state_dict::Contents;
use crate::{Error, Facts, Program, Result};

/// A model that another program has trained.
#[derive(Clone, Debug)]
pub struct Import {
    /// The program that wrote it.
    pub program: Program,
    /// Its size and settings.
    pub config: GlowConfig,
    /// Its parameters in f32 by name, as [`Checkpoint::save`](flow_glow::Checkpoint::save) takes
    /// them.
    pub parameters: BTreeMap<String, Tensor>,
    /// A line for users: the chosen prefix, and the ignored tensors beside the model.
    pub remark: Option<String>,
}

/// Reads a model out of a file: a `.pt` of PyTorch, in the format of 1.6 or an older one, or
/// safetensors.
///
/// The model is searched under all keys and below all prefixes of names. `prefix` chooses one of
/// several: keys and the beginnings of names, each with a dot. `facts` state what the file omits.
///
/// # Errors
/// If the file is in another format or damaged; if it holds no known model, or several; if a tensor
/// of the model is missing, misshapen, not finite or left over; if the file contradicts `facts` or
/// they are incomplete.
pub fn read(path: &Path, prefix: Option<&str>, facts: &Facts) -> Result<Import> {
    find(path, prefix, facts).map_err(Error)
}

fn find(path: &Path, prefix: Option<&str>, facts: &Facts) -> anyhow::Result<Import> {
    let unusable = || format!("`{}` is not a usable state dict", path.display());
    let cannot = || format!("cannot convert `{}`", path.display());
    let mut contents = Contents::read(path).with_context(unusable)?;
    let mut file = contents.parse().with_context(unusable)?;
    let choice = Choice::of(&file, facts.program, prefix).with_context(cannot)?;
    let tensors = file.load(&choice.tensors).with_context(unusable)?;
    let source = Source::new(tensors).with_context(cannot)?;
    let program = choice.program;
    let Model { config, parameters } = program.read(source, facts).with_context(cannot)?;
    Ok(Import {
        program,
        config,
        parameters: parameters.into_single().with_context(cannot)?,
        remark: choice.remark(),
    })
}
