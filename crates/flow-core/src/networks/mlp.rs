//! A residual network of vectors, for couplings and autoregressive flows.
//!
//! ```text
//! a     = W·x + b [+ V·context + c]
//! a     ← a + (W₂·relu(W₁·relu(a) + b₁) + b₂) [⊙ σ(V₁·context + c₁)]        for every block
//! h     = W·a + b
//! ```
//!
//! He et al. 2016 (arXiv:1603.05027), with gates for the context as nflows has them (Dauphin et al.
//! 2017, arXiv:1612.08083). With masks on the weights it is a MADE: Germain et al. 2015
//! (arXiv:1502.03509).

use crate::bijection::Detached;
use crate::ops::elementary::sigmoid;
use crate::ops::linear::{Activation, linear};
use crate::params::{Init, ParamBuilder};
use crate::runs::Rows;
use crate::{Conditioner, Result, Transform, shape, transfer};
use candle_core::{Tensor, bail};

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct MlpSize {
    /// Numbers in every hidden layer.
    pub width: usize,
    /// Residual blocks, of two layers each.
    pub blocks: usize,
    /// Size of the context of a sample; 0 for none.
    pub context: usize,
}

impl Default for MlpSize {
    /// Two blocks, 64 wide, no context.
    fn default() -> Self {
        Self {
            width: 64,
            blocks: 2,
            context: 0,
        }
    }
}

/// A residual network, `[B, inputs]` → `[B, outputs]`.
pub struct Mlp {
    input: Layer,
    blocks: Vec<[Layer; 2]>,
    output: Layer,
    /// Gates by which the context enters the first layer and every block.
    context: Vec<Layer>,
}

impl Mlp {
    /// Parameters `{input,block0.0,block0.1,…,output}.{weight,bias}`, and with a context
    /// `context{0,1,…}.{weight,bias}`. A fresh network gives numbers near zero, if inputs and
    /// context are of the order of 1.
    pub fn new(inputs: usize, outputs: usize, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        let bias = vec![0.0; outputs];
        Self::masked(&vec![0; inputs], &vec![0; outputs], 0, bias, size, params)
    }

    /// The network that predicts the parameters of `transform` for `channels` numbers. A fresh one
    /// is close to the identity. Scale maps that are not 1 at zero, such as
    /// [`ScaleMap::Sigmoid`](crate::ScaleMap), begin with their scale there. Parameters as in
    /// [`new`](Self::new).
    pub fn for_transform(
        transform: impl Transform,
        inputs: usize,
        channels: usize,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let (_, bias) = outputs(&transform, channels)?;
        let degrees = vec![0; bias.len()];
        Self::masked(&vec![0; inputs], &degrees, 0, bias, size, params)
    }

    /// A MADE over `features` numbers in order, for `transform`. Parameters as in
    /// [`new`](Self::new).
    pub(crate) fn made(
        transform: impl Transform,
        features: usize,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        // Inputs have degrees from 1: a parameter of number i may depend on degrees below i + 1.
        let inputs = (1..=features).collect::<Vec<_>>();
        let (outputs, bias) = outputs(&transform, features)?;
        Self::masked(&inputs, &outputs, features - 1, bias, size, params)
    }

    /// Output i depends on input j only if `outputs[i] ≥ inputs[j]`; hidden degrees cycle through 1
    /// to `most`. The weights of the last layer start near zero, and its biases near `bias`.
    fn masked(
        inputs: &[usize],
        outputs: &[usize],
        most: usize,
        bias: Vec<f64>,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let MlpSize {
            width,
            blocks,
            context,
        } = size;
        let hidden = (0..width)
            .map(|unit| unit % most.max(1) + most.min(1))
            .collect::<Vec<_>>();
        let block = |index| {
            let params = params.pp(format!("block{index}"));
            Ok([
                Layer::new(&hidden, &hidden, spread(width), params.pp("0"))?,
                // Blocks start near the identity.
                Layer::new(&hidden, &hidden, Init::Normal { std: 1e-3 }, params.pp("1"))?,
            ])
        };
        let contexts = if context == 0 { 0 } else { 1 + blocks };
        let context_layer = |index| {
            let params = params.pp(format!("context{index}"));
            Layer::new(&vec![0; context], &vec![0; width], spread(context), params)
        };
        let first = spread(inputs.len());
        let std = LAST_LAYER * spread_std(width);
        let (weight, bias) = (Init::Normal { std }, Init::NormalRows { means: bias, std });
        Ok(Self {
            input: Layer::new(inputs, &hidden, first, params.pp("input"))?,
            blocks: (0..blocks).map(block).collect::<Result<_>>()?,
            output: Layer::with_bias(&hidden, outputs, weight, bias, params.pp("output"))?,
            context: (0..contexts).map(context_layer).collect::<Result<_>>()?,
        })
    }

