//! Files of tensors.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_analysis::likelihood::BATCH_SIZE;
use flow_core::{runs::Rows, train::Data};
use flow_data::numpy;
use flow_glow::{Glow, GlowConfig, Header, finite};

use crate::input::{classes, numpy_images};

/// Said where a class is missing.
const NEEDS_CLASS: &str = "the model has classes: give `--class`";

/// Formats that are read, in words.
pub(crate) const FORMATS: &str = "a .safetensors, .npy or .npz file";

/// Tensors by name, from a safetensors file or one of NumPy's.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    tensors: BTreeMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    /// Reads a file. The array in a `.npy` is called `x`.
    pub(crate) fn read(path: &'a Path) -> Result<Self> {
        let tensors = if is_of_numpy(path) {
            numpy::read(path)?
        } else {
            flow_glow::read_tensors(path, &Device::Cpu)?
        };
        Ok(Self { path, tensors })
    }

    /// Reads a file of images `x`, with their `labels` if there are some. In those of NumPy they may
    /// have the names and axes of data sets, and are u8.
    pub(crate) fn of_pixels(path: &'a Path) -> Result<Self> {
        if is_of_numpy(path) {
            let tensors = numpy_images::read(path)?;
            return Ok(Self { path, tensors });
        }
        Self::read(path)
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

    /// Images or latents `[N, …]` with their labels `[N]`, if the model has classes: those in the
    /// file, or `class` for all.
    pub(crate) fn labelled(
        &self,
        samples: &Tensor,
        header: &Header,
        class: Option<u32>,
    ) -> Result<Data> {
        let config = &header.model;
        let labels = match (config.classes, class) {
            (None, _) | (_, Some(_)) => return of_class(samples, config, class),
            (Some(_), None) => self.get("labels"),
        };
        let (labels, count) = (labels.context(NEEDS_CLASS)?, samples.dim(0)?);
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
        Ok((samples, &labels).into())
    }
}

/// True if the name is that of a file of tensors.
pub(crate) fn is_one(path: &Path) -> bool {
    has_extension(path, &["safetensors"]) || is_of_numpy(path)
}

fn is_of_numpy(path: &Path) -> bool {
    has_extension(path, &["npy", "npz"])
}

fn has_extension(path: &Path, names: &[&str]) -> bool {
    let found = path.extension();
    found.is_some_and(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)))
}

/// Images or latents `[N, …]`, all of `class`, which the model knows, if it has classes.
pub(crate) fn of_class(samples: &Tensor, config: &GlowConfig, class: Option<u32>) -> Result<Data> {
    match (config.classes, class) {
        (None, _) => Ok(samples.into()),
        (Some(_), None) => bail!(NEEDS_CLASS),
        (Some(_), Some(class)) => {
            let labels = Tensor::full(class, samples.dim(0)?, samples.device())?;
            Ok((samples, &labels).into())
        }
    }
}

/// Some rows of images or latents, with their labels.
pub(crate) fn select(data: &Data, rows: &[u32]) -> Result<Data> {
    let rows = Tensor::new(rows, &Device::Cpu)?;
    let data = data.with_samples(&data.samples().index_select(&rows, 0)?);
    Ok(data.map_context(|context| context.index_select(&rows, 0))?)
}

/// Applies `f` to all of `data`, [`BATCH_SIZE`] rows at a time on the device. Concatenates each of
/// its results on the CPU.
pub(crate) fn in_batches<const N: usize>(
    data: &Data,
    device: &Device,
    f: impl Fn(&Rows, &Data) -> Result<[Tensor; N]>,
) -> Result<[Tensor; N]> {
    let count = data.samples().dim(0)?;
    ensure!(count > 0, "there are no images");
    let mut results = [const { Vec::new() }; N];
    for start in (0..count).step_by(BATCH_SIZE) {
        let rows = Rows::new(start..count.min(start + BATCH_SIZE), count);
        let found = f(&rows, &data.of(&rows)?.on(device)?)?;
        for (all, part) in results.iter_mut().zip(found) {
            all.push(part.to_device(&Device::Cpu)?);
        }
    }
    let whole = results.iter().map(|parts| Tensor::cat(parts, 0));
    let whole = whole.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(whole.try_into().expect("as many as results"))
}

/// The latents `[N, D]` of a model in a file that holds those of each level: all in f64 if one is.
pub(crate) fn latents(tensors: &Tensors, model: &Glow) -> Result<Tensor> {
    let mut latents: Vec<Tensor> = Vec::new();
    let shapes = model.latent_shapes();
    for (level, [channels, height, width]) in shapes.iter().enumerate() {
        let name = format!("z.{level}");
        let latent = tensors.numbers(&name)?;
        let count = latents.first().map_or_else(
            || latent.dims().first().copied(),
            |z| z.dims().first().copied(),
        );
        let expected = [count.unwrap_or(0), channels, height, width];
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
    Ok(shapes.join(&latents)?)
}

/// The images of which latents `[N, D]` have more digits than single precision.
pub(crate) fn beyond_single(latents: &Tensor) -> Result<Vec<u32>> {
    let rounded = latents.to_dtype(DType::F32)?.to_dtype(latents.dtype())?;
    let differs = latents.ne(&rounded)?.max(1)?.to_vec1::<u8>()?;
    let rows = (0..).zip(differs).filter(|(_, differs)| *differs > 0);
    Ok(rows.map(|(row, _)| row).collect())
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
