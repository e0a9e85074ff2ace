//! Mixtures of Gaussians against scikit-learn and closed forms.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use flow_analysis::mixtures::{GaussianMixture, baselines};
use flow_core::{random, train::Data};

fn normal(seed: u64, rows: usize, columns: usize) -> Tensor {
    random::normal(seed, (rows, columns), DType::F64, &Device::Cpu).unwrap()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// Points of a lattice, bent: twelve rows of three numbers in very different units.
fn lattice() -> Tensor {
    let row = |i: i32| {
        let (a, b) = (f64::from(i % 4), f64::from(i / 4));
        [
            a + 0.1 * b * b,
            1000.0 * b + 30.0 * a * a,
            1e-3 * (a * b).sin(),
        ]
    };
    let numbers = (0..12).flat_map(row).collect::<Vec<_>>();
    Tensor::from_vec(numbers, (12, 3), &Device::Cpu).unwrap()
}

/// Three clouds of twenty points each, far apart.
fn clouds() -> Tensor {
    let point = |i: i32| {
        let (cloud, t) = (i % 3, f64::from(i));
        let (x, y) = [(0.0, 0.0), (30.0, 5.0), (-10.0, 40.0)][cloud as usize];
        [x + (t * t).cos(), y + 2.0 * (1.7 * t).sin()]
    };
    let numbers = (0..60).flat_map(point).collect::<Vec<_>>();
    Tensor::from_vec(numbers, (60, 2), &Device::Cpu).unwrap()
}

// ```python
// import numpy as np
// from sklearn.mixture import GaussianMixture
// from sklearn.preprocessing import StandardScaler
// def mean(x, k):
//     scaler = StandardScaler().fit(x)
//     z = scaler.transform(x)
//     return GaussianMixture(k, random_state=0).fit(z).score(z) - np.log(scaler.scale_).sum()
// i = np.arange(12); a, b = i % 4, i // 4
// print(mean(np.stack([a + .1 * b * b, 1000 * b + 30 * a * a, 1e-3 * np.sin(a * b)], 1), 1))
// t = np.arange(60); c = np.array([(0, 0), (30, 5), (-10, 40)])[t % 3]
// print(mean(c + np.stack([np.cos(t * t), 2 * np.sin(1.7 * t)], 1), 3))
// ```
#[test]
fn likelihoods_are_those_of_scikit_learn() {
    for (rows, components, expected) in [
        (lattice(), 1, -3.400_420_213_750_307),
        (clouds(), 3, -3.863_975_272_659_559_8),
    ] {
        let mixture = GaussianMixture::fit(&rows, components, 0).unwrap();
        let found = mean(&mixture.log_prob(&rows).unwrap());
        assert!(
            (found - expected).abs() < 1e-9,
            "{components}: {found} {expected}"
        );
    }
}

/// y given x is a line with noise of 0.1, whose entropy is ½ ln(2πe · 0.01).
#[test]
fn conditional_densities_divide_by_that_of_the_condition() {
    let data = |seed| {
        let (x, noise) = (normal(seed, 4000, 1), normal(seed + 1, 4000, 1));
        let y = ((&x * 2.0).unwrap() + (noise * 0.1).unwrap()).unwrap();
        Data::from((&y, &x))
    };
    let found = baselines(&data(0), &data(2), 0).unwrap();
    let expected = -0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * 0.01).ln();
    assert!(
        (found.gaussian - expected).abs() < 0.03,
        "{found:?} {expected}"
    );
    assert!(
        (found.mixture - expected).abs() < 0.03,
        "{found:?} {expected}"
    );
}

#[test]
fn a_mixture_is_better_than_a_gaussian_where_there_are_groups() {
    let rows = clouds();
    let found = baselines(&Data::from(&rows), &Data::from(&rows), 0).unwrap();
    assert!(
        found.components >= 2 && found.mixture > found.gaussian + 2.0,
        "{found:?}"
    );
    // A row far from all components has a finite likelihood.
    let mixture = GaussianMixture::fit(&rows, 3, 0).unwrap();
    let far = Tensor::new(&[[1e6, -1e6]], &Device::Cpu).unwrap();
    let log_prob = mixture.log_prob(&far).unwrap()[0];
    assert!(log_prob.is_finite() && log_prob < -1e9, "{log_prob}");
    // Of one column, the mixture is that of the column.
    let column = GaussianMixture::fit(&rows.narrow(1, 0, 1).unwrap(), 1, 0).unwrap();
    let gaussian = GaussianMixture::fit(&rows, 1, 0).unwrap();
    let x = rows.narrow(1, 0, 1).unwrap();
    let marginal = gaussian.marginal(0..1).unwrap().log_prob(&x).unwrap();
    for (a, b) in marginal.iter().zip(column.log_prob(&x).unwrap()) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn rows_without_a_density_are_refused() {
    let rows = normal(0, 20, 2);
    let constant = Tensor::cat(
        &[&rows, &rows.narrow(1, 0, 1).unwrap().zeros_like().unwrap()],
        1,
    );
    let infinite = (&rows / 0.0).unwrap();
    for rows in [constant.unwrap(), infinite, rows.narrow(0, 0, 1).unwrap()] {
        assert!(GaussianMixture::fit(&rows, 1, 0).is_err());
    }
    assert!(GaussianMixture::fit(&rows, 21, 0).is_err());
    let mixture = GaussianMixture::fit(&rows, 2, 0).unwrap();
    assert!(mixture.log_prob(&normal(0, 3, 3)).is_err());
    assert!(mixture.marginal(1..3).is_err());
}
