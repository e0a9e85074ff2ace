//! Cosine and sine of angles, for networks.

use crate::ops::reorder::{Reordering, reorder};
use crate::runs::Rows;
use crate::{Conditioner, Result, shape};
use candle_core::{Tensor, bail};
use std::f64::consts::TAU;

/// A network that receives cos and sin of the angles among its inputs, so that its output is
/// continuous where an angle wraps.
///
/// ```text
/// h = network([x of other columns, cos(2π·x/period), sin(2π·x/period)])
/// ```
///
/// The network has one input more for each angle. O(1) an input.
/// [`Coupling::mixed`](crate::Coupling::mixed) and
/// [`Autoregressive::mixed`](crate::Autoregressive::mixed) are layers with it. Rezende et al. 2020, section 2.3
/// (arXiv:2002.02428); normflows' `PeriodicFeaturesCat`.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Coupling, IntervalSpline, Mlp, MlpSize, Passing, PeriodicFeatures};
/// use flow_core::params::ParamStore;
///
/// let (params, spline) = (ParamStore::new(0), IntervalSpline::circle());
/// let builder = params.builder(DType::F32, &Device::Cpu);
/// let network = Mlp::for_transform(spline, 2, 1, MlpSize::default(), builder)?;
/// // Of two angles the first passes: one input, which becomes two.
/// let network = PeriodicFeatures::new(1, &[0], std::f64::consts::TAU, network)?;
/// let layer = Coupling::new(spline, Passing::FirstHalf, network);
/// # candle_core::Result::Ok(())
/// ```
pub struct PeriodicFeatures<N> {
    /// The other columns first, then the angles.
    order: Reordering,
    angles: usize,
    period: f64,
    network: N,
}

impl<N> PeriodicFeatures<N> {
    /// The columns `angles` of `inputs` have this `period`; `network` has `inputs` and
    /// `angles.len()` inputs, in the order of the formula.
    ///
    /// # Errors
    /// If the period is not positive and finite, or an angle is not below `inputs` or there twice.
    pub fn new(inputs: usize, angles: &[usize], period: f64, network: N) -> Result<Self> {
        if !(period > 0.0 && period.is_finite()) {
            bail!("periodic features: got a period of {period}, needed a positive number");
        }
        let others = (0..inputs).filter(|column| !angles.contains(column));
        let order = others.chain(angles.iter().copied());
        let order = order.map(|column| column as u32).collect::<Vec<_>>();
        if order.len() != inputs || angles.iter().any(|&angle| angle >= inputs) {
            bail!(
                "periodic features: got angles {angles:?}, needed columns below {inputs}, each once"
            );
        }
        Ok(Self {
            order: Reordering::new(order),
            angles: angles.len(),
            period,
            network,
        })
    }

    /// The same features before another network.
    fn with<M>(&self, network: M) -> PeriodicFeatures<M> {
        PeriodicFeatures {
            order: self.order.clone(),
            angles: self.angles,
            period: self.period,
            network,
        }
    }

    /// The inputs of the network, of `x` `[B, C, …]`.
    fn features(&self, x: &Tensor) -> Result<Tensor> {
        let inputs = self.order.channels();
        shape::channels("periodic features", x, inputs)?;
        let x = reorder(x, &self.order)?;
        let others = inputs - self.angles;
        if self.angles == 0 {
            return Ok(x);
        }
        let turned = (x.narrow(1, others, self.angles)? * (TAU / self.period))?;
        let mut features = vec![turned.cos()?, turned.sin()?];
        if others > 0 {
            features.insert(0, x.narrow(1, 0, others)?);
        }
        Tensor::cat(&features, 1)
    }
}

impl<N: Conditioner> Conditioner for PeriodicFeatures<N> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.network.forward(&self.features(x)?)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.network.initialize(&self.features(x)?)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        let [_, outputs] = self.network.sizes()?;
        Some([self.order.channels(), outputs])
    }

    fn context(&self) -> Option<usize> {
        self.network.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(self.with(self.network.given(context)?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Conditioner + '_>>> {
        let network = self.network.in_training(seed)?;
        Ok(network.map(|network| Box::new(self.with(network)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(self.with(self.network.frozen(rows)?)))
    }
}
