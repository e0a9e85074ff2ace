//! Images of a batch that one rank differentiates, cut into runs.
//!
//! Runs belong to the whole batch, and each has its own stream of noise. An image has the same
//! noise on any rank. If ranks share out whole runs, the sums are the same too.

use super::batch::run_length;
use super::ranks::Ranks;
use crate::Result;
use crate::runs::{RUN_OF_ACCELERATOR, Run};
use candle_core::{DType, Device, Shape, Tensor};
use flow_core::device::is_host;
use flow_core::{random, transfer};
use std::ops::Range;

/// A contiguous range of the images of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    range: Range<usize>,
    whole: usize,
}

impl Shard {
    /// All images of a batch of `count`.
    pub fn whole(count: usize) -> Self {
        Self {
            range: 0..count,
            whole: count,
        }
    }

    /// A rank's share of a batch of `count`. Shares differ by at most one image.
    pub fn of(ranks: &dyn Ranks, count: usize) -> Self {
        let (rank, size) = (ranks.rank(), ranks.size());
        Self {
            range: rank * count / size..(rank + 1) * count / size,
            whole: count,
        }
    }

    /// Range of its images in the batch.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Number of images in the batch.
    pub(super) fn batch_size(&self) -> usize {
        self.whole
    }

    /// The runs of these images, relative to the first of them, each with its noise. An image takes
    /// `dimensions` numbers. On an accelerator a run joins many of the host's, with the same noise.
    pub(super) fn runs(&self, device: &Device, seed: u64, dimensions: usize) -> Vec<(Run, Noise)> {
        let Range { start, end } = self.range;
        let length = run_length(self.whole);
        let first = start - start % length;
        let of_host = (first..end).step_by(length).map(|run| {
            let (from, to) = (run.max(start), (run + length).min(end));
            let stream = Stream {
                seed: random::derive(seed, &format!("images.{run}")),
                skip: (from - run) * dimensions,
                count: (to - from) * dimensions,
            };
            (from - start..to - start, stream)
        });
        let together = if is_host(device) {
            1
        } else {
            RUN_OF_ACCELERATOR / length
        };
        let of_host = of_host.collect::<Vec<_>>();
        let runs = of_host.chunks(together).map(|runs| {
            let streams = runs.iter().map(|(_, stream)| *stream).collect();
            let images = runs[0].0.start..runs[runs.len() - 1].0.end;
            (Run::new(images, end - start), Noise(streams))
        });
        runs.collect()
    }
}

/// Uniform numbers for the images of a run.
pub(super) struct Noise(Vec<Stream>);

/// `count` uniform numbers of a seed, after the first `skip`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stream {
    seed: u64,
    skip: usize,
    count: usize,
}

impl Noise {
    /// The numbers, as a tensor of the shape of the images.
    pub(super) fn draw(&self, shape: &Shape, device: &Device) -> Result<Tensor> {
        let draw = |stream: &Stream| {
            random::uniform_numbers_after::<f32>(stream.seed, stream.skip, stream.count)
        };
        let numbers = self.0.iter().flat_map(draw).collect();
        Ok(transfer::upload(numbers, shape, DType::F32, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_a_batch_and_keep_its_noise() {
        for (count, size) in [(64, 2), (64, 4), (100, 3), (7, 7), (33, 5), (32, 1)] {
            let numbers = |shard: &Shard| -> Vec<_> {
                let runs = shard.runs(&Device::Cpu, 5, 10).into_iter();
                runs.flat_map(|(run, noise)| {
                    let Noise(streams) = noise;
                    assert_eq!(streams.len(), 1);
                    let Stream { seed, skip, count } = streams[0];
                    assert_eq!(count, 10 * run.range().len());
                    run.range()
                        .enumerate()
                        .map(move |(i, image)| (image, seed, skip + 10 * i))
                })
                .collect()
            };
            let whole = numbers(&Shard::whole(count));
            assert_eq!(whole.len(), count);
            let mut together = Vec::new();
            for rank in 0..size {
                let range = rank * count / size..(rank + 1) * count / size;
                let shard = Shard {
                    range: range.clone(),
                    whole: count,
                };
                assert!((count / size..=count.div_ceil(size)).contains(&range.len()));
                let shifted = numbers(&shard).into_iter();
                together
                    .extend(shifted.map(|(image, seed, skip)| (image + range.start, seed, skip)));
            }
            assert_eq!(together, whole);
        }
    }
}
