//! Judge: the likelihood of an image, its class, and how strange it is.

use std::f64::consts::LN_2;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flow_analysis::outliers::{
    Compressor, Evidence, ImageBits, Noise, Score, code_lengths, observe_images, quantile,
};
use flow_data::Split;
use flow_glow::{Glow, ranks::Alone};
use serde::{Deserialize, Serialize};

use super::Picture;
use crate::{
    explore::{
        command_line::CommandLine, engine::Engine, image_name::ImageName, source::Loaded,
        tasks::State,
    },
    output::pixel_map,
};

/// Training images that an image is compared with, evenly spread.
const TRAINING: usize = 2000;

/// Draws the noise, as `flow density` does.
const SEED: u64 = 0;

/// Bars of the histogram, and the share of training images on each side that it leaves out.
const BARS: usize = 60;
const OUTLIERS: f64 = 0.002;

/// Scores of a single model.
const SCORES: [Score; 4] = [
    Score::Likelihood,
    Score::Typicality,
    Score::Complexity,
    Score::LatentNorm,
];

/// The image to judge.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::explore) struct Request {
    image: ImageName,
}

/// Numbers of an image; those that are not finite are `null`.
#[derive(Serialize)]
pub(in crate::explore) struct Judgement {
    bits_per_dim: f64,
    /// In nats.
    log_likelihood: f64,
    /// ln p(class | x), if the model has classes.
    classes: Option<Vec<f64>>,
    /// The bits of each pixel, and the command that draws the same.
    #[serde(flatten)]
    map: Picture,
    /// The fewest and the most bits of a pixel.
    pixels: [f64; 2],
}

/// The place of an image among training images, or the share of them that is measured.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::explore) enum Place {
    Progress { progress: f64 },
    Among(Among),
}

/// Training images by their bits per dimension, and the image among them.
#[derive(Serialize)]
pub(in crate::explore) struct Among {
    images: usize,
    low: f64,
    high: f64,
    /// Training images in each bar.
    bars: Vec<usize>,
    scores: Vec<Scored>,
}

/// A score, and the share of the training images whose score is lower.
#[derive(Serialize)]
struct Scored {
    name: &'static str,
    value: f64,
    below: f64,
}

/// Measurements of the training images, with which one is compared.
pub(in crate::explore) struct Training {
    evidence: Vec<Evidence>,
    /// Mean bits per dimension.
    entropy: f64,
}

/// Likelihood and classes.
pub(in crate::explore) fn image(engine: &mut Engine<'_>, request: Request) -> Result<Judgement> {
    let image = engine.image(&request.image)?;
    let model = engine.model()?;
    let bits = ImageBits::of(model, &image, SEED)?;
    let config = model.config();
    let pixels = pixel_map::range(std::slice::from_ref(&bits.pixels));
    let map = pixel_map::picture(&[bits.pixels], config.image)?;
    let command = CommandLine::new("density", engine.session);
    let command = command.words(&["--map", "map.png", "image.png"]);
    Ok(Judgement {
        bits_per_dim: bits.bits_per_dim,
        log_likelihood: -bits.bits_per_dim * LN_2 * config.image.dimensions() as f64,
        classes: bits.class_log_posteriors,
        map: Picture::new(&map, &command)?,
        pixels,
    })
}

/// The place among training images, which takes a while the first time.
pub(in crate::explore) fn place(engine: &mut Engine<'_>, request: Request) -> Result<Place> {
    engine.images()?.split(Split::Train)?;
    let image = engine.image(&request.image)?;
    let loaded = engine.loaded.clone();
    let training = engine.training.get("", || {
        Ok(move |progress: &dyn Fn(f64)| {
            let Loaded::Images(images) = &*loaded else {
                bail!("the model is gone");
            };
            let mut train = images.split(Split::Train)?.clone();
            train.thin_out(TRAINING);
            let all = train.all()?.images;
            Training::of(&images.checkpoint.model, &all, progress)
        })
    })?;
    let training = match training {
        State::Running(progress) => return Ok(Place::Progress { progress }),
        State::Done(training) => training,
    };
    let found = evidence(engine.model()?, &image, Noise::Same(SEED), |_| {})?;
    let found = found.first().context("there is no image")?;
    Ok(Place::Among(training.among(found)?))
}

/// Observations of each of u8 images `[N, C, H, W]`.
fn evidence(
    model: &Glow,
    images: &Tensor,
    noise: Noise,
    progress: impl FnMut(usize),
) -> Result<Vec<Evidence>> {
    let observed = observe_images(model, images, noise, &Alone, progress)?;
    let codes = code_lengths(Compressor::Png, model.config(), images)?;
    let evidence = observed.into_iter().zip(codes).map(|(one, code)| Evidence {
        bits_per_dim: one.bits_per_dim,
        latent_norm: one.latent_norm,
        code_bits_per_dim: Some(code),
        background_bits_per_dim: None,
    });
    Ok(evidence.collect())
}

impl Training {
    fn of(model: &Glow, images: &Tensor, progress: &dyn Fn(f64)) -> Result<Self> {
        let count = images.dim(0)?;
        let tell = |done: usize| progress(done as f64 / count as f64);
        let evidence = evidence(model, images, Noise::OfBatch(SEED), tell)?;
        let bits = evidence.iter().map(|one| one.bits_per_dim);
        Ok(Self {
            entropy: bits.sum::<f64>() / count as f64,
            evidence,
        })
    }

    fn among(&self, image: &Evidence) -> Result<Among> {
        let bits = self.scores(Score::Likelihood);
        let low = quantile(&bits, OUTLIERS)?;
        let high = quantile(&bits, 1.0 - OUTLIERS)?;
        let margin = (high - low).max(1e-6) * 0.05;
        let (low, high) = (low - margin, high + margin);
        let mut bars = vec![0; BARS];
        for bits in bits.iter().filter(|bits| bits.is_finite()) {
            let bar = (bits - low) / (high - low) * BARS as f64;
            bars[(bar.max(0.0) as usize).min(BARS - 1)] += 1;
        }
        Ok(Among {
            images: self.evidence.len(),
            low,
            high,
            bars,
            scores: SCORES.map(|score| self.scored(score, image)).into(),
        })
    }

    fn scored(&self, score: Score, image: &Evidence) -> Scored {
        let value = score.of(image, Some(self.entropy));
        let scores = self.scores(score);
        let below = scores.iter().filter(|&&other| other < value).count();
        Scored {
            name: score.as_str(),
            value,
            below: below as f64 / scores.len() as f64,
        }
    }

    fn scores(&self, score: Score) -> Vec<f64> {
        let evidence = self.evidence.iter();
        evidence
            .map(|one| score.of(one, Some(self.entropy)))
            .collect()
    }
}
