//! The classifier two-sample test.

use crate::params::ParamStore;
use crate::runs::side_by_side;
use crate::train::{LossGradient, MemoryStore, Optimization, Steps};
use crate::{Bijection, Conditioner, Mlp, MlpSize, Result, Whiten, random, transfer};
use candle_core::{DType, Tensor, bail};

/// Parts of a cross-validation.
const FOLDS: usize = 5;

/// Steps of a classifier, and samples of each set in a step.
const STEPS: usize = 600;
const BATCH: usize = 128;

/// The share of samples that a classifier assigns to the right one of two sets `[N, D]` and
/// `[M, D]`, on samples that it was not trained on: near 0.5 if the sets cannot be told apart, up to
/// 1 if they are apart.
///
/// A residual network of two blocks, 64 wide, is cross-validated fivefold on equally many samples
/// of both, whitened together (Lopez-Paz & Oquab 2017, arXiv:1610.06545, section 3). With N samples
/// its standard error is about 0.35/√N.
///
/// To test posteriors locally, put contexts beside the truths and beside a draw for each: then
/// draws that are right on average over contexts, and wrong for single ones, are told apart.
///
/// # Errors
/// If a set has fewer than 25 samples, sizes differ, or a number is not finite.
pub fn c2st(first: &Tensor, second: &Tensor, seed: u64) -> Result<f64> {
    let (dims, others) = (first.dims2()?, second.dims2()?);
    let count = dims.0.min(others.0);
    if dims.1 != others.1 || count < FOLDS * FOLDS {
        bail!(
            "two samples: got sets of {dims:?} and {others:?}, needed at least {} samples of the \
             same size",
            FOLDS * FOLDS
        );
    }
    let sets = [first, second].map(|set| {
        let set = set.detach().to_dtype(DType::F32)?;
        shuffled(&set, random::derive(seed, "order"))?.narrow(0, 0, count)
    });
    let [first, second] = sets;
    let (first, second) = (first?, second?);
    let whiten = Whiten::fit(&Tensor::cat(&[&first, &second], 0)?)?;
    let white = [whiten.forward(&first)?.0, whiten.forward(&second)?.0];
    let folds = (0..FOLDS).collect();
    let right = side_by_side(first.device(), folds, |fold| {
        let range = [fold, fold + 1].map(|end| end * count / FOLDS);
        accuracy(&white, range, random::derive(seed, &format!("fold {fold}")))
    })?;
    Ok(right.iter().sum::<f64>() / FOLDS as f64)
}

fn shuffled(x: &Tensor, seed: u64) -> Result<Tensor> {
    let count = x.dim(0)?;
    let order = transfer::upload(random::order(seed, count), count, DType::U32, x.device())?;
    x.contiguous()?.index_select(&order, 0)
}

/// The accuracy on the samples in `range` of both sets, after training on the others.
fn accuracy(sets: &[Tensor; 2], [start, end]: [usize; 2], seed: u64) -> Result<f64> {
    let (count, numbers) = sets[0].dims2()?;
    let params = ParamStore::new(seed);
    let builder = params.builder(DType::F32, sets[0].device());
    let network = Mlp::new(numbers, 1, MlpSize::default(), builder)?;
    let rest = |set: &Tensor| {
        let parts = [set.narrow(0, 0, start)?, set.narrow(0, end, count - end)?];
        Tensor::cat(&parts, 0)
    };
    let train = [rest(&sets[0])?, rest(&sets[1])?];
    let settings = Optimization::default();
    let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
    let all = count - (end - start);
    for step in 0..STEPS {
        let draws = random::uniform_numbers::<f64>(random::derive(seed, &format!("{step}")), BATCH);
        let rows = draws.iter().map(|draw| (draw * all as f64) as u32);
        let device = train[0].device();
        let rows = transfer::upload(rows.collect(), BATCH, DType::U32, device)?;
        let logits = |set: &Tensor| network.forward(&set.index_select(&rows, 0)?);
        // −ln σ(logit) of the second set, −ln σ(−logit) of the first.
        let losses = [logits(&train[0])?, logits(&train[1])?.neg()?];
        let losses = Tensor::cat(&losses, 0)?;
        let loss = crate::ops::elementary::softplus(&losses)?.mean_all()?;
        let rate = settings.learning_rate_at(step as u64, step as f64 / STEPS as f64);
        let gradient = LossGradient::of(&loss, &params)?;
        steps.take(&gradient, rate, &settings, &mut store)?;
    }
    let right = |set: &Tensor, positive: bool| {
        let logits = network.forward(&set.narrow(0, start, end - start)?)?;
        let logits = transfer::numbers(&logits.detach())?.into_iter();
        Result::Ok(logits.filter(|logit| (*logit > 0.0) == positive).count())
    };
    let right = right(&sets[0], false)? + right(&sets[1], true)?;
    Ok(right as f64 / (2 * (end - start)) as f64)
}
