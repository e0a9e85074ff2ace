//! State dicts of other programs, as files that nobody should trust.
//!
//! candle reads PyTorch's zip archives too, but neither the older format nor storages of bool and int, which
//! it skips, nor views that are not dense.

mod archive;
mod legacy;
mod pickle;
mod torch;

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};

use archive::Archive;
use legacy::Legacy;
use pickle::Kind;
use torch::{Storage, View};

/// The metadata key of this project's own checkpoints.
const OWN: &str = "flow";

/// What `DataParallel` puts before every name.
const WRAPPER: &str = "module.";

/// Tensors in f64 by name, without [`WRAPPER`].
pub(super) type Tensors = BTreeMap<String, Tensor>;

/// Reads the state dict in a file of PyTorch, old or new, or of safetensors. If there are several, `key`
/// says which.
pub(super) fn read(path: &Path, key: Option<&str>) -> Result<Tensors> {
    let tensors = numbers(path, key)
        .with_context(|| format!("`{}` is not a usable state dict", path.display()))?;
    if tensors.keys().all(|name| name.starts_with(WRAPPER)) {
        let stripped = tensors.into_iter();
        return Ok(stripped
            .map(|(name, tensor)| (name[WRAPPER.len()..].to_owned(), tensor))
            .collect());
    }
    Ok(tensors)
}

fn numbers(path: &Path, key: Option<&str>) -> Result<Tensors> {
    ensure!(!path.exists() || path.is_file(), "it is not a file");
    let mut start = Vec::new();
    let file = fs::File::open(path)?;
    file.take(legacy::MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    if start.starts_with(b"PK\x03\x04") {
        let (mut archive, pickle) = Archive::open(path)?;
        let views = torch::state_dict(&pickle, key)?;
        check_size(&views, path)?;
        return dense(views, |storage| archive.storage(storage));
    }
    if start == legacy::MAGIC {
        let (file, pickle) = Legacy::parse(fs::read(path)?)?;
        let views = torch::state_dict(&pickle, key)?;
        check_size(&views, path)?;
        let storages = torch::storages(&pickle)?;
        let storages = file.storages(&storages)?;
        return dense(views, |storage| {
            let bytes = storages.get(&storage.key);
            let bytes =
                bytes.with_context(|| format!("the storage `{}` is missing", storage.key))?;
            Ok(bytes.to_vec())
        });
    }
    ensure!(
        key.is_none(),
        "it is no file of PyTorch, so that nothing in it has a key"
    );
    safetensors(&fs::read(path)?)
}

/// Numbers that any file may hold, such as flags of one byte each.
const FREE_NUMBERS: u64 = 4096;

/// An error if the numbers, in f64, would take more than four times the file: views that repeat storages
/// could take any amount of memory.
fn check_size(views: &BTreeMap<String, View>, path: &Path) -> Result<()> {
    let bytes = fs::metadata(path)?.len();
    let total = views
        .values()
        .fold(0_u64, |sum, view| sum.saturating_add(view.count() as u64));
    ensure!(
        total <= bytes / 2 + FREE_NUMBERS,
        "it announces {total} numbers but has {bytes} bytes"
    );
    Ok(())
}

fn dense(
    views: BTreeMap<String, View>,
    mut bytes: impl FnMut(&Storage) -> Result<Vec<u8>>,
) -> Result<Tensors> {
    let tensor = |(name, view): (String, View)| {
        let kind = view.storage.kind;
        let bytes = bytes(&view.storage).with_context(|| format!("tensor `{name}`"))?;
        let numbers = view
            .places()
            .map(|place| kind.decode(&bytes[place * kind.bytes()..][..kind.bytes()]));
        let tensor = Tensor::from_iter(numbers, &Device::Cpu)?.reshape(&view.shape[..])?;
        Ok((name, tensor))
    };
    views.into_iter().map(tensor).collect()
}

fn safetensors(bytes: &[u8]) -> Result<Tensors> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)
        .context("it is neither a file of PyTorch nor one of safetensors")?;
    if metadata
        .metadata()
        .as_ref()
        .is_some_and(|texts| texts.contains_key(OWN))
    {
        bail!("it is a checkpoint of this project already; `--to` converts it for another");
    }
    let file = SafeTensors::deserialize(bytes)?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        let kind = match view.dtype() {
            Dtype::F64 => Kind::F64,
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::I64 => Kind::I64,
            Dtype::I32 => Kind::I32,
            Dtype::I16 => Kind::I16,
            Dtype::I8 => Kind::I8,
            Dtype::U8 => Kind::U8,
            Dtype::BOOL => Kind::Bool,
            other => bail!("tensor `{name}` is of type {other:?}, which no peer writes"),
        };
        let numbers = view
            .data()
            .chunks_exact(kind.bytes())
            .map(|bytes| kind.decode(bytes));
        let tensor = Tensor::from_iter(numbers, &Device::Cpu)?.reshape(view.shape())?;
        Ok((name, tensor))
    };
    file.tensors().into_iter().map(tensor).collect()
}
