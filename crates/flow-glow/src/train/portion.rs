//! Which images of a batch a rank differentiates, and how they are cut into runs.
//!
//! Runs belong to the whole batch, and each has its own stream of noise. An image meets the same noise whoever
//! differentiates it, and where ranks share out whole runs, the sums are the same too.

use super::batch::run_length;
use super::ranks::Ranks;
use crate::quantize::Noise;
use crate::runs::Run;
use flow_core::random;
use std::ops::Range;

/// Some images of a batch that lie side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    range: Range<usize>,
    whole: usize,
}

impl Portion {
    /// All images of a batch of `count`.
    pub fn whole(count: usize) -> Self {
        Self {
            range: 0..count,
            whole: count,
        }
    }

    /// A rank's share of a batch of `count`; no two shares differ by more than one image.
    pub fn of(ranks: &dyn Ranks, count: usize) -> Self {
        let (rank, size) = (ranks.rank(), ranks.size());
        Self {
            range: rank * count / size..(rank + 1) * count / size,
            whole: count,
        }
    }

    /// Where they are in the batch.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// How many images the batch has.
    pub(super) fn batch_size(&self) -> usize {
        self.whole
    }

    /// The runs of these images, counted from the first of them, each with its noise, of which an image takes
    /// `dimensions` numbers.
    pub(super) fn runs(&self, seed: u64, dimensions: usize) -> Vec<(Run, Noise)> {
        let Range { start, end } = self.range;
        let length = run_length(self.whole);
        let first = start - start % length;
        let runs = (first..end).step_by(length).map(|run| {
            let (from, to) = (run.max(start), (run + length).min(end));
            let noise = Noise {
                seed: random::derive(seed, &format!("images.{run}")),
                skip: (from - run) * dimensions,
            };
            (Run::new(from - start..to - start), noise)
        });
        runs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_a_batch_and_keep_its_noise() {
        for (count, size) in [(64, 2), (64, 4), (100, 3), (7, 7), (33, 5), (32, 1)] {
            let numbers = |portion: &Portion| -> Vec<_> {
                let runs = portion.runs(5, 10).into_iter();
                runs.flat_map(|(run, noise)| {
                    run.range()
                        .enumerate()
                        .map(move |(i, image)| (image, noise.seed, noise.skip + 10 * i))
                })
                .collect()
            };
            let whole = numbers(&Portion::whole(count));
            assert_eq!(whole.len(), count);
            let mut together = Vec::new();
            for rank in 0..size {
                let range = rank * count / size..(rank + 1) * count / size;
                let portion = Portion {
                    range: range.clone(),
                    whole: count,
                };
                assert!((count / size..=count.div_ceil(size)).contains(&range.len()));
                let shifted = numbers(&portion).into_iter();
                together
                    .extend(shifted.map(|(image, seed, skip)| (image + range.start, seed, skip)));
            }
            assert_eq!(together, whole);
        }
    }
}
