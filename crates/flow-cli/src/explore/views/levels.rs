//! Levels: an image whose latents of some levels are drawn anew.

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::{Picture, image};
use crate::{
    explore::{command_line::CommandLine, engine::Engine, image_name::ImageName},
    output::image_grid,
};

/// Draws at most.
const MOST: usize = 36;

/// The draws that are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    image: ImageName,
    /// Levels to draw anew, counted from 0.
    levels: Vec<usize>,
    draws: usize,
    temperature: f64,
    seed: u64,
    /// The class as which the image is encoded.
    class: Option<String>,
}

/// A row of draws.
pub(in crate::explore) fn row(engine: &mut Engine<'_>, request: Request) -> Result<Picture> {
    let Request {
        image: name,
        levels,
        draws,
        temperature,
        seed,
        class,
    } = request;
    ensure!(
        (1..=MOST).contains(&draws),
        "a row has 1 to {MOST} draws, not {draws}"
    );
    ensure!(!levels.is_empty(), "choose a level to draw anew");
    let number = engine.class(class.as_deref())?;
    let images = engine.image(&name)?;
    let drawn = engine.encoded(&images, number)?;
    let drawn = drawn.redrawn(&levels, draws, temperature, seed)?;
    let listed = levels.iter().map(ToString::to_string);
    let listed = listed.collect::<Vec<_>>().join(",");
    let command = CommandLine::new("edit", engine.session)
        .option("--redraw", Some(listed))
        .option("--steps", Some(draws))
        .option("--temperature", Some(temperature))
        .option("--seed", Some(seed));
    let command = image::in_command(command, engine.session, &name)
        .option("--class", class)
        .words(&["--out", "levels.png"]);
    Picture::new(&image_grid::rows(&drawn, draws)?, &command)
}
