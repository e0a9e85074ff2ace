//! Data, settings and parameters that no flow can be fitted with, and the state after an error.

use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::recipes::{self, Recipe};
use flow_core::train::{
    Divergence, FitSettings, LossGradient, MemoryStore, Optimization, Steps, Validation, fit,
    mean_loss,
};
use flow_core::{Bijection, Chain, Flow, Gradients, Inverse, Pointwise, random};
use std::ops::ControlFlow;

fn recipe(columns: usize) -> Recipe {
    recipes::realnvp(columns).layers(2).width(8).blocks(1)
}

fn realnvp(columns: usize) -> (Flow, ParamStore) {
    let params = ParamStore::new(1);
    let flow = recipe(columns).flow(&params.builder(DType::F32, &Device::Cpu));
    (flow.unwrap(), params)
}

/// Standard normal points, with one number replaced.
fn points(rows: usize, place: (usize, usize), value: f32) -> Tensor {
    let x = random::normal(0, (rows, 3), DType::F32, &Device::Cpu).unwrap();
    let mut x = x.to_vec2::<f32>().unwrap();
    x[place.0][place.1] = value;
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn short() -> FitSettings {
    FitSettings {
        batch_size: 64,
        max_steps: 30,
        ..FitSettings::default()
    }
}

fn refusal<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    x: &Tensor,
    settings: &FitSettings,
) -> String {
    let result = fit(flow, params, x, settings, |_| ControlFlow::Continue(()));
    first_line(&result.unwrap_err())
}

/// The message without the backtrace that candle appends if it is enabled.
fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap().to_owned()
}

fn weights(params: &ParamStore) -> Vec<f32> {
    let values = params.vars().into_iter();
    let values = values.map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    values.flatten().collect()
}

/// Held out or not, in the first batch or not, with any settings.
#[test]
fn a_bad_number_is_named_and_the_flow_stays_sound() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e25, -1e30] {
        for (row, validation) in [(0, 0.0), (137, 0.0), (137, 0.1), (42, 0.9), (199, 0.5)] {
            let (flow, params) = realnvp(3);
            let x = points(200, (row, 1), value);
            let settings = FitSettings {
                validation: Validation::Share(validation),
                ..short()
            };
            let message = refusal(&flow, &params, &x, &settings);
            let expected = format!("row {row}, column 1 (counted from 0) is ");
            assert!(message.contains(&expected), "{message}");
            assert!(!message.contains("learning rate"), "{message}");
            assert!(weights(&params).iter().all(|weight| weight.is_finite()));
            let loss = mean_loss(&flow, &points(200, (0, 0), 0.0)).unwrap();
            assert!(loss < 10.0, "{loss}");
        }
    }
    let (flow, params) = realnvp(3);
    let before = weights(&params);
    let context = points(200, (11, 2), f32::NAN);
    let x = points(200, (0, 0), 0.0);
    let error = fit(&flow, &params, (&x, &context), &short(), |_| {
        ControlFlow::Continue(())
    });
    let message = first_line(&error.unwrap_err());
    assert!(message.contains("context: row 11, column 2"), "{message}");
    assert_eq!(before, weights(&params));
}

#[test]
fn a_number_at_the_edge_of_a_logit_is_named() {
    for value in [0.0, 1.0] {
        let (flow, params) = realnvp(3);
        let flow = flow.after(Inverse(Pointwise::Sigmoid));
        let x = random::uniform(3, (200, 3), DType::F32, &Device::Cpu).unwrap();
        let mut x = x.affine(0.9, 0.05).unwrap().to_vec2::<f32>().unwrap();
        x[91][2] = value;
        x[150][2] = value;
        let x = Tensor::new(x, &Device::Cpu).unwrap();
        let message = refusal(&flow, &params, &x, &short());
        let expected =
            format!("row 91, column 2 (counted from 0) is {value}, where the flow gives");
        assert!(message.contains(&expected), "{message}");
        assert!(message.ends_with("so is 1 other row"), "{message}");
    }
}

