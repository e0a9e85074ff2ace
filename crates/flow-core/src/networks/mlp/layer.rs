//! A layer of a network, with a mask if some outputs do not depend on some inputs.

use crate::ops::linear::{Activation, linear};
use crate::params::{Init, ParamBuilder};
use crate::{Result, transfer};
use candle_core::Tensor;

#[derive(Clone)]
pub(super) struct Layer {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    /// Ones where an output may depend on an input; `None` for a full layer.
    mask: Option<Tensor>,
}

impl Layer {
    /// A hidden layer, whose weights and biases are drawn from N(0, std²).
    pub(super) fn hidden(
        inputs: &[usize],
        outputs: &[usize],
        std: f64,
        params: ParamBuilder,
    ) -> Result<Self> {
        let (weight, bias) = (Init::Hidden { std }, Init::Normal { std });
        Self::with_bias(inputs, outputs, weight, bias, params)
    }

    /// Output i depends on input j only if `outputs[i] ≥ inputs[j]`.
    pub(super) fn with_bias(
        inputs: &[usize],
        outputs: &[usize],
        weight: Init,
        bias: Init,
        params: ParamBuilder,
    ) -> Result<Self> {
        let shape = (outputs.len(), inputs.len());
        // A file without these parameters is refused before a mask is made.
        let weight = params.get_with_hints(shape, "weight", weight)?;
        let bias = params.get_with_hints(outputs.len(), "bias", bias)?;
        let sees = |&output: &usize| inputs.iter().map(move |&input| u8::from(output >= input));
        let mask = outputs.iter().flat_map(sees).collect::<Vec<_>>();
        let mask = mask
            .contains(&0)
            .then(|| transfer::upload(mask, shape, params.dtype(), params.device()));
        Ok(Self {
            weight,
            bias,
            mask: mask.transpose()?,
        })
    }

    pub(super) fn inputs(&self) -> Result<usize> {
        self.weight.dim(1)
    }

    pub(super) fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        linear(x, &self.masked_weight()?, &self.bias, activation)
    }

    fn masked_weight(&self) -> Result<Tensor> {
        match &self.mask {
            Some(mask) => &self.weight * mask,
            None => Ok(self.weight.clone()),
        }
    }

    /// The same layer without a graph, and with the mask applied.
    pub(super) fn detached(&self) -> Result<Self> {
        Ok(Self {
            weight: self.masked_weight()?.detach(),
            bias: self.bias.detach(),
            mask: None,
        })
    }
}

/// Spread of the first weights and biases of a layer with `inputs` inputs. Biases are spread too:
/// with few inputs, all ReLUs would otherwise bend at zero.
pub(super) fn spread(inputs: usize) -> f64 {
    (3.0 * inputs.max(1) as f64).sqrt().recip()
}
