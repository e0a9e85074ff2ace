//! Multilayer perceptrons of vectors, residual or plain, with or without masks.

mod dropout;
mod given;
mod incremental;
mod layer;
mod made;

use crate::bijection::Detached;
use crate::ops::elementary::sigmoid;
use crate::ops::linear::Activation;
use crate::params::{Init, ParamBuilder};
use crate::runs::Rows;
use crate::{Conditioner, Incremental, Result, Transform, shape};
use candle_core::{Tensor, bail};
use dropout::Dropout;
use given::Given;
use layer::{Layer, spread};
use made::Degrees;
pub(crate) use made::places;
use std::sync::Arc;

/// The sizes and the form of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct MlpSize {
    /// Numbers in every hidden layer.
    pub width: usize,
    /// Residual blocks, of two layers each; in a plain network, hidden layers after the first.
    pub blocks: usize,
    /// Size of the context of a sample; 0 for none.
    pub context: usize,
    /// Activation function of the hidden layers.
    pub activation: Activation,
    /// True for residual blocks, false for a plain network.
    pub residual: bool,
    /// Share of hidden units that are left out at random while the network is fitted, in 0..1; the
    /// others grow to make up for it (Srivastava et al. 2014). Of a residual block it is the units
    /// between its layers, of a plain network all hidden units.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "dropout::is_zero")
    )]
    pub dropout: f64,
}

impl Default for MlpSize {
    /// Two residual blocks of ReLUs, 64 wide, no context.
    fn default() -> Self {
        Self {
            width: 64,
            blocks: 2,
            context: 0,
            activation: Activation::default(),
            residual: true,
            dropout: 0.0,
        }
    }
}

/// A network of vectors, `[B, inputs]` → `[B, outputs]`, for couplings and autoregressive flows.
///
/// ```text
/// a = W·x + b [+ V·context + c]
/// a ← a + (W₂·f(W₁·f(a) + b₁) + b₂) [⊙ σ(V₁·context + c₁)]    for every block
/// h = W·a + b
/// ```
///
/// Residual blocks are those of He et al. 2016 (arXiv:1603.05027), with gates for the context as
/// nflows has them (Dauphin et al. 2017, arXiv:1612.08083). A plain network has a ← W₁·f(a) + b₁
/// for every block and h = W·f(a) + b. With masks on the weights it is a MADE
/// ([`made`](Self::made)). Dropout works while a flow is fitted, and in
/// [`Conditioner::in_training`].
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Activation, Conditioner, Mlp, MlpSize, params::ParamStore, random};
///
/// let size = MlpSize { activation: Activation::Silu, residual: false, ..MlpSize::default() };
/// let network = Mlp::new(3, 5, size, ParamStore::new(0).builder(DType::F32, &Device::Cpu))?;
/// let x = random::normal(1, (10, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&x)?.dims(), [10, 5]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Mlp {
    input: Layer,
    blocks: Vec<Vec<Layer>>,
    output: Layer,
    /// Layers by which the context enters the first layer and, as a gate, every residual block.
    context: Vec<Layer>,
    activation: Activation,
    residual: bool,
    dropout: Dropout,
    /// The order of a MADE.
    degrees: Option<Arc<Degrees>>,
}

/// Degrees of inputs, of the units of hidden layers, and of outputs.
type Masks<'a> = [&'a [usize]; 3];

impl Mlp {
    /// Parameters `{input,block0.0,block0.1,…,output}.{weight,bias}`, and with a context
    /// `context{0,1,…}.{weight,bias}`. A plain network has only `block0.0`, `block1.0`, … and
    /// `context0`. A fresh network gives numbers near zero, if inputs and context are of the order
    /// of 1.
    pub fn new(inputs: usize, outputs: usize, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        Self::full(inputs, vec![0.0; outputs], size, params)
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
        Self::full(inputs, bias, size, params)
    }

    fn full(inputs: usize, bias: Vec<f64>, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        let degrees = [inputs, size.width, bias.len()].map(|count| vec![0; count]);
        Self::masked(degrees.each_ref().map(Vec::as_slice), bias, size, params)
    }

    /// The weights of the last layer start near zero, and its biases near `bias`.
    fn masked(
        [inputs, hidden, outputs]: Masks,
        bias: Vec<f64>,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let MlpSize { width, blocks, .. } = size;
        let dropout = Dropout::new(size.dropout, &params.prefix())?;
        let block = |index| {
            let params = params.pp(format!("block{index}"));
            let mut layers = vec![Layer::hidden(
                hidden,
                hidden,
                spread(width),
                params.pp("0"),
            )?];
            if size.residual {
                // Blocks start near the identity.
                layers.push(Layer::hidden(hidden, hidden, 1e-3, params.pp("1"))?);
            }
            Ok(layers)
        };
        let gates = if size.residual { blocks } else { 0 };
        let contexts = if size.context == 0 { 0 } else { 1 + gates };
        let context_layer = |index| {
            let params = params.pp(format!("context{index}"));
            let inputs = vec![0; size.context];
            Layer::hidden(&inputs, &vec![0; width], spread(size.context), params)
        };
        let first = spread(inputs.len());
        let std = LAST_LAYER * spread(width);
        let (weight, bias) = (Init::Normal { std }, Init::NormalRows { means: bias, std });
        Ok(Self {
            input: Layer::hidden(inputs, hidden, first, params.pp("input"))?,
            blocks: (0..blocks).map(block).collect::<Result<_>>()?,
            output: Layer::with_bias(hidden, outputs, weight, bias, params.pp("output"))?,
            context: (0..contexts).map(context_layer).collect::<Result<_>>()?,
            activation: size.activation,
            residual: size.residual,
            dropout,
            degrees: None,
        })
    }

