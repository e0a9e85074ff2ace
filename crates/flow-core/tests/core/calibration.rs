//! Calibration of posteriors that are known, right and wrong on purpose.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::calibration::{Calibration, c2st};
use flow_core::distribution::StandardNormal;
use flow_core::{Bijection, Flow, Whiten, random};

const PAIRS: usize = 2000;

fn normal(seed: u64, shape: (usize, usize)) -> Tensor {
    random::normal(seed, shape, DType::F64, &Device::Cpu).unwrap()
}

/// θ ~ N(0, 1) twice, and x = θ + N(0, 1).
fn pairs() -> (Tensor, Tensor) {
    let truth = normal(0, (PAIRS, 2));
    let context = (&truth + normal(1, (PAIRS, 2))).unwrap();
    (truth, context)
}

/// The posterior N(x/2 + shift, 1/2 · width²) of θ given x, which is right without shift and width.
struct Posterior {
    shift: f64,
    width: f64,
}

impl Bijection for Posterior {
    fn forward(&self, _: &Tensor) -> Result<(Tensor, Tensor)> {
        candle_core::bail!("needs a context")
    }

    fn inverse(&self, _: &Tensor) -> Result<Tensor> {
        candle_core::bail!("needs a context")
    }

    fn context(&self) -> Option<usize> {
        Some(2)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        let log_std = Tensor::full(self.width.ln() - 0.5 * 2_f64.ln(), (1, 2), &Device::Cpu)?;
        let mean = context.affine(0.5, self.shift)?;
        Ok(Box::new(Whiten::new(mean, log_std)))
    }
}

fn calibration(shift: f64, width: f64) -> Calibration {
    let (truth, context) = pairs();
    let base = StandardNormal::new(2, DType::F64, &Device::Cpu);
    let flow = Flow::new(Posterior { shift, width }, base);
    Calibration::of(&flow, (&truth, &context), 199, 3).unwrap()
}

#[test]
fn the_right_posterior_is_calibrated() {
    let found = calibration(0.0, 1.0);
    for test in found.uniformity() {
        assert!(test.p_value > 0.01, "{test:?}");
    }
    for credibility in [0.1, 0.5, 0.68, 0.95] {
        let sigma = (credibility * (1.0 - credibility) / PAIRS as f64).sqrt();
        let coverage = found.coverage(credibility);
        assert!(
            (coverage - credibility).abs() < 3.0 * sigma,
            "{credibility}: {coverage}"
        );
    }
    assert_eq!((found.ranks.len(), found.ranks[0].len()), (2, PAIRS));
}

/// A region of highest density of N(0, w²) in two dimensions, of credibility c, is a disc of radius
/// w·√(−2 ln(1 − c)), which holds 1 − (1 − c)^(w²) of N(0, 1).
#[test]
fn wrong_posteriors_are_told() {
    for width in [0.7, 1.4_f64] {
        let found = calibration(0.0, width);
        for test in found.uniformity() {
            assert!(test.p_value < 1e-6, "{width}: {test:?}");
        }
        let expected = 1.0 - 0.5_f64.powf(width.powi(2));
        let coverage = found.coverage(0.5);
        let sigma = (expected * (1.0 - expected) / PAIRS as f64).sqrt();
        assert!(
            (coverage - expected).abs() < 3.5 * sigma,
            "{width}: {coverage} {expected}"
        );
    }
    for test in calibration(0.3, 1.0).uniformity() {
        assert!(test.p_value < 1e-6, "{test:?}");
    }
}

#[test]
fn sets_are_told_apart_as_far_as_they_are() {
    let first = normal(0, (1500, 2));
    let shifted = |by: f64| {
        let shift = Tensor::new(&[[by, 0.0]], &Device::Cpu).unwrap();
        normal(1, (1500, 2)).broadcast_add(&shift).unwrap()
    };
    // Φ(d/2) is the largest accuracy for Gaussians at a distance d.
    for (by, expected) in [(0.0, 0.5), (1.0, 0.6915), (3.0, 0.9332)] {
        let found = c2st(&first, &shifted(by), 2).unwrap();
        assert!((found - expected).abs() < 0.03, "{by}: {found}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (truth, context) = pairs();
    let base = || StandardNormal::new(2, DType::F64, &Device::Cpu);
    let posterior = Posterior {
        shift: 0.0,
        width: 1.0,
    };
    let flow = Flow::new(posterior, base());
    let message = |result: Result<Calibration>| result.unwrap_err().to_string();
    assert!(message(Calibration::of(&flow, &truth, 9, 0)).contains("have no contexts"));
    assert!(message(Calibration::of(&flow, (&truth, &context), 0, 0)).contains("0 draws"));
    let few = context.narrow(0, 0, 5).unwrap();
    let few = message(Calibration::of(&flow, (&truth, &few), 9, 0));
    assert!(few.contains("5 contexts for 2000 truths"), "{few}");
    let c2st = |first: &Tensor, second: &Tensor| c2st(first, second, 0).unwrap_err().to_string();
    assert!(c2st(&truth, &normal(0, (100, 3))).contains("(2000, 2) and (100, 3)"));
    assert!(c2st(&truth.narrow(0, 0, 5).unwrap(), &truth).contains("at least 25 samples"));
}
