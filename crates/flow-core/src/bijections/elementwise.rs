//! A transform of every number on its own.

use crate::bijection::Detached;
use crate::networks::initial_biases;
use crate::params::{Init, ParamBuilder};
use crate::runs::Rows;
use crate::{Bijection, Conditioner, Mlp, MlpSize, Result, Transform, shape};
use candle_core::{Tensor, bail};

/// A [`Transform`] of every number of `[B, D]` on its own, whose parameters are learned, or come
/// from the context alone.
///
/// ```text
/// yᵢ = transform(xᵢ; hᵢ),   h learned, or h = network(context)
/// ```
///
/// With a [`Spline`](crate::Spline) it is a density of one number, with a
/// [`CircularShift`](crate::CircularShift) a learned phase. At the end of a flow under a context,
/// [`Affine`](crate::Affine) makes the base a Gaussian whose mean and standard deviation the
/// context gives. It costs its transform, and one pass of the network. zuko's
/// `ElementWiseTransform`.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Elementwise, MlpSize, Spline, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let builder = params.builder(DType::F64, &Device::Cpu);
/// let map = Elementwise::new(3, Spline::default(), MlpSize::default(), builder)?;
/// let x = random::normal(1, (5, 3), DType::F64, &Device::Cpu)?;
/// flow_core::check::close(&map.forward(&x)?.0, &x, 1e-12)?; // A fresh one is the identity.
/// # candle_core::Result::Ok(())
/// ```
pub struct Elementwise<T> {
    features: usize,
    transform: T,
    source: Source,
}

/// The source of the parameters of all numbers.
enum Source {
    /// `[1, K·D]`, or a row for each sample.
    Parameters(Tensor),
    /// From the context.
    Network(Mlp),
}

impl<T: Transform> Elementwise<T> {
    /// A map of `features` numbers; a fresh one is the identity if the transform begins as that.
    /// With `size.context` 0 its parameter is `parameters`, `[K·D]`. Otherwise a network of that
    /// size predicts them from the context, with parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If `features` is 0.
    pub fn new(features: usize, transform: T, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        if features == 0 {
            bail!("elementwise: needs at least one number");
        }
        let source = if size.context == 0 {
            let means = initial_biases(&transform, features)?;
            let (count, init) = (means.len(), Init::NormalRows { means, std: 0.0 });
            let parameters = params.get_with_hints(count, "parameters", init)?;
            Source::Parameters(parameters.unsqueeze(0)?)
        } else {
            let own = MlpSize { context: 0, ..size };
            let network = Mlp::for_transform(&transform, size.context, features, own, params)?;
            Source::Network(network)
        };
        Ok(Self {
            features,
            transform,
            source,
        })
    }
}

impl<T: Transform> Elementwise<T> {
    /// The same map with the parameters `h`.
    fn with(&self, h: Tensor) -> Elementwise<&dyn Transform> {
        Elementwise {
            features: self.features,
            transform: &self.transform,
            source: Source::Parameters(h),
        }
    }

    /// The parameters of each sample of `x`.
    fn parameters(&self, x: &Tensor) -> Result<Tensor> {
        let batch = shape::vectors("elementwise", x, self.features)?;
        match &self.source {
            Source::Parameters(h) => {
                let h = Rows::all(batch).of_context(h)?;
                h.broadcast_as((batch, h.dim(1)?))?.contiguous()
            }
            Source::Network(network) => bail!(
                "elementwise: needs a context of {} numbers; bind one with `given`",
                network.sizes().map_or(0, |[inputs, _]| inputs)
            ),
        }
    }
}

impl<T: Transform> Bijection for Elementwise<T> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transform.forward_last(x, &self.parameters(x)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.transform.inverse_last(y, &self.parameters(y)?)
    }

    fn context(&self) -> Option<usize> {
        match &self.source {
            Source::Parameters(_) => None,
            Source::Network(network) => network.sizes().map(|[inputs, _]| inputs),
        }
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        let (Source::Network(network), Some(size)) = (&self.source, self.context()) else {
            return shape::refuse_context(context);
        };
        shape::vectors("context", context, size)?;
        Ok(Box::new(self.with(network.forward(context)?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let Source::Network(network) = &self.source else {
            return Ok(None);
        };
        let with = |network| Elementwise {
            features: self.features,
            transform: &self.transform as &dyn Transform,
            source: Source::Network(network),
        };
        Ok(network
            .drawn(seed)
            .map(|network| Box::new(with(network)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        match &self.source {
            Source::Parameters(h) => {
                let frozen = self.with(rows.of_context(&h.detach())?);
                Ok(Box::new(Detached(frozen)))
            }
            Source::Network(_) => Ok(Box::new(Detached(self))),
        }
    }
}
