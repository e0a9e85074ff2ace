//! Fixtures that the peers themselves wrote (`assets/reference`), read and written back; what is no such file.
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
use clap::Parser;

use super::Options;
use super::choice::Choice;
use super::state_dict::{Contents, Tensors};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

/// Runs the command.
fn convert<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> anyhow::Result<()> {
    let arguments = arguments
        .iter()
        .map(|argument| argument.as_ref().to_owned());
    super::run(
        &CommandLine::try_parse_from([std::ffi::OsString::new()].into_iter().chain(arguments))?
            .options,
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/reference")
}

/// The names of the fixtures that are models: a state dict and what is known of it.
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
    let [state, facts] =
        ["pt", "json"].map(|extension| folder().join(format!("{name}.{extension}")));
    let output = to.join(format!("{name}.safetensors"));
    let arguments = [&state, &output, Path::new("--config"), &facts];
    convert(&arguments.map(Path::as_os_str)).unwrap();
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
