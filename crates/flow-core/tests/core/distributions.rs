//! Base distributions: draws by their distribution functions, contexts, refusals.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::{
    BoxUniform, ConditionalGaussian, Distribution, Laplace, Logistic, Product, StandardNormal,
    StudentT, Uniform, VonMises,
};
use flow_core::params::ParamStore;
use flow_core::train::{FitSettings, Memory, fit};
use flow_core::{
    Activation, Affine, Autoregressive, Elementwise, Flow, Gradients, MlpSize, Order, ScaleMap,
    check, random,
};
use std::f64::consts::PI;
use std::ops::ControlFlow;

const F64: DType = DType::F64;

const AFFINE: Affine = Affine(ScaleMap::Exp, Order::ScaleFirst);

const SIZE: MlpSize = MlpSize {
    width: 8,
    blocks: 1,
    context: 3,
    activation: Activation::Relu,
    residual: true,
    dropout: 0.0,
};

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference between the distribution function and that of the draws (Kolmogorov).
fn distance(draws: &Tensor, function: impl Fn(f64) -> f64) -> f64 {
    let mut draws = numbers(draws);
    draws.sort_by(f64::total_cmp);
    let count = draws.len() as f64;
    let gaps = draws.iter().enumerate().map(|(index, draw)| {
        let expected = function(*draw);
        let [below, above] = [index as f64 / count, (index + 1) as f64 / count];
        (expected - below).max(above - expected)
    });
    gaps.fold(0.0, f64::max)
}

/// ∫ p from −π to x, by the trapezoidal rule.
fn integral(base: &dyn Distribution, x: f64) -> f64 {
    const STEPS: usize = 2000;
    let places = (0..=STEPS).map(|step| -PI + (x + PI) * step as f64 / STEPS as f64);
    let places = Tensor::from_iter(places, &Device::Cpu).unwrap();
    let density = base.log_prob(&places.unsqueeze(1).unwrap()).unwrap();
    let density = numbers(&density.exp().unwrap());
    let ends = f64::midpoint(density[0], density[STEPS]);
    (density.iter().sum::<f64>() - ends) * (x + PI) / STEPS as f64
}

const COUNT: usize = 4000;

type Function = fn(f64) -> f64;

/// Of 4,000 draws; the bound is exceeded once in 1,000 seeds, and these are fixed.
#[test]
fn draws_follow_their_distribution_functions() {
    let bound = 1.95 / (COUNT as f64).sqrt();
    let t = |freedom| StudentT::new(freedom, 1, F64, &Device::Cpu).unwrap();
    let cases: [(&str, Box<dyn Distribution>, Function); 4] = [
        ("cauchy", Box::new(t(1.0)), |x| 0.5 + x.atan() / PI),
        ("student t", Box::new(t(2.0)), |x| {
            0.5 + x / (2.0 * (2.0 + x * x).sqrt())
        }),
        (
            "laplace",
            Box::new(Laplace::new(1, F64, &Device::Cpu)),
            |x| {
                let tail = 0.5 * (-x.abs()).exp();
                if x < 0.0 { tail } else { 1.0 - tail }
            },
        ),
        (
            "logistic",
            Box::new(Logistic::new(1, F64, &Device::Cpu)),
            |x| 1.0 / (1.0 + (-x).exp()),
        ),
    ];
    for (name, base, function) in cases {
        let draws = base.sample(COUNT, 7).unwrap();
        let found = distance(&draws, function);
        assert!(found < bound, "{name}: {found}");
        assert_eq!(numbers(&base.sample(COUNT, 7).unwrap()), numbers(&draws));
    }
    for (seed, kappa) in [0.0, 1e-20, 0.3, 2.0, 50.0, 1e6].into_iter().enumerate() {
        let mean = if kappa > 100.0 { 0.3 } else { 2.5 };
        let base = VonMises::new(&[mean], &[kappa], F64, &Device::Cpu).unwrap();
        let draws = base.sample(COUNT, seed as u64).unwrap();
        assert!(numbers(&draws).iter().all(|draw| draw.abs() <= PI));
        let found = if kappa > 100.0 {
            // Nearly normal.
            let white = ((draws - mean).unwrap() * kappa.sqrt()).unwrap();
            let square = numbers(&white.sqr().unwrap()).iter().sum::<f64>() / COUNT as f64;
            (square - 1.0).abs() / 2.0
        } else {
            distance(&draws.narrow(0, 0, 400).unwrap(), |x| integral(&base, x)) / 10_f64.sqrt()
        };
        assert!(found < bound, "{kappa}: {found}");
        if kappa < 100.0 {
            assert!((integral(&base, PI) - 1.0).abs() < 1e-9, "{kappa}");
        }
    }
}

