//! Splines with extreme raw parameters.

use super::{column, gradient, limits, numbers};
use candle_core::{DType, Device, Result, Tensor};
use flow_core::ops::spline::{self, Spline};
use flow_core::random;

type Forward = fn(&Tensor, &Tensor, Spline) -> Result<(Tensor, Tensor)>;
type Inverse = fn(&Tensor, &Tensor, Spline) -> Result<Tensor>;

const FORMS: [(&str, DType, Forward, Inverse); 3] = [
    ("fused", DType::F32, spline::forward, spline::inverse),
    (
        "composed",
        DType::F32,
        spline::composed::forward,
        spline::composed::inverse,
    ),
    (
        "composed",
        DType::F64,
        spline::composed::forward,
        spline::composed::inverse,
    ),
];

/// Raw parameters of single numbers: random ones, large ones of random signs, all equal, all but
/// one zero.
fn raw_parameters(count: usize) -> Vec<Vec<f64>> {
    let normal = |seed| numbers(&random::normal(seed, count, DType::F32, &Device::Cpu).unwrap());
    let sizes = [1.0, 10.0, 1e2, 1e4, 1e6, 1e30];
    let mut all = Vec::new();
    for (seed, size) in (0..).zip(sizes) {
        let draws = (0..3).map(|draw| normal(10 * seed + draw));
        all.extend(draws.map(|draw| draw.into_iter().map(|x| x * size).collect::<Vec<_>>()));
        all.push(normal(seed).into_iter().map(|x| size.copysign(x)).collect());
        for size in [-size, size] {
            all.push(vec![size; count]);
        }
    }
    for (hot, size) in (0..count).flat_map(|hot| [-1e30, -1e6, 1e6, 1e30].map(|size| (hot, size))) {
        let mut raw = vec![0.0; count];
        raw[hot] = size;
        all.push(raw);
    }
    all.push(vec![0.0; count]);
    all
}

/// An even grid on the interval, and the numbers beside its ends.
fn grid(bound: f64) -> Vec<f64> {
    let last = f64::from((bound as f32).next_down());
    let inner = (1..24).map(|i| f64::from((bound * (f64::from(i) / 12.0 - 1.0)) as f32));
    let ends = [-bound, -last].into_iter();
    ends.chain(inner).chain([last, bound]).collect()
}

/// Checks that errors of x and y of at most `reach` explain the distance of `y` from the exact
/// function of `x`.
fn explained(name: &str, x: &[f64], y: &[f64], exact: impl Fn(&[f64]) -> Vec<f64>, reach: f64) {
    let moved = |by: f64| exact(&x.iter().map(|x| x + by).collect::<Vec<_>>());
    let (low, high) = (moved(-reach), moved(reach));
    for (i, y) in y.iter().enumerate() {
        assert!(
            low[i] - reach <= *y && *y <= high[i] + reach,
            "{name}: {:e} ↦ {y:e}, but {:e} to {:e}",
            x[i],
            low[i],
            high[i]
        );
    }
}

fn assert_finite(name: &str, values: &[f64]) {
    let finite = values.iter().all(|value| value.is_finite());
    assert!(finite, "{name}: {values:?}");
}