#[test]
fn a_constant_column_is_named_and_a_rate_that_is_too_high_is_blamed_where_it_is_one() {
    let mut fast = short();
    fast.optimization.learning_rate = 1e20;
    let x = points(200, (0, 0), 0.0);
    let (flow, params) = realnvp(3);
    let message = refusal(&flow, &params, &x, &fast);
    assert!(message.ends_with("take a lower learning rate"), "{message}");
    assert!(
        mean_loss(&flow, &x).unwrap() < 10.0,
        "the weights of the start are back"
    );

    let column = Tensor::full(0.3_f32, (200, 1), &Device::Cpu).unwrap();
    let x = Tensor::cat(&[&x, &column], 1).unwrap();
    let (flow, params) = realnvp(4);
    let message = refusal(&flow, &params, &x, &fast);
    assert!(
        message.contains("column 3 (counted from 0) is the same in all rows"),
        "{message}"
    );

    // At a stable rate, the constant column does no harm.
    let (flow, params) = realnvp(4);
    let fitted = fit(&flow, &params, &x, &short(), |_| ControlFlow::Continue(())).unwrap();
    assert!(fitted.best.validation.unwrap().abs() < 20.0, "{fitted:?}");
}

#[test]
fn what_is_kept_is_what_was_measured() {
    let equal = Tensor::ones((5, 3), DType::F32, &Device::Cpu).unwrap();
    let rows = [1, 2, 300, 5000].map(|rows| points(rows, (0, 0), 1.0));
    for x in rows.iter().chain([&equal]) {
        for learning_rate in [1e-3, 0.1] {
            let (flow, params) = realnvp(3);
            let mut settings = FitSettings {
                validation: Validation::Share(0.0),
                ..short()
            };
            settings.optimization.learning_rate = learning_rate;
            let fitted = fit(&flow, &params, x, &settings, |_| ControlFlow::Continue(())).unwrap();
            let loss = mean_loss(&flow, x).unwrap();
            let count = x.dim(0).unwrap();
            assert!(
                (fitted.best.train - loss).abs() <= 1e-12 * loss.abs(),
                "{count} rows: {fitted:?}, {loss}"
            );
        }
    }
    // With one row, or equal rows, the scale stays, and the loss stays finite.
    for x in [&rows[0], &equal] {
        let (flow, params) = realnvp(3);
        flow.initialize(x).unwrap();
        let drawn = params
            .vars()
            .into_iter()
            .filter(|(name, _)| name.ends_with("log_scale"));
        for (name, var) in drawn {
            let largest = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(
                largest.iter().all(|value| value.abs() < 0.02),
                "{name}: {largest:?}"
            );
        }
    }
}

type Set = fn(&mut FitSettings, f64);

#[test]
fn settings_that_cannot_be_are_named_with_their_value() {
    let (flow, params) = realnvp(3);
    let x = points(50, (0, 0), 0.0);
    let before = weights(&params);
    let refuse = |fields: &[(&str, Set)], needed: &str, values: &[f64]| {
        for ((name, set), value) in fields
            .iter()
            .flat_map(|f| values.iter().map(move |v| (f, v)))
        {
            let mut settings = short();
            set(&mut settings, *value);
            let message = refusal(&flow, &params, &x, &settings);
            assert_eq!(
                message,
                format!("training: {name} must {needed}, not {value}")
            );
        }
    };
    refuse(
        &[
            ("learning_rate", |fit, value| {
                fit.optimization.learning_rate = value;
            }),
            ("clip_norm", |fit, value| fit.optimization.clip_norm = value),
        ],
        "be above 0 and finite",
        &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1e-3],
    );
    refuse(
        &[
            ("validation", |fit, value| {
                fit.validation = Validation::Share(value);
            }),
            ("average_decay", |fit, value| {
                fit.optimization.average_decay = value;
            }),
        ],
        "lie in 0..1",
        &[f64::NAN, 1.0, -0.1, f64::INFINITY],
    );
    refuse(
        &[
            ("batch_size", |fit, _| fit.batch_size = 0),
            ("epochs", |fit, _| fit.epochs = 0),
            ("max_steps", |fit, _| fit.max_steps = 0),
            ("patience", |fit, _| fit.patience = 0),
        ],
        "be at least 1",
        &[0.0],
    );
    assert_eq!(before, weights(&params));
}

