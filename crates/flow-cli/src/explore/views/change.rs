//! Change: an image with more or less of attributes.

use anyhow::{Result, bail, ensure};
use flow_analysis::{attribute::Measure, latent_space::Direction};
use flow_data::Split;
use serde::{Deserialize, Serialize};

use super::{Picture, image};
use crate::{
    explore::{
        command_line::CommandLine,
        engine::Engine,
        image_name::ImageName,
        session::Session,
        source::{Images, Loaded},
        tasks::State,
    },
    input::{
        attribute::{self, Attribute},
        image_files::PictureReader,
    },
    output::image_grid,
};

/// Attributes that change together at most.
const MOST: usize = 16;

/// Training images in which attributes are looked for, as `flow edit` takes them.
const EXAMPLES: usize = 10_000;

/// The change that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    image: ImageName,
    changes: Vec<Change>,
    /// The class as which all images are encoded.
    class: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    attribute: String,
    amount: f64,
}

/// The changed image, or the share of the work that must be done before.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::explore) enum Answer {
    Picture(Picture),
    Progress { progress: f64 },
}

/// The changed image.
pub(in crate::explore) fn image(engine: &mut Engine<'_>, request: Request) -> Result<Answer> {
    let Request {
        image: name,
        changes,
        class,
    } = request;
    ensure!(
        changes.len() <= MOST,
        "at most {MOST} attributes change together"
    );
    for Change { attribute, amount } in &changes {
        let is_sound = amount.abs() <= 1e6;
        ensure!(
            is_sound,
            "the amount of `{attribute}` is not a number up to a million"
        );
    }
    let number = engine.class(class.as_deref())?;
    let mut directions = Vec::new();
    for change in changes.iter().filter(|change| change.amount != 0.0) {
        match direction(engine, &change.attribute, number)? {
            State::Running(progress) => return Ok(Answer::Progress { progress }),
            State::Done(direction) => directions.push((direction, change.amount)),
        }
    }
    let images = engine.image(&name)?;
    let changed = engine.encoded(&images, number)?;
    let of = directions
        .iter()
        .map(|(direction, amount)| (&**direction, *amount));
    let picture = image_grid::rows(&changed.changed(of)?, 1)?;
    let command = command(engine.session, &name, &changes).option("--class", class);
    let command = command.words(&["--out", "change.png"]);
    Ok(Answer::Picture(Picture::new(&picture, &command)?))
}

fn command(session: &Session, name: &ImageName, changes: &[Change]) -> CommandLine {
    let mut command = CommandLine::new("edit", session);
    let changed = changes.iter().filter(|change| change.amount != 0.0);
    // The command takes one at least; none of the first one is no change.
    let shown = changed
        .clone()
        .chain(changes.iter().take(usize::from(changed.count() == 0)));
    for Change { attribute, amount } in shown {
        command = command
            .option("--attribute", Some(attribute))
            .option("--strength", Some(amount));
    }
    let command = command.path("--labels", session.args.labels.as_deref());
    image::in_command(command, session, name)
}

/// The direction of an attribute, which takes seconds to find.
fn direction(engine: &Engine<'_>, name: &str, class: Option<u32>) -> Result<State<Direction>> {
    let (session, loaded) = (engine.session.clone(), engine.loaded.clone());
    let key = format!("{} {name}", class.unwrap_or_default());
    engine.directions.get(&key, || {
        // Reads the file of labels, which a slider that is dragged must not do at every step.
        let attribute = Attribute::named(name, session.args.labels.as_deref())?;
        check(&attribute, engine.images()?)?;
        let name = name.to_owned();
        Ok(move |progress: &dyn Fn(f64)| {
            let Loaded::Images(images) = &*loaded else {
                bail!("the model is gone");
            };
            let header = &images.checkpoint.header;
            let args = &session.args;
            let examples = if attribute.needs_examples() {
                Some((images.split(Split::Train)?, EXAMPLES))
            } else {
                None
            };
            let reader = || PictureReader::of(header, args.fit, args.background);
            let contrast = attribute.contrast(examples, reader)?;
            contrast.direction(&images.checkpoint.model, class, &name, progress)
        })
    })
}

/// Refuses attributes without which names of tasks have no bound.
fn check(attribute: &Attribute, images: &Images) -> Result<()> {
    if let Attribute::Classes(from, to) = attribute {
        let names = images.split(Split::Train)?.class_names();
        for class in [from, to] {
            let is_known = names.contains(class)
                || class
                    .parse::<usize>()
                    .is_ok_and(|number| number < names.len());
            ensure!(is_known, "there is no class {class} in the data set");
        }
    }
    Ok(())
}

/// The names of attributes: columns of labels, and measures where the data set is here.
pub(super) fn attributes(session: &Session, images: &Images) -> Result<Vec<String>> {
    let mut names = match &session.args.labels {
        Some(path) => attribute::columns(path)?,
        None => Vec::new(),
    };
    if let Ok(train) = images.split(Split::Train) {
        let black = train.batch(&(0..train.len().min(100)).collect::<Vec<_>>())?;
        let black = flow_analysis::attribute::on_black_ground(&black.images)?;
        let black = flow_analysis::attribute::mostly(&black);
        let measures = Measure::ALL.into_iter();
        let measures = measures.filter(|measure| black || !measure.needs_black_ground());
        let measures = measures.map(|measure| measure.as_str().to_owned());
        names.extend(
            measures
                .filter(|name| !names.contains(name))
                .collect::<Vec<_>>(),
        );
    }
    Ok(names)
}