#[test]
fn extreme_parameters_stay_in_their_bins() {
    for (bins, bound) in [(8, 3.0), (2, 1.0), (5, 20.0)] {
        let spline = Spline {
            bins,
            bound,
            ..Spline::default()
        };
        let places = grid(bound);
        for (number, raw) in raw_parameters(spline.parameters()).iter().enumerate() {
            let rows = vec![raw.as_slice(); places.len()].concat();
            let h = |dtype| {
                let h = column(&rows, DType::F32).to_dtype(dtype).unwrap();
                h.reshape((places.len(), ())).unwrap()
            };
            let exact = |x: &[f64]| {
                let x = column(x, DType::F64);
                numbers(
                    &spline::composed::forward(&x, &h(DType::F64), spline)
                        .unwrap()
                        .0,
                )
            };
            for (form, dtype, forward, inverse) in FORMS {
                let name =
                    format!("{form} {dtype:?}, {bins} bins, raw parameters {number}: {raw:?}");
                let reach = 16.0 * limits(dtype).0 * bound;
                let (x, h) = (column(&places, dtype), h(dtype));
                let (y, log_det) = forward(&x, &h, spline).unwrap();
                let (y, back) = (numbers(&y), numbers(&inverse(&x, &h, spline).unwrap()));
                assert_finite(&name, &numbers(&log_det));
                for values in [&y, &back] {
                    let inside = values.iter().all(|value| value.abs() <= bound);
                    let sorted = values.is_sorted_by(|a, b| *b >= a - reach);
                    assert!(inside && sorted, "{name}: {values:?}");
                }
                explained(&name, &places, &y, exact, reach);
                explained(&name, &back, &places, exact, reach);
                // The inverse of the result.
                let again = numbers(&inverse(&column(&y, dtype), &h, spline).unwrap());
                explained(&name, &again, &y, exact, reach);

                let ends = gradient(&x, |x| forward(x, &h, spline).unwrap().0);
                let bends = gradient(&h, |h| forward(&x, h, spline).unwrap().1);
                let back = gradient(&h, |h| inverse(&x, h, spline).unwrap());
                assert_finite(&name, &[ends, bends, back].concat());
            }
        }
    }
}

/// Inner knots on [−1, 1] of five bins with a least width of 0.1, by raw widths, rounded to f32.
fn inner_knots(raw: &[f64]) -> Vec<f64> {
    let weights = raw.iter().map(|raw| raw.exp()).collect::<Vec<_>>();
    let total = weights.iter().sum::<f64>();
    let widths = weights
        .iter()
        .map(|weight| 2.0 * (0.1 + 0.5 * weight / total));
    let knots = widths.take(4).scan(-1.0, |left, width| {
        *left += width;
        Some(f64::from(*left as f32))
    });
    knots.collect()
}

/// On a knot, rounding decides in which bin a number lies. Values do not show it. The gradient of
/// ln ∂y/∂x jumps there, and must equal that of one of the two bins.
#[test]
fn on_a_knot_both_bins_are_right() {
    let spline = Spline {
        bins: 5,
        bound: 1.0,
        min_width: 0.1,
        min_height: 0.1,
        min_derivative: 0.1,
    };
    let count = spline.parameters();
    for seed in 0..40 {
        let raw = random::normal(seed, (1, count), DType::F32, &Device::Cpu).unwrap();
        let raw = (raw * 0.5).unwrap();
        let places: Vec<_> = inner_knots(&numbers(&raw)[..5])
            .into_iter()
            .flat_map(|knot| [-2.0, -1.0, 0.0, 1.0, 2.0].map(|step| knot + step * 2_f64.powi(-25)))
            .collect();
        let h = |dtype| {
            raw.to_dtype(dtype)
                .unwrap()
                .repeat((places.len(), 1))
                .unwrap()
        };
        let both = |places: &[f64], dtype: DType, forward: Forward| {
            let (x, h) = (column(places, dtype), h(dtype));
            let (y, log_slope) = forward(&x, &h, spline).unwrap();
            let bends = gradient(&x, |x| forward(x, &h, spline).unwrap().1);
            (numbers(&y), numbers(&log_slope), bends)
        };
        let exact = |by: f64| {
            let places = places.iter().map(|place| place + by).collect::<Vec<_>>();
            both(&places, DType::F64, spline::composed::forward)
        };
        let (before, on, after) = (exact(-1e-6).2, exact(0.0), exact(1e-6).2);
        for (_, dtype, forward, _) in FORMS {
            let (y, log_slope, bends) = both(&places, dtype, forward);
            for i in 0..places.len() {
                assert!((y[i] - on.0[i]).abs() < 1e-6 && (log_slope[i] - on.1[i]).abs() < 1e-5);
                let off = (bends[i] - before[i])
                    .abs()
                    .min((bends[i] - after[i]).abs());
                assert!(
                    off < 1e-3 * (1.0 + bends[i].abs()),
                    "{} {} {}",
                    before[i],
                    bends[i],
                    after[i]
                );
            }
        }
    }
}
