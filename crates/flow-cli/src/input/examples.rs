//! Images of a data set, and the numbers that a model is conditioned on.

use std::ops::Deref;

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_analysis::likelihood::BATCH_SIZE;
use flow_core::train::Data;
use flow_data::{Batch, Dataset};
use flow_glow::GlowConfig;

/// A data set, and the numbers `[N, K]` of its images for a model that is conditional on such.
#[derive(Clone, Debug)]
pub(crate) struct Examples {
    dataset: Dataset,
    condition: Option<Tensor>,
}

impl Deref for Examples {
    type Target = Dataset;

    fn deref(&self) -> &Dataset {
        &self.dataset
    }
}

impl Examples {
    /// Images and their numbers.
    pub(crate) fn new(dataset: Dataset, condition: Option<Tensor>) -> Self {
        Self { dataset, condition }
    }

    /// Keeps at most `limit` of them, evenly spread.
    pub(crate) fn thin_out(&mut self, limit: usize) -> Result<()> {
        let kept = self.dataset.thin_out(limit);
        self.condition = self.condition_of(&kept)?;
        Ok(())
    }

    /// The numbers of `count` of them, evenly spread.
    pub(crate) fn some_conditions(&self, count: usize) -> Result<Option<Tensor>> {
        let places = (0..count).map(|i| i * self.len() / count);
        self.condition_of(&places.collect::<Vec<_>>())
    }

    /// Their numbers, byte by byte.
    pub(crate) fn condition_bytes(&self) -> Result<Vec<u8>> {
        let Some(condition) = &self.condition else {
            return Ok(Vec::new());
        };
        let numbers = condition.flatten_all()?.to_vec1::<f64>()?.into_iter();
        Ok(numbers.flat_map(f64::to_le_bytes).collect())
    }

    /// Images of a batch on the device, with their numbers or their labels if the model asks for
    /// them.
    pub(crate) fn data(&self, batch: &Batch, config: &GlowConfig, device: &Device) -> Result<Data> {
        let data = match (self.condition_of(&batch.indices)?, config.classes) {
            (Some(numbers), _) => (&batch.images, &numbers).into(),
            (None, Some(_)) => (&batch.images, &batch.labels).into(),
            (None, None) => Data::from(&batch.images),
        };
        Ok(data.on(device)?)
    }

    /// All of them in the batches that their likelihood is measured in.
    pub(crate) fn batches<'a>(
        &'a self,
        config: &'a GlowConfig,
    ) -> impl Iterator<Item = Result<Data>> + 'a {
        let batches = self.in_order(BATCH_SIZE);
        batches.map(|batch| self.data(&batch?, config, &Device::Cpu))
    }

    fn condition_of(&self, places: &[usize]) -> Result<Option<Tensor>> {
        let Some(condition) = &self.condition else {
            return Ok(None);
        };
        let places = places.iter().map(|&place| place as u32);
        let places = Tensor::from_iter(places, &Device::Cpu)?;
        Ok(Some(condition.index_select(&places, 0)?))
    }
}
