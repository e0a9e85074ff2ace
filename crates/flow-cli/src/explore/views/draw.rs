//! Draw: a grid of samples.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use serde::Deserialize;

use super::{Picture, image::Subject};
use crate::{
    explore::{command_line::CommandLine, engine::Engine},
    output::{
        draw::{self, Conditions},
        image_grid,
    },
};

/// Images of a grid at most.
const MOST: usize = 100;

/// The samples that are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    count: usize,
    temperature: f64,
    seed: u64,
    /// Each class in turn without one.
    class: Option<String>,
}

/// One of the samples.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Pick {
    of: Request,
    place: usize,
}

/// The grid of samples.
pub(in crate::explore) fn grid(engine: &mut Engine<'_>, request: Request) -> Result<Picture> {
    let picture = image_grid::square(&samples(engine, &request)?)?;
    let command = CommandLine::new("sample", engine.session)
        .option("--count", Some(request.count))
        .option("--temperature", Some(request.temperature))
        .option("--seed", Some(request.seed))
        .option("--class", request.class)
        .words(&["--out", "samples.png"]);
    Picture::new(&picture, &command)
}

/// One image of the grid.
pub(in crate::explore) fn pick(engine: &mut Engine<'_>, pick: Pick) -> Result<Subject> {
    ensure!(pick.place < pick.of.count, "there is no such image");
    let samples = samples(engine, &pick.of)?;
    let image = samples.narrow(0, pick.place, 1)?;
    Subject::of(&image)?.labelled(engine, &image)
}

fn samples(engine: &Engine<'_>, request: &Request) -> Result<Tensor> {
    let Request {
        count,
        temperature,
        seed,
        ref class,
    } = *request;
    ensure!(
        (1..=MOST).contains(&count),
        "a grid has 1 to {MOST} images, not {count}"
    );
    let model = engine.model()?;
    let class = engine.class(class.as_deref())?;
    let conditions = Conditions::of_classes(model.config(), count, class)?;
    let images = draw::images(&conditions.of(model)?, count, temperature, seed);
    draw::at_temperature(images, temperature)
}
