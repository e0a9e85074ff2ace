//! Distances in closed form, point sets that can be counted, and results of numpy and scipy.

use candle_core::{DType, Device};
use flow_core::random;
use ndarray::{Array1, Array2, array};
use serde::Deserialize;

use super::{Gaussian, Manifold, frechet::distance};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Made by `reference.py`.
#[derive(Deserialize)]
struct Reference {
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
    neighbors: usize,
    distance: f64,
    b_in_a: f64,
    a_in_b: f64,
}

fn matrix(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let noise = random::normal(seed, (rows, columns), DType::F64, &Device::Cpu).unwrap();
    let noise = noise.flatten_all().unwrap().to_vec1().unwrap();
    Array2::from_shape_vec((rows, columns), noise).unwrap()
}

fn close(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-9 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

#[test]
fn one_dimension_is_a_distance_in_the_plane() -> Result {
    let normal =
        |mean: f64, deviation: f64| Gaussian::new(array![mean], &array![[deviation.powi(2)]]);
    close(
        distance(&normal(1.0, 3.0)?, &normal(5.0, 0.5)?)?,
        16.0 + 6.25,
    );
    close(distance(&normal(1.0, 3.0)?, &normal(1.0, 0.0)?)?, 9.0);
    Ok(())
}

/// Covariances that commute have one set of axes, along which the deviations differ.
#[test]
fn turned_axes_do_not_matter() -> Result {
    let turn = random::rotation(4, 6)?
        .to_dtype(DType::F64)?
        .flatten_all()?;
    let turn = Array2::from_shape_vec((6, 6), turn.to_vec1()?)?;
    let a = array![3.0, 1.0, 0.5, 0.1, 2.0, 0.0];
    let b = array![1.0, 1.5, 0.0, 0.4, 7.0, 0.0];
    let shift = Array1::linspace(-1.0, 1.0, 6);
    let normal = |mean: &Array1<f64>, deviations: &Array1<f64>| {
        let variances = deviations * deviations;
        let covariance = (&turn * &variances).dot(&turn.t());
        Gaussian::new(turn.dot(mean), &((&covariance + &covariance.t()) / 2.0))
    };
    let expected = (&a - &b).mapv(|difference| difference * difference).sum() + shift.dot(&shift);
    close(
        distance(&normal(&Array1::zeros(6), &a)?, &normal(&shift, &b)?)?,
        expected,
    );
    Ok(())
}

/// In fewer points than dimensions too, where covariances are singular.
#[test]
fn it_is_zero_on_itself_and_symmetric() -> Result {
    for rows in [5, 200] {
        let (a, b) = (matrix(rows, 20, 1), matrix(rows, 20, 2) * 3.0);
        let (a, b) = (Gaussian::of(&a)?, Gaussian::of(&b)?);
        assert!(distance(&a, &a)?.abs() < 1e-9, "{}", distance(&a, &a)?);
        close(distance(&a, &b)?, distance(&b, &a)?);
        assert!(distance(&a, &b)? > 1.0);
    }
    Ok(())
}

#[test]
fn what_is_not_finite_is_refused() {
    let points = array![[0.0, 1.0], [f64::NAN, 2.0], [3.0, 1.0]];
    assert!(Gaussian::of(&points).is_err());
    assert!(Gaussian::of(&array![[1.0, 2.0]]).is_err());
    assert!(Manifold::new(array![[1.0], [2.0]], 2).is_err());
    assert!(Manifold::new(array![[1.0], [2.0]], 0).is_err());
}

/// Points at 0, 1, 2 and 10: with one neighbor, the balls have radii 1, 1, 1 and 8.
#[test]
fn balls_reach_to_their_neighbors() -> Result {
    let points = array![[0.0], [1.0], [2.0], [10.0]];
    let one = Manifold::new(points.clone(), 1)?;
    close(
        one.share_inside(&array![[-1.0], [-1.01], [2.5], [18.0], [18.1]]),
        0.6,
    );
    // With two, 2, 1, 2 and 9.
    let two = Manifold::new(points, 2)?;
    close(
        two.share_inside(&array![[-2.0], [-2.01], [19.0], [19.1]]),
        0.5,
    );
    Ok(())
}

/// Copies of a point reach to each other and no further.
#[test]
fn copies_have_no_reach() -> Result {
    let copies = Array2::from_elem((5, 3), 0.1);
    let manifold = Manifold::new(copies.clone(), 3)?;
    close(manifold.share_inside(&copies), 1.0);
    close(manifold.share_inside(&(&copies + 1e-12)), 0.0);
    Ok(())
}

/// Samples of one of two kinds of data are precise, but recall only half of it.
#[test]
fn what_is_left_out_costs_recall() -> Result {
    let near = matrix(400, 2, 3);
    let far = &matrix(400, 2, 4) + 100.0;
    let data = ndarray::concatenate(ndarray::Axis(0), &[near.view(), far.view()])?;
    let samples = matrix(400, 2, 5);
    let precision = Manifold::new(data.clone(), 3)?.share_inside(&samples);
    let recall = Manifold::new(samples, 3)?.share_inside(&data);
    assert!(precision > 0.9, "{precision}");
    assert!((0.45..=0.5).contains(&recall), "{recall}");
    Ok(())
}

#[test]
fn numpy_and_scipy_agree() -> Result {
    let reference: Reference = serde_json::from_str(include_str!("reference.json"))?;
    let points = |rows: &[Vec<f64>]| Array2::from_shape_vec((rows.len(), 5), rows.concat());
    let (a, b) = (points(&reference.a)?, points(&reference.b)?);
    close(
        distance(&Gaussian::of(&a)?, &Gaussian::of(&b)?)?,
        reference.distance,
    );
    let manifold = |points: &Array2<f64>| Manifold::new(points.clone(), reference.neighbors);
    close(manifold(&a)?.share_inside(&b), reference.b_in_a);
    close(manifold(&b)?.share_inside(&a), reference.a_in_b);
    Ok(())
}
