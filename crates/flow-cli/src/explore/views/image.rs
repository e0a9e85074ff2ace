//! Images that views begin with: from the data set, dropped on the page, or drawn by hand.

use anyhow::Result;
use candle_core::Tensor;
use flow_analysis::outliers;
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
    /// Its class, or the likeliest one under a model with classes.
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

    /// With the likeliest class, if the model has classes.
    pub(super) fn labelled(self, engine: &Engine<'_>, image: &Tensor) -> Result<Self> {
        let model = engine.model()?;
        let label = model
            .config()
            .classes
            .map(|_| outliers::likeliest_class(model, image, 0));
        Ok(Self {
            label: label.transpose()?,
            ..self
        })
    }
}

/// The image of a name.
pub(in crate::explore) fn named(engine: &mut Engine<'_>, request: Request) -> Result<Subject> {
    let image = engine.image(&request.image)?;
    let subject = Subject::of(&image)?;
    let ImageName::Place(split, place) = request.image else {
        return subject.labelled(engine, &image);
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
    let image = engine.image(&ImageName::Picture(content))?;
    Subject::of(&image)?.labelled(engine, &image)
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
