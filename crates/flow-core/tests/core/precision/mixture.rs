//! Far points under a mixture.

use super::{column, gradient, numbers};
use candle_core::{DType, Device, Tensor};
use flow_core::distribution::{Distribution, GaussianMixture, log_sum_exp};
use flow_core::params::ParamStore;

#[test]
fn far_points_have_their_density_and_a_gradient() {
    let params = ParamStore::new(3);
    let mixture = GaussianMixture::new(4, 1, params.builder(DType::F32, &Device::Cpu)).unwrap();
    let means = params.vars().into_iter().find(|(name, _)| name == "means");
    let means = numbers(&means.unwrap().1);
    let exact = |z: f64| {
        let joint = means.iter().map(|mean| -0.5 * (z - mean).powi(2));
        let joint = joint.collect::<Vec<_>>();
        let largest = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = joint
            .iter()
            .map(|joint| (joint - largest).exp())
            .sum::<f64>();
        largest + sum.ln() - 4_f64.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln()
    };
    let near = [-1e18, -1e9, -1e4, -30.0, 0.0, 30.0, 1e4, 1e9, 1e18];
    let log_prob = |z: &Tensor| mixture.log_prob(z).unwrap();
    for (z, found) in near
        .iter()
        .zip(numbers(&log_prob(&column(&near, DType::F32))))
    {
        let (z, expected) = (*z, exact(*z));
        assert!(
            (found - expected).abs() <= 1e-6 * expected.abs(),
            "{z:e}: {found:e} {expected:e}"
        );
    }
    let far = column(&[1.0, 1e25, -3e38, -1.0], DType::F32);
    let found = numbers(&log_prob(&far));
    assert_eq!(found[1..3], [f64::NEG_INFINITY; 2]);
    assert!(found[0].is_finite() && found[3].is_finite());
    let slopes = gradient(&far, log_prob);
    assert!(slopes.iter().all(|slope| slope.is_finite()), "{slopes:?}");
    assert!(slopes[0] != 0.0 && slopes[3] != 0.0);
}

#[test]
fn sums_of_exponentials() {
    let none = f64::NEG_INFINITY;
    let rows = [
        [0.0, 0.0],
        [1e4, none],
        [none, none],
        [-1e30, -1e30],
        [f64::INFINITY, 0.0],
    ];
    let x = Tensor::new(&rows, &Device::Cpu).unwrap();
    let found = numbers(&log_sum_exp(&x).unwrap());
    assert_eq!(found, [2_f64.ln(), 1e4, none, -1e30, f64::INFINITY]);
    let finite = x.narrow(0, 0, 4).unwrap();
    let slopes = gradient(&finite, |x| log_sum_exp(x).unwrap());
    assert_eq!(slopes, [0.5, 0.5, 1.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
    let lost = Tensor::new(&[[f64::NAN, 0.0]], &Device::Cpu).unwrap();
    assert!(numbers(&log_sum_exp(&lost).unwrap())[0].is_nan());
}
