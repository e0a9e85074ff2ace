//! `flow data`: the images of a data set, and what a training would make of them.
//!
//! Reading order: [`run`], [`Findings`] (the facts, as JSON), [`table`], [`sheet`].

mod findings;
mod sheet;
mod table;

use std::path::Path;

use anyhow::{Result, ensure};
use flow_data::{
    Location, Preparation, Split, Survey,
    collection::{Collection, Sources},
};
use indicatif::HumanCount;

use crate::{
    cli::SurveyArgs,
    input::data,
    output::{console::Console, picture_file::PictureFile, report, words::count},
};

use findings::Findings;

/// Looks at all images.
pub(crate) fn run(args: &SurveyArgs, console: &Console) -> Result<()> {
    let output = args.out.as_deref().map(create).transpose()?;
    let (collection, kind) = open(args)?;
    let preparation = Preparation {
        skip_damaged: args.data_dir.skip_damaged,
        ..args.pictures.preparation(Preparation::default())
    };
    let survey = look(collection, &preparation, console)?;
    let findings = Findings::of(&survey, kind, args)?;
    if let Some(output) = output {
        output.write(&sheet::draw(&survey, args.seed)?)?;
    }
    if args.json {
        report::json(&findings)
    } else {
        table::print(&findings)
    }
}

fn create(path: &Path) -> Result<PictureFile> {
    ensure!(
        path != Path::new("-"),
        "stdout is for what is found; name a file for the contact sheet"
    );
    PictureFile::create(path)
}

/// The images, and the kind of their files.
fn open(args: &SurveyArgs) -> Result<(Collection, String)> {
    if let Location::Published(name) = args.dataset {
        args.pictures.ensure_none()?;
        let splits = [Split::Train, Split::Test];
        let datasets = data::published(name, false, splits, &args.data_dir)?;
        return Ok((
            Collection::of_datasets(datasets),
            "published data set".to_owned(),
        ));
    }
    let data_dir = data::data_dir(&args.data_dir)?;
    let sources = Sources::find(&data::collection(&args.dataset, data_dir)?)?;
    let kind = count(sources.count(), sources.noun());
    Ok((sources.open()?, kind))
}

fn look(collection: Collection, preparation: &Preparation, console: &Console) -> Result<Survey> {
    let mut progress = console.progress(0.0);
    let mut watch = |done: flow_data::Progress<'_>| {
        let (now, all) = (HumanCount(done.done), HumanCount(done.total));
        let share = done.done as f64 / done.total.max(1) as f64;
        progress.update(share, &format!("looked at {now} of {all} images"));
    };
    Ok(Survey::of(collection, preparation, &mut watch)?)
}