#[test]
fn a_box_has_bounds_for_every_number() {
    let (low, high) = ([-1.0, 2.0, 1e4], [1.0, 2.5, 1e4 + 1.0]);
    for dtype in [DType::F32, F64] {
        let base = BoxUniform::new(&low, &high, dtype, &Device::Cpu).unwrap();
        let draws = base.sample(1000, 3).unwrap();
        let log_prob = base.log_prob(&draws).unwrap().to_dtype(F64).unwrap();
        // Sides of 2, ½ and 1.
        assert!(numbers(&log_prob).iter().all(|found| found.abs() < 1e-6));
        for column in 0..3 {
            let found = numbers(&draws.narrow(1, column, 1).unwrap().to_dtype(F64).unwrap());
            let shares = found
                .iter()
                .map(|x| (x - low[column]) / (high[column] - low[column]));
            let mean = shares.sum::<f64>() / 1000.0;
            assert!((mean - 0.5).abs() < 0.03, "{mean}");
        }
        let strange = (draws.narrow(0, 0, 1).unwrap() * f64::NAN).unwrap();
        let log_prob = base.log_prob(&strange).unwrap().to_dtype(F64).unwrap();
        assert_eq!(numbers(&log_prob), [f64::NEG_INFINITY]);
    }
    // The same as with one pair of bounds.
    let one = Uniform::new(-1.5, 2.0, 2, F64, &Device::Cpu).unwrap();
    let each = BoxUniform::new(&[-1.5; 2], &[2.0; 2], F64, &Device::Cpu).unwrap();
    let draws = one.sample(20, 1).unwrap();
    check::close(&each.sample(20, 1).unwrap(), &draws, 0.0).unwrap();
    let [one, each] = [
        one.log_prob(&draws).unwrap(),
        each.log_prob(&draws).unwrap(),
    ];
    check::close(&each, &one, 1e-15).unwrap();
}

#[test]
fn a_product_is_of_its_parts() {
    let angle = VonMises::new(&[1.0], &[2.0], F64, &Device::Cpu).unwrap();
    let others = StandardNormal::new(2, F64, &Device::Cpu);
    let z = random::normal(0, (5, 3), F64, &Device::Cpu).unwrap();
    let column = |index| z.narrow(1, index, 1).unwrap();
    let rest = Tensor::cat(&[column(0), column(2)], 1).unwrap();
    let expected = (angle.log_prob(&column(1)).unwrap() + others.log_prob(&rest).unwrap()).unwrap();
    let groups: Vec<(Box<dyn Distribution>, Vec<usize>)> =
        vec![(Box::new(angle), vec![1]), (Box::new(others), vec![0, 2])];
    let product = Product::new(groups).unwrap();
    check::close(&product.log_prob(&z).unwrap(), &expected, 1e-14).unwrap();
    let draws = product.sample(500, 1).unwrap();
    let angles = numbers(&draws.narrow(1, 1, 1).unwrap());
    assert!(angles.iter().all(|angle| angle.abs() <= PI));
    let refused = |columns: [Vec<usize>; 2]| {
        let groups = columns.map(|columns| {
            let base: Box<dyn Distribution> = Box::new(StandardNormal::new(1, F64, &Device::Cpu));
            (base, columns)
        });
        Product::new(groups.into()).err().unwrap().to_string()
    };
    for columns in [[vec![0], vec![2]], [vec![0], vec![0]], [vec![], vec![]]] {
        assert!(refused(columns).contains("each channel from 0"));
    }
}

