//! Scores of strangeness of an image: larger is stranger.

use crate::Result;
use candle_core::{DType, Device};
use flow_core::random;

/// A measure of how strange an image is. All but [`LatentNorm`](Self::LatentNorm) are in bits per
/// dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// −log p(x).
    Likelihood,
    /// |−log p(x) − H|, H the mean of −log p over training images: the distance from the typical
    /// set (Nalisnick et al. 2019, arXiv:1906.02994, section 4, for one image).
    Typicality,
    /// −log p(x) − L(x), L the length of a lossless code, which corrects for simplicity (Serrà et
    /// al. 2020, arXiv:1909.11480, section 3).
    Complexity,
    /// −log p(x) + log p₀(x), p₀ a background model (Ren et al. 2019, arXiv:1906.02845, section 3).
    LikelihoodRatio,
    /// The root of the mean square of all latents.
    LatentNorm,
}

/// The numbers that scores of an image are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// −log p(x).
    pub bits_per_dim: f64,
    /// See [`Observation`](super::Observation).
    pub latent_norm: f64,
    /// L(x); see [`code_lengths`](super::code_lengths).
    pub code_bits_per_dim: Option<f64>,
    /// −log p₀(x).
    pub background_bits_per_dim: Option<f64>,
}

impl Score {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Likelihood,
        Self::Typicality,
        Self::Complexity,
        Self::LikelihoodRatio,
        Self::LatentNorm,
    ];

    /// A short name, in small letters and hyphens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Likelihood => "likelihood",
            Self::Typicality => "typicality",
            Self::Complexity => "complexity",
            Self::LikelihoodRatio => "likelihood-ratio",
            Self::LatentNorm => "latent-norm",
        }
    }

    /// The score of an image, larger for stranger ones; `entropy` is H, in bits per dimension. NaN
    /// if an input of the score is missing.
    pub fn of(self, image: &Evidence, entropy: Option<f64>) -> f64 {
        let bits = image.bits_per_dim;
        match self {
            Self::Likelihood => bits,
            Self::Typicality => (bits - entropy.unwrap_or(f64::NAN)).abs(),
            Self::Complexity => bits - image.code_bits_per_dim.unwrap_or(f64::NAN),
            Self::LikelihoodRatio => bits - image.background_bits_per_dim.unwrap_or(f64::NAN),
            Self::LatentNorm => image.latent_norm,
        }
    }
}

/// The score for comparisons: a score that is not finite counts as the strangest.
pub fn strangeness(score: f64) -> f64 {
    if score.is_finite() {
        score
    } else {
        f64::INFINITY
    }
}

/// Distances of batches of `size` images from the typical set: |mean of −log p over the batch − H|,
/// of each (Nalisnick et al. 2019, arXiv:1906.02994, equation 3). Images are put into batches in an
/// order drawn from `seed`; the remainder is left out. `bits` and `entropy` are in bits per
/// dimension.
pub fn batch_typicality(bits: &[f64], entropy: f64, size: usize, seed: u64) -> Result<Vec<f64>> {
    let keys = random::uniform(seed, bits.len(), DType::F64, &Device::Cpu)?.to_vec1::<f64>()?;
    let mut keyed: Vec<_> = keys.into_iter().zip(bits).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean =
        |batch: &[(f64, &f64)]| batch.iter().map(|(_, bits)| **bits).sum::<f64>() / size as f64;
    Ok(keyed
        .chunks_exact(size.max(1))
        .map(|batch| (mean(batch) - entropy).abs())
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn scores_are_differences() {
        let image = Evidence {
            bits_per_dim: 3.0,
            latent_norm: 1.5,
            code_bits_per_dim: Some(4.5),
            background_bits_per_dim: Some(3.25),
        };
        let scores = Score::ALL.map(|score| score.of(&image, Some(3.75)));
        assert_eq!(scores, [3.0, 0.75, -1.5, -0.25, 1.5]);
        let bare = Evidence {
            code_bits_per_dim: None,
            background_bits_per_dim: None,
            ..image
        };
        assert!(Score::Complexity.of(&bare, None).is_nan());
        assert!(Score::LikelihoodRatio.of(&bare, None).is_nan());
        assert!(Score::Typicality.of(&bare, None).is_nan());
    }

    #[test]
    fn batches_hold_each_image_once() {
        // Sums of powers of two tell which images were added.
        let bits: Vec<f64> = (0..23).map(|i| 2_f64.powi(i)).collect();
        let batches = batch_typicality(&bits, 0.0, 4, 9).unwrap();
        assert_eq!(batches.len(), 5);
        let members: Vec<u32> = batches.iter().map(|mean| (mean * 4.0) as u32).collect();
        assert!(members.iter().all(|members| members.count_ones() == 4));
        assert_eq!(
            members
                .iter()
                .fold(0, |all, members| all | members)
                .count_ones(),
            20
        );
        assert_ne!(batches, batch_typicality(&bits, 0.0, 4, 10).unwrap());
        assert!(batch_typicality(&bits[..3], 0.0, 4, 9).unwrap().is_empty());
        assert_eq!(batch_typicality(&[1.0, 3.0], 5.0, 2, 0).unwrap(), [3.0]);
    }
}
