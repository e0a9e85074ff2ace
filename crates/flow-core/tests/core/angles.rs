//! Angles: no seam where they wrap, and flows of angles beside other numbers.

use candle_core::{DType, Device, Tensor};
use flow_core::distribution::{Distribution, Product, StandardNormal, VonMises};
use flow_core::params::ParamStore;
use flow_core::train::{FitSettings, fit};
use flow_core::{
    Activation, Autoregressive, Bijection, Chain, CircularShift, Conditioner, Coupling, Ends, Flow,
    IntervalSpline, Mlp, MlpSize, Passing, PerChannel, PeriodicFeatures, Spline, Transform, check,
    random,
};
use std::f64::consts::{PI, TAU};
use std::ops::ControlFlow;

const F64: DType = DType::F64;

const SIZE: MlpSize = MlpSize {
    width: 16,
    blocks: 1,
    context: 0,
    activation: Activation::Relu,
    residual: true,
    dropout: 0.0,
};

fn row(numbers: &[f64]) -> Tensor {
    Tensor::new(numbers, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Value and slope agree on both sides of the seam, and every turn adds a period.
#[test]
fn a_circular_spline_has_no_seam() {
    let spline = IntervalSpline::circle();
    for seed in 0..20 {
        let h = random::normal(seed, (1, spline_parameters()), F64, &Device::Cpu).unwrap();
        let at = |x: f64| {
            let (y, log_slope) = spline.forward_last(&row(&[x]), &h).unwrap();
            (numbers(&y)[0], numbers(&log_slope)[0])
        };
        let step = 1e-12;
        let (below, above) = (at(PI - step), at(-PI + step));
        assert!(
            (below.0 - TAU - above.0).abs() < 1e-6,
            "{below:?} {above:?}"
        );
        assert!((below.1 - above.1).abs() < 1e-6, "{below:?} {above:?}");
        for x in [-3.0, -0.1, 2.9] {
            let (here, there) = (at(x), at(x + 3.0 * TAU));
            assert!(
                (there.0 - here.0 - 3.0 * TAU).abs() < 1e-9,
                "{here:?} {there:?}"
            );
            assert!((there.1 - here.1).abs() < 1e-9, "{here:?} {there:?}");
        }
        let back = spline.inverse_last(&row(&[at(10.0).0]), &h).unwrap();
        assert!((numbers(&back)[0] - 10.0).abs() < 1e-9);
    }
}

fn spline_parameters() -> usize {
    Transform::parameters(&IntervalSpline::circle())
}

#[test]
fn splines_have_parameters_by_their_ends() {
    for (ends, count) in [(Ends::Linear, 23), (Ends::Circular, 24), (Ends::Free, 25)] {
        let spline = IntervalSpline {
            ends,
            ..IntervalSpline::on(0.0, 1.0)
        };
        assert_eq!(Transform::parameters(&spline), count);
        // A fresh one is the identity.
        let bias = spline.initial_bias();
        let x = row(&[0.0, 0.123, 0.999, 1.0]);
        let h = row(&bias.repeat(4));
        let (y, log_det) = spline.forward_last(&x, &h).unwrap();
        check::close(&y, &x, 1e-14).unwrap();
        check::close(&log_det, &log_det.zeros_like().unwrap(), 1e-13).unwrap();
    }
    // Outside it stays the identity.
    let x = row(&[-0.1, 1.1, 1e9]);
    let h = random::normal(3, (1, 75), F64, &Device::Cpu).unwrap();
    let (y, log_det) = IntervalSpline::on(0.0, 1.0).forward_last(&x, &h).unwrap();
    assert_eq!((numbers(&y), numbers(&log_det)), (numbers(&x), vec![0.0]));
    let x = row(&[0.5]);
    for (low, high) in [
        (1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
    ] {
        let h = Tensor::zeros((1, 25), F64, &Device::Cpu).unwrap();
        let refused = IntervalSpline::on(low, high).forward_last(&x, &h);
        assert!(refused.unwrap_err().to_string().contains("the interval"));
    }
}

/// Bins of the least width, derivatives from the least to enormous, numbers at both ends.
#[test]
fn interval_splines_survive_extreme_parameters() {
    for ends in [Ends::Free, Ends::Circular] {
        let spline = IntervalSpline {
            ends,
            ..IntervalSpline::on(-1.0, 2.0)
        };
        let inner = random::uniform(0, (300, 2), F64, &Device::Cpu).unwrap();
        let inner = inner.affine(3.0, -1.0).unwrap();
        let ends = Tensor::new(&[[-1.0, 2.0], [2.0 - 1e-9, 1e-300]], &Device::Cpu).unwrap();
        let x = Tensor::cat(&[inner, ends], 0).unwrap();
        let shape = (302, 2 * Transform::parameters(&spline));
        for (dtype, std) in [DType::F32, F64]
            .into_iter()
            .flat_map(|d| [(d, 10.0), (d, 1e4)])
        {
            let h = (random::normal(1, shape, F64, &Device::Cpu).unwrap() * std).unwrap();
            let (x, h) = (x.to_dtype(dtype).unwrap(), h.to_dtype(dtype).unwrap());
            let (y, log_det) = spline.forward_last(&x, &h).unwrap();
            let back = spline.inverse_last(&x, &h).unwrap();
            for (result, bound) in [(y, 2.0), (log_det, 1e3), (back, 2.0)] {
                let result = numbers(&result.to_dtype(F64).unwrap());
                assert!(
                    result.iter().all(|number| number.abs() <= bound),
                    "{std} {dtype:?}"
                );
            }
        }
    }
}

#[test]
fn a_shift_wraps_and_comes_back() {
    let shift = CircularShift {
        low: 0.0,
        high: 360.0,
    };
    let (x, h) = (row(&[350.0, 10.0, 0.0]), row(&[20.0, -20.0, 720.0]));
    let (y, log_det) = shift.forward_last(&x, &h).unwrap();
    assert_eq!(numbers(&y), [10.0, 350.0, 0.0]);
    assert_eq!(numbers(&log_det), [0.0]);
    assert_eq!(
        numbers(&shift.inverse_last(&y, &h).unwrap()),
        [350.0, 10.0, 0.0]
    );
}

#[test]
fn features_of_angles_are_continuous() {
    let params = ParamStore::new(0);
    let builder = params.builder(F64, &Device::Cpu);
    let network = Mlp::new(5, 4, SIZE, builder).unwrap();
    let network = PeriodicFeatures::new(3, &[2, 0], TAU, network).unwrap();
    check::randomize(&params, 1, 0.5).unwrap();
    assert_eq!(network.sizes(), Some([3, 4]));
    let of = |x: &[f64]| network.forward(&row(x)).unwrap();
    check::close(&of(&[PI, 0.3, -PI]), &of(&[-PI, 0.3, PI]), 1e-12).unwrap();
    check::close(
        &of(&[1.0, 0.3, 7.0]),
        &of(&[1.0 + TAU, 0.3, 7.0 - TAU]),
        1e-12,
    )
    .unwrap();
    // The other column is no angle.
    assert!(check::close(&of(&[0.0, 0.3, 0.0]), &of(&[0.0, 0.3 + TAU, 0.0]), 1e-3).is_err());
    let message = |angles: &[usize], period: f64| {
        let made = PeriodicFeatures::new(3, angles, period, ());
        made.err().unwrap().to_string()
    };
    assert!(message(&[3], TAU).contains("columns below 3"));
    assert!(message(&[1, 1], TAU).contains("each once"));
    assert!(message(&[1], 0.0).contains("needed a positive number"));
    let refused = network.forward(&row(&[0.0, 1.0])).unwrap_err().to_string();
    assert!(refused.contains("needed [B, 3, …]"), "{refused}");
}

#[test]
fn every_channel_has_one_transform() {
    let make = |columns: [Vec<usize>; 2]| {
        let [a, b] = columns;
        PerChannel::new(vec![
            (Box::new(IntervalSpline::circle()), a),
            (Box::new(Spline::default()), b),
        ])
    };
    let mixed = make([vec![2, 0], vec![1]]).unwrap();
    assert_eq!(mixed.parameters(), 24);
    assert_eq!(mixed.channel(1).unwrap().initial_bias().len(), 24);
    assert!(mixed.channel(3).is_none());
    let x = random::normal(0, (4, 3), F64, &Device::Cpu).unwrap();
    let h = random::normal(1, (4, 72), F64, &Device::Cpu).unwrap();
    let (y, log_det) = mixed.forward_last(&x, &h).unwrap();
    let mut expected = log_det.zeros_like().unwrap();
    for channel in 0..3 {
        let (x, y) = (
            x.narrow(1, channel, 1).unwrap(),
            y.narrow(1, channel, 1).unwrap(),
        );
        let own = h.narrow(1, channel * 24, 24).unwrap();
        let (found, log_slope) = match channel {
            1 => Spline::default().forward_last(&x, &own.narrow(1, 0, 23).unwrap()),
            _ => IntervalSpline::circle().forward_last(&x, &own),
        }
        .unwrap();
        check::close(&found, &y, 1e-14).unwrap();
        let back = mixed.channel(channel).unwrap().inverse_last(&y, &own);
        check::close(&back.unwrap(), &x, 1e-9).unwrap();
        expected = (expected + log_slope).unwrap();
    }
    check::close(&log_det, &expected, 1e-12).unwrap();
    for columns in [[vec![0], vec![2]], [vec![0], vec![0, 1]], [vec![], vec![]]] {
        assert!(
            make(columns)
                .err()
                .unwrap()
                .to_string()
                .contains("each channel from 0")
        );
    }
}

/// A flow of an angle and a number, each moved by the other.
fn mixed_flow(layers: usize, params: &ParamStore) -> Flow<Chain> {
    let builder = params.builder(DType::F32, &Device::Cpu);
    let (circle, line) = (IntervalSpline::circle(), Spline::default());
    let layer = |index: usize| {
        let passing = [Passing::FirstHalf, Passing::SecondHalf][index % 2];
        let builder = builder.pp(index);
        let layer = Coupling::mixed(2, &[0], circle, line, passing, SIZE, builder).unwrap();
        Box::new(layer) as Box<dyn Bijection>
    };
    let angle = VonMises::new(&[0.0], &[0.0], DType::F32, &Device::Cpu).unwrap();
    let number = StandardNormal::new(1, DType::F32, &Device::Cpu);
    let groups: Vec<(Box<dyn Distribution>, Vec<usize>)> =
        vec![(Box::new(angle), vec![0]), (Box::new(number), vec![1])];
    let chain = Chain::new((0..layers).map(layer).collect()).unwrap();
    Flow::new(chain, Product::new(groups).unwrap())
}

/// Angles wrap in the layers: the density is the same a turn further. Numbers of an autoregressive
/// layer depend on those before them alone, angles and others.
#[test]
fn mixed_layers_see_angles_as_angles() {
    let angles = [2, 0];
    let (circle, line) = (IntervalSpline::circle(), Spline::default());
    let params = ParamStore::new(0);
    let builder = |name| params.builder(F64, &Device::Cpu).pp(name);
    let coupling =
        Coupling::mixed(4, &angles, circle, line, Passing::Even, SIZE, builder("a")).unwrap();
    let made = Autoregressive::mixed(4, &angles, circle, line, SIZE, builder("b")).unwrap();
    check::randomize(&params, 1, 0.3).unwrap();
    let x = random::normal(2, (3, 4), F64, &Device::Cpu).unwrap();
    let turns = Tensor::new(&[[TAU, 0.0, -2.0 * TAU, 0.0]], &Device::Cpu).unwrap();
    let further = x.broadcast_add(&turns).unwrap();
    for layer in [&coupling as &dyn Bijection, &made] {
        let ((y, log_det), (z, there)) =
            (layer.forward(&x).unwrap(), layer.forward(&further).unwrap());
        check::close(&z, &y.broadcast_add(&turns).unwrap(), 1e-10).unwrap();
        check::close(&there, &log_det, 1e-10).unwrap();
    }
    let row = x.narrow(0, 0, 1).unwrap();
    let jacobian = check::jacobian(|x| Ok(made.forward(x)?.0), &row, 1).unwrap();
    for (i, slopes) in jacobian.iter().enumerate() {
        for (j, slope) in slopes.iter().enumerate() {
            assert_eq!(*slope != 0.0, j <= i, "dy{i}/dx{j} = {slope}");
        }
    }
    let refused = Coupling::mixed(4, &[4], circle, line, Passing::Even, SIZE, builder("c"));
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("needed one below 4")
    );
}

/// Angles around ±π, which a seam would cut in two, and a number that follows their sine: the fit
/// comes within 0.1 nats of the entropy, and the density is the same on both sides.
#[test]
fn a_flow_of_an_angle_and_a_number_fits_across_the_seam() {
    let rows = 2000;
    let truth = VonMises::new(&[PI], &[4.0], F64, &Device::Cpu).unwrap();
    let angle = truth.sample(rows, 1).unwrap();
    let noise = random::normal(2, (rows, 1), F64, &Device::Cpu).unwrap();
    let number = (angle.sin().unwrap() + (&noise * 0.3).unwrap()).unwrap();
    let entropy = {
        let angles = truth.log_prob(&angle).unwrap().mean_all().unwrap();
        // ln of N(0, 0.3²).
        let normal = 0.5 * (1.0 + TAU.ln()) + 0.3_f64.ln();
        normal - angles.to_scalar::<f64>().unwrap()
    };
    let x = Tensor::cat(&[&angle, &number], 1).unwrap();
    let x = x.to_dtype(DType::F32).unwrap();
    let params = ParamStore::new(0);
    let flow = mixed_flow(4, &params);
    let mut settings = FitSettings {
        epochs: 30,
        batch_size: 100,
        ..FitSettings::default()
    };
    settings.optimization.learning_rate = 3e-3;
    let fitted = fit(&flow, &params, &x, &settings, |_| ControlFlow::Continue(())).unwrap();
    let found = fitted.best.validation.unwrap();
    assert!((found - entropy).abs() < 0.15, "{found} {entropy}");
    let sides = Tensor::new(&[[PI - 1e-3, 0.1], [-PI + 1e-3, 0.1]], &Device::Cpu).unwrap();
    let sides = flow.log_prob(&sides.to_dtype(DType::F32).unwrap()).unwrap();
    let sides = numbers(&sides.to_dtype(F64).unwrap());
    assert!((sides[0] - sides[1]).abs() < 0.05, "{sides:?}");
}
