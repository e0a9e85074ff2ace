//! The model and the data set, as they are read from files.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use flow_core::Model;
use flow_data::{Dataset, Split};
use flow_glow::Checkpoint;

use super::session::Session;
use crate::{
    commands::is_model_of_vectors,
    input::{
        condition,
        data::{self, Choice},
        pretrained,
    },
    output::plane,
    training::course::{Stamp, stamp},
};

/// The time between two looks at the file of the model.
const INTERVAL: Duration = Duration::from_millis(500);

/// A model of one of two kinds.
pub(super) enum Loaded {
    Images(Box<Images>),
    Vectors(Box<Model>),
    /// The training has not saved one yet.
    Nothing,
}

/// A model of images, and its data set.
pub(super) struct Images {
    pub(super) checkpoint: Checkpoint,
    /// Training and test images, or the reason why there are none.
    data: Result<[Dataset; 2], String>,
}

/// The file of the model, which a training replaces.
pub(super) struct Source {
    pub(super) session: Arc<Session>,
    stamp: Stamp,
    looked: Instant,
}

impl Source {
    pub(super) fn new(session: Arc<Session>) -> Self {
        let stamp = stamp(&session.checkpoint);
        Self {
            session,
            stamp,
            looked: Instant::now(),
        }
    }

    /// Reads the model and the data set.
    ///
    /// # Errors
    /// If the model cannot be read, or a data set that was named.
    pub(super) fn load(&self) -> Result<Loaded> {
        let session = &self.session;
        let path = &session.checkpoint;
        if !path.exists() && session.run.is_some() {
            return Ok(Loaded::Nothing);
        }
        if is_model_of_vectors(path) {
            let model = Model::load(path, &session.device)?;
            plane::check(&model)?;
            return Ok(Loaded::Vectors(Box::new(model)));
        }
        Ok(Loaded::Images(Box::new(Images::load(session, path)?)))
    }

    /// True once after the file was replaced.
    pub(super) fn has_changed(&mut self) -> bool {
        if self.session.run.is_none() || self.looked.elapsed() < INTERVAL {
            return false;
        }
        self.looked = Instant::now();
        let now = stamp(&self.session.checkpoint);
        std::mem::replace(&mut self.stamp, now) != now
    }
}

impl Images {
    fn load(session: &Session, path: &Path) -> Result<Self> {
        let checkpoint = pretrained::open(path, &session.device)?;
        condition::refuse(&checkpoint.header.model)?;
        let data = match open(session, &checkpoint) {
            Err(error) if session.args.dataset.is_none() => {
                tracing::warn!("no data set is open: {error:#}");
                Err(format!("{error:#}"))
            }
            data => Ok(data?),
        };
        Ok(Self { checkpoint, data })
    }

    /// The images of a split.
    ///
    /// # Errors
    /// If the data set is not here.
    pub(super) fn split(&self, split: Split) -> Result<&Dataset> {
        let data = self.data.as_ref();
        let data = data.map_err(|reason| anyhow!("the data set is not here: {reason}"))?;
        Ok(&data[usize::from(split == Split::Test)])
    }
}

fn open(session: &Session, checkpoint: &Checkpoint) -> Result<[Dataset; 2]> {
    let args = &session.args;
    let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
    let splits = [Split::Train, Split::Test];
    let opened = data::open(&choice, splits, &args.data_dir, &session.console)?;
    for dataset in &opened {
        data::check_fit(&checkpoint.header, dataset).context("the data set is of another form")?;
    }
    Ok(opened)
}
