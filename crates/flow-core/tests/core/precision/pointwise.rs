//! Functions of every number, their inverses, slopes and gradients, against exact values.

use super::{column, gradient, limits, near, numbers, places};
use candle_core::{DType, Tensor};
use flow_core::{Bijection, Pointwise};

const ALL: [Pointwise; 5] = [
    Pointwise::Sigmoid,
    Pointwise::Softplus,
    Pointwise::Exp,
    Pointwise::Tanh,
    Pointwise::YeoJohnson { lambda: 0.625 },
];

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// y, ln y′, y′ and the derivative of ln y′.
fn exact(function: Pointwise, x: f64) -> [f64; 4] {
    let e = (-2.0 * x.abs()).exp();
    // ln(1 − tanh²x) = −ln(1 + sinh²x).
    let tanh_slope = if x.abs() < 1.0 {
        -x.sinh().powi(2).ln_1p()
    } else {
        2.0 * (2_f64.ln() - x.abs() - e.ln_1p())
    };
    match function {
        Pointwise::Sigmoid => [
            sigmoid(x),
            -softplus(x) - softplus(-x),
            sigmoid(x) * sigmoid(-x),
            -(x / 2.0).tanh(),
        ],
        Pointwise::Softplus => [softplus(x), -softplus(-x), sigmoid(x), sigmoid(-x)],
        Pointwise::Exp => [x.exp(), x, x.exp(), 1.0],
        Pointwise::Tanh => [
            x.tanh(),
            tanh_slope,
            4.0 * e / (1.0 + e).powi(2),
            -2.0 * x.tanh(),
        ],
        Pointwise::YeoJohnson { lambda } => {
            let power = if x < 0.0 { 2.0 - lambda } else { lambda };
            let log_size = x.abs().ln_1p();
            [
                (power * log_size).exp_m1() / power * x.signum(),
                (power - 1.0) * log_size,
                ((power - 1.0) * log_size).exp(),
                (power - 1.0) / (1.0 + x.abs()) * x.signum(),
            ]
        }
        Pointwise::Interval { .. } | Pointwise::Power { .. } => {
            panic!("{function:?} has no exact one")
        }
    }
}

/// Values of 50 digits (mpmath), so that the formulas of this test are checked independently.
#[test]
fn the_reference_is_right() {
    for (found, expected) in [
        (softplus(-15.0), 3.059_022_737_137_205e-7),
        (softplus(-100.0), 3.720_075_976_020_836e-44),
        (softplus(0.5), 0.974_076_984_180_106_7),
        (sigmoid(-15.0), 3.059_022_269_256_247e-7),
        (exact(Pointwise::Tanh, 0.001)[1], -9.999_998_333_333_779e-7),
        (exact(Pointwise::Tanh, 20.0)[1], -38.613_705_638_880_11),
    ] {
        assert!(
            (found / expected - 1.0).abs() < 1e-15,
            "{found:e} {expected:e}"
        );
    }
}

#[test]
fn values_slopes_and_gradients_keep_their_digits_in_both_tails() {
    for (function, dtype) in ALL
        .into_iter()
        .flat_map(|f| [(f, DType::F32), (f, DType::F64)])
    {
        // e¹⁰⁰ exceeds f32.
        let reached = |x: &f64| function != Pointwise::Exp || *x < 88.0;
        let at: Vec<_> = places().into_iter().filter(reached).collect();
        let x = column(&at, dtype);
        let exact =
            |index: usize| -> Vec<f64> { at.iter().map(|x| exact(function, *x)[index]).collect() };
        let forward = |x: &Tensor| function.forward(x).unwrap();
        let name = |what: &str| format!("{function:?}, {what}");
        let (y, log_det) = forward(&x);
        // The power of a large number multiplies the rounding of its logarithm.
        let roundings = match function {
            Pointwise::YeoJohnson { .. } => 16.0,
            _ => 4.0,
        };
        near(
            &name("value"),
            &numbers(&y),
            &exact(0),
            &at,
            dtype,
            roundings,
        );
        near(
            &name("slope"),
            &numbers(&log_det),
            &exact(1),
            &at,
            dtype,
            6.0,
        );
        let slopes = gradient(&x, |x| forward(x).0);
        near(&name("gradient"), &slopes, &exact(2), &at, dtype, 8.0);
        let bends = gradient(&x, |x| forward(x).1);
        let whole = |bends: Vec<f64>| bends.into_iter().map(|bend| bend + 3.0).collect::<Vec<_>>();
        near(
            &name("gradient of slope"),
            &whole(bends),
            &whole(exact(3)),
            &at,
            dtype,
            4.0,
        );
    }
}

