//! A MADE evaluated number by number: when a number is known, the hidden units that it completes
//! are computed, once in all. All D steps together take the arithmetic of about one pass.

use super::layer::Layer;
use super::{Degrees, Mlp};
use crate::device::is_host;
use crate::ops::linear::Activation;
use crate::ops::units::{HostLayer, Number, Units};
use crate::ops::view::{host, numbers};
use crate::{Incremental, Result};
use candle_core::{DType, Tensor, bail};
use std::ops::{Add, Mul};
use std::sync::Arc;

/// The evaluation of `mlp` for a batch of `rows`, with the shift and the gates of its context.
/// `None` if the network has no order, units are dropped, a graph is recorded, or the device or type
/// is another.
pub(super) fn evaluation(
    mlp: &Mlp,
    shift: Option<&Tensor>,
    gates: &[Tensor],
    rows: usize,
) -> Result<Option<Box<dyn Incremental>>> {
    let Some(degrees) = mlp.degrees.as_ref().filter(|_| !mlp.dropout.is_drawn()) else {
        return Ok(None);
    };
    let layers = mlp.layers().flat_map(|layer| [&layer.weight, &layer.bias]);
    let mut tensors = layers.chain(shift).chain(gates);
    if !is_host(mlp.input.weight.device()) || tensors.any(Tensor::track_op) {
        return Ok(None);
    }
    let degrees = degrees.clone();
    Ok(match mlp.input.weight.dtype() {
        DType::F32 => Some(Box::new(Evaluation::<f32>::new(
            mlp, degrees, shift, gates, rows,
        )?)),
        DType::F64 => Some(Box::new(Evaluation::<f64>::new(
            mlp, degrees, shift, gates, rows,
        )?)),
        _ => None,
    })
}

struct Evaluation<T> {
    degrees: Arc<Degrees>,
    activation: Activation,
    residual: bool,
    /// Hidden layers of each block.
    blocks: Vec<usize>,
    layers: Vec<HostLayer<T>>,
    /// The input of every layer, after its activation function; units that are not known are zero.
    inputs: Vec<Units<T>>,
    shift: Option<Units<T>>,
    gates: Vec<Units<T>>,
    /// Known numbers.
    known: usize,
    rows: usize,
}

impl<T: Number> Evaluation<T> {
    fn new(
        mlp: &Mlp,
        degrees: Arc<Degrees>,
        shift: Option<&Tensor>,
        gates: &[Tensor],
        rows: usize,
    ) -> Result<Self> {
        let of_context = |tensor: &Tensor| -> Result<Units<T>> {
            let all = tensor.broadcast_as((rows, tensor.dim(1)?))?;
            Ok(Units::from_rows(&numbers(&all)?, rows))
        };
        let on_host = |layer: &Layer| -> Result<HostLayer<T>> {
            Ok(HostLayer {
                weight: numbers(&layer.weight)?,
                bias: numbers(&layer.bias)?,
            })
        };
        let inputs = mlp.layers().map(Layer::inputs);
        let inputs = inputs.map(|count| Ok(Units::zeros(count?, rows)));
        let mut evaluation = Self {
            activation: mlp.activation,
            residual: mlp.residual,
            blocks: mlp.blocks.iter().map(Vec::len).collect(),
            layers: mlp.layers().map(on_host).collect::<Result<_>>()?,
            inputs: inputs.collect::<Result<_>>()?,
            shift: shift.map(of_context).transpose()?,
            gates: gates.iter().map(of_context).collect::<Result<_>>()?,
            degrees,
            known: 0,
            rows,
        };
        evaluation.complete()?;
        Ok(evaluation)
    }

    /// Computes the hidden units that depend on the last known number and on those before it.
    fn complete(&mut self) -> Result<()> {
        let Degrees { inputs, hidden, .. } = &*self.degrees;
        let units = places(hidden, |degree| degree == self.known);
        if units.is_empty() {
            return Ok(());
        }
        let seen = places(inputs, |degree| degree <= self.known);
        let seen_hidden = places(hidden, |degree| degree <= self.known);
        let mut a = self.layers[0].outputs(&units, &seen, &self.inputs[0]);
        if let Some(shift) = &self.shift {
            a.combine(shift, &units, Add::add);
        }
        let own = (0..units.len()).collect::<Vec<_>>();
        let mut layer = 1;
        for (block, depth) in self.blocks.iter().enumerate() {
            let mut inner = a.clone();
            for _ in 0..*depth {
                activate(&mut inner, self.activation)?;
                self.inputs[layer].set(&units, &inner);
                inner = self.layers[layer].outputs(&units, &seen_hidden, &self.inputs[layer]);
                layer += 1;
            }
            if let Some(gate) = self.gates.get(block) {
                inner.combine(gate, &units, Mul::mul);
            }
            if self.residual {
                a.combine(&inner, &own, Add::add);
            } else {
                a = inner;
            }
        }
        if !self.residual {
            activate(&mut a, self.activation)?;
        }
        self.inputs[layer].set(&units, &a);
        Ok(())
    }

    /// Refuses a number that does not come next.
    fn check(&self, number: usize) -> Result<()> {
        match self.degrees.inputs.get(number) {
            Some(degree) if *degree == self.known + 1 => Ok(()),
            _ => bail!(
                "mlp: number {number} does not come next in the order of its masks, after {} others",
                self.known
            ),
        }
    }
}

impl<T: Number> Incremental for Evaluation<T> {
    fn parameters(&mut self, number: usize) -> Result<Tensor> {
        self.check(number)?;
        let units = &self.degrees.outputs[number];
        let seen = places(&self.degrees.hidden, |degree| degree <= self.known);
        let (layer, inputs) = (self.layers.len() - 1, &self.inputs);
        let h = self.layers[layer].outputs(units, &seen, &inputs[layer]);
        host(h.to_rows(), (self.rows, units.len()))
    }

    fn fix(&mut self, number: usize, x: &Tensor) -> Result<()> {
        self.check(number)?;
        let x = numbers(x)?;
        if x.len() != self.rows {
            bail!("mlp: got {} numbers, needed {}", x.len(), self.rows);
        }
        self.inputs[0].unit_mut(number)[..self.rows].copy_from_slice(&x);
        self.known += 1;
        self.complete()
    }
}

/// Indices of the degrees for which `is_chosen`.
fn places(degrees: &[usize], is_chosen: impl Fn(usize) -> bool) -> Vec<usize> {
    let places = (0..).zip(degrees);
    let chosen = places.filter(|(_, degree)| is_chosen(**degree));
    chosen.map(|(place, _)| place).collect()
}

/// Applies the activation function to all numbers of `units`.
fn activate<T: Number>(units: &mut Units<T>, activation: Activation) -> Result<()> {
    let values = units.numbers_mut();
    if activation == Activation::Relu {
        let zero = T::from_f64(0.0);
        for value in values {
            *value = if *value < zero { zero } else { *value };
        }
    } else {
        let all = host(values.to_vec(), values.len())?;
        values.copy_from_slice(&numbers(&activation.apply(&all)?)?);
    }
    Ok(())
}
