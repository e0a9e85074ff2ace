//! The batches of one epoch, shuffled by a seed.

use std::ops::Range;

use candle_core::{Device, Tensor};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::{Batch, Dataset, Result};

/// The batches of one epoch: the images in random order, in batches of equal size; the remainder is
/// dropped.
///
/// The order depends on the seed and the epoch alone, on every platform, so that a training run can
/// be resumed in the middle of an epoch: `.skip(n)` copies no image.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    dataset: &'a Dataset,
    order: Vec<usize>,
    mirrored: Vec<bool>,
    mutation: Option<Mutation>,
    batch_size: usize,
    /// The images of a batch that are given.
    part: Range<usize>,
    /// The position of the next batch in `order`.
    position: usize,
    random: ChaCha8Rng,
}

/// Noise that replaces pixels.
#[derive(Clone, Copy, Debug)]
struct Mutation {
    rate: f64,
    seed: u64,
}

impl<'a> Batches<'a> {
    /// The batches of `epoch`.
    ///
    /// # Panics
    ///
    /// If `batch_size` is zero.
    pub fn new(dataset: &'a Dataset, batch_size: usize, seed: u64, epoch: u64) -> Self {
        assert!(batch_size > 0, "batches of zero images");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(epoch);
        // Sorted by random keys rather than shuffled by a library, whose way of shuffling may
        // change.
        let mut keyed: Vec<(u64, usize)> =
            (0..dataset.len()).map(|i| (random.next_u64(), i)).collect();
        keyed.sort_unstable();
        let order = keyed.into_iter().map(|(_, i)| i).collect();
        Self {
            dataset,
            order,
            mirrored: Vec::new(),
            mutation: None,
            batch_size,
            part: 0..batch_size,
            position: 0,
            random,
        }
    }

    /// Mirrors each image from left to right with probability ½, if `flipped`.
    #[must_use]
    pub fn flipped(mut self, flipped: bool) -> Self {
        let count = if flipped { self.order.len() } else { 0 };
        self.mirrored = (0..count)
            .map(|_| self.random.next_u32() & 1 == 1)
            .collect();
        self
    }

    /// Gives only the images at `part` of each batch, as they are in the whole batch: the share of
    /// one of several processes.
    ///
    /// # Panics
    ///
    /// If a batch does not reach that far.
    #[must_use]
    pub fn part(mut self, part: Range<usize>) -> Self {
        assert!(part.end <= self.batch_size, "a part beyond the batch");
        self.part = part;
        self
    }

    /// Replaces each pixel value with probability `rate` by a draw from 0 to 255, to train a
    /// background model (Ren et al. 2019, arXiv:1906.02845, section 3).
    #[must_use]
    pub fn mutated(mut self, rate: f64) -> Self {
        self.mutation = (rate > 0.0).then(|| Mutation {
            rate,
            seed: self.random.next_u64(),
        });
        self
    }
}

impl Mutation {
    /// Applies to the images from number `first` on in the batch at `position`, independently of
    /// earlier batches.
    fn apply(self, batch: Batch, position: usize, first: usize) -> Result<Batch> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(position as u64);
        let mut pixels = batch.images.flatten_all()?.to_vec1::<u8>()?;
        if let Some(image) = pixels.len().checked_div(batch.labels.elem_count()) {
            random.set_word_pos(2 * (first * image) as u128);
        }
        for pixel in &mut pixels {
            let [draw, value] = [random.next_u32(), random.next_u32()];
            if f64::from(draw) < self.rate * 2_f64.powi(32) {
                *pixel = (value >> 24) as u8;
            }
        }
        let images = Tensor::from_vec(pixels, batch.images.shape(), &Device::Cpu)?;
        Ok(Batch { images, ..batch })
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.position;
        let whole = position..position.checked_add(self.batch_size)?;
        self.order.get(whole.clone())?;
        self.position = whole.end;
        let first = self.part.start;
        let range = position + first..position + self.part.end;
        let indices = &self.order[range.clone()];
        let mirrored = self.mirrored.get(range).unwrap_or_default();
        let batch = self.dataset.batch_mirrored(indices, mirrored);
        Some(match self.mutation {
            Some(mutation) => batch.and_then(|batch| mutation.apply(batch, position, first)),
            None => batch,
        })
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        let skipped = n.saturating_mul(self.batch_size);
        self.position = self.order.len().min(self.position.saturating_add(skipped));
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.position) / self.batch_size;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
