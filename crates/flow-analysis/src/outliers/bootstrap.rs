//! Confidence intervals of the measures of a score.

use super::detection::{Detection, Ranking, quantile};
use crate::Result;
use candle_core::{DType, Device};
use flow_core::random;
use rayon::prelude::*;

/// A measured value and the interval in which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// The share that a tail of the interval leaves out.
const TAIL: f64 = 0.025;

/// As [`detection`](super::detection), with 95 % confidence intervals: the percentiles of what
/// `resamples` draws of images give (Efron & Tibshirani 1993, chapter 13). Normal and strange
/// images are drawn apart, with replacement, as many as there are. The same `seed` gives the same
/// intervals. Copies of an image tie with each other, so the interval of a nearly perfect or nearly
/// useless score can exclude its value.
///
/// # Errors
/// If there are no scores on one side, or no resamples.
pub fn bootstrap(
    normal: &[f64],
    strange: &[f64],
    resamples: usize,
    seed: u64,
) -> Result<Detection<Interval>> {
    let ranking = Ranking::new(normal, strange)?;
    let resample = |number: usize| {
        let seed = random::derive(seed, &format!("resample.{number}"));
        let counts = draw(seed, normal.len(), strange.len())?;
        Ok(ranking.detection(|index| counts[index]))
    };
    let resampled = (0..resamples)
        .into_par_iter()
        .map(resample)
        .collect::<Result<Vec<_>>>()?;
    let found = ranking.detection(|_| 1);
    let interval = |of: fn(&Detection) -> f64| -> Result<Interval> {
        let values: Vec<_> = resampled.iter().map(of).collect();
        Ok(Interval {
            value: of(&found),
            low: quantile(&values, TAIL)?,
            high: quantile(&values, 1.0 - TAIL)?,
        })
    };
    Ok(Detection {
        auroc: interval(|of| of.auroc)?,
        aupr: interval(|of| of.aupr)?,
        fpr95: interval(|of| of.fpr95)?,
    })
}

/// The number of times that each image is drawn: `normal` of the first, then `strange` of the
/// others.
fn draw(seed: u64, normal: usize, strange: usize) -> Result<Vec<u32>> {
    let places = random::uniform(seed, normal + strange, DType::F64, &Device::Cpu)?;
    let mut counts = vec![0; normal + strange];
    for (draw, place) in places.to_vec1::<f64>()?.into_iter().enumerate() {
        let (start, length) = if draw < normal {
            (0, normal)
        } else {
            (normal, strange)
        };
        counts[start + (place * length as f64) as usize] += 1;
    }
    Ok(counts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_drawn_as_they_are_large() {
        let counts = draw(4, 30, 50).unwrap();
        assert_eq!(counts[..30].iter().sum::<u32>(), 30);
        assert_eq!(counts[30..].iter().sum::<u32>(), 50);
        assert!(counts.contains(&0) && counts.iter().any(|&count| count > 1));
    }

    fn scores(seed: u64, mean: f64) -> Vec<f64> {
        let normal = random::normal(seed, 200, DType::F64, &Device::Cpu).unwrap();
        (normal + mean).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn an_interval_is_as_wide_as_the_spread_over_samples() {
        // Of two normal distributions one deviation apart, the AUROC is Φ(1/√2).
        let truth = 0.760_249_938_906_523_5;
        let trials = 200;
        let covered = |trial: u64| {
            let found = bootstrap(
                &scores(2 * trial, 0.0),
                &scores(2 * trial + 1, 1.0),
                200,
                trial,
            );
            let Interval { value, low, high } = found.unwrap().auroc;
            assert!(low < value && value < high);
            low <= truth && truth <= high
        };
        let covered = (0..trials).filter(|&trial| covered(trial)).count();
        // 190 are expected, with a deviation of 3.
        assert!((178..=200).contains(&covered), "{covered} of {trials}");
    }

    #[test]
    fn the_seed_decides() {
        let (normal, strange) = (scores(0, 0.0), scores(1, 1.0));
        let found = |seed| bootstrap(&normal, &strange, 50, seed).unwrap();
        assert_eq!(found(1), found(1));
        assert_ne!(found(1), found(2));
        assert!(bootstrap(&normal, &strange, 0, 1).is_err());
    }
}
