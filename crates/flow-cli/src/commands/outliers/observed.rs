//! Images, and observations of each by models and compressors.

use anyhow::{Result, ensure};
use flow_analysis::outliers::{
    Compressor, Evidence, Observation, Score, code_lengths, strangeness,
};
use flow_glow::{Glow, ranks::Ranks};

use crate::{input::named_images::NamedImages, output::console::Console};

/// The models and the compressor that observe images.
pub(super) struct Observers<'a> {
    pub(super) model: &'a Glow,
    pub(super) background: Option<&'a Glow>,
    pub(super) compressor: Compressor,
    /// The scores, which decide what is measured.
    pub(super) scores: &'a [Score],
    pub(super) seed: u64,
    pub(super) ranks: &'a dyn Ranks,
    pub(super) console: &'a Console,
}

/// Images with the observations of each.
pub(super) struct ObservedImages {
    pub(super) images: NamedImages,
    pub(super) evidence: Vec<Evidence>,
    entropy: Option<f64>,
}

impl Observers<'_> {
    /// Observes each image; typicality is the distance from `entropy`.
    pub(super) fn ask(&self, images: NamedImages, entropy: Option<f64>) -> Result<ObservedImages> {
        let config = self.model.config();
        let observations = self.observe(&images, self.model)?;
        let code_lengths = if self.scores.contains(&Score::Complexity) {
            Some(code_lengths(self.compressor, config, &images.images)?)
        } else {
            None
        };
        let background = match self.background {
            Some(model) if self.scores.contains(&Score::LikelihoodRatio) => {
                Some(self.observe(&images, model)?)
            }
            _ => None,
        };
        let evidence = observations
            .iter()
            .enumerate()
            .map(|(i, observed)| Evidence {
                bits_per_dim: observed.bits_per_dim,
                latent_norm: observed.latent_norm,
                code_bits_per_dim: code_lengths.as_ref().map(|lengths| lengths[i]),
                background_bits_per_dim: background.as_ref().map(|of| of[i].bits_per_dim),
            });
        Ok(ObservedImages {
            evidence: evidence.collect(),
            images,
            entropy,
        })
    }

    /// The mean of −log p over training images, in bits per dimension.
    pub(super) fn entropy(&self, images: &NamedImages) -> Result<f64> {
        let observations = self.observe(images, self.model)?;
        let sum: f64 = observations.iter().map(|one| one.bits_per_dim).sum();
        let entropy = sum / observations.len() as f64;
        ensure!(
            entropy.is_finite(),
            "some of the images of {} have no finite likelihood, so what is typical is not known; name other \
             scores than typicality with `--score`",
            images.name
        );
        Ok(entropy)
    }

    fn observe(&self, images: &NamedImages, model: &Glow) -> Result<Vec<Observation>> {
        let mut progress = self.console.progress(0.0);
        images.observe(model, None, self.seed, self.ranks, &mut progress)
    }
}

impl ObservedImages {
    /// The score of each image.
    pub(super) fn scores(&self, score: Score) -> Vec<f64> {
        let of = |evidence| score.of(evidence, self.entropy);
        self.evidence.iter().map(of).collect()
    }

    /// −log p(x) of each image, in bits per dimension.
    pub(super) fn bits_per_dim(&self) -> Vec<f64> {
        self.scores(Score::Likelihood)
    }

    /// The number of images without a finite likelihood.
    pub(super) fn non_finite(&self) -> usize {
        let bits = self.evidence.iter().map(|evidence| evidence.bits_per_dim);
        bits.filter(|bits| !bits.is_finite()).count()
    }

    /// The number of images without a finite likelihood, or without a finite one of `scores`.
    pub(super) fn non_finite_by(&self, scores: &[Score]) -> usize {
        let all_finite = |evidence: &&Evidence| {
            let mut scores = scores.iter().map(|score| score.of(evidence, self.entropy));
            evidence.bits_per_dim.is_finite() && scores.all(f64::is_finite)
        };
        let evidence = self.evidence.iter();
        self.images.len() - evidence.filter(all_finite).count()
    }
}

/// Places of the images by score, the strangest first.
pub(super) fn by_strangeness(scores: &[f64]) -> Vec<usize> {
    let mut places: Vec<_> = (0..scores.len()).collect();
    places.sort_by(|&a, &b| strangeness(scores[b]).total_cmp(&strangeness(scores[a])));
    places
}
