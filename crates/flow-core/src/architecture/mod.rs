//! Descriptions from which flows of vectors are built, and which files hold.

mod base;
mod context;
mod layer;
mod mask;
mod transform;

pub use base::Base;
pub use context::ContextMap;
pub use layer::Layer;
pub use mask::Mask;
pub use transform::TransformKind;

use crate::params::ParamBuilder;
use crate::{Bijection, Chain, Conditioned, Flow, Result};
use candle_core::bail;
use context::Context;

/// A flow of vectors without its parameters: layers from data to a base distribution.
///
/// [`recipes`](crate::recipes) make architectures; anything else that its layers allow can be
/// composed by hand.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Architecture, Layer, MlpSize, Model, TransformKind};
///
/// let made = Layer::Autoregressive {
///     transform: TransformKind::Additive,
///     order: None,
///     network: MlpSize::default(),
/// };
/// let architecture = Architecture::new(3).with("made", made).with("scale", Layer::ElementwiseAffine);
/// let model = Model::new(architecture, 0, DType::F32, &Device::Cpu)?;
/// assert_eq!(model.sample(5, 1)?.dims(), [5, 3]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Architecture {
    /// D, the numbers of a sample.
    pub features: usize,
    /// The context of a conditional flow, on its way to the layers.
    pub context: Option<ContextMap>,
    /// Layers with the names of their parameters, in the order in which data pass.
    pub layers: Vec<(String, Layer)>,
    /// The distribution of latents, whose parameters have names below `base`.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Base::is_default")
    )]
    pub base: Base,
}

impl Architecture {
    /// An empty architecture for samples of `features` numbers.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            context: None,
            layers: Vec::new(),
            base: Base::default(),
        }
    }

    /// With one more layer at the end, whose parameters have names below `name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, layer: Layer) -> Self {
        self.layers.push((name.into(), layer));
        self
    }

    /// With one more layer before all others, such as the [`Columnwise`](Layer::Columnwise) map of
    /// the columns that a recipe standardises.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use flow_core::{ColumnMap, Layer, Model, random, recipes};
    ///
    /// let (low, high) = (0.0, 1.0);
    /// let maps = vec![ColumnMap::Logit { low, high }, ColumnMap::Identity];
    /// let architecture = recipes::neural_spline_flow(2).architecture()?;
    /// let architecture = architecture.after("columns", Layer::Columnwise { maps });
    /// let model = Model::new(architecture, 0, DType::F32, &Device::Cpu)?;
    /// # assert!(model.sample(5, 1)?.narrow(1, 0, 1)?.max_all()?.to_scalar::<f32>()? <= 1.0);
    /// # candle_core::Result::Ok(())
    /// ```
    #[must_use]
    pub fn after(mut self, name: impl Into<String>, layer: Layer) -> Self {
        self.layers.insert(0, (name.into(), layer));
        self
    }

    /// K, the size of the context of a sample; 0 for an unconditional flow.
    pub fn context_size(&self) -> usize {
        self.context.as_ref().map_or(0, |context| context.size)
    }

    /// The most numbers of one kind that building it makes before it asks for parameters: an upper
    /// bound on what a damaged description costs.
    #[cfg(feature = "file")]
    pub(crate) fn largest(&self) -> usize {
        let layers = self.layers.iter();
        let layers = layers.map(|(_, layer)| layer.largest(self.features));
        let context = self.context.iter().map(ContextMap::largest);
        let base = self.base.largest(self.features);
        layers.chain(context).max().unwrap_or(0).max(base)
    }

    /// The flow, with parameters of `params`. Those of layers have the layers' names, those of the
    /// embedding `context`.
    ///
    /// # Errors
    /// If there is no layer, or one does not fit the number of features.
    pub fn flow(&self, params: &ParamBuilder) -> Result<Flow> {
        let Self {
            features,
            context,
            layers,
            base,
        } = self;
        if *features == 0 {
            bail!("architecture: needs at least one number");
        }
        let parts = layers.iter().map(|(name, layer)| {
            let params = name
                .split('.')
                .fold(params.clone(), |params, part| params.pp(part));
            layer.build(*features, params)
        });
        let chain = Chain::new(parts.collect::<Result<Vec<_>>>()?)?;
        let bijection: Box<dyn Bijection> = match context {
            None => Box::new(chain),
            Some(map) => {
                let context = Context::new(map, &params.pp("context"))?;
                Box::new(Conditioned::new(chain, context)?)
            }
        };
        base.flow(bijection, *features, params)
    }
}