#[test]
fn steps_that_cannot_be_are_refused_with_their_cause() {
    let (flow, params) = realnvp(3);
    let x = points(50, (0, 0), 0.0);
    let before = weights(&params);
    let loss = flow.with_graph().log_prob(&x).unwrap().sum_all().unwrap();
    let gradients = Gradients::of(&loss, &params).unwrap();
    let mut gradient = LossGradient::new(1.0, gradients).unwrap();
    let refusal = |gradient: &LossGradient, rate| {
        let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
        let settings = Optimization::default();
        let error = steps.take(gradient, rate, &settings, &mut store);
        assert_eq!(steps, Steps::default());
        first_line(&error.unwrap_err())
    };
    for rate in [f64::NAN, f64::INFINITY, -1.0] {
        let expected = format!("a step must be at least 0 and finite, not {rate}");
        assert!(refusal(&gradient, rate).contains(&expected));
    }
    gradient.loss = f64::NAN;
    assert_eq!(refusal(&gradient, 1.0), Divergence::Loss.to_string());
    (gradient.loss, gradient.norm) = (1.0, f64::INFINITY);
    assert_eq!(refusal(&gradient, 1.0), Divergence::Gradient.to_string());
    assert_eq!(before, weights(&params));
}

#[test]
fn parameters_of_another_flow_are_refused() {
    let x = points(50, (0, 0), 0.0);
    let (flow, params) = realnvp(3);
    let (_, other) = realnvp(3);
    let before = [weights(&params), weights(&other)];
    let unrelated = "depends on none of the 20 parameters of this ParamStore";
    let message = refusal(&flow, &other, &x, &short());
    assert!(message.contains(unrelated), "{message}");
    let loss = flow.with_graph().log_prob(&x).unwrap().sum_all().unwrap();
    let error = Gradients::of(&loss, &other).err().unwrap();
    assert!(error.to_string().contains(unrelated), "{error}");

    let frozen = recipe(3).flow(&params.frozen().builder(DType::F32, &Device::Cpu));
    let message = refusal(&frozen.unwrap(), &params, &x, &short());
    assert!(message.contains(unrelated), "{message}");
    let message = refusal(&flow, &ParamStore::new(0), &x, &short());
    assert!(
        message.contains("the loss depends on none of the 0 parameters"),
        "{message}"
    );

    // Half of the flow's.
    let (first, second) = (realnvp(3).0, flow);
    let both = Flow::new(
        Chain::new(vec![first.bijection(), second.bijection()]).unwrap(),
        flow_core::distribution::StandardNormal::new(3, DType::F32, &Device::Cpu),
    );
    let message = refusal(&both, &params, &x, &short());
    assert!(
        message.contains("trains 20 parameters that are not in this ParamStore"),
        "{message}"
    );
    assert_eq!(before, [weights(&params), weights(&other)]);
}

#[test]
fn a_store_may_hold_more_than_the_flow_trains() {
    let x = points(200, (0, 0), 0.0);
    let params = ParamStore::new(1);
    let builder = params.builder(DType::F32, &Device::Cpu);
    let flow = recipe(3).flow(&builder.pp("flow")).unwrap();
    recipe(3).flow(&builder.pp("other")).unwrap();
    fit(&flow, &params, &x, &short(), |_| ControlFlow::Continue(())).unwrap();
}

#[test]
fn names_used_by_any_view_count_as_used() {
    let (_, params) = realnvp(3);
    let tensors = params.vars().into_iter();
    let tensors = tensors.map(|(name, var)| (name, var.as_detached_tensor()));
    let extra = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
    let store = ParamStore::from_tensors(tensors.chain([("extra".into(), extra)])).unwrap();
    assert_eq!(store.unused().len(), 21);
    let view = store.frozen();
    let frozen = view.builder(DType::F32, &Device::Cpu);
    recipe(3).flow(&frozen).unwrap();
    assert_eq!(store.unused(), ["extra"]);
    assert_eq!(view.unused(), ["extra"]);
    assert_eq!(store.frozen().unused(), ["extra"]);
}
