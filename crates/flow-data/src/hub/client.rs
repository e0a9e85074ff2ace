//! Downloads from the hub, which are not trusted until their digests are right.

use std::{fs, io, path::Path};

use anyhow::{Error, Result, anyhow, ensure};
use flow_data::{
    cifar10, idx,
    source::{Files, Part, Source, sha256},
};
use hf_hub::{
    HFClientSync, HFError,
    progress::{DownloadEvent, ProgressEvent, ProgressHandler},
};
use indicatif::{ProgressBar, ProgressStyle};

use super::parquet;
use crate::folder::{self, Content};

/// The files of one split.
///
/// hf-hub keeps what it downloads without a look at it. A file that proves wrong is therefore thrown
/// out of its cache: the next try would take it from there.
pub(crate) fn fetch(client: &HFClientSync, source: &Source, part: &Part) -> Result<Vec<Content>> {
    let (owner, name) = source.repository;
    let again = format!("run `cargo xtask fetch {}` again", source.dataset);
    let path = client
        .dataset(owner, name)
        .download_file()
        .filename(part.parquet)
        .progress(DownloadBar::new(part.parquet))
        .send()
        .map_err(|err| {
            let what = format!("cannot download `{}` of `{owner}/{name}`", part.parquet);
            anyhow!("{what}: {}", explain(err, &again))
        })?;
    read(&path, source, part).map_err(|err| match discard(&path) {
        Ok(()) => anyhow!(
            "the download `{}` was wrong and is deleted: {err:#}; {again}",
            part.parquet
        ),
        Err(io) => anyhow!(
            "the download is wrong: {err:#}; delete `{}` ({io}) and {again}",
            path.display()
        ),
    })
}

/// What went wrong and what to do, in one line. A transport error of hf-hub is five errors deep, and
/// only the innermost says what happened.
fn explain(err: HFError, again: &str) -> String {
    match err {
        HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
            format!("{err}; set `HF_TOKEN` to a token that may read it and {again}")
        }
        err => {
            let cause = match err {
                HFError::Request { source, .. } => Error::new(source).root_cause().to_string(),
                err => err.to_string(),
            };
            format!("{cause}; {again}, or with `--from DIR` if you have the files")
        }
    }
}

fn read(path: &Path, source: &Source, part: &Part) -> Result<Vec<Content>> {
    let content = fs::read(path)?;
    check_transfer(path, &content)?;
    let (pixels, labels) = parquet::read(&content, source.image_column, part)?;
    let contents = match part.files {
        Files::Idx {
            images,
            labels: classes,
        } => {
            vec![
                (images, idx::encode_images(&pixels)),
                (classes, idx::encode_labels(&labels)),
            ]
        }
        Files::Cifar10(batches) => {
            let pixels = pixels.chunks(pixels.len() / batches.len());
            let labels = labels.chunks(labels.len() / batches.len());
            let encoded = pixels
                .zip(labels)
                .map(|(pixels, labels)| cifar10::encode(pixels, labels));
            batches.iter().copied().zip(encoded).collect()
        }
    };
    for (file, content) in &contents {
        folder::check(file, content, "what it holds")?;
    }
    Ok(contents)
}

/// hf-hub names a cached file after its `ETag`, which for a large file is its SHA-256. Checked before
/// any of it is decoded.
fn check_transfer(path: &Path, content: &[u8]) -> Result<()> {
    let blob = path.canonicalize()?;
    let etag = blob
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if etag.len() == 64 {
        let found = sha256(content);
        ensure!(
            found == etag,
            "its SHA-256 is {found}, but the hub announced {etag}"
        );
    }
    Ok(())
}

/// Removes a file from hf-hub's cache: the blob, and the link to it under the commit's name.
fn discard(path: &Path) -> io::Result<()> {
    let blob = path.canonicalize()?;
    fs::remove_file(path)?;
    if blob.exists() {
        fs::remove_file(blob)
    } else {
        Ok(())
    }
}

/// Bytes received of one file.
struct DownloadBar(ProgressBar);

impl DownloadBar {
    fn new(file: &'static str) -> Self {
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        Self(
            ProgressBar::no_length()
                .with_style(style)
                .with_message(file),
        )
    }
}

impl ProgressHandler for DownloadBar {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(event) = event else {
            return;
        };
        match event {
            DownloadEvent::Start { total_bytes, .. } => self.0.set_length(*total_bytes),
            DownloadEvent::Progress { files } => {
                self.0
                    .set_position(files.iter().map(|file| file.bytes_completed).sum());
            }
            DownloadEvent::AggregateProgress {
                bytes_completed, ..
            } => {
                self.0.set_position(*bytes_completed);
            }
            DownloadEvent::Complete => self.0.finish_and_clear(),
        }
    }
}
