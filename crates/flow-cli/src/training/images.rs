//! The images of a training run, and the order in which it sees them.

use anyhow::{Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use flow_data::Batches;
use flow_glow::{Condition, Progress, Shard, TrainSettings, ranks::Ranks};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Journal, Limits, Notes};
use crate::input::{data_record::DataRecord, examples::Examples};

/// At most this many test images are measured after each epoch.
const PROBE_IMAGES: usize = 1000;

/// The images of a training run.
pub(crate) struct Images {
    /// Images that the model is fitted to.
    pub(crate) train: Examples,
    /// Images that it is measured on at the end.
    pub(crate) test: Examples,
    /// Images that it is measured on after each epoch.
    pub(crate) probe: Examples,
    /// The description of the data, for the header of checkpoints.
    pub(crate) record: DataRecord,
    /// The model's condition, beside its images.
    pub(crate) condition: Option<Condition>,
    /// Digests of all training and test images.
    pub(crate) digests: Digests,
    /// Training images are mirrored at random.
    pub(crate) flip: bool,
    /// The probability that noise replaces a value of a training image.
    pub(crate) mutate: f64,
    /// The number of test images to measure, if not all.
    pub(crate) measured: Option<usize>,
}

/// SHA-256 of training and test images, and of the numbers that both have, in Base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Digests {
    train: String,
    test: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    condition: String,
}

impl Digests {
    /// Digests of these images; their record holds that of the training images.
    fn of(train: &Examples, test: &Examples, record: &DataRecord) -> Result<Self> {
        let mut numbers = train.condition_bytes()?;
        numbers.extend(test.condition_bytes()?);
        let condition = match &*numbers {
            [] => String::new(),
            numbers => BASE64_STANDARD.encode(Sha256::digest(numbers)),
        };
        Ok(Self {
            train: record.digest.clone(),
            test: BASE64_STANDARD.encode(test.digest()?),
            condition,
        })
    }

    /// A digest of all of them.
    fn bytes(&self) -> Vec<u8> {
        let all = [&*self.train, &self.test, &self.condition].concat();
        Sha256::digest(all).to_vec()
    }

    /// True if the numbers are not those of `other`.
    pub(crate) fn differ_in_condition(&self, other: &Self) -> bool {
        self.condition != other.condition
    }

    /// Names the images that are not those of `other`.
    pub(crate) fn differ(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("training", self.train == other.train),
            ("test", self.test == other.test),
        ];
        parts
            .iter()
            .find_map(|&(part, same)| (!same).then_some(part))
    }
}

impl Images {
    /// Training images, changed at random as asked, and the test images to measure.
    pub(crate) fn new(
        (train, mut test): (Examples, Examples),
        record: DataRecord,
        condition: Option<Condition>,
        (flip, mutate): (bool, f64),
        measured: Option<usize>,
    ) -> Result<Self> {
        let digests = Digests::of(&train, &test, &record)?;
        test.thin_out(measured.unwrap_or(usize::MAX))?;
        let mut probe = test.clone();
        probe.thin_out(PROBE_IMAGES)?;
        Ok(Self {
            train,
            test,
            probe,
            record,
            condition,
            digests,
            flip,
            mutate,
            measured,
        })
    }

    /// The notes of a run on these images, for its training file.
    pub(crate) fn notes(&self, limits: Limits, journal: Journal) -> Notes {
        Notes {
            limits,
            images: self.train.len(),
            digests: Some(self.digests.clone()),
            flip: self.flip,
            mutate: self.mutate,
            eval_images: self.measured,
            journal,
        }
    }

    /// Checks that all `ranks` have the images of rank 0.
    pub(crate) fn check_united(&self, ranks: &dyn Ranks) -> Result<()> {
        if ranks.is_alone() {
            return Ok(());
        }
        let own = self.digests.bytes();
        let mut first = own.clone();
        ranks.broadcast(&mut first)?;
        ensure!(
            own == first,
            "rank {} has other images of `{}` than rank 0; let all processes read the same data",
            ranks.rank(),
            self.train.name()
        );
        Ok(())
    }

    /// A shard of each remaining batch of the current epoch.
    pub(super) fn batches_left(
        &self,
        settings: &TrainSettings,
        progress: &Progress,
        shard: &Shard,
    ) -> impl Iterator<Item = flow_data::Result<flow_data::Batch>> {
        Batches::new(
            &self.train,
            settings.batch_size,
            settings.seed,
            progress.epoch,
        )
        .flipped(self.flip)
        .mutated(self.mutate)
        .part(shard.range())
        .skip(progress.batch as usize)
    }

    /// Moves on to the next batch.
    pub(super) fn pass_batch(&self, settings: &TrainSettings, progress: &mut Progress) {
        progress.batch += 1;
        if progress.batch == self.batches(settings) {
            progress.epoch += 1;
            progress.batch = 0;
        }
    }

    /// Steps in an epoch.
    pub(super) fn batches(&self, settings: &TrainSettings) -> u64 {
        (self.train.len() / settings.batch_size) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use candle_core::{Device, Tensor};
    use flow_data::{Dataset, DatasetName, Location, Split};

    use super::*;

    /// Rank 1 of two, where rank 0 has images of this digest.
    struct Second(Vec<u8>);

    impl Ranks for Second {
        fn rank(&self) -> usize {
            1
        }

        fn size(&self) -> usize {
            2
        }

        fn device(&self) -> &Device {
            &Device::Cpu
        }

        fn begin_sum(&self, _: &Tensor) -> flow_glow::Result<()> {
            Ok(())
        }

        fn advance(&self) -> flow_glow::Result<()> {
            Ok(())
        }

        fn finish_sums(&self, _: Option<Duration>) -> flow_glow::Result<()> {
            Ok(())
        }

        fn broadcast(&self, bytes: &mut [u8]) -> flow_glow::Result<()> {
            bytes.copy_from_slice(&self.0);
            Ok(())
        }

        fn barrier(&self) -> flow_glow::Result<()> {
            Ok(())
        }

        fn abort(&self, _: i32) -> ! {
            panic!("nobody is lost")
        }
    }

    #[test]
    fn ranks_with_other_images_are_refused() {
        let images = |count| {
            let [train, mut test] = [Split::Train, Split::Test]
                .map(|split| Examples::new(Dataset::bundled(split).unwrap(), None));
            test.thin_out(count).unwrap();
            let mnist = Location::Published(DatasetName::Mnist);
            let record = DataRecord::of(&mnist, &train, None).unwrap();
            Images::new((train, test), record, None, (false, 0.0), None).unwrap()
        };
        let [own, other] = [30, 31].map(images);
        own.check_united(&Second(own.digests.bytes())).unwrap();
        let error = own.check_united(&Second(other.digests.bytes()));
        assert_eq!(
            error.unwrap_err().to_string(),
            "rank 1 has other images of `mnist` than rank 0; let all processes read the same data"
        );
    }
}
