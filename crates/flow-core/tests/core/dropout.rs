//! Dropout of networks while flows are fitted.

use candle_core::{DType, Device, Tensor};
use flow_core::distribution::{ConditionalGaussian, Distribution, Product};
use flow_core::params::{ParamStore, assign};
use flow_core::recipes::Recipe;
use flow_core::train::{FitSettings, Memory, ReverseKlSettings, Training};
use flow_core::{
    Base, Bijection, Conditioner, Elementwise, Flow, Mlp, MlpSize, Model, PeriodicFeatures, Spline,
    check, random, recipes,
};
use std::ops::ControlFlow::{Break, Continue};

const NETWORK: MlpSize = MlpSize {
    width: 8,
    blocks: 1,
    context: 2,
    activation: flow_core::Activation::Relu,
    residual: true,
    dropout: 0.4,
};

fn normal(seed: u64, rows: usize, columns: usize, dtype: DType) -> Tensor {
    random::normal(seed, (rows, columns), dtype, &Device::Cpu).unwrap()
}

fn weights(model: &Model) -> Vec<Vec<f64>> {
    let vars = model.params().vars().into_iter();
    let values = vars.map(|(_, var)| {
        let var = var.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
        var.to_vec1().unwrap()
    });
    values.collect()
}

/// Every recipe under a context, by residual and by plain networks, with dropout in all networks.
fn recipes(rate: f64) -> impl Iterator<Item = (String, Recipe)> {
    let all = recipes::ALL.into_iter();
    let both = all.flat_map(|(name, recipe)| [(name, recipe, true), (name, recipe, false)]);
    both.map(move |(name, recipe, residual)| {
        let network = MlpSize {
            dropout: rate,
            residual,
            ..NETWORK
        };
        let embedding = MlpSize {
            context: 0,
            ..network
        };
        let recipe = recipe(3).layers(2).width(8).blocks(1).residual(residual);
        let recipe = recipe.context(2).dropout(rate).embedding(embedding, 2);
        let recipe = recipe.base(Base::ConditionalGaussian { network });
        (format!("{name}, residual: {residual}"), recipe)
    })
}

fn fitted(recipe: &Recipe, dtype: DType, settings: &FitSettings) -> Model {
    let model = recipe.build(0, dtype, &Device::Cpu).unwrap();
    let data = (&normal(1, 150, 3, dtype), &normal(2, 150, 2, dtype));
    model.fit(data, settings, |_| Continue(())).unwrap();
    model
}

fn settings() -> FitSettings {
    FitSettings {
        batch_size: 140,
        epochs: 2,
        ..FitSettings::default()
    }
}

#[test]
fn models_with_dropout_score_and_draw_as_those_without() {
    let contexts = normal(3, 4, 2, DType::F32);
    for ((name, with), (_, without)) in recipes(0.4).zip(recipes(0.0)) {
        let [with, without] = [with, without].map(|recipe| {
            let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
            let drawn = model.sample_each_with_log_prob(5, &contexts, 1).unwrap();
            let drawn = [drawn.0, drawn.1].map(|x| x.flatten_all().unwrap());
            drawn.map(|x| x.to_vec1::<f32>().unwrap())
        });
        assert_eq!(with, without, "{name}");
    }
}

#[test]
fn fits_with_dropout_repeat_and_go_on_with_the_same_bits() {
    for ((name, with), (_, without)) in recipes(0.4).zip(recipes(0.0)) {
        let (with, without) = (&with, &without);
        let whole = fitted(with, DType::F32, &settings());
        assert_eq!(
            weights(&whole),
            weights(&fitted(with, DType::F32, &settings())),
            "{name}"
        );
        assert_ne!(
            weights(&whole),
            weights(&fitted(without, DType::F32, &settings())),
            "{name}"
        );

        let stopping = with.build(0, DType::F32, &Device::Cpu).unwrap();
        let params = stopping.params();
        let mut training = Training::new(params).unwrap();
        let (x, context) = (normal(1, 150, 3, DType::F32), normal(2, 150, 2, DType::F32));
        for _ in 0..2 {
            let fit = training.fit(
                &stopping,
                params,
                (&x, &context),
                &settings(),
                |_| Break(()),
            );
            fit.unwrap();
        }
        assert_eq!(weights(&stopping), weights(&whole), "{name}");
    }
}

/// Back-propagation by inversion meets the masks of the forward pass.
#[test]
fn constant_memory_gives_the_same_fit() {
    for (name, recipe) in recipes(0.4) {
        let [plain, constant] = [Memory::Plain, Memory::Constant].map(|memory| {
            let settings = FitSettings {
                memory,
                ..settings()
            };
            weights(&fitted(&recipe, DType::F64, &settings))
        });
        let pairs = plain.iter().flatten().zip(constant.iter().flatten());
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(largest < 1e-9, "{name}: {largest}");
    }
}

