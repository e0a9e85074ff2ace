//! The parameters of a model of this project by name, in f64, and the operations that all dialects
//! share.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_glow::GlowConfig;

use crate::matrix::{self, Plu, Qlu};

/// Learning rate of the gain of a zero-initialised convolution relative to its weights: that of the
/// published code and its successors.
const GAIN_RATE: f64 = 3.0;

/// A model of ours.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) config: GlowConfig,
    pub(crate) parameters: Parameters,
}

/// Tensors by name.
#[derive(Clone, Default)]
pub(crate) struct Parameters(BTreeMap<String, Tensor>);

impl Parameters {
    /// The parameters of a checkpoint.
    pub(crate) fn of(store: &ParamStore) -> Result<Self> {
        let double = store
            .vars()
            .into_iter()
            .map(|(name, var)| Ok((name, var.to_dtype(DType::F64)?)));
        Ok(Self(double.collect::<Result<_>>()?))
    }

    /// The parameters of a checkpoint, in f32.
    ///
    /// # Errors
    /// If a number is too large for it.
    pub(crate) fn into_single(self) -> Result<BTreeMap<String, Tensor>> {
        let single = |(name, tensor): (String, Tensor)| {
            let single = to_single(&tensor).with_context(|| format!("tensor `{name}`"))?;
            Ok((name, single))
        };
        self.0.into_iter().map(single).collect()
    }

    pub(crate) fn put(&mut self, name: String, tensor: Tensor) {
        self.0.insert(name, tensor);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.0
            .get(name)
            .with_context(|| format!("tensor `{name}` is missing"))
    }

    /// Puts the 1×1 convolution below `prefix`.
    pub(crate) fn put_qlu(&mut self, prefix: &str, factors: &Qlu) -> Result<()> {
        self.put(
            format!("{prefix}.rotation"),
            matrix::tensor(&factors.rotation)?,
        );
        self.put(format!("{prefix}.lower"), matrix::tensor(&factors.lower)?);
        self.put(format!("{prefix}.upper"), matrix::tensor(&factors.upper)?);
        self.put(
            format!("{prefix}.log_scale"),
            matrix::vector(&factors.log_scale)?,
        );
        Ok(())
    }

    /// The factors below `prefix`, as they stand there.
    pub(crate) fn qlu(&self, prefix: &str) -> Result<Qlu> {
        let get = |name: &str| self.get(&format!("{prefix}.{name}"));
        Ok(Qlu {
            rotation: get("rotation")?.to_vec2()?,
            lower: get("lower")?.to_vec2()?,
            upper: get("upper")?.to_vec2()?,
            log_scale: get("log_scale")?.to_vec1()?,
        })
    }

    /// The matrix below `prefix`, from its parameters in any form.
    pub(crate) fn matrix(&self, prefix: &str) -> Result<Vec<Vec<f64>>> {
        if let Ok(plain) = self.get(&format!("{prefix}.weight")) {
            return Ok(plain.to_vec2()?);
        }
        let mut factors = self.qlu(prefix)?;
        if self.bias(prefix).is_none() {
            return Ok(factors.product());
        }
        // With a bias, the rotation stands first.
        let rotation = std::mem::replace(
            &mut factors.rotation,
            matrix::identity(factors.log_scale.len()),
        );
        Ok(matrix::product(&factors.product(), &rotation))
    }

    pub(crate) fn bias(&self, prefix: &str) -> Option<&Tensor> {
        self.0.get(&format!("{prefix}.bias"))
    }

    /// The 1×1 convolution below `prefix` in the form of the published code.
    ///
    /// # Errors
    /// If it has a bias, which that form does not.
    pub(crate) fn plu(&self, prefix: &str) -> Result<Plu> {
        self.refuse_bias(prefix)?;
        if self.get(&format!("{prefix}.rotation")).is_ok() && self.bias(prefix).is_none() {
            return self.qlu(prefix)?.into_plu();
        }
        Plu::factorize(self.matrix(prefix)?).with_context(|| format!("`{prefix}`"))
    }

