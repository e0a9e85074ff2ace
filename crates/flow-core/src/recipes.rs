//! Proven flows of vectors, in one call each.
//!
//! ```
//! use candle_core::{DType, Device};
//! use flow_core::{random, recipes};
//!
//! let x = random::normal(0, (100, 3), DType::F32, &Device::Cpu)?;
//! let recipe = recipes::neural_spline_flow(3).layers(4).standardize(&x)?;
//! let model = recipe.build(0, DType::F32, &Device::Cpu)?;
//! assert_eq!(model.log_prob(&x)?.dims(), [100]);
//! # candle_core::Result::Ok(())
//! ```
//!
//! All end at a standard normal, and begin near the identity, so fresh flows draw nearly that
//! normal. Data and contexts should be of the order of 1: [`Recipe::standardize`] sees to that.

use crate::ops::spline::Spline;
use crate::params::ParamBuilder;
use crate::train::Data;
use crate::{
    Activation, Architecture, Base, ContextMap, Flow, Layer, Mask, MlpSize, Model, Order, Passing,
    Result, ScaleMap, TransformKind, Whiten,
};
use candle_core::{DType, Device, Tensor, bail};

/// A flow of vectors by its sizes: 5 layers, by networks of 2 residual blocks of width 64, unless
/// said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    kind: Kind,
    features: usize,
    layers: usize,
    network: MlpSize,
    spline: Spline,
    /// Masks of couplings, in turn.
    masks: Vec<Vec<bool>>,
    /// Orders of autoregressive layers, in turn.
    orders: Vec<Vec<u32>>,
    context: Option<ContextMap>,
    /// Network before the context, and its outputs.
    embedding: Option<(MlpSize, usize)>,
    /// Whitening of samples.
    whiten: Option<Layer>,
    base: Base,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nice,
    RealNvp,
    NeuralSpline,
    AutoregressiveSpline,
    MaskedAutoregressive,
    InverseAutoregressive,
}

/// Bounded, so that a few steps cannot make a scale enormous.
const AFFINE: TransformKind = TransformKind::Affine {
    scale: ScaleMap::ExpTanh { bound: 3.0 },
    order: Order::ScaleFirst,
};

/// A function of this module that gives a recipe for a number of features.
pub type OfFeatures = fn(usize) -> Recipe;

/// Every recipe, by the name that command lines have for it.
pub const ALL: [(&str, OfFeatures); 6] = [
    ("nsf", neural_spline_flow),
    ("nsf-ar", autoregressive_spline_flow),
    ("realnvp", realnvp),
    ("maf", masked_autoregressive_flow),
    ("iaf", inverse_autoregressive_flow),
    ("nice", nice),
];

/// The recipe of a name of [`ALL`].
pub fn by_name(name: &str) -> Option<OfFeatures> {
    let of_name = ALL.into_iter().find(|(other, _)| *other == name);
    of_name.map(|(_, recipe)| recipe)
}

/// Additive couplings of alternating halves, then a scale for each number (Dinh et al. 2015,
/// arXiv:1410.8516). `features` ≥ 2. Parameters `LAYER.coupling.…`, `scale.…`.
pub fn nice(features: usize) -> Recipe {
    Recipe::new(Kind::Nice, features)
}

/// Affine couplings of alternating halves, each after an ActNorm (Dinh et al. 2017,
/// arXiv:1605.08803), with |ln s| at most 3. `features` ≥ 2. Parameters
/// `LAYER.{actnorm,coupling}.…`.
pub fn realnvp(features: usize) -> Recipe {
    Recipe::new(Kind::RealNvp, features)
}

/// Spline couplings of alternating halves, each after an LU linear map (Durkan et al. 2019,
/// arXiv:1906.04032). `features` ≥ 2. Parameters `LAYER.{linear,coupling}.…`.
pub fn neural_spline_flow(features: usize) -> Recipe {
    Recipe::new(Kind::NeuralSpline, features)
}

/// Autoregressive splines, with the order reversed before each: RQ-NSF (AR) of Durkan et al. 2019
/// (arXiv:1906.04032), and the default of zuko and sbi. Densities take one pass, samples one step
/// a number. Parameters `LAYER.made.…`.
pub fn autoregressive_spline_flow(features: usize) -> Recipe {
    Recipe::new(Kind::AutoregressiveSpline, features)
}