#[test]
fn a_flow_in_training_is_a_bijection() {
    let (x, context) = (normal(4, 6, 3, DType::F64), normal(5, 6, 2, DType::F64));
    for (name, recipe) in recipes(0.4) {
        let model = recipe.build(0, DType::F64, &Device::Cpu).unwrap();
        check::randomize(model.params(), 1, 0.2).unwrap();
        let density = |seed| {
            let flow = model.in_training(seed).unwrap();
            let flow = flow.given(&context).unwrap();
            let (z, log_det) = flow.bijection().forward(&x).unwrap();
            check::close(&flow.bijection().inverse(&z).unwrap(), &x, 1e-9).unwrap();
            let (_, back) = flow.bijection().inverse_with_log_det(&z).unwrap();
            check::close(&back, &log_det.neg().unwrap(), 1e-9).unwrap();
            flow.log_prob(&x).unwrap().to_vec1::<f64>().unwrap()
        };
        assert_eq!(density(1), density(1), "{name}");
        assert_ne!(density(1), density(2), "{name}");
    }
}

#[test]
fn reverse_kl_drops_units_too() {
    let log_density = |x: &Tensor| (x.sqr()? * -0.5)?.sum(1);
    let settings = ReverseKlSettings {
        steps: 3,
        ..ReverseKlSettings::default()
    };
    let fitted = |rate| {
        let recipe = recipes::realnvp(2).layers(2).width(8).dropout(rate);
        let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
        model
            .fit_reverse_kl(log_density, &settings, |_| Continue(()))
            .unwrap();
        weights(&model)
    };
    assert_eq!(fitted(0.3), fitted(0.3));
    assert_ne!(fitted(0.3), fitted(0.0));
}

/// 20,000 hidden units of 1: the output is the share of those kept, over the expected one. It has a
/// standard error of √(p/(1 − p)/20,000), and 5 of them are allowed.
#[test]
fn the_rate_is_the_share_of_units_left_out() {
    const UNITS: usize = 20_000;
    for rate in [0.1, 0.5, 0.9] {
        let size = MlpSize {
            width: UNITS,
            blocks: 0,
            residual: false,
            context: 0,
            dropout: rate,
            ..NETWORK
        };
        let params = ParamStore::new(0);
        let network = Mlp::new(2, 1, size, params.builder(DType::F64, &Device::Cpu)).unwrap();
        for (name, var) in params.vars() {
            let value = match name.as_str() {
                "input.bias" => 1.0,
                "output.weight" => (UNITS as f64).recip(),
                _ => 0.0,
            };
            assign(&var, &var.affine(0.0, value).unwrap()).unwrap();
        }
        let x = normal(0, 2, 2, DType::F64);
        let run = |network: &dyn Conditioner| {
            let h = network.forward(&x).unwrap().flatten_all().unwrap();
            h.to_vec1::<f64>().unwrap()
        };
        for kept in run(&network) {
            assert!((kept - 1.0).abs() < 1e-12);
        }
        let shares = run(&*network.in_training(3).unwrap().unwrap());
        let bound = 5.0 * (rate / (1.0 - rate) / UNITS as f64).sqrt();
        for share in &shares {
            assert!((share - 1.0).abs() < bound, "{rate}: {share}");
        }
        assert_ne!(shares[0], shares[1], "rows drop units of their own");
    }
}

#[test]
fn networks_behind_features_of_angles_drop_units() {
    let builder = ParamStore::new(0).builder(DType::F64, &Device::Cpu);
    let size = MlpSize {
        context: 0,
        ..NETWORK
    };
    let network = Mlp::new(3, 4, size, builder).unwrap();
    let network = PeriodicFeatures::new(2, &[1], 1.0, network).unwrap();
    assert!(network.in_training(0).unwrap().is_some());
}

#[test]
fn rates_outside_of_their_range_are_refused() {
    for rate in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
        let recipe = recipes::realnvp(2).dropout(rate);
        let error = recipe.build(0, DType::F32, &Device::Cpu).err().unwrap();
        let expected = format!("mlp: dropout must lie in 0..1, not {rate}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

/// Other compositions than those of recipes.
#[test]
fn compositions_pass_dropout_on() {
    let params = ParamStore::new(0).builder(DType::F64, &Device::Cpu);
    let map = Elementwise::new(2, Spline::default(), NETWORK, params.pp("map")).unwrap();
    let base = ConditionalGaussian::new(2, NETWORK, params.pp("base")).unwrap();
    let columns: Vec<(Box<dyn Distribution>, _)> = vec![(Box::new(base), vec![1, 0])];
    let flow = Flow::new(map, Product::new(columns).unwrap());
    let flow = flow.at_temperature(0.7).unwrap();
    let (x, context) = (normal(0, 5, 2, DType::F64), normal(1, 5, 2, DType::F64));
    let given = flow.given(&context).unwrap();
    let after = given.in_training(3).unwrap();
    let before = flow.in_training(3).unwrap();
    let before = before.given(&context).unwrap();
    let map = |flow: &Flow<Box<dyn Bijection + '_>>| {
        let (z, _) = flow.bijection().forward(&x).unwrap();
        z.to_vec2::<f64>().unwrap()
    };
    assert_eq!(map(&after), map(&before));
    assert_ne!(map(&after), map(&given));
    let base = |flow: &Flow<Box<dyn Bijection + '_>>| {
        let log_prob = flow.base().log_prob(&x).unwrap();
        log_prob.to_vec1::<f64>().unwrap()
    };
    assert_eq!(base(&after), base(&before));
    assert_ne!(base(&after), base(&given));
}
