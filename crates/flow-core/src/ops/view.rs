//! Reads candle tensors for fused operations.

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Tensor, bail};

/// f32 samples of equal size; they may be apart, as after `narrow` on channels.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    data: &'a [f32],
    stride: usize,
    len: usize,
}

impl<'a> Samples<'a> {
    /// # Errors
    /// If the storage is not f32, or a sample is not contiguous (see [`dense_samples`]).
    pub(super) fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let data = &storage.as_slice::<f32>()?[layout.start_offset()..];
        if !has_dense_samples(layout) {
            bail!(
                "a fused operation needs contiguous samples, not strides {:?}",
                layout.stride()
            );
        }
        let len = layout.dims()[1..].iter().product();
        Ok(Self {
            data,
            stride: layout.stride()[0],
            len,
        })
    }

    pub(super) fn get(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.len]
    }
}

/// The same tensor with contiguous samples, copied only if necessary.
pub(super) fn dense_samples(tensor: &Tensor) -> Result<Tensor> {
    if has_dense_samples(tensor.layout()) {
        Ok(tensor.clone())
    } else {
        tensor.contiguous()
    }
}

/// The result of a fused operation.
pub(super) fn host(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// All numbers of a contiguous f32 storage.
pub(super) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!(
            "a fused operation needs a contiguous tensor, not strides {:?}",
            layout.stride()
        ),
    }
}

fn has_dense_samples(layout: &Layout) -> bool {
    let mut expected = 1;
    layout
        .dims()
        .iter()
        .zip(layout.stride())
        .skip(1)
        .rev()
        .all(|(&dim, &stride)| {
            let dense = dim == 1 || stride == expected;
            expected *= dim;
            dense
        })
}
