//! Outliers of a table: a flow learns the measurements of benign tumours; malignant ones are
//! unlikely under it. Another process loads the flow, and gives the same scores to the bit.
//!
//! `cargo run -p flow-core --features file --example 04_outliers`
#![allow(clippy::print_stdout)]

mod data;

use candle_core::{DType, Device};
use flow_core::{Model, recipes, train::FitSettings};
use std::{env, error::Error, ops::ControlFlow::Continue, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    let [benign, malignant] = data::breast_cancer()?;
    // The second process is called with the file that the first one wrote.
    if let Some(path) = env::args_os().nth(1) {
        let model = Model::load(path.as_ref(), &Device::Cpu)?;
        println!("{:?}", model.log_prob(&malignant)?.to_vec1::<f32>()?);
        return Ok(());
    }
    // A third of the benign tumours is kept for the test.
    let (test, train) = (benign.narrow(0, 0, 119)?, benign.narrow(0, 119, 238)?);
    let recipe = recipes::masked_autoregressive_flow(10).layers(3).width(32);
    let recipe = recipe.blocks(1).standardize(&train)?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    model.fit(&train, &FitSettings::default(), |_| Continue(()))?;

    let (usual, odd) = (model.log_prob(&test)?, model.log_prob(&malignant)?);
    let pairs = usual.unsqueeze(1)?.broadcast_gt(&odd)?;
    let area = pairs.to_dtype(DType::F32)?.mean_all()?;
    println!("area under the curve: {:.3}", area.to_scalar::<f32>()?);

    let path = env::temp_dir().join("benign-tumours.safetensors");
    model.save(&path)?;
    let output = Command::new(env::current_exe()?).arg(&path).output()?;
    let scores = format!("{:?}\n", odd.to_vec1::<f32>()?);
    assert_eq!(String::from_utf8(output.stdout)?, scores);
    Ok(())
}
