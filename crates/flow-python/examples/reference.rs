//! The same fit from Rust, with which `tests/test_bits.py` compares Python's.
//!
//! `reference RECIPE DTYPE DATA OUT` fits to the tensor `x` of a safetensors file, and to its tensors
//! `context` and `weights` if it has them.

use std::collections::HashMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};
use flow_core::recipes;
use flow_core::train::{Data, FitSettings};
use flow_core::transfer;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, dtype, data, out] = arguments.as_slice() else {
        return Err("reference RECIPE DTYPE DATA OUT".into());
    };
    let recipe = recipes::by_name(recipe).ok_or("there is no such recipe")?;
    let dtype = match dtype.as_str() {
        "float64" => DType::F64,
        _ => DType::F32,
    };
    let tensors: HashMap<String, Tensor> = safetensors::load(data, &Device::Cpu)?;
    let of = |name: &str| tensors.get(name).map(|tensor| tensor.to_dtype(dtype));
    let x = of("x").ok_or("there is no `x`")??;
    let (mut data, context) = match of("context").transpose()? {
        Some(context) => (Data::from((&x, &context)), context.dim(1)?),
        None => (Data::from(&x), 0),
    };
    if let Some(weights) = tensors.get("weights") {
        data = data.weighted(&transfer::numbers(weights)?)?;
    }
    let recipe = recipe(x.dim(1)?).layers(2).width(16).context(context);
    let model = recipe.standardize(&data)?.build(7, dtype, &Device::Cpu)?;
    let settings = FitSettings {
        epochs: 4,
        batch_size: 64,
        seed: 7,
        ..FitSettings::default()
    };
    model.fit(&data, &settings, |_| ControlFlow::Continue(()))?;
    model.save(Path::new(out))?;
    Ok(())
}