/// A flow of 2 numbers under a context of 3: of the base alone, or of the map also.
fn conditional(with_map: bool, params: &ParamStore) -> Flow {
    let builder = params.builder(F64, &Device::Cpu);
    let base = ConditionalGaussian::new(2, SIZE, builder.pp("base")).unwrap();
    let context = if with_map { SIZE.context } else { 0 };
    let size = MlpSize { context, ..SIZE };
    let map = Autoregressive::new(2, AFFINE, size, builder.pp("map")).unwrap();
    check::randomize(params, 1, 0.3).unwrap();
    Flow::new(Box::new(map), base)
}

#[test]
fn a_base_takes_the_context_of_its_flow() {
    for with_map in [false, true] {
        let params = ParamStore::new(0);
        let flow = conditional(with_map, &params);
        let contexts = random::normal(2, (700, 3), F64, &Device::Cpu).unwrap();
        let bound = flow.given(&contexts).unwrap();
        let (x, log_prob) = bound.sample_with_log_prob(700, 3).unwrap();
        check::close(&bound.log_prob(&x).unwrap(), &log_prob, 1e-9).unwrap();
        assert!(!x.track_op() && !log_prob.track_op());
        // Each row by itself, with a graph, and below a temperature of its own.
        for row in [0, 255, 256, 699] {
            let own = flow.given(&contexts.narrow(0, row, 1).unwrap()).unwrap();
            let found = own
                .with_graph()
                .log_prob(&x.narrow(0, row, 1).unwrap())
                .unwrap();
            assert!(found.track_op());
            check::close(&found, &log_prob.narrow(0, row, 1).unwrap(), 1e-10).unwrap();
        }
        let same = bound.at_temperature(1.0).unwrap();
        check::close(&same.log_prob(&x).unwrap(), &log_prob, 1e-10).unwrap();
        let few = contexts.narrow(0, 0, 5).unwrap();
        let (x, log_prob) = flow.sample_each_with_log_prob(4, &few, 6).unwrap();
        for index in 0..5 {
            let own = flow.given(&few.narrow(0, index, 1).unwrap()).unwrap();
            let seed = random::derive(6, &format!("context {index}"));
            check::close(&own.sample(4, seed).unwrap(), &x.get(index).unwrap(), 1e-10).unwrap();
            let found = own.log_prob(&x.get(index).unwrap()).unwrap();
            check::close(&found, &log_prob.get(index).unwrap(), 1e-9).unwrap();
        }
        let none = flow.sample_each(4, &contexts.narrow(0, 0, 0).unwrap(), 6);
        assert_eq!(none.unwrap().dims(), [0, 4, 2]);
        let message = |result: Result<Tensor>| result.unwrap_err().to_string();
        assert!(message(flow.sample(3, 0)).contains("needs a context of 3 numbers"));
        assert!(message(bound.sample(3, 0)).contains("needed 1 row or one for each"));
        let narrow = contexts.narrow(1, 0, 2).unwrap();
        let refused = flow.given(&narrow).err().unwrap().to_string();
        assert!(refused.contains("needed [B, 3]"), "{refused}");
    }
}

