//! Masked autoregressive flows: every number is moved by what the numbers before it say.
//!
//! ```text
//! h = made(x),  h of number i depends on x₀, …, xᵢ₋₁ alone
//! y = transform(x; h);  log_det is the transform's, since the Jacobian is triangular
//! ```
//!
//! One pass for densities, D passes for samples; `Inverse` of it is the other way round. Germain et al.
//! 2015 (MADE, arXiv:1502.03509); Kingma et al. 2016 (IAF, arXiv:1606.04934); Papamakarios, Pavlakou &
//! Murray 2017 (MAF, arXiv:1705.07057).

use crate::mlp::{Mlp, MlpSize, output_bias};
use crate::params::ParamBuilder;
use crate::{Bijection, Conditioner, Result, Transform};
use candle_core::{Tensor, bail};

/// An autoregressive flow of vectors `[B, D]`.
pub struct Autoregressive<N = Mlp> {
    transform: Transform,
    /// `[B, D]` → `[B, transform.parameters(D)]`, masked.
    made: N,
}

impl Autoregressive {
    /// A MADE of the given `size` over `features` numbers in their order. It starts as
    /// [`Mlp::for_transform`] says. Parameters as in [`Mlp::new`].
    pub fn new(
        features: usize,
        transform: Transform,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        if features == 0 {
            bail!("autoregressive: needs at least one number");
        }
        // Inputs count from 1: a parameter of number i may see those of less than i + 1.
        let inputs = (1..=features).collect::<Vec<_>>();
        let outputs = (0..transform.parameters(features))
            .map(|index| transform.channel_of(index, features))
            .collect::<Vec<_>>();
        let bias = output_bias(transform, features, size.width);
        let made = Mlp::masked(&inputs, &outputs, features - 1, bias, size, params)?;
        Ok(Self { transform, made })
    }
}

impl<N: Conditioner> Bijection for Autoregressive<N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transform.forward(x, &self.made.forward(x)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let (batch, features) = y.dims2()?;
        let mut known = Vec::with_capacity(features);
        for index in 0..features {
            // What is not known yet is zero: it has no say, but it must not overflow either.
            let rest = Tensor::zeros((batch, features - index), y.dtype(), y.device())?;
            let x = Tensor::cat(&[&known[..], &[rest]].concat(), 1)?;
            let h = self.made.forward(&x)?;
            let h = self.transform.of_channel(&h, index, features)?;
            known.push(self.transform.inverse(&y.narrow(1, index, 1)?, &h)?);
        }
        Tensor::cat(&known, 1)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Autoregressive {
            transform: self.transform,
            made: self.made.given(context)?,
        }))
    }
}
