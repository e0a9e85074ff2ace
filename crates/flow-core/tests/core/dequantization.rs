//! Dequantization: exact rounding, refusals, and a bound that is below the truth.

use candle_core::{DType, Device, Tensor};
use flow_core::distribution::{BoxUniform, Logistic};
use flow_core::{Chain, ColumnMap, Columnwise, Flow, UniformDequantization, check};

const F64: DType = DType::F64;

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn column(columns: &[usize]) -> UniformDequantization {
    UniformDequantization {
        columns: columns.to_vec(),
    }
}

/// Negative, zero and as large as the type allows; in single precision the sum often rounds up.
#[test]
fn rounding_gives_the_integers_back() {
    for (dtype, largest) in [(DType::F32, 1_048_576.0), (F64, 5e14)] {
        let integers = [-largest, -3.0, -1.0, 0.0, 1.0, 2.0, 1000.0, largest];
        let rows = integers.map(|integer| [0.25, integer]).concat().repeat(500);
        let x = Tensor::from_vec(rows, (4000, 2), &Device::Cpu).unwrap();
        let x = x.to_dtype(dtype).unwrap();
        let dequantization = column(&[1]);
        let y = dequantization.forward(&x, 3).unwrap();
        assert_eq!(numbers(&dequantization.inverse(&y).unwrap()), numbers(&x));
        let noise = numbers(&(&y - &x).unwrap());
        let noise = noise.chunks_exact(2).map(|row| {
            assert_eq!(row[0], 0.0);
            row[1]
        });
        // Neither end is reached, so a logit is finite.
        let noise = noise.collect::<Vec<_>>();
        assert!(noise.iter().all(|share| *share > 0.0 && *share < 1.0));
        let mean = noise.iter().sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}

#[test]
fn only_integers_that_the_type_tells_apart_are_taken() {
    let message = |value: f32, columns: &[usize]| {
        let x = Tensor::new(&[[0.0, 1.0], [2.0, value]], &Device::Cpu).unwrap();
        let refused = column(columns).forward(&x, 0).unwrap_err();
        refused.to_string().lines().next().unwrap().to_owned()
    };
    for value in [0.5, f32::NAN, f32::INFINITY, 1e7] {
        let found = message(value, &[1]);
        assert!(
            found.contains("row 1, column 1 (counted from 0) is"),
            "{found}"
        );
    }
    assert!(message(0.0, &[2]).contains("a column 2"));
    let words = Tensor::zeros((2, 2), DType::U8, &Device::Cpu).unwrap();
    assert!(column(&[0]).forward(&words, 0).is_err());
    assert!(
        column(&[0])
            .inverse(&Tensor::zeros(3, F64, &Device::Cpu).unwrap())
            .is_err()
    );
}

/// A flow whose density is 1/k on every level gives ln P exactly; another one gives less.
#[test]
fn the_bound_is_tight_for_the_truth_and_below_it_elsewhere() {
    let levels = 5.0;
    let x = Tensor::new(&[[0.0], [1.0], [4.0]], &Device::Cpu).unwrap();
    let identity = || Chain::new(vec![Columnwise::new(&[ColumnMap::Identity]).unwrap()]).unwrap();
    let base = BoxUniform::new(&[0.0], &[levels], F64, &Device::Cpu).unwrap();
    let flow = Flow::new(identity(), base);
    let bound = column(&[0]).lower_bound(&flow, &x, 3, 1).unwrap();
    let expected = Tensor::full(-levels.ln(), 3, &Device::Cpu).unwrap();
    check::close(&bound, &expected, 1e-14).unwrap();

    // Categories on [0, k) through the logit: P(x) is what the logistic base has on a level.
    let logit = ColumnMap::Logit {
        low: 0.0,
        high: levels,
    };
    let flow = Flow::new(
        Columnwise::new(&[logit]).unwrap(),
        Logistic::new(1, F64, &Device::Cpu),
    );
    let bound = numbers(&column(&[0]).lower_bound(&flow, &x, 20, 1).unwrap());
    for found in bound {
        // The logit of a uniform number is logistic.
        assert!((found + levels.ln()).abs() < 1e-9, "{found}");
    }
    let skewed = ColumnMap::Logit {
        low: 0.0,
        high: 9.0,
    };
    let flow = Flow::new(
        Columnwise::new(&[skewed]).unwrap(),
        Logistic::new(1, F64, &Device::Cpu),
    );
    let half = flow.at_temperature(0.5).unwrap();
    let bound = numbers(&column(&[0]).lower_bound(&half, &x, 4000, 1).unwrap());
    let total = bound.iter().map(|bound| bound.exp()).sum::<f64>();
    assert!(total < 1.0, "{total}");
    // z = logit(y/9), and P(z < t) = σ(2t).
    let below = |y: f64| 1.0 / (1.0 + ((9.0 - y) / y).powi(2));
    // On level 4 the density is nearly constant, and the bound nearly tight.
    for (level, found) in [0.0, 1.0].into_iter().zip(bound) {
        let truth = (below(level + 1.0) - below(level)).ln();
        assert!(
            found < truth && found > truth - 0.5,
            "{level}: {found} {truth}"
        );
    }
    let none = column(&[0]).lower_bound(&half, &x, 0, 1).unwrap_err();
    assert!(none.to_string().contains("at least one draw"));
}
