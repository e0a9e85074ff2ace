//! Measures of how well a score tells strange images from normal ones.
//!
//! Strange images are the positives. A threshold takes all images of equal score or none of them.

use super::strangeness;
use crate::{Error, Result};

/// Three measures of how well a score tells strange images from normal ones, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection<T = f64> {
    /// Area under the ROC curve: the probability that a strange image has a higher score than a
    /// normal one, ties counting half.
    pub auroc: T,
    /// Area under the curve of precision against recall, as average precision: the mean of the
    /// precision at each threshold, weighted by the recall gained there. Guessing gives the share
    /// of strange images.
    pub aupr: T,
    /// The share of normal images above the highest threshold that finds 95 % of the strange ones.
    pub fpr95: T,
}

/// The recall at which `fpr95` is taken.
const RECALL: f64 = 0.95;

/// Measures how well scores tell `strange` images from `normal` ones; see [`strangeness`] for those
/// that are not finite.
///
/// # Errors
/// If there are no scores on one side.
pub fn detection(normal: &[f64], strange: &[f64]) -> Result<Detection> {
    Ok(Ranking::new(normal, strange)?.detection(|_| 1))
}

/// The smallest of `scores` that a `share` of them (0 to 1) does not exceed.
///
/// # Errors
/// If there are no scores.
pub fn quantile(scores: &[f64], share: f64) -> Result<f64> {
    let mut sorted: Vec<_> = scores.iter().copied().map(strangeness).collect();
    sorted.sort_by(f64::total_cmp);
    // A product that is a whole number may come out a rounding error above it.
    let rank = (share * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize - 1;
    let last = sorted.len().checked_sub(1).ok_or_else(no_scores)?;
    Ok(sorted[rank.min(last)])
}

/// Images from the strangest to the least strange.
pub(super) struct Ranking {
    images: Vec<Ranked>,
}

struct Ranked {
    /// Its place in `normal` followed by `strange`.
    index: usize,
    is_strange: bool,
    /// True if the next one has another score.
    ends_tie: bool,
}

impl Ranking {
    pub(super) fn new(normal: &[f64], strange: &[f64]) -> Result<Self> {
        if normal.is_empty() || strange.is_empty() {
            return Err(no_scores());
        }
        let mut scores: Vec<_> = normal
            .iter()
            .chain(strange)
            .copied()
            .map(strangeness)
            .enumerate()
            .collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        let ends_tie = |place: usize| {
            let next = scores.get(place + 1);
            // Not by `total_cmp`: 0 and −0 are the same score.
            next.is_none_or(|next| next.1 < scores[place].1)
        };
        let images = scores
            .iter()
            .enumerate()
            .map(|(place, &(index, _))| Ranked {
                index,
                is_strange: index >= normal.len(),
                ends_tie: ends_tie(place),
            });
        Ok(Self {
            images: images.collect(),
        })
    }

    /// With `count(index)` copies of each image. There must be some on either side.
    pub(super) fn detection(&self, count: impl Fn(usize) -> u32) -> Detection {
        let total = |strange: bool| {
            let side = self
                .images
                .iter()
                .filter(|image| image.is_strange == strange);
            side.map(|image| f64::from(count(image.index))).sum::<f64>()
        };
        let (normal, strange) = (total(false), total(true));
        let (mut auroc, mut aupr, mut fpr95) = (0.0, 0.0, None);
        // Below, `before` is at the threshold before.
        let (mut false_alarms, mut found) = (0.0, 0.0);
        let (mut false_alarms_before, mut found_before) = (0.0, 0.0);
        for image in &self.images {
            let copies = f64::from(count(image.index));
            *(if image.is_strange {
                &mut found
            } else {
                &mut false_alarms
            }) += copies;
            if !image.ends_tie {
                continue;
            }
            auroc += (false_alarms - false_alarms_before) * (found + found_before) / 2.0;
            if found > found_before {
                aupr += (found - found_before) * found / (found + false_alarms);
            }
            if fpr95.is_none() && found / strange >= RECALL {
                fpr95 = Some(false_alarms / normal);
            }
            (false_alarms_before, found_before) = (false_alarms, found);
        }
        Detection {
            auroc: auroc / (normal * strange),
            aupr: aupr / strange,
            fpr95: fpr95.expect("the lowest threshold finds all"),
        }
    }
}

fn no_scores() -> Error {
    Error::Input("there are no scores to compare".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn perfect_and_hopeless_scores() {
        let (low, high) = ([0.0, 1.0, 2.0], [3.0, 4.0]);
        assert_eq!(
            detection(&low, &high).unwrap(),
            Detection {
                auroc: 1.0,
                aupr: 1.0,
                fpr95: 0.0
            }
        );
        let reversed = detection(&high, &low).unwrap();
        assert_eq!((reversed.auroc, reversed.fpr95), (0.0, 1.0));
        // All are found by one threshold: as good as guessing.
        let tied = detection(&[5.0; 3], &[5.0, 5.0]).unwrap();
        assert_eq!(
            tied,
            Detection {
                auroc: 0.5,
                aupr: 0.4,
                fpr95: 1.0
            }
        );
        assert_eq!(detection(&[0.0], &[-0.0]).unwrap().auroc, 0.5);
    }

    #[test]
    fn what_is_not_finite_is_the_strangest() {
        for bad in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(detection(&[1e300], &[bad]).unwrap().auroc, 1.0);
            assert_eq!(detection(&[bad], &[1e300]).unwrap().auroc, 0.0);
            assert_eq!(detection(&[bad], &[f64::INFINITY]).unwrap().auroc, 0.5);
            assert_eq!(quantile(&[1.0, bad, 2.0], 1.0).unwrap(), f64::INFINITY);
            assert_eq!(quantile(&[1.0, bad, 2.0], 0.6).unwrap(), 2.0);
        }
    }

    #[test]
    fn quantiles_are_scores() {
        let scores: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (share, score) in [
            (0.0, 1.0),
            (0.01, 1.0),
            (0.5, 50.0),
            (0.95, 95.0),
            (0.951, 96.0),
            (1.0, 100.0),
        ] {
            assert_eq!(quantile(&scores, share).unwrap(), score);
        }
        for percent in 1..=100 {
            let score = quantile(&scores, f64::from(percent) / 100.0).unwrap();
            assert_eq!(score, f64::from(percent));
        }
        assert!(quantile(&[], 0.5).is_err());
        assert!(detection(&[], &[1.0]).is_err());
        assert!(detection(&[1.0], &[]).is_err());
    }
}