#[test]
fn inverses_keep_their_digits() {
    for (function, dtype) in ALL[..4]
        .iter()
        .flat_map(|f| [(*f, DType::F32), (*f, DType::F64)])
    {
        let ys: Vec<_> = match function {
            Pointwise::Tanh | Pointwise::Sigmoid => {
                let inside = (1..64).map(|i| f64::from(i) / 64.0);
                let small = (1..100).map(|power| 0.75 * 2_f64.powi(-power));
                let large = (1..20).map(|power| 1.0 - 2_f64.powi(-power));
                inside.chain(small).chain(large).collect()
            }
            _ => (-120..=120).map(|power| 1.25 * 2_f64.powi(power)).collect(),
        };
        let exact = |y: &f64| match function {
            Pointwise::Sigmoid => y.ln() - (-y).ln_1p(),
            Pointwise::Softplus => y + (-(-y).exp_m1()).ln(),
            Pointwise::Exp => y.ln(),
            Pointwise::Tanh => 0.5 * (y.ln_1p() - (-y).ln_1p()),
            _ => panic!("{function:?} is none of the first four"),
        };
        let exact = ys.iter().map(exact).collect::<Vec<_>>();
        let y = column(&ys, dtype);
        let x = function.inverse(&y).unwrap();
        let (epsilon, _) = limits(dtype);
        for ((y, x), exact) in ys.iter().zip(numbers(&x)).zip(&exact) {
            // Near 0, tanh is its argument; the others cross it with two terms of about 1.
            let size = if function == Pointwise::Tanh {
                exact.abs()
            } else {
                exact.abs() + 1.0
            };
            let bound = 3.0 * epsilon * size;
            assert!(
                (x - exact).abs() <= bound,
                "{function:?} {dtype:?} {y:e}: {x:e} {exact:e}"
            );
        }
        let back = numbers(&function.forward(&x).unwrap().0);
        // An error of x is a relative error of y where y is like eˣ.
        for ((y, back), x) in ys.iter().zip(back).zip(exact) {
            let bound = 4.0 * epsilon * (1.0 + x.abs()) * y;
            assert!(
                (back - y).abs() <= bound,
                "{function:?} {dtype:?} {y:e}: {back:e}"
            );
        }
    }
}

#[test]
fn ends_are_infinite_and_nothing_lies_beyond() {
    let inverse = |function: Pointwise, y: f64| {
        numbers(&function.inverse(&column(&[y], DType::F32)).unwrap())[0]
    };
    let infinity = f64::INFINITY;
    for (function, y, x) in [
        (Pointwise::Sigmoid, 0.0, -infinity),
        (Pointwise::Sigmoid, 1.0, infinity),
        (Pointwise::Softplus, 0.0, -infinity),
        (Pointwise::Softplus, infinity, infinity),
        (Pointwise::Exp, 0.0, -infinity),
        (Pointwise::Tanh, -1.0, -infinity),
        (Pointwise::Tanh, 1.0, infinity),
    ] {
        assert_eq!(inverse(function, y), x, "{function:?} {y}");
    }
    for (function, y) in [
        (Pointwise::Sigmoid, -0.1),
        (Pointwise::Sigmoid, 1.1),
        (Pointwise::Softplus, -0.1),
        (Pointwise::Exp, -0.1),
        (Pointwise::Tanh, 1.1),
        (Pointwise::Tanh, -1.1),
        (INTERVAL, -1.1),
        (INTERVAL, 2.1),
    ] {
        assert!(inverse(function, y).is_nan(), "{function:?} {y}");
    }
}

const INTERVAL: Pointwise = Pointwise::Interval {
    low: -1.0,
    high: 2.0,
};

/// The distance to the nearer end keeps its digits.
#[test]
fn intervals_keep_their_digits_at_both_ends() {
    for x in [-30.0, -5.0, 0.0, 5.0, 30.0_f64] {
        let y = numbers(&INTERVAL.forward(&column(&[x], DType::F64)).unwrap().0)[0];
        let end = if x < 0.0 { y + 1.0 } else { 2.0 - y };
        let exact = 3.0 * sigmoid(-x.abs());
        assert!(
            (end - exact).abs() <= 2.0 * f64::EPSILON,
            "{x}: {end} {exact}"
        );
    }
}

#[test]
fn functions_without_an_inverse_are_refused() {
    let x = column(&[0.5], DType::F32);
    for (function, message) in [
        (
            Pointwise::Interval {
                low: 1.0,
                high: 1.0,
            },
            "a positive length",
        ),
        (
            Pointwise::Interval {
                low: 0.0,
                high: f64::INFINITY,
            },
            "a positive length",
        ),
        (Pointwise::Power { exponent: 0.0 }, "a positive number"),
        (Pointwise::Power { exponent: f64::NAN }, "a positive number"),
        (Pointwise::YeoJohnson { lambda: 2.0 }, "between 0 and 2"),
    ] {
        for result in [function.forward(&x).map(|(y, _)| y), function.inverse(&x)] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
