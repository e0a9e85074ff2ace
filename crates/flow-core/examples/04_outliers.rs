//! Outliers of a table: a flow learns the measurements of benign tumours; malignant ones are
//! unlikely under it. Another process loads the flow, and gives the same scores.
//!
//! `cargo run -p flow-core --features file --example 04_outliers`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::{Model, recipes, train::FitSettings};
use std::ops::ControlFlow::Continue;
use std::process::Command;

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

/// ln p of each row, as bits.
fn scores(model: &Model, x: &Tensor) -> Result<Vec<u32>> {
    let scores = model.log_prob(x)?.to_vec1::<f32>()?.into_iter();
    Ok(scores.map(f32::to_bits).collect())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let [benign, malignant] = table()?;
    // The second process is called with the file that the first one wrote.
    if let Some(path) = std::env::args_os().nth(1) {
        let model = Model::load(path.as_ref(), &Device::Cpu)?;
        println!("{:?}", scores(&model, &malignant)?);
        return Ok(());
    }
    // A third of the benign tumours is kept for the test.
    let (test, train) = (benign.narrow(0, 0, 119)?, benign.narrow(0, 119, 238)?);
    let recipe = recipes::masked_autoregressive_flow(FEATURES).layers(3);
    let recipe = recipe.width(32).blocks(1).standardize(&train)?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    model.fit(&train, &FitSettings::default(), |_| Continue(()))?;

    let [usual, odd] = [&test, &malignant].map(|x| model.log_prob(x)?.to_vec1::<f32>());
    let (usual, odd) = (usual?, odd?);
    let below = |usual: &f32| odd.iter().filter(|odd| *odd < usual).count();
    let right = usual.iter().map(below).sum::<usize>() as f64;
    let share = right / (usual.len() * odd.len()) as f64;
    println!("area under the curve, malignant against benign: {share:.3}");

    let path = std::env::temp_dir().join("benign-tumours.safetensors");
    model.save(&path)?;
    let output = Command::new(std::env::current_exe()?).arg(&path).output()?;
    let expected = format!("{:?}\n", scores(&model, &malignant)?);
    assert_eq!(String::from_utf8(output.stdout)?, expected);
    println!(
        "another process gives {} scores with the same bits",
        odd.len()
    );
    Ok(())
}
