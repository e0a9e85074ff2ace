//! Composition: `Chain([f, g, h])` maps x to h(g(f(x))).

use crate::bijection::{Limit, parts_in_training};
use crate::runs::Rows;
use crate::{Bijection, Gradients, Result, shape};
use candle_core::{Tensor, bail};

/// Bijections applied one after the other; log-determinants add up.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, Chain, Permutation};
///
/// let there_and_back = Chain::new(vec![Permutation::reverse(3), Permutation::reverse(3)])?;
/// let x = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu)?;
/// assert_eq!(there_and_back.forward(&x)?.0.to_vec2::<f64>()?, [[1.0, 2.0, 3.0]]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Chain<B = Box<dyn Bijection>>(Vec<B>);

impl<B: Bijection> Chain<B> {
    /// Composes `parts`, the first of which is applied to the data.
    ///
    /// # Errors
    /// If `parts` is empty: the shape of the log-determinant would be unknown.
    pub fn new(parts: Vec<B>) -> Result<Self> {
        if parts.is_empty() {
            bail!("chain: needs at least one bijection");
        }
        Ok(Self(parts))
    }

    /// Bijections in the order in which data pass.
    pub fn parts(&self) -> &[B] {
        &self.0
    }
}

impl Chain {
    pub(crate) fn of_two(first: impl Bijection + 'static, then: impl Bijection + 'static) -> Self {
        Self(vec![Box::new(first), Box::new(then)])
    }
}

impl<B: Bijection> Bijection for Chain<B> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (first, rest) = self.0.split_first().expect("`new` refuses an empty chain");
        let mut state = first.forward(x)?;
        for part in rest {
            let (y, log_det) = part.forward(&state.0)?;
            state = (y, (state.1 + log_det)?);
        }
        Ok(state)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverse_within(y, Ok)
    }

    fn inverse_within(&self, y: &Tensor, limit: Limit) -> Result<Tensor> {
        let mut parts = self.0.iter().rev();
        parts.try_fold(y.clone(), |y, part| part.inverse_within(&y, limit))
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let (last, rest) = self.0.split_last().expect("`new` refuses an empty chain");
        let mut state = last.inverse_with_log_det(y)?;
        for part in rest.iter().rev() {
            let (x, log_det) = part.inverse_with_log_det(&state.0)?;
            state = (x, (state.1 + log_det)?);
        }
        Ok(state)
    }

    fn parts(&self) -> Vec<&dyn Bijection> {
        self.0.iter().map(|part| part as &dyn Bijection).collect()
    }

    fn context(&self) -> Option<usize> {
        self.0.iter().find_map(Bijection::context)
    }

    /// Binds the parts that take a context.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        if self.context().is_none() {
            return shape::refuse_context(context);
        }
        let parts = self.0.iter().map(|part| part.given_if_taken(context));
        Ok(Box::new(Chain(parts.collect::<Result<Vec<_>>>()?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let parts = parts_in_training(&self.0, seed)?;
        Ok(parts.map(|parts| Box::new(Chain(parts)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        let parts = self.0.iter().map(|part| part.frozen(rows));
        Ok(Box::new(Chain(parts.collect::<Result<Vec<_>>>()?)))
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.0
            .iter()
            .try_fold(x.clone(), |x, part| part.initialize(&x))
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        self.0
            .iter()
            .rev()
            .try_fold((y.clone(), grad_y.clone()), |(y, grad_y), part| {
                part.backward(&y, &grad_y, grad_log_det, grads)
            })
    }
}
