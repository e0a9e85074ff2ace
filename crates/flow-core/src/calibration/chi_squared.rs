//! Pearson's χ² test of ranks.

/// A χ² test: the statistic, its degrees of freedom, and the probability of one at least as large
/// if ranks are uniform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquared {
    /// Σ (observed − expected)² / expected, over bins.
    pub statistic: f64,
    /// Bins less one.
    pub degrees: usize,
    /// The probability of a statistic at least as large, of uniform ranks.
    pub p_value: f64,
}

/// Expected ranks per bin; the χ² distribution is accurate from 5 on.
const PER_BIN: usize = 20;

/// The largest number of bins.
const MAX_BINS: usize = 21;

impl ChiSquared {
    /// The test of `ranks`, each in 0..`values`, of which there are 3 or more.
    pub fn of_ranks(ranks: &[usize], values: usize) -> Self {
        // An odd number of bins: the distribution function is a finite sum for even degrees.
        let bins = (ranks.len() / PER_BIN).min(values).clamp(3, MAX_BINS);
        let bins = bins - (bins + 1) % 2;
        let bin = |rank: usize| rank * bins / values;
        let (mut observed, mut sizes) = (vec![0.0; bins], vec![0.0; bins]);
        for &rank in ranks {
            observed[bin(rank)] += 1.0;
        }
        for rank in 0..values {
            sizes[bin(rank)] += 1.0;
        }
        let share = ranks.len() as f64 / values as f64;
        let statistic = observed
            .iter()
            .zip(&sizes)
            .map(|(observed, size)| (observed - size * share).powi(2) / (size * share))
            .sum();
        Self {
            statistic,
            degrees: bins - 1,
            p_value: tail(statistic, bins - 1),
        }
    }
}

/// P(χ² ≥ x) for an even number of degrees k: e^(−x/2) · Σ (x/2)ⁱ/i! for i < k/2.
fn tail(x: f64, degrees: usize) -> f64 {
    let half = x / 2.0;
    if half == 0.0 {
        return 1.0;
    }
    let (mut log_term, mut sum) = (-half, 0.0);
    for i in 0..degrees / 2 {
        if i > 0 {
            log_term += half.ln() - (i as f64).ln();
        }
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.chi2.sf`.
    #[test]
    fn tails_are_those_of_scipy() {
        let known = [
            (0.0, 4, 1.0),
            (3.2, 4, 0.524_930_946_786_104),
            (28.4, 20, 0.100_263_525_143_435_7),
            (3000.0, 20, 0.0),
        ];
        for (x, degrees, expected) in known {
            let found: f64 = tail(x, degrees);
            assert!((found - expected).abs() < 1e-12, "{x}: {found}");
        }
    }

    #[test]
    fn even_ranks_are_uniform_and_crowded_ones_are_not() {
        let even = (0..1000).collect::<Vec<_>>();
        let test = ChiSquared::of_ranks(&even, 1000);
        assert_eq!(test.degrees, 20);
        assert!(test.p_value > 0.999, "{test:?}");
        let crowded = even.iter().map(|rank| rank / 2).collect::<Vec<_>>();
        assert!(ChiSquared::of_ranks(&crowded, 1000).p_value < 1e-12);
        // Fewer values than bins would have.
        let few = (0..99).map(|i| i % 3).collect::<Vec<_>>();
        let test = ChiSquared::of_ranks(&few, 3);
        assert!(test.statistic.abs() < 1e-12, "{test:?}");
    }
}