/// Affine autoregressive layers, with the order reversed before each (Papamakarios et al. 2017,
/// arXiv:1705.07057). Parameters `LAYER.made.…`.
pub fn masked_autoregressive_flow(features: usize) -> Recipe {
    Recipe::new(Kind::MaskedAutoregressive, features)
}

/// Inverses of affine autoregressive layers: samples take one pass, densities of other data one
/// step a number. For variational inference (Kingma et al. 2016, arXiv:1606.04934). Parameters
/// `LAYER.made.…`.
pub fn inverse_autoregressive_flow(features: usize) -> Recipe {
    Recipe::new(Kind::InverseAutoregressive, features)
}

impl Recipe {
    fn new(kind: Kind, features: usize) -> Self {
        Self {
            kind,
            features,
            layers: 5,
            network: MlpSize::default(),
            spline: Spline::default(),
            masks: Vec::new(),
            orders: Vec::new(),
            context: None,
            embedding: None,
            whiten: None,
            base: Base::default(),
        }
    }

    /// Number of couplings or autoregressive layers.
    #[must_use]
    pub fn layers(self, layers: usize) -> Self {
        Self { layers, ..self }
    }

    /// Width of their networks.
    #[must_use]
    pub fn width(mut self, width: usize) -> Self {
        self.network.width = width;
        self
    }

    /// Residual blocks of their networks.
    #[must_use]
    pub fn blocks(mut self, blocks: usize) -> Self {
        self.network.blocks = blocks;
        self
    }

