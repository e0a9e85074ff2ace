//! Calibration: how often distributions that a flow gives hold the truth, against how often they
//! say so.
//!
//! [`Calibration`] judges a conditional flow on pairs of a truth and its context, such as held-out
//! simulations. [`c2st`] tells draws of any origin apart.

mod chi_squared;
mod two_samples;

pub use chi_squared::ChiSquared;
pub use two_samples::c2st;

use crate::train::Data;
use crate::{Bijection, Flow, Result, inspect, random, transfer};
use candle_core::bail;

/// Contexts whose draws are in memory at the same time.
const TOGETHER: usize = 64;

/// Ranks of truths among draws given their contexts.
///
/// If the flow gives the right posteriors, the rank of each number of the truth among `draws` draws
/// is uniform on 0, …, `draws` (Talts et al. 2018, arXiv:1804.06788, theorem 1). So is the share of
/// draws that are denser than the truth, whose distribution is the expected coverage of regions of
/// highest density (Hermans et al. 2022, arXiv:2110.06581, section 2.2).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{calibration::Calibration, random, recipes};
///
/// let [truths, contexts] = [0, 1].map(|seed| random::normal(seed, (200, 2), DType::F32, &Device::Cpu));
/// let (truths, contexts) = (truths?, contexts?);
/// // A fresh flow is nearly N(0, 1), as these truths are.
/// let model = recipes::realnvp(2).context(2).build(0, DType::F32, &Device::Cpu)?;
/// let calibration = Calibration::of(&model, (&truths, &contexts), 99, 2)?;
/// assert!(calibration.uniformity().iter().all(|test| test.p_value > 0.001));
/// assert!((calibration.coverage(0.9) - 0.9).abs() < 0.1);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Draws for each context.
    pub draws: usize,
    /// For each number of a truth, its rank in each pair: the number of draws below it.
    pub ranks: Vec<Vec<usize>>,
    /// For each pair, the share of draws that are denser than the truth.
    pub levels: Vec<f64>,
}

impl Calibration {
    /// Ranks the samples of `truths` among `draws` draws for each of their contexts. The draws of a
    /// pair depend on `seed` and on its place.
    ///
    /// # Errors
    /// If there are no contexts or fewer than 2 draws, the shapes do not fit, or a draw or a density is not
    /// finite.
    pub fn of<B: Bijection>(
        flow: &Flow<B>,
        truths: impl Into<Data>,
        draws: usize,
        seed: u64,
    ) -> Result<Self> {
        let truths = truths.into();
        let (x, context) = (truths.samples(), truths.context()?);
        let (count, numbers) = x.dims2()?;
        if draws < 2 || count == 0 || context.dim(0)? != count {
            bail!(
                "calibration: needs 2 draws or more, and a context for each truth, not {draws} draws and \
                 {} contexts for {count} truths",
                context.dim(0)?
            );
        }
        let densities = transfer::numbers(&flow.given(context)?.log_prob(x)?)?;
        let truths = transfer::numbers(x)?;
        let (mut ranks, mut levels) = (vec![Vec::new(); numbers], Vec::new());
        for start in (0..count).step_by(TOGETHER) {
            let contexts = context.narrow(0, start, TOGETHER.min(count - start))?;
            let seed = random::derive(seed, &format!("pairs from {start}"));
            let (drawn, of_drawn) = flow.sample_each_with_log_prob(draws, &contexts, seed)?;
            inspect::check_finite("calibration: draws", &drawn)?;
            let (drawn, of_drawn) = (transfer::numbers(&drawn)?, transfer::numbers(&of_drawn)?);
            let pairs = drawn.chunks_exact(draws * numbers);
            for (pair, (drawn, of_drawn)) in (start..).zip(pairs.zip(of_drawn.chunks_exact(draws)))
            {
                for (number, ranks) in ranks.iter_mut().enumerate() {
                    let values = drawn.iter().skip(number).step_by(numbers);
                    let truth = truths[pair * numbers + number];
                    ranks.push(values.filter(|value| **value < truth).count());
                }
                let density = densities[pair];
                if !density.is_finite() || of_drawn.iter().any(|found| found.is_nan()) {
                    bail!("calibration: ln p of truth {pair}, or of a draw for it, is not finite");
                }
                let denser = of_drawn.iter().filter(|found| **found > density).count();
                levels.push(denser as f64 / draws as f64);
            }
        }
        Ok(Self {
            draws,
            ranks,
            levels,
        })
    }

    /// A χ² test of the uniformity of ranks, for each number of a truth.
    pub fn uniformity(&self) -> Vec<ChiSquared> {
        let of = |ranks: &Vec<usize>| ChiSquared::of_ranks(ranks, self.draws + 1);
        self.ranks.iter().map(of).collect()
    }

    /// The share of truths in the regions of highest density that should hold the share
    /// `credibility` of them: below it, the flow is too sure.
    pub fn coverage(&self, credibility: f64) -> f64 {
        let held = self.levels.iter().filter(|level| **level < credibility);
        held.count() as f64 / self.levels.len() as f64
    }
}
