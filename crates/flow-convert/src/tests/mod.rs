//! Fixtures that the peers themselves wrote (`assets/reference`), read and written back; files that
//! are none.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod containers;
mod export;
mod peers;
mod round_trip;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use flow_glow::{Checkpoint, Peer};
use serde_json::Value;

use crate::choice::Choice;
use crate::state_dict::{Contents, Tensors};
use crate::{Facts, read};

/// Converts a file of another program into a checkpoint.
fn convert(input: &Path, output: &Path, prefix: Option<&str>, facts: &Facts) -> anyhow::Result<()> {
    let found = read(input, prefix, facts)?;
    Ok(Checkpoint::save(
        output,
        &found.config,
        "unknown",
        found.parameters,
    )?)
}

/// Converts a checkpoint for another program; the file lies beside it.
fn convert_for(peer: Peer, checkpoint: &Path) -> anyhow::Result<PathBuf> {
    let output = checkpoint.with_extension(format!("{}.safetensors", peer.as_str()));
    crate::export(&Checkpoint::load(checkpoint, &Device::Cpu)?, peer)?.save(&output)?;
    Ok(output)
}

fn facts(said: Value) -> Facts {
    serde_json::from_value(said).unwrap()
}

/// The facts of a fixture.
fn known(name: &str) -> Facts {
    Facts::from_file(&folder().join(format!("{name}.json"))).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/reference")
}

/// The names of the fixtures that are models: a state dict and its facts.
fn fixtures() -> Vec<String> {
    let entries = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = entries.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()));
    let has_state = |name: &String| folder().join(format!("{name}.pt")).exists();
    let mut names: Vec<_> = names.filter(has_state).collect();
    names.sort();
    assert_eq!(names.len(), 13);
    names
}

/// Converts a fixture into a checkpoint in `folder`.
fn import(name: &str, to: &Path) -> PathBuf {
    let state = folder().join(format!("{name}.pt"));
    let output = to.join(format!("{name}.safetensors"));
    convert(&state, &output, None, &known(name)).unwrap();
    output
}

/// The tensors of the model in a file, by the names that its program gives them.
fn tensors(path: &Path) -> Tensors {
    let mut contents = Contents::read(path).unwrap();
    let mut file = contents.parse().unwrap();
    let choice = Choice::of(&file, None, None).unwrap();
    file.load(&choice.tensors).unwrap()
}

fn expected(name: &str) -> BTreeMap<String, Tensor> {
    let path = folder().join(format!("{name}.expected.safetensors"));
    flow_glow::read_tensors(&path, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The largest difference of two tensors of equal shape.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |worst, next| {
        if next.is_nan() {
            f64::NAN
        } else {
            f64::max(worst, next)
        }
    })
}