    /// Activation function of their networks; a ReLU unless said otherwise.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.network.activation = activation;
        self
    }

    /// True for residual networks, the default; false for plain ones of `blocks` + 1 hidden layers.
    #[must_use]
    pub fn residual(mut self, residual: bool) -> Self {
        self.network.residual = residual;
        self
    }

    /// Dropout in their networks while they are fitted; see [`MlpSize::dropout`].
    #[must_use]
    pub fn dropout(mut self, rate: f64) -> Self {
        self.network.dropout = rate;
        self
    }

    /// Masks of the couplings in turn, true for numbers that pass, in the place of alternating
    /// halves.
    #[must_use]
    pub fn masks(self, masks: impl IntoIterator<Item = Vec<bool>>) -> Self {
        Self {
            masks: masks.into_iter().collect(),
            ..self
        }
    }

    /// Orders of the autoregressive layers in turn, in the place of 0, 1, … and its reverse.
    /// [`random::order`](crate::random::order) draws one.
    #[must_use]
    pub fn orders(self, orders: impl IntoIterator<Item = Vec<u32>>) -> Self {
        Self {
            orders: orders.into_iter().collect(),
            ..self
        }
    }

    /// The spline of spline flows.
    #[must_use]
    pub fn spline(self, spline: Spline) -> Self {
        Self { spline, ..self }
    }

    /// The size of the context of a sample; 0 for an unconditional flow.
    #[must_use]
    pub fn context(self, size: usize) -> Self {
        Self {
            context: (size > 0).then(|| ContextMap::new(size)),
            ..self
        }
    }

    /// A network before the context, trained along: layers receive its `outputs`. Needs a context.
    #[must_use]
    pub fn embedding(self, network: MlpSize, outputs: usize) -> Self {
        Self {
            embedding: Some((network, outputs)),
            ..self
        }
    }

    /// The base distribution in the place of a standard normal.
    #[must_use]
    pub fn base(self, base: Base) -> Self {
        Self { base, ..self }
    }

    /// Standardises samples, and contexts if `data` have them, by their means and standard
    /// deviations. Densities stay in the units of the data. Numbers that are constant keep their
    /// scale.
    ///
    /// # Errors
    /// If sizes differ from those of the recipe, there are fewer than two rows, or a number is not
    /// finite.
    pub fn standardize(mut self, data: impl Into<Data>) -> Result<Self> {
        let data = data.into();
        let statistics = |name, x: &Tensor, size| {
            crate::shape::vectors(name, x, size)?;
            Whiten::fit(x)?.statistics()
        };
        let [mean, log_std] = statistics("standardize", data.samples(), self.features)?;
        self.whiten = Some(Layer::Whiten { mean, log_std });
        match (&mut self.context, data.has_context()) {
            (Some(context), true) => {
                let found = statistics("standardize: context", data.context()?, context.size)?;
                context.whiten = Some(found);
            }
            (None, true) => bail!("standardize: the recipe takes no context, the data have one"),
            (_, false) => {}
        }
        Ok(self)
    }

    /// The layers that the recipe stands for.
    ///
    /// # Errors
    /// If it has an embedding of contexts and takes no context, masks without couplings, or orders
    /// without autoregressive layers.
    pub fn architecture(&self) -> Result<Architecture> {
        let couples = matches!(self.kind, Kind::Nice | Kind::RealNvp | Kind::NeuralSpline);
        if !couples && !self.masks.is_empty() {
            bail!("recipe: masks are of couplings, and the flow is autoregressive");
        }
        if couples && !self.orders.is_empty() {
            bail!("recipe: orders are of autoregressive layers, and the flow has couplings");
        }
        let mut context = self.context.clone();
        match (&mut context, self.embedding) {
            (Some(context), embedding) => context.embedding = embedding,
            (None, Some(_)) => bail!("recipe: an embedding needs a context; give its size"),
            (None, None) => {}
        }
        let mut network = self.network;
        network.context = context.as_ref().map_or(0, ContextMap::outputs);
        let mut layers = Vec::new();
        if let Some(whiten) = &self.whiten {
            layers.push(("whiten".to_owned(), whiten.clone()));
        }
        for index in 0..self.layers {
            let of_layer = self.layer(index, network);
            let named = |(name, layer)| (format!("{index}.{name}"), layer);
            layers.extend(of_layer.into_iter().map(named));
        }
        if self.kind == Kind::Nice {
            layers.push(("scale".to_owned(), Layer::ElementwiseAffine));
        }
        Ok(Architecture {
            features: self.features,
            context,
            layers,
            base: self.base.clone(),
        })
    }

    /// The flow with parameters of `params`, for those who keep these themselves.
    ///
    /// # Errors
    /// If a size is too small.
    pub fn flow(&self, params: &ParamBuilder) -> Result<Flow> {
        self.architecture()?.flow(params)
    }

    /// A fresh model; parameters are drawn from `seed`.
    ///
    /// # Errors
    /// As [`flow`](Self::flow).
    pub fn build(&self, seed: u64, dtype: DType, device: &Device) -> Result<Model> {
        Model::new(self.architecture()?, seed, dtype, device)
    }

    /// The layers of number `index`, with their names.
    fn layer(&self, index: usize, network: MlpSize) -> Vec<(&'static str, Layer)> {
        let coupling = |transform| {
            let halves = [Passing::FirstHalf, Passing::SecondHalf];
            let own = in_turn(&self.masks, index).map(Mask::Numbers);
            Layer::Coupling {
                transform,
                passing: own.unwrap_or(halves[index % 2].into()),
                network,
            }
        };
        let made = |transform| Layer::Autoregressive {
            transform,
            order: in_turn(&self.orders, index),
            network,
        };
        let reverse = self.orders.is_empty().then_some(("order", Layer::Reverse));
        let ordered = |made| {
            reverse
                .clone()
                .into_iter()
                .chain([("made", made)])
                .collect()
        };
        let spline = TransformKind::Spline(self.spline);
        match self.kind {
            Kind::Nice => vec![("coupling", coupling(TransformKind::Additive))],
            Kind::RealNvp => vec![("actnorm", Layer::ActNorm), ("coupling", coupling(AFFINE))],
            Kind::NeuralSpline => {
                vec![("linear", Layer::LuLinear), ("coupling", coupling(spline))]
            }
            Kind::AutoregressiveSpline => ordered(made(spline)),
            Kind::MaskedAutoregressive => ordered(made(AFFINE)),
            Kind::InverseAutoregressive => {
                let of = Box::new(made(AFFINE));
                let layers = [("made", Layer::Inverse { of })].into_iter();
                layers.chain(reverse.clone()).collect()
            }
        }
    }
}

/// Item `index` of a list that is repeated without end; `None` if it is empty.
fn in_turn<T: Clone>(items: &[T], index: usize) -> Option<T> {
    items.get(index % items.len().max(1)).cloned()
}