    /// Layers in the order in which numbers pass, without those of the context.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        let blocks = self.blocks.iter().flatten();
        [&self.input]
            .into_iter()
            .chain(blocks)
            .chain([&self.output])
    }

    /// The same network with dropout drawn from `seed`; `None` if it has none.
    pub(crate) fn drawn(&self, seed: u64) -> Option<Self> {
        let drawn = self.dropout.drawn(seed);
        drawn.map(|dropout| Self {
            dropout,
            ..self.clone()
        })
    }

    /// The same network without a graph, with masks applied.
    fn detached(&self) -> Result<Self> {
        let all = |layers: &[Layer]| {
            layers
                .iter()
                .map(Layer::detached)
                .collect::<Result<Vec<_>>>()
        };
        let blocks = self.blocks.iter().map(|layers| all(layers));
        Ok(Self {
            input: self.input.detached()?,
            blocks: blocks.collect::<Result<_>>()?,
            output: self.output.detached()?,
            context: all(&self.context)?,
            dropout: self.dropout.clone(),
            degrees: self.degrees.clone(),
            ..*self
        })
    }

    /// `gates` are those of the blocks.
    fn run(&self, x: &Tensor, shift: Option<&Tensor>, gates: &[Tensor]) -> Result<Tensor> {
        shape::vectors("mlp", x, self.input.inputs()?)?;
        let mut a = self.input.forward(x, Activation::Identity)?;
        if let Some(shift) = shift {
            a = a.broadcast_add(shift)?;
        }
        for (index, layers) in self.blocks.iter().enumerate() {
            let mut inner = a.clone();
            for (depth, layer) in layers.iter().enumerate() {
                inner = if self.residual && depth == 0 {
                    layer.forward(&inner, self.activation)?
                } else {
                    self.hidden(layer, &inner, index)?
                };
            }
            a = match gates.get(index) {
                _ if !self.residual => inner,
                Some(gate) => (a + inner.broadcast_mul(gate)?)?,
                None => (a + inner)?,
            };
        }
        if self.residual {
            return self.output.forward(&a, Activation::Identity);
        }
        self.hidden(&self.output, &a, self.blocks.len())
    }

    /// `layer` after the activation function and the dropout of number `index`.
    fn hidden(&self, layer: &Layer, a: &Tensor, index: usize) -> Result<Tensor> {
        match self.dropout.mask(a, index)? {
            None => layer.forward(a, self.activation),
            Some(mask) => {
                let kept = (self.activation.apply(a)? * mask)?;
                layer.forward(&kept, Activation::Identity)
            }
        }
    }

    /// # Errors
    /// If the network needs a context.
    fn check_context(&self) -> Result<()> {
        match self.context.first() {
            Some(layer) => bail!(
                "mlp: needs a context of {} numbers; bind one with `given`",
                layer.inputs()?
            ),
            None => Ok(()),
        }
    }
}

impl Conditioner for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.check_context()?;
        self.run(x, None, &[])
    }

    fn incremental(&self, rows: usize) -> Result<Option<Box<dyn Incremental + '_>>> {
        self.check_context()?;
        incremental::evaluation(self, None, &[], rows)
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
            mlp: self.clone(),
            shift: first.forward(context, Activation::Identity)?,
            gates: blocks.iter().map(gate).collect::<Result<_>>()?,
        }))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Conditioner + '_>>> {
        Ok(self.drawn(seed).map(|network| Box::new(network) as _))
    }

    fn frozen(&self, _: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(Detached(self.detached()?)))
    }
}

/// Standard deviation of the last layer's weights and biases, relative to [`spread`]. Log-scales of
/// the order of 1 in ten layers would enlarge samples 10⁴ times. Zero weights would give the layers
/// before no gradient at first.
const LAST_LAYER: f64 = 0.01;

/// Channel and initial bias of each output of a network for `transform` and `channels` channels.
fn outputs(transform: &impl Transform, channels: usize) -> Result<(Vec<usize>, Vec<f64>)> {
    let (count, bias) = (transform.parameters(), initial_biases(transform, channels)?);
    let places = (0..bias.len()).map(|index| transform.layout().place(index, count, channels));
    Ok((places.map(|[channel, _]| channel).collect(), bias))
}

/// The parameters of `transform` for `channels` channels that a fresh flow has, in its layout.
pub(crate) fn initial_biases(transform: &impl Transform, channels: usize) -> Result<Vec<f64>> {
    let count = transform.parameters();
    let of_channel = |channel| match transform.channel(channel) {
        Some(own) => own.initial_bias(),
        None => transform.initial_bias(),
    };
    let biases = (0..channels).map(of_channel).collect::<Vec<_>>();
    if let Some(bias) = biases.iter().find(|bias| bias.len() != count) {
        bail!(
            "transform: got {} initial biases, needed {count}",
            bias.len()
        );
    }
    let places =
        (0..count * channels).map(|index| transform.layout().place(index, count, channels));
    Ok(places
        .map(|[channel, parameter]| biases[channel][parameter])
        .collect())
}