    /// An error if the 1×1 convolution below `prefix` adds something.
    pub(crate) fn refuse_bias(&self, prefix: &str) -> Result<()> {
        if let Some(bias) = self.bias(prefix) {
            let largest = bias.abs()?.max_all()?.to_scalar::<f64>()?;
            ensure!(
                largest == 0.0,
                "`{prefix}.bias` is not zero, and the peer's 1×1 convolutions have none"
            );
        }
        Ok(())
    }

    /// The convolution below `prefix` with its gain in weight and bias.
    pub(crate) fn folded_conv(&self, prefix: &str) -> Result<(Tensor, Tensor)> {
        let get = |name: &str| self.get(&format!("{prefix}.{name}"));
        let gain = (get("log_gain")? * GAIN_RATE)?.exp()?;
        let outputs = gain.elem_count();
        Ok((
            get("weight")?.broadcast_mul(&gain.reshape((outputs, 1, 1, 1))?)?,
            (get("bias")? * gain)?,
        ))
    }

    /// Tells whether the last convolution of some coupling network has a gain other than one.
    pub(crate) fn has_gain(&self) -> Result<bool> {
        for (name, tensor) in &self.0 {
            if name.ends_with(".conv3.log_gain")
                && tensor.abs()?.max_all()?.to_scalar::<f64>()? != 0.0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// In f32.
///
/// # Errors
/// If a number is not finite or too large for it.
pub(crate) fn to_single(tensor: &Tensor) -> Result<Tensor> {
    let single = tensor.to_dtype(DType::F32)?;
    let values = single.flatten_all()?.to_vec1::<f32>()?;
    ensure!(
        values.into_iter().all(f32::is_finite),
        "it holds a number that is not finite or too large for f32"
    );
    Ok(single)
}

/// Order of a convolution's rows, of which some are the shift and others the scale, in a peer.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    /// Even rows first, then odd ones.
    EvenOdd,
    /// Odd rows first, then even ones.
    OddEven,
    /// The second half first.
    SecondFirst,
}

impl Rows {
    /// The peer's rows in our order.
    pub(crate) fn ours(self, tensor: &Tensor) -> Result<Tensor> {
        select(tensor, &self.order(tensor.dim(0)?))
    }

    /// Our rows in the peer's order.
    pub(crate) fn theirs(self, tensor: &Tensor) -> Result<Tensor> {
        let order = self.order(tensor.dim(0)?);
        let mut places = vec![0; order.len()];
        for (place, &row) in order.iter().enumerate() {
            places[row as usize] = place as u32;
        }
        select(tensor, &places)
    }

    fn order(self, rows: usize) -> Vec<u32> {
        let rows = rows as u32;
        let (even, odd) = ((0..rows).step_by(2), (1..rows).step_by(2));
        match self {
            Self::EvenOdd => even.chain(odd).collect(),
            Self::OddEven => odd.chain(even).collect(),
            Self::SecondFirst => (rows / 2..rows).chain(0..rows / 2).collect(),
        }
    }
}

/// These rows.
pub(crate) fn select(tensor: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let rows = Tensor::new(rows, &Device::Cpu)?;
    Ok(tensor.contiguous()?.index_select(&rows, 0)?)
}

/// With the first half of the rows negated, or all of them.
pub(crate) fn negated(tensor: &Tensor, all: bool) -> Result<Tensor> {
    if all {
        return Ok(tensor.neg()?);
    }
    let half = tensor.dim(0)? / 2;
    let first = tensor.narrow(0, 0, half)?.neg()?;
    Ok(Tensor::cat(&[first, tensor.narrow(0, half, half)?], 0)?)
}

/// Each entry of dimension 1 times a factor.
pub(crate) fn scaled_columns(tensor: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; tensor.rank()];
    shape[1] = factors.elem_count();
    Ok(tensor.broadcast_mul(&factors.reshape(shape)?)?)
}

/// Each row of a convolution's weight or bias times a factor.
pub(crate) fn scaled_rows(tensor: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; tensor.rank()];
    shape[0] = factors.elem_count();
    Ok(tensor.broadcast_mul(&factors.reshape(shape)?)?)
}
