//! Masked autoregressive flows: each number is transformed with parameters from the numbers before
//! it.

use crate::bijection::pull_back;
use crate::networks::places;
use crate::ops::empty_output;
use crate::params::ParamBuilder;
use crate::runs::Rows;
use crate::{Bijection, Conditioner, Gradients, Mlp, MlpSize, Result, Transform, shape};
use candle_core::{Tensor, bail};

/// An autoregressive flow of vectors `[B, D]`: a MADE gives the parameters of each number.
///
/// ```text
/// h = made(x),  h of a number depends on the numbers before it in the order alone
/// y = transform(x; h);  log_det is the transform's, since the Jacobian is triangular
/// ```
///
/// Densities take one pass of the network. Samples take D steps; without a graph on the CPU all
/// steps together have the arithmetic of about one pass, otherwise each is a pass.
/// [`Inverse`](crate::Inverse) swaps the two. Germain et al. 2015 (MADE, arXiv:1502.03509); Kingma
/// et al. 2016 (IAF, arXiv:1606.04934); Papamakarios, Pavlakou & Murray 2017 (MAF,
/// arXiv:1705.07057).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Autoregressive, Bijection, MlpSize, Spline, params::ParamStore, random};
///
/// let params = ParamStore::new(0).builder(DType::F32, &Device::Cpu);
/// let layer = Autoregressive::new(3, Spline::default(), MlpSize::default(), params)?;
/// let x = random::normal(1, (10, 3), DType::F32, &Device::Cpu)?;
/// let (y, log_det) = layer.forward(&x)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct Autoregressive<T, N = Mlp> {
    /// Numbers in the order in which the network predicts them.
    order: Vec<usize>,
    transform: T,
    /// `[B, D]` → `[B, K·D]`, masked.
    made: N,
}

impl<T: Transform> Autoregressive<T> {
    /// A flow of `features` numbers in order, whose parameters a MADE of the given `size` predicts.
    /// It starts as [`Mlp::for_transform`]. Parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If `features` is 0, or the network is narrower than D − 1. Each of 1, …, D − 1 is the degree
    /// of a hidden unit, so that every number depends on all before it.
    pub fn new(features: usize, transform: T, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        let order = (0..features).collect::<Vec<_>>();
        let made = Mlp::made(&transform, &order, size, params)?;
        Self::with_network(&order, transform, made)
    }
}

impl<T: Transform, N: Conditioner> Autoregressive<T, N> {
    /// A flow by `network`, whose parameters of a number depend only on the numbers before it in
    /// `order`, such as [`Mlp::made`] of that order.
    ///
    /// # Errors
    /// If `order` is empty or no permutation of 0..D, or the sizes of the network differ.
    pub fn with_network(order: &[usize], transform: T, network: N) -> Result<Self> {
        let features = places(order)?.len();
        let needed = [features, transform.parameters() * features];
        if let Some(found) = network.sizes().filter(|found| *found != needed) {
            bail!(
                "autoregressive: got a network of {found:?} inputs and outputs, needed {needed:?}"
            );
        }
        Ok(Self {
            order: order.to_vec(),
            transform,
            made: network,
        })
    }
}

impl<T: Transform, N> Autoregressive<T, N> {
    /// The same flow with another network.
    fn with<M>(&self, made: M) -> Autoregressive<&dyn Transform, M> {
        Autoregressive {
            order: self.order.clone(),
            transform: &self.transform,
            made,
        }
    }
}

impl<T: Transform, N: Conditioner> Autoregressive<T, N> {
    /// x, by `invert` of every number `[B, 1]` with its parameters `[B, K]`; and the other results
    /// of `invert`.
    fn by_numbers<R>(
        &self,
        y: &Tensor,
        invert: impl Fn(&dyn Transform, &Tensor, &Tensor) -> Result<(Tensor, R)>,
    ) -> Result<(Tensor, Vec<R>)> {
        // A graph needs the gradient of every pass.
        let mut steps = if y.track_op() {
            None
        } else {
            self.made.incremental(y.dim(0)?)?
        };
        // Unknown numbers are zero: the masks ignore them, but they must stay finite.
        let mut x = vec![y.narrow(1, 0, 1)?.zeros_like()?; self.order.len()];
        let mut results = Vec::with_capacity(x.len());
        for &number in &self.order {
            let h = match &mut steps {
                Some(steps) => steps.parameters(number)?,
                None => self.parameters(number, &x)?,
            };
            let transform = self.transform.channel(number).unwrap_or(&self.transform);
            let (found, result) = invert(transform, &y.narrow(1, number, 1)?, &h)?;
            if let Some(steps) = &mut steps {
                steps.fix(number, &found)?;
            }
            x[number] = found;
            results.push(result);
        }
        Ok((Tensor::cat(&x, 1)?, results))
    }

    /// Parameters `[B, K]` of `number`, by a pass of the network.
    fn parameters(&self, number: usize, x: &[Tensor]) -> Result<Tensor> {
        let h = self.made.forward(&Tensor::cat(x, 1)?)?;
        let h = self
            .transform
            .layout()
            .unpack(&h, self.transform.parameters())?;
        h.narrow(1, number, 1)?.squeeze(1)
    }
}

impl<T: Transform, N: Conditioner> Bijection for Autoregressive<T, N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::vectors("autoregressive", x, self.order.len())?;
        self.transform.forward_last(x, &self.made.forward(x)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        if shape::vectors("autoregressive", y, self.order.len())? == 0 {
            return Ok(y.clone());
        }
        let invert = |transform: &dyn Transform, y: &Tensor, h: &Tensor| {
            Ok((transform.inverse_last(y, h)?, ()))
        };
        Ok(self.by_numbers(y, invert)?.0)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        if shape::vectors("autoregressive", y, self.order.len())? == 0 {
            return empty_output(y);
        }
        let invert = |transform: &dyn Transform, y: &Tensor, h: &Tensor| {
            transform.inverse_last_with_log_det(y, h)
        };
        let (x, log_dets) = self.by_numbers(y, invert)?;
        Ok((x, Tensor::stack(&log_dets, 1)?.sum(1)?))
    }

    fn context(&self) -> Option<usize> {
        self.made.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.made.given(context)?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let network = self.made.in_training(seed)?;
        Ok(network.map(|network| Box::new(self.with(network)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.made.frozen(rows)?)))
    }

    /// Recovers x without a graph, in the arithmetic of about one pass.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let rows = Rows::all(shape::vectors("autoregressive", y, self.order.len())?);
        let x = self.frozen(&rows)?.inverse(&y.detach())?;
        pull_back(self, &x, grad_y, grad_log_det, grads)
    }
}
