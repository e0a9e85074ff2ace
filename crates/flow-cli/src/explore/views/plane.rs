//! Plane: a flow of two-dimensional vectors, layer by layer.

use anyhow::{Result, bail, ensure};
use flow_core::Model;
use serde::{Deserialize, Serialize};

use super::Picture;
use crate::{
    explore::{command_line::CommandLine, engine::Engine, source::Loaded},
    output::plane::{self, Plane},
};

/// Samples at most.
const MOST: usize = 5000;

/// The picture that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    layers: usize,
    samples: usize,
    seed: u64,
}

/// Facts about the flow.
#[derive(Serialize)]
pub(super) struct OfVectors {
    /// Names of the layers, from the base distribution to data.
    layers: Vec<String>,
}

/// Density, samples and grid.
pub(in crate::explore) fn picture(engine: &mut Engine<'_>, request: Request) -> Result<Picture> {
    let Loaded::Vectors(model) = &**engine.loaded else {
        bail!("the model is of images, not of vectors");
    };
    let Request {
        layers,
        samples,
        seed,
    } = request;
    ensure!(
        (1..=MOST).contains(&samples),
        "1 to {MOST} samples are drawn, not {samples}"
    );
    let plane = Plane {
        layers: Some(layers),
        samples,
        seed,
    };
    let picture = plane.picture(model)?.into();
    let path = engine.session.checkpoint.display();
    let command = CommandLine::bare("inspect")
        .words(&[&path.to_string(), "--plot", "plane.png"])
        .option("--layers", Some(layers))
        .option("--samples", Some(samples))
        .option("--seed", Some(seed));
    Picture::new(&picture, &command)
}

/// # Errors
/// If the flow cannot be drawn.
pub(super) fn facts(model: &Model) -> Result<OfVectors> {
    plane::check(model)?;
    let layers = model.architecture().layers.iter().rev();
    let names = layers.map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let count = plane::layers(model).len();
    // A flow of one part shows its layers as one.
    Ok(OfVectors {
        layers: if names.len() == count {
            names
        } else {
            (1..=count).map(|layer| layer.to_string()).collect()
        },
    })
}