    /// `gates` are those of the blocks.
    fn run(&self, x: &Tensor, shift: Option<&Tensor>, gates: &[Tensor]) -> Result<Tensor> {
        shape::vectors("mlp", x, self.input.inputs()?)?;
        let mut a = self.input.forward(x, Activation::Identity)?;
        if let Some(shift) = shift {
            a = a.broadcast_add(shift)?;
        }
        for (index, [first, second]) in self.blocks.iter().enumerate() {
            let inner = second.forward(&first.forward(&a, Activation::Relu)?, Activation::Relu)?;
            a = match gates.get(index) {
                Some(gate) => a + inner.broadcast_mul(gate)?,
                None => a + inner,
            }?;
        }
        self.output.forward(&a, Activation::Identity)
    }
}

impl Conditioner for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(layer) = self.context.first() {
            bail!(
                "mlp: needs a context of {} numbers; bind one with `given`",
                layer.inputs()?
            );
        }
        self.run(x, None, &[])
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        let [inputs, outputs] = [&self.input, &self.output].map(|layer| layer.weight.dims());
        Some([inputs[1], outputs[0]])
    }

    fn context(&self) -> Option<usize> {
        self.context.first().map(|layer| layer.weight.dims()[1])
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        let Some((first, blocks)) = self.context.split_first() else {
            return shape::refuse_context(context);
        };
        shape::vectors("context", context, first.inputs()?)?;
        let gate = |layer: &Layer| sigmoid(&layer.forward(context, Activation::Identity)?);
        Ok(Box::new(Given {
            mlp: self,
            shift: first.forward(context, Activation::Identity)?,
            gates: blocks.iter().map(gate).collect::<Result<_>>()?,
        }))
    }
}

/// A network with the outputs of its context layers.
struct Given<'a> {
    mlp: &'a Mlp,
    shift: Tensor,
    gates: Vec<Tensor>,
}

impl Conditioner for Given<'_> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = Rows::all(shape::batch("mlp", x)?);
        self.mlp
            .run(x, Some(&rows.of_context(&self.shift)?), &self.gates)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        self.mlp.sizes()
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        let gates = self.gates.iter().map(|gate| rows.of_context(gate));
        Ok(Box::new(Detached(Given {
            mlp: self.mlp,
            shift: rows.of_context(&self.shift)?,
            gates: gates.collect::<Result<_>>()?,
        })))
    }
}

/// Initialisation of weights and biases of a layer with `inputs` inputs. Biases are spread too:
/// with few inputs, all ReLUs would otherwise bend at zero.
fn spread(inputs: usize) -> Init {
    Init::Normal {
        std: spread_std(inputs),
    }
}

fn spread_std(inputs: usize) -> f64 {
    (3.0 * inputs.max(1) as f64).sqrt().recip()
}

/// Standard deviation of the last layer's weights and biases, relative to [`spread`]. Log-scales of
/// the order of 1 in ten layers would enlarge samples 10⁴ times. Zero weights would give the layers
/// before no gradient at first.
const LAST_LAYER: f64 = 0.01;

/// Channel and initial bias of each output of a network for `transform` and `channels` channels.
fn outputs(transform: &impl Transform, channels: usize) -> Result<(Vec<usize>, Vec<f64>)> {
    let (count, bias) = (transform.parameters(), transform.initial_bias());
    if bias.len() != count {
        bail!(
            "transform: got {} initial biases, needed {count}",
            bias.len()
        );
    }
    let places =
        (0..count * channels).map(|index| transform.layout().place(index, count, channels));
    Ok(places
        .map(|[channel, parameter]| (channel, bias[parameter]))
        .unzip())
}

struct Layer {
    weight: Tensor,
    bias: Tensor,
    /// Ones where an output may depend on an input; `None` for a full layer.
    mask: Option<Tensor>,
}

impl Layer {
    fn new(inputs: &[usize], outputs: &[usize], init: Init, params: ParamBuilder) -> Result<Self> {
        Self::with_bias(inputs, outputs, init.clone(), init, params)
    }

    fn with_bias(
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

    fn inputs(&self) -> Result<usize> {
        self.weight.dim(1)
    }

    fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let weight = match &self.mask {
            Some(mask) => &(&self.weight * mask)?,
            None => &self.weight,
        };
        linear(x, weight, &self.bias, activation)
    }
}
