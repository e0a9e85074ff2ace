//! Facts about the model that decide which views there are.

use anyhow::Result;
use flow_data::{Dataset, Split};
use serde::Serialize;

use super::{
    change,
    plane::{self, OfVectors},
};
use crate::{
    explore::{
        engine::Engine,
        session::Session,
        source::{Images, Loaded},
    },
    input::classes,
};

/// The model and its data.
#[derive(Serialize)]
pub(in crate::explore) struct About {
    /// `images`, `vectors` or `nothing`.
    kind: &'static str,
    name: String,
    /// A training is there to be watched.
    run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<OfImages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<OfVectors>,
}

#[derive(Serialize)]
struct OfImages {
    dataset: String,
    channels: usize,
    height: usize,
    width: usize,
    /// Names of the classes, or their numbers; empty without classes.
    classes: Vec<String>,
    /// Channels, height and width of the latents of each level.
    levels: Vec<[usize; 3]>,
    parameters: usize,
    /// Attributes to change, beside pairs of classes.
    attributes: Vec<String>,
    /// Numbers of training and test images; `null` if they are not here.
    train: Option<usize>,
    test: Option<usize>,
}

/// The facts.
pub(in crate::explore) fn facts(engine: &mut Engine<'_>) -> Result<About> {
    let session = engine.session;
    let (mut images, mut vectors) = (None, None);
    let kind = match &**engine.loaded {
        Loaded::Images(model) => {
            images = Some(of_images(session, model)?);
            "images"
        }
        Loaded::Vectors(model) => {
            vectors = Some(plane::facts(model)?);
            "vectors"
        }
        Loaded::Nothing => "nothing",
    };
    let name = session.args.checkpoint.as_ref().map_or_else(
        || "a model of MNIST with classes, which ships".to_owned(),
        |path| path.display().to_string(),
    );
    Ok(About {
        kind,
        name,
        run: session.run.is_some(),
        images,
        vectors,
    })
}

fn of_images(session: &Session, images: &Images) -> Result<OfImages> {
    let checkpoint = &images.checkpoint;
    let config = checkpoint.model.config();
    let names = classes::names(&checkpoint.header)?;
    let classes = 0..config.classes.unwrap_or(0);
    let count = |split| images.split(split).ok().map(Dataset::len);
    Ok(OfImages {
        dataset: checkpoint.header.dataset.clone(),
        channels: config.image.channels,
        height: config.image.height,
        width: config.image.width,
        classes: classes
            .map(|class| {
                names
                    .get(class)
                    .cloned()
                    .unwrap_or_else(|| class.to_string())
            })
            .collect(),
        levels: checkpoint.model.latent_shapes().iter().collect(),
        parameters: checkpoint.parameters,
        attributes: change::attributes(session, images)?,
        train: count(Split::Train),
        test: count(Split::Test),
    })
}