/// Also where layers are inverted to save memory.
#[test]
fn a_conditional_base_is_fitted() {
    let x = random::normal(0, (50, 2), F64, &Device::Cpu).unwrap();
    let context = random::normal(1, (50, 3), F64, &Device::Cpu).unwrap();
    let fitted = |memory| {
        let params = ParamStore::new(0);
        let flow = conditional(true, &params);
        let settings = FitSettings {
            memory,
            epochs: 2,
            ..FitSettings::default()
        };
        fit(&flow, &params, (&x, &context), &settings, |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        params.vars()
    };
    let both = fitted(Memory::Plain)
        .into_iter()
        .zip(fitted(Memory::Constant));
    for ((name, plain), (_, constant)) in both {
        check::close(&constant, &plain, 1e-9).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The gradients of a draw reach the network of the base.
#[test]
fn draws_of_a_conditional_base_are_differentiable() {
    let params = ParamStore::new(0);
    let flow = conditional(false, &params);
    let context = random::normal(2, (1, 3), F64, &Device::Cpu).unwrap();
    let draws = flow.given(&context).unwrap().with_graph().sample(5, 1);
    let loss = draws.unwrap().sqr().unwrap().sum_all().unwrap();
    let gradients = Gradients::of(&loss, &params).unwrap();
    let output = gradients.get("base.output.weight").unwrap();
    assert!(numbers(output).iter().any(|number| number.abs() > 1e-3));
}

/// A last layer that the context scales and shifts is the same distribution as a base with the
/// opposite log-scale: z = (x − mean)·exp(−log_std) = (x + shift)·exp(scale).
#[test]
fn an_elementwise_last_layer_is_a_conditional_base() {
    let params = ParamStore::new(0);
    let builder = params.builder(F64, &Device::Cpu);
    let transform = Affine(ScaleMap::Exp, Order::ShiftFirst);
    let layer = Elementwise::new(2, transform, SIZE, builder).unwrap();
    check::randomize(&params, 1, 0.3).unwrap();
    // Shifts come before scales, and both with the other sign.
    let negative = params.vars().into_iter().map(|(name, var)| {
        let is_last = name.starts_with("output");
        let sign = if is_last { -1.0 } else { 1.0 };
        (name, (var.as_tensor() * sign).unwrap())
    });
    let negative = ParamStore::from_tensors(negative).unwrap();
    let base = ConditionalGaussian::new(2, SIZE, negative.builder(F64, &Device::Cpu)).unwrap();
    let contexts = random::normal(2, (6, 3), F64, &Device::Cpu).unwrap();
    let base = base.given(&contexts).unwrap();
    let flow = Flow::new(layer, StandardNormal::new(2, F64, &Device::Cpu));
    let flow = flow.given(&contexts).unwrap();
    let x = flow.sample(6, 3).unwrap();
    check::close(&base.sample(6, 3).unwrap(), &x, 1e-12).unwrap();
    let expected = flow.log_prob(&x).unwrap();
    check::close(&base.log_prob(&x).unwrap(), &expected, 1e-12).unwrap();
}

#[test]
fn settings_without_a_density_are_refused() {
    let cpu = &Device::Cpu;
    for freedom in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(StudentT::new(freedom, 1, F64, cpu).is_err(), "{freedom}");
    }
    for kappa in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(
            VonMises::new(&[0.0], &[kappa], F64, cpu).is_err(),
            "{kappa}"
        );
    }
    assert!(VonMises::new(&[0.0; 2], &[1.0], F64, cpu).is_err());
    assert!(VonMises::new(&[], &[], F64, cpu).is_err());
    assert!(BoxUniform::new(&[0.0], &[0.0], F64, cpu).is_err());
    assert!(BoxUniform::new(&[0.0], &[1.0, 2.0], F64, cpu).is_err());
    // The same number in single precision.
    assert!(BoxUniform::new(&[1.0], &[1.0 + 1e-12], DType::F32, cpu).is_err());
    let wrong = Laplace::new(3, F64, cpu).log_prob(&Tensor::zeros((2, 4), F64, cpu).unwrap());
    assert!(wrong.unwrap_err().to_string().contains("needed [B, 3]"));
}
