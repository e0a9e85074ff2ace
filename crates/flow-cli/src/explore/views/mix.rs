//! Mix: an image between two others.

use anyhow::{Result, ensure};
use flow_analysis::latent_space::Path;
use serde::Deserialize;

use super::{Picture, image};
use crate::{
    explore::{command_line::CommandLine, engine::Engine, image_name::ImageName},
    output::image_grid,
};

/// The mixture that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    first: ImageName,
    second: ImageName,
    /// 0 is the first image, 1 the second.
    time: f64,
    spherical: bool,
    /// The class as which both are encoded.
    class: Option<String>,
}

/// The image at a time.
pub(in crate::explore) fn at(engine: &mut Engine<'_>, request: Request) -> Result<Picture> {
    let Request {
        first,
        second,
        time,
        spherical,
        class,
    } = request;
    ensure!((0.0..=1.0).contains(&time), "a time is from 0 to 1");
    let number = engine.class(class.as_deref())?;
    let ends = engine.images_of(&[&first, &second])?;
    let path = if spherical {
        Path::Spherical
    } else {
        Path::Linear
    };
    let mixed = engine.encoded(&ends, number)?.mixed(path, &[time])?;
    let command = CommandLine::new("interpolate", engine.session);
    let command = match (&first, &second) {
        (ImageName::Place(from_split, from), ImageName::Place(to_split, to))
            if from_split == to_split =>
        {
            image::of_split(command, engine.session, *from_split)
                .option("--from", Some(from))
                .option("--to", Some(to))
        }
        _ => command.words(&["--images", "first.png", "second.png"]),
    };
    let command = command
        .option("--at", Some(time))
        .switch("--spherical", spherical)
        .option("--class", class)
        .words(&["--out", "mix.png"]);
    Picture::new(&image_grid::rows(&mixed, 1)?, &command)
}
