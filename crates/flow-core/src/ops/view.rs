//! Reads candle tensors for fused operations.

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail};

/// Samples of equal size; they may be apart, as after `narrow` on channels.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a, T> {
    data: &'a [T],
    stride: usize,
    len: usize,
}

impl<'a, T: WithDType> Samples<'a, T> {
    /// # Errors
    /// If the storage is of another type, or a sample is not contiguous (see [`dense_samples`]).
    pub(super) fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let data = &storage.as_slice::<T>()?[layout.start_offset()..];
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

    pub(super) fn get(&self, index: usize) -> &'a [T] {
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
pub(crate) fn host<T: WithDType>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// A copy of all numbers of a tensor on the CPU, in their order.
pub(crate) fn numbers<T: WithDType>(tensor: &Tensor) -> Result<Vec<T>> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!("a fused operation runs on the CPU");
    };
    Ok(contiguous(storage, layout)?.to_vec())
}

/// All numbers of a contiguous storage.
pub(super) fn contiguous<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let data = storage.as_slice::<T>()?;
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
