//! Progress of fetching and preparing, reported to a callback.

#[cfg(feature = "hub")]
use std::io::{self, Read, Write};

/// Bytes that are copied between two reports of progress.
#[cfg(feature = "hub")]
const PIECE: u64 = 1 << 16;

/// A stage of the work and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The stage.
    pub stage: Stage<'a>,
    /// Bytes or images that are done; each stage begins with 0.
    pub done: u64,
    /// Bytes or images of the whole stage; 0 if unknown.
    pub total: u64,
}

/// A stage of the work.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// Bytes of this file of the hub.
    Downloading(&'a str),
    /// Images of a downloaded file.
    Decoding,
    /// Images of a collection.
    Preparing,
    /// Bytes of the data set's own files, uncompressed, which are compared with their digests.
    Reading,
    /// Bytes of the data set's own files, uncompressed.
    Writing,
}

/// A callback for progress.
pub type Watch<'a> = &'a mut dyn FnMut(Progress<'_>);

/// Counts the work done in a stage and reports it.
pub(crate) struct Counter<'a> {
    progress: Progress<'a>,
    watch: Watch<'a>,
}

impl<'a> Counter<'a> {
    pub(crate) fn start(stage: Stage<'a>, total: u64, watch: Watch<'a>) -> Self {
        let done = 0;
        let progress = Progress { stage, done, total };
        watch(progress);
        Self { progress, watch }
    }

    pub(crate) fn add(&mut self, more: u64) {
        self.progress.done += more;
        (self.watch)(self.progress);
    }

    /// Copies all bytes of `from` and counts them.
    #[cfg(feature = "hub")]
    pub(crate) fn copy(&mut self, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
        loop {
            match io::copy(&mut from.by_ref().take(PIECE), to)? {
                0 => return Ok(()),
                bytes => self.add(bytes),
            }
        }
    }
}
