//! Importance sampling: evidence, effective sample size and expectations of an unnormalised
//! density, by weighted draws of a flow.

use crate::runs::{RunLength, in_runs};
use crate::train::Data;
use crate::{Bijection, Flow, Result, random, shape, transfer};
use candle_core::{DType, Tensor, bail};

/// Draws per call of the log density.
const RUN: RunLength = RunLength {
    host: 1 << 10,
    even: false,
    accelerator: 1 << 14,
};

/// Draws of a flow q with weights w = p̃(x)/q(x), which make them draws of p = p̃/Z.
///
/// All sums are taken in f64.
#[derive(Clone, Debug)]
pub struct WeightedSamples {
    samples: Tensor,
    log_weights: Vec<f64>,
}

/// An estimate of ln Z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvidence {
    /// ln of the mean weight, in nats.
    pub value: f64,
    /// Its standard error, by the variance of the weights. Too small where the flow misses a part
    /// of the density: an effective sample size near the number of draws makes that unlikely.
    pub standard_error: f64,
}

/// Draws `count` samples of `flow`, with their weights.
///
/// `log_density` gives ln p̃ of every row of `x` `[B, …]`, `[B]`, in nats; −∞ outside the support.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::{Flow, Pointwise, distribution::StandardNormal, importance};
///
/// // Draws from a logit-normal, weighted to the uniform density on (0, 1), times 2.
/// let base = StandardNormal::new(1, DType::F64, &Device::Cpu);
/// let flow = Flow::new(flow_core::Inverse(Pointwise::Sigmoid), base);
/// let log_density = |x: &Tensor| x.flatten_all()?.affine(0.0, 2_f64.ln());
/// let draws = importance::sample(&flow, log_density, 1_000, 0)?;
/// assert!((draws.log_evidence().value - 2_f64.ln()).abs() < 0.2);
/// # candle_core::Result::Ok(())
/// ```
///
/// # Errors
/// If there are fewer than two draws, a log density is NaN or ∞, or all are −∞.
pub fn sample<B: Bijection>(
    flow: &Flow<B>,
    log_density: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync,
    count: usize,
    seed: u64,
) -> Result<WeightedSamples> {
    if count < 2 {
        bail!("importance sampling: needs at least 2 draws, not {count}");
    }
    let (samples, log_prob) = flow.sample_with_log_prob(count, seed)?;
    let targets = in_runs(samples.device(), count, RUN, |run| {
        let target = log_density(&run.of(&samples)?)?;
        if target.dims() != [run.range().len()] {
            let needed = format!("[{}]", run.range().len());
            return shape::refuse("log density", &target, &needed);
        }
        transfer::numbers(&target)
    })?;
    let targets = targets.into_iter().flatten();
    let weights = targets.zip(transfer::numbers(&log_prob)?);
    let log_weights = weights.map(|(target, log_prob)| target - log_prob);
    WeightedSamples::new(samples, log_weights.collect())
}

impl WeightedSamples {
    /// Draws `[N, …]` of a distribution q, and ln p̃(x)/q(x) of each.
    ///
    /// # Errors
    /// If their numbers differ, a log weight is NaN or ∞, or all are −∞.
    pub fn new(samples: Tensor, log_weights: Vec<f64>) -> Result<Self> {
        let count = shape::batch("importance sampling", &samples)?;
        if log_weights.len() != count {
            bail!(
                "importance sampling: got {} weights, needed {count}",
                log_weights.len()
            );
        }
        let is_valid = |weight: &f64| *weight < f64::INFINITY;
        if let Some(row) = log_weights.iter().position(|weight| !is_valid(weight)) {
            let weight = log_weights[row];
            bail!("importance sampling: the log weight of draw {row} is {weight}");
        }
        if log_weights.iter().all(|weight| weight.is_infinite()) {
            bail!("importance sampling: none of {count} draws lies where the density is positive");
        }
        Ok(Self {
            samples,
            log_weights,
        })
    }

    /// The draws, `[N, …]`.
    pub fn samples(&self) -> &Tensor {
        &self.samples
    }

    /// ln w of each draw.
    pub fn log_weights(&self) -> &[f64] {
        &self.log_weights
    }

    /// Weights that add up to 1.
    pub fn weights(&self) -> Vec<f64> {
        let relative = self.relative_weights();
        let sum = relative.iter().sum::<f64>();
        relative.into_iter().map(|weight| weight / sum).collect()
    }

    /// ln Z by the mean weight.
    pub fn log_evidence(&self) -> LogEvidence {
        let count = self.log_weights.len() as f64;
        let sum = self.relative_weights().iter().sum::<f64>();
        let relative_variance = (count / self.effective_sample_size() - 1.0) / (count - 1.0);
        LogEvidence {
            value: self.largest() + (sum / count).ln(),
            standard_error: relative_variance.max(0.0).sqrt(),
        }
    }

    /// (Σw)²/Σw² (Kish 1965), from 1 to N: about the number of draws of p that give estimates of
    /// the same variance.
    pub fn effective_sample_size(&self) -> f64 {
        let weights = self.weights();
        weights
            .iter()
            .map(|weight| weight * weight)
            .sum::<f64>()
            .recip()
    }

    /// E_p of every column of `values` `[N, K]`, a row for each draw.
    ///
    /// # Errors
    /// If the number of rows differs, or a number with a positive weight is not finite.
    pub fn expectation(&self, values: &Tensor) -> Result<Vec<f64>> {
        let (rows, columns) = values.dims2()?;
        if rows != self.log_weights.len() {
            let needed = format!("[{}, K]", self.log_weights.len());
            return shape::refuse("importance sampling", values, &needed);
        }
        let mut sums = vec![0.0; columns];
        let positive = self.weights().into_iter().zip(transfer::rows(values)?);
        for (weight, row) in positive.filter(|(weight, _)| *weight > 0.0) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        match sums.iter().position(|sum| !sum.is_finite()) {
            Some(column) => bail!("importance sampling: the mean of column {column} is not finite"),
            None => Ok(sums),
        }
    }

    /// The draws with their weights as data. [`train::fit`](crate::train::fit) on them minimises
    /// KL(p‖q), which covers what the flow has missed.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn data(&self) -> Result<Data> {
        Data::from(&self.samples).weighted(&self.weights())
    }

    /// `count` draws of p `[count, …]`: each draw as often as its weight asks for, by systematic
    /// resampling (Kitagawa 1996).
    ///
    /// # Errors
    /// If the draws cannot be copied.
    pub fn resample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let start = random::uniform_numbers::<f64>(seed, 1)[0];
        let weights = self.weights();
        let (mut chosen, mut row, mut reached) = (Vec::with_capacity(count), 0, weights[0]);
        for index in 0..count {
            let place = (index as f64 + start) / count as f64;
            while reached < place && row + 1 < weights.len() {
                row += 1;
                reached += weights[row];
            }
            chosen.push(row as u32);
        }
        let chosen = transfer::upload(chosen, count, DType::U32, self.samples.device())?;
        self.samples.contiguous()?.index_select(&chosen, 0)
    }

    /// Weights relative to the largest.
    fn relative_weights(&self) -> Vec<f64> {
        let largest = self.largest();
        let relative = |log_weight: &f64| (log_weight - largest).exp();
        self.log_weights.iter().map(relative).collect()
    }

    fn largest(&self) -> f64 {
        let weights = self.log_weights.iter().copied();
        weights.fold(f64::NEG_INFINITY, f64::max)
    }
}
