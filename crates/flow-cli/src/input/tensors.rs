//! Files of tensors, which `encode` and `decode` read and write.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_analysis::likelihood::BATCH_SIZE;
use flow_glow::{Glow, GlowConfig, Header, finite};

use crate::{
    input::classes,
    output::files::{self, Output},
};

/// Tensors by name, from a safetensors file.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    tensors: BTreeMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    /// Reads a file.
    pub(crate) fn read(path: &'a Path) -> Result<Self> {
        let tensors = flow_glow::read_tensors(path, &Device::Cpu)?;
        Ok(Self { path, tensors })
    }

    /// A tensor.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        let tensor = self.tensors.get(name);
        tensor.with_context(|| format!("`{}` holds no tensor `{name}`", self.path.display()))
    }

    /// A tensor of finite floats: f64 stays f64, every other type becomes f32.
    pub(crate) fn numbers(&self, name: &str) -> Result<Tensor> {
        let tensor = self.get(name)?;
        ensure!(
            tensor.dtype().is_float(),
            "tensor `{name}` of `{}` holds {:?}, but numbers of the model are floats",
            self.path.display(),
            tensor.dtype()
        );
        finite::check(name, tensor)
            .with_context(|| format!("cannot use `{}`", self.path.display()))?;
        if tensor.dtype() == DType::F64 {
            return Ok(tensor.clone());
        }
        Ok(tensor.to_dtype(DType::F32)?)
    }

    /// The labels of `count` images, `[count]` in u32, if the model has classes: those in the file,
    /// or `class` for all.
    pub(crate) fn labels(
        &self,
        header: &Header,
        class: Option<u32>,
        count: usize,
    ) -> Result<Option<Tensor>> {
        let config = &header.model;
        let labels = match (config.classes, class) {
            (None, _) | (_, Some(_)) => return self::labels(config, class, count),
            (Some(_), None) => self.get("labels"),
        };
        let labels = labels.context("the model has classes: give `--class`")?;
        ensure!(
            labels.dims() == [count],
            "tensor `labels` of `{}` has shape {:?}, but should have [{count}], a label of each image",
            self.path.display(),
            labels.dims()
        );
        let labels = labels.to_dtype(DType::U32)?;
        for label in labels.to_vec1()? {
            classes::check(header, label)?;
        }
        Ok(Some(labels))
    }
}

/// Labels of `count` images of `class`, if the model has classes.
pub(crate) fn labels(
    config: &GlowConfig,
    class: Option<u32>,
    count: usize,
) -> Result<Option<Tensor>> {
    match (config.classes, class) {
        (None, _) => Ok(None),
        (Some(_), None) => bail!("the model has classes: give `--class`"),
        (Some(_), Some(class)) => Ok(Some(Tensor::full(class, count, &Device::Cpu)?)),
    }
}

/// Applies `f` to `tensors` of as many rows as images, [`BATCH_SIZE`] rows at a time on the device.
/// Concatenates each of its results on the CPU.
pub(crate) fn in_batches(
    tensors: &[&Tensor],
    device: &Device,
    mut f: impl FnMut(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let count = tensors[0].dim(0)?;
    let mut results: Vec<Vec<Tensor>> = Vec::new();
    for start in (0..count).step_by(BATCH_SIZE) {
        let length = BATCH_SIZE.min(count - start);
        let part = |tensor: &&Tensor| {
            tensor
                .narrow(0, start, length)?
                .contiguous()?
                .to_device(device)
        };
        let parts = tensors
            .iter()
            .map(part)
            .collect::<candle_core::Result<Vec<_>>>()?;
        let found = f(&parts)?;
        results.resize_with(found.len(), Vec::new);
        for (all, part) in results.iter_mut().zip(found) {
            all.push(part.to_device(&Device::Cpu)?);
        }
    }
    ensure!(!results.is_empty(), "there are no images");
    let whole = results.iter().map(|parts| Tensor::cat(parts, 0));
    Ok(whole.collect::<candle_core::Result<_>>()?)
}

/// The latents of a model in a file, each of as many images. All are f64 if one is.
pub(crate) fn latents(tensors: &Tensors, model: &Glow) -> Result<Vec<Tensor>> {
    let mut latents: Vec<Tensor> = Vec::new();
    for (level, shape) in model.latent_shapes().enumerate() {
        let name = format!("z.{level}");
        let latent = tensors.numbers(&name)?;
        let count = latents.first().map_or_else(
            || latent.dims().first().copied(),
            |z| z.dims().first().copied(),
        );
        let expected = [
            count.unwrap_or(0),
            shape.channels,
            shape.height,
            shape.width,
        ];
        ensure!(
            latent.dims() == expected,
            "tensor `{name}` of `{}` has shape {:?}, but should have {expected:?}",
            tensors.path.display(),
            latent.dims()
        );
        latents.push(latent);
    }
    if latents.iter().any(|latent| latent.dtype() == DType::F64) {
        for latent in &mut latents {
            *latent = latent.to_dtype(DType::F64)?;
        }
    }
    Ok(latents)
}

/// Prepares to write a file with the extension `.safetensors` or without one.
pub(crate) fn create(path: &Path) -> Result<Output> {
    files::extension(path, &["safetensors"])?;
    Output::create(path)
}

/// The images `[N]` of which a latent has more digits than single precision.
pub(crate) fn beyond_single(latents: &[Tensor]) -> Result<Vec<u32>> {
    let mut beyond = Vec::new();
    for latent in latents.iter().filter(|latent| latent.dtype() == DType::F64) {
        let rounded = latent.to_dtype(DType::F32)?.to_dtype(DType::F64)?;
        let differs = latent.ne(&rounded)?.flatten_from(1)?.max(1)?;
        let rows = (0..).zip(differs.to_vec1::<u8>()?);
        beyond.extend(rows.filter(|(_, differs)| *differs > 0).map(|(row, _)| row));
    }
    beyond.sort_unstable();
    beyond.dedup();
    Ok(beyond)
}

/// `all` with these rows replaced by `others`, in the type of `others`.
pub(crate) fn with_rows(all: &Tensor, rows: &[u32], others: &Tensor) -> Result<Tensor> {
    let count = all.dim(0)? as u32;
    let mut places: Vec<_> = (0..count).collect();
    for (other, row) in (count..).zip(rows) {
        places[*row as usize] = other;
    }
    let both = Tensor::cat(&[&all.to_dtype(others.dtype())?, others], 0)?;
    Ok(both.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?)
}

/// The bytes of a safetensors file.
pub(crate) fn serialize(tensors: Vec<(String, Tensor)>) -> Result<Vec<u8>> {
    Ok(safetensors::serialize(tensors, None)?)
}
