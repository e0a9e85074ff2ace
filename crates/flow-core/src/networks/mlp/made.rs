//! Masked autoencoders: networks whose outputs depend on some inputs only.

use super::{Mlp, MlpSize, outputs};
use crate::params::ParamBuilder;
use crate::{Result, Transform};
use candle_core::bail;
use std::sync::Arc;

/// The order of a MADE: a unit depends on units and inputs of the same or a lower degree.
pub(super) struct Degrees {
    /// Of number i, its place in the order, from 1.
    pub(super) inputs: Vec<usize>,
    /// Of the units of every hidden layer.
    pub(super) hidden: Vec<usize>,
    /// Outputs of number i, which depend on degrees below its own.
    pub(super) outputs: Vec<Vec<usize>>,
}

impl Mlp {
    /// A masked autoencoder (MADE) that predicts the parameters of `transform` for every number
    /// from the numbers before it in `order`: `order[0]` from none, `order[1]` from that, and so
    /// on. It starts as [`for_transform`](Self::for_transform). Parameters as in
    /// [`new`](Self::new). Germain et al. 2015 (arXiv:1502.03509).
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use flow_core::{Additive, Autoregressive, Mlp, MlpSize, params::ParamStore};
    ///
    /// let params = ParamStore::new(0).builder(DType::F32, &Device::Cpu);
    /// let order = [2, 0, 1];
    /// let made = Mlp::made(Additive, &order, MlpSize::default(), params)?;
    /// let flow = Autoregressive::with_network(&order, Additive, made)?;
    /// # candle_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// If `order` is empty or no permutation of 0..D, or the network is narrower than D − 1. Each
    /// of 1, …, D − 1 is the degree of a hidden unit, so that every number depends on all before
    /// it.
    pub fn made(
        transform: impl Transform,
        order: &[usize],
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let inputs = (0..order.len()).collect::<Vec<_>>();
        Self::made_of(&transform, order, &inputs, size, params)
    }

    /// A MADE with any number of inputs for each number: `inputs` are the numbers that they are
    /// of.
    pub(crate) fn made_of(
        transform: &impl Transform,
        order: &[usize],
        inputs: &[usize],
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let degrees = places(order)?;
        let most = order.len() - 1;
        if size.width < most {
            bail!(
                "autoregressive: got a network of width {}, needed {most} or more for {} numbers: \
                 some would not depend on all before them",
                size.width,
                order.len()
            );
        }
        let (channels, bias) = outputs(transform, order.len())?;
        // Inputs have degrees from 1, and parameters of a number the degrees below its own.
        let of_inputs = inputs.iter().map(|number| degrees[*number]);
        let of_inputs = of_inputs.collect::<Vec<_>>();
        let of_outputs = channels.iter().map(|channel| degrees[*channel] - 1);
        let of_outputs = of_outputs.collect::<Vec<_>>();
        let units = 0..size.width;
        let hidden = units.map(|unit| unit % most.max(1) + most.min(1));
        let hidden = hidden.collect::<Vec<_>>();
        let mut network = Self::masked([&of_inputs, &hidden, &of_outputs], bias, size, params)?;
        // Evaluation by numbers needs inputs that are the numbers.
        if !inputs.iter().copied().eq(0..order.len()) {
            return Ok(network);
        }
        let mut places = vec![Vec::new(); order.len()];
        for (place, channel) in channels.into_iter().enumerate() {
            places[channel].push(place);
        }
        network.degrees = Some(Arc::new(Degrees {
            inputs: of_inputs,
            hidden,
            outputs: places,
        }));
        Ok(network)
    }
}

/// The place of every number in `order`, from 1.
///
/// # Errors
/// If `order` is empty, or no permutation of 0..D.
pub(crate) fn places(order: &[usize]) -> Result<Vec<usize>> {
    if order.is_empty() {
        bail!("autoregressive: needs at least one number");
    }
    let mut places = vec![0; order.len()];
    for (place, number) in (1..).zip(order) {
        match places.get_mut(*number) {
            Some(free) if *free == 0 => *free = place,
            _ => bail!(
                "autoregressive: {order:?} is not an order of 0..{}",
                order.len()
            ),
        }
    }
    Ok(places)
}
