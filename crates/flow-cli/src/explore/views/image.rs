//! Images that views begin with: from the data set, dropped on the page, or drawn by hand.

use anyhow::Result;
use candle_core::Tensor;
use flow_data::Split;
use serde::{Deserialize, Serialize};

use super::data_url;
use crate::{
    explore::{
        command_line::CommandLine,
        engine::Engine,
        image_name::{self, ImageName},
        session::Session,
    },
    output::tiles,
};

/// An image of the model, for a slot of the page.
#[derive(Serialize)]
pub(in crate::explore) struct Subject {
    /// Its name in requests and links.
    name: String,
    /// Its pixels as the address of a PNG.
    picture: String,
    /// Its class, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<u32>,
}

/// The image of this name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    image: ImageName,
}

impl Subject {
    /// The u8 image `[1, C, H, W]`.
    pub(super) fn of(image: &Tensor) -> Result<Self> {
        let png = tiles::png(image)?;
        Ok(Self {
            name: image_name::of_png(&png),
            picture: data_url(&png),
            label: None,
        })
    }
}

/// The image of a name.
pub(in crate::explore) fn named(engine: &mut Engine<'_>, request: Request) -> Result<Subject> {
    let subject = Subject::of(&engine.image(&request.image)?)?;
    let ImageName::Place(split, place) = request.image else {
        return Ok(subject);
    };
    let dataset = engine.images()?.split(split)?;
    Ok(Subject {
        name: format!("{split}:{place}"),
        label: dataset.labels().get(place).copied(),
        ..subject
    })
}

/// A picture file that was sent here, as an image of the model.
pub(in crate::explore) fn sent(engine: &mut Engine<'_>, content: Vec<u8>) -> Result<Subject> {
    Subject::of(&engine.image(&ImageName::Picture(content))?)
}

/// With the data set of the session, and its split where it is not the default one.
pub(super) fn of_split(line: CommandLine, session: &Session, split: Split) -> CommandLine {
    let other = (split != Split::Test).then_some(split);
    line.data(session).option("--split", other)
}

/// With an image: its place in the data set, or the file that the page saves.
pub(super) fn in_command(line: CommandLine, session: &Session, name: &ImageName) -> CommandLine {
    match name {
        ImageName::Place(split, place) => {
            of_split(line, session, *split).option("--index", Some(place))
        }
        ImageName::Picture(_) => line.data(session).words(&["--images", "image.png"]),
    }
}
