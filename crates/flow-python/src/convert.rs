//! Models of other programs, and for them.

use std::path::PathBuf;

use flow_convert::Facts;
use flow_glow::{Checkpoint, Peer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;
use crate::glow::{self, Glow};

/// The model in a file of another program, whose name comes along. `facts` are a JSON object.
#[pyfunction]
#[pyo3(signature = (path, out, prefix, facts))]
pub(crate) fn import_glow(
    py: Python<'_>,
    path: PathBuf,
    out: PathBuf,
    prefix: Option<String>,
    facts: &str,
) -> PyResult<&'static str> {
    let facts: Facts = serde_json::from_str(facts).map_err(errors::value)?;
    let found = py.detach(|| flow_convert::read(&path, prefix.as_deref(), &facts));
    let found = found.map_err(|error| errors::value(format!("{error:#}")))?;
    let saved = Checkpoint::save(&out, &found.config, "unknown", found.parameters);
    saved.map_err(glow::error)?;
    Ok(found.program.as_str())
}

/// Writes a state dict of a Glow for another program, and gives notes for its users.
#[pyfunction]
pub(crate) fn export_glow(glow: &Glow, program: &str, path: PathBuf) -> PyResult<Vec<String>> {
    let peer = Peer::ALL.into_iter().find(|peer| peer.as_str() == program);
    let Some(peer) = peer else {
        let known = Peer::ALL.map(Peer::as_str).join(", ");
        let message = format!("there is no program `{program}`: models are written for {known}");
        return Err(PyValueError::new_err(message));
    };
    let alternate = |error: flow_convert::Error| errors::value(format!("{error:#}"));
    let export = flow_convert::export(glow.checkpoint(), peer).map_err(alternate)?;
    export.save(&path).map_err(alternate)?;
    Ok(export.notes().to_vec())
}
