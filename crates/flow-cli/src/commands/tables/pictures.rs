//! Pictures of a fit: rows beside samples, and calibration.

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_core::{Model, calibration::Calibration, random, runs::Rows, train::Data, transfer};
use flow_table::Schema;

use crate::output::{
    calibration_plot,
    pair_plot::{self, Pair},
};

/// Test rows that are ranked at most, and draws for each.
const RANKED: usize = 1000;
const DRAWS: usize = 199;

/// Test rows beside as many samples, under the same contexts.
pub(super) fn pairs(
    model: &Model,
    schema: &Schema,
    test: &Data,
    seed: u64,
) -> Result<image::DynamicImage> {
    let rows = test.samples().dim(0)?;
    let seed = random::derive(seed, "picture");
    let samples = if test.has_context() {
        model.given(test.context()?)?.sample(rows, seed)?
    } else {
        model.sample(rows, seed)?
    };
    let columns = schema.columns.iter().take(pair_plot::MOST).enumerate();
    let pair = |(index, column)| -> Result<Pair> {
        let numbers =
            |x: &Tensor| transfer::numbers(&x.to_device(&Device::Cpu)?.narrow(1, index, 1)?);
        Ok(Pair {
            column,
            data: numbers(test.samples())?,
            samples: numbers(&samples)?,
        })
    };
    let pairs = columns.map(pair).collect::<Result<Vec<_>>>()?;
    Ok(pair_plot::picture(&pairs)?.into())
}

/// Ranks of test rows among draws under their contexts.
pub(super) fn calibration(
    model: &Model,
    schema: &Schema,
    test: &Data,
    seed: u64,
) -> Result<image::DynamicImage> {
    let rows = test.samples().dim(0)?.min(RANKED);
    let test = test.of(&Rows::new(0..rows, test.samples().dim(0)?))?;
    let seed = random::derive(seed, "calibration");
    let calibration = Calibration::of(model, &test, DRAWS, seed)?;
    let columns = schema.columns.iter().map(|column| column.name.as_str());
    Ok(calibration_plot::picture(&columns.collect::<Vec<_>>(), &calibration)?.into())
}
