//! Outliers of a table: a flow learns the measurements of benign tumours; malignant ones are
//! unlikely under it.
//!
//! `cargo run -p flow-core --example 04_outliers`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::recipes;
use flow_core::train::FitSettings;
use std::ops::ControlFlow;

const TABLE: &str = include_str!("data/breast_cancer.csv");
const FEATURES: usize = 10;

/// ln of the measurements of all benign and of all malignant tumours, `[N, 10]`.
fn table() -> Result<[Tensor; 2]> {
    let rows = TABLE.lines().skip(1).map(|line| {
        let mut cells = line
            .split(',')
            .map(|cell| cell.parse::<f32>().map_err(candle_core::Error::wrap));
        let malignant = cells.next().transpose()? == Some(1.0);
        // Concavities are zero at times.
        let values = cells
            .map(|value| Ok((value? + 1e-3).ln()))
            .collect::<Result<Vec<_>>>()?;
        Ok((malignant, values))
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let of = |wanted| {
        let values = rows
            .iter()
            .filter(|(malignant, _)| *malignant == wanted)
            .flat_map(|(_, values)| values.clone());
        Tensor::from_vec(values.collect::<Vec<_>>(), ((), FEATURES), &Device::Cpu)
    };
    Ok([of(false)?, of(true)?])
}

fn main() -> Result<()> {
    let [benign, malignant] = table()?;
    // Every third benign tumour is kept for the test.
    let every = |start, step| {
        let rows = (start..benign.dim(0)? as u32)
            .step_by(step)
            .collect::<Vec<_>>();
        benign.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)
    };
    let (test, train) = (every(0, 3)?, Tensor::cat(&[every(1, 3)?, every(2, 3)?], 0)?);

    let recipe = recipes::masked_autoregressive_flow(FEATURES)
        .layers(3)
        .width(32)
        .blocks(1)
        .standardize(&train)?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let settings = FitSettings {
        batch_size: 64,
        max_steps: 600,
        validation: 0.15,
        patience: 30,
        ..FitSettings::default()
    };
    let fitted = model.fit(&train, &settings, |_| ControlFlow::Continue(()))?;
    println!("best after {} epochs", fitted.best.epoch);

    let score = |x: &Tensor| model.log_prob(x)?.to_vec1::<f32>();
    let (benign, malignant) = (score(&test)?, score(&malignant)?);
    let pairs = benign
        .iter()
        .flat_map(|benign| malignant.iter().map(move |malignant| benign > malignant));
    let share = pairs.clone().filter(|ordered| *ordered).count() as f64 / pairs.count() as f64;
    println!(
        "a malignant tumour is less likely than a benign one in {:.1} % of pairs (area under the curve)",
        100.0 * share
    );
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    println!(
        "mean ln p: benign {:.1}, malignant {:.1}",
        mean(&benign),
        mean(&malignant)
    );
    Ok(())
}
