//! Copies between the host and a device, counted.
//!
//! A copy to the host waits for all earlier work of the device, and a copy to the device is one
//! more operation. A training step makes few of them, and a test counts them. All library code that
//! may meet a device copies through this module. Copies inside candle, of shapes and strides of
//! operands that are not contiguous, are not counted.

use crate::Result;
use crate::device::is_host;
use candle_core::{DType, Device, Shape, Tensor, WithDType};
use std::cell::Cell;

/// Copies that this thread has made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// From the host to a device.
    pub to_device: u64,
    /// From a device to the host.
    pub to_host: u64,
}

thread_local! {
    static COPIES: Cell<Copies> = const { Cell::new(Copies { to_device: 0, to_host: 0 }) };
}

/// The copies that this thread has made so far; zero on the CPU.
pub fn copies() -> Copies {
    COPIES.get()
}

/// A tensor on `device`, of `dtype`, from numbers on the host.
///
/// # Errors
/// If the number of values differs from that of the shape.
pub fn upload<T: WithDType>(
    values: Vec<T>,
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    // Converted first, because not every device supports every type.
    let tensor = Tensor::from_vec(values, shape.into(), &Device::Cpu)?.to_dtype(dtype)?;
    from_host(&tensor, device)
}

/// A tensor made on the host, on `device`.
pub fn from_host(tensor: &Tensor, device: &Device) -> Result<Tensor> {
    if !is_host(device) {
        count(|copies| copies.to_device += 1);
    }
    tensor.to_device(device)
}

/// A caller's tensor, on `device`: itself if it is there.
pub fn to_device(tensor: &Tensor, device: &Device) -> Result<Tensor> {
    if !tensor.device().same_device(device) {
        count(|copies| copies.to_device += 1);
    }
    tensor.to_device(device)
}

/// `tensor` on the host.
pub fn to_host(tensor: &Tensor) -> Result<Tensor> {
    if !is_host(tensor.device()) {
        count(|copies| copies.to_host += 1);
    }
    tensor.to_device(&Device::Cpu)
}

/// The number in a tensor of one element.
pub fn scalar(tensor: &Tensor) -> Result<f64> {
    to_host(tensor)?.to_dtype(DType::F64)?.to_scalar()
}

/// All numbers of a tensor, in their order.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    to_host(tensor)?
        .flatten_all()?
        .to_dtype(DType::F64)?
        .to_vec1()
}

/// The rows of a matrix.
pub fn rows(matrix: &Tensor) -> Result<Vec<Vec<f64>>> {
    to_host(matrix)?.to_dtype(DType::F64)?.to_vec2()
}

fn count(add: impl FnOnce(&mut Copies)) {
    let mut copies = COPIES.get();
    add(&mut copies);
    COPIES.set(copies);
}
