//! Watch: a training, also while it goes on.

use std::{convert::Infallible, fs, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use axum::response::{
    IntoResponse,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use serde::Serialize;
use tokio::{sync::OwnedSemaphorePermit, time::sleep};

use crate::{
    explore::{command_line::CommandLine, session::Session},
    training::{
        Record, RunFolder,
        course::{self, Course, Stamp},
    },
};

/// Points of a line at most; lines with a test result are all among them.
const POINTS: usize = 1000;

/// The time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// The course of a training; numbers that are not known yet are `null`.
#[derive(Serialize)]
pub(in crate::explore) struct Watched {
    points: Vec<Point>,
    last: Option<Record>,
    share: Option<f64>,
    seconds_left: Option<f64>,
    /// Epochs of which there are samples.
    epochs: Vec<u64>,
    /// Draws the samples of all epochs as a GIF.
    command: String,
}

#[derive(Serialize)]
struct Point {
    step: u64,
    train: f64,
    test: Option<f64>,
}

/// The course so far.
pub(in crate::explore) fn course(session: &Session) -> Result<Watched> {
    let course = Course::read(run(session)?);
    let nth = course.records.len().div_ceil(POINTS).max(1);
    let last = course.records.len().saturating_sub(1);
    let shown = course.records.iter().enumerate().filter(|(place, record)| {
        place % nth == 0 || *place == last || record.test_bits_per_dim.is_some()
    });
    let points = shown.map(|(_, record)| Point {
        step: record.step,
        train: record.train_bits_per_dim,
        test: record.test_bits_per_dim,
    });
    let command = CommandLine::new("sample", session);
    Ok(Watched {
        points: points.collect(),
        share: course.share,
        seconds_left: course.seconds_left(),
        last: course.records.last().cloned(),
        epochs: course.epochs,
        command: command
            .words(&["--animate", "training", "--out", "training.gif"])
            .to_string(),
    })
}

/// The PNG of an epoch's samples.
pub(in crate::explore) fn samples(session: &Session, epoch: u64) -> Result<Vec<u8>> {
    let run = run(session)?;
    ensure!(
        run.sampled_epochs().contains(&epoch),
        "there are no samples of epoch {epoch}"
    );
    let path = run.samples(epoch);
    fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// An event each time that the training has written something, the first one at once.
pub(in crate::explore) fn events(
    session: Arc<Session>,
    permit: OwnedSemaphorePermit,
) -> Result<impl IntoResponse> {
    run(&session)?;
    let begin = (session, None::<[Stamp; 3]>, permit);
    let events = stream::unfold(begin, |(session, mut seen, permit)| async move {
        loop {
            let now = session.run.as_ref().map(course::stamps);
            if now != seen {
                // Browsers drop events without data.
                let event = Event::default().event("changed").data("files");
                return Some((Ok::<_, Infallible>(event), (session, now, permit)));
            }
            seen = now;
            sleep(INTERVAL).await;
        }
    });
    Ok(Sse::new(Box::pin(events)).keep_alive(KeepAlive::default()))
}

fn run(session: &Session) -> Result<&RunFolder> {
    session
        .run
        .as_ref()
        .context("the model is not of a training in a folder")
}
