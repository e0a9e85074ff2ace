//! Pictures that move: a walk through latent space, and samples that form during training.

use std::{path::Path as FilePath, time::Duration};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_analysis::latent_space::Path;
use flow_core::{Bijection, random};
use flow_data::picture;
use flow_glow::Glow;

use crate::{output::image_grid, training::RunFolder};

/// The time that a picture stays.
const STEP: Duration = Duration::from_millis(80);
const EPOCH: Duration = Duration::from_millis(500);

/// Draws between which a walk leads.
const STATIONS: usize = 4;

/// Images that each go their own way through latent space.
pub(crate) struct Walk<'a, B> {
    /// The model that decodes the latents.
    pub(crate) model: &'a Glow<B>,
    /// The number of images.
    pub(crate) count: usize,
    /// The spread of the latents.
    pub(crate) temperature: f64,
    /// Draws the stations; the first is what `flow sample` draws.
    pub(crate) seed: u64,
}

impl<B: Bijection> Walk<'_, B> {
    /// A GIF of `frames` pictures that begins where it ends.
    pub(crate) fn gif(&self, frames: usize) -> Result<Vec<u8>> {
        let tempered = self.model.at_temperature(self.temperature)?;
        let station = |number: usize| {
            let seed = match number % STATIONS {
                0 => self.seed,
                number => random::derive(self.seed, &format!("station.{number}")),
            };
            tempered.draw_latents(self.count, seed)
        };
        let stations = (0..=STATIONS).map(station);
        let stations = stations.collect::<flow_glow::Result<Vec<_>>>()?;
        let frame = |frame: usize| {
            let (station, beyond) = (frame * STATIONS / frames, frame * STATIONS % frames);
            let time = beyond as f64 / frames as f64;
            let latents =
                Path::Spherical.at(&stations[station], &stations[station + 1], &[time])?;
            let images = self.model.decode_images(&latents)?;
            Ok(images.to_device(&Device::Cpu)?)
        };
        image_grid::gif((0..frames).map(frame), STEP)
    }
}

/// A GIF of the samples that the training of this checkpoint drew.
pub(crate) fn of_training(checkpoint: &FilePath) -> Result<Vec<u8>> {
    let pictures = RunFolder::samples_beside(checkpoint);
    ensure!(
        !pictures.is_empty(),
        "there are no samples of a training beside `{}`; `flow train` draws them after each epoch",
        checkpoint.display()
    );
    let mut size = None;
    let pictures = pictures.into_iter().map(|path| {
        let mut read = || -> Result<_> {
            let picture = picture::decode(&picture::read(&path)?)?;
            let own = (picture.width(), picture.height());
            ensure!(
                *size.get_or_insert(own) == own,
                "it is not as large as the samples of earlier epochs"
            );
            Ok(picture)
        };
        read().with_context(|| format!("cannot use `{}`", path.display()))
    });
    image_grid::gif_of_pictures(pictures, EPOCH)
}
