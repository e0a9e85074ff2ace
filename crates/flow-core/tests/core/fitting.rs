//! Flows as distributions, and fitting them.

use candle_core::{DType, Device, Tensor};
use flow_core::distribution::{
    DiagonalGaussian, Distribution, GaussianMixture, StandardNormal, Uniform,
};
use flow_core::params::{Init, ParamStore};
use flow_core::recipes::{self, Recipe};
use flow_core::train::{
    Epoch, FitSettings, LossGradient, Memory, MemoryStore, Optimization, Schedule, Steps,
    Validation, fit, mean_loss,
};
use flow_core::{
    ActNorm, Bijection, ElementwiseAffine, Flow, Whiten, check, constant_columns, random,
    standard_normal_log_prob,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Points on a parabola with noise, and for each the offset that moved it up.
fn parabola(count: usize, seed: u64) -> (Tensor, Tensor) {
    let normal = |label| {
        random::normal(
            random::derive(seed, label),
            (count, 1),
            DType::F32,
            &Device::Cpu,
        )
        .unwrap()
    };
    let (x, context) = (normal("x"), normal("context"));
    let y = (x.sqr().unwrap() * 0.5).unwrap() + (normal("noise") * 0.2).unwrap();
    let y = (y.unwrap() + &context).unwrap();
    (Tensor::cat(&[x, y], 1).unwrap(), context)
}

fn at_rate(learning_rate: f64) -> Optimization {
    Optimization {
        learning_rate,
        ..Optimization::default()
    }
}

fn small(max_steps: usize) -> FitSettings {
    FitSettings {
        max_steps,
        optimization: at_rate(5e-3),
        ..FitSettings::default()
    }
}

fn spline_flow(context: usize) -> (Flow, ParamStore) {
    let params = ParamStore::new(1);
    let recipe = recipes::neural_spline_flow(2).layers(3).width(32).blocks(1);
    let flow = recipe
        .context(context)
        .flow(&params.builder(DType::F32, &Device::Cpu));
    (flow.unwrap(), params)
}

/// −E ln p of the parabola given its context: two Gaussians, one of standard deviation 0.2.
fn entropy() -> f64 {
    let gaussian = 0.5 * (1.0 + (2.0 * std::f64::consts::PI).ln());
    2.0 * gaussian + 0.2_f64.ln()
}

#[test]
fn a_condition_is_learned_to_within_a_tenth_of_a_nat_of_the_truth() {
    let (flow, params) = spline_flow(1);
    let (x, context) = parabola(4000, 0);
    fit(&flow, &params, (&x, &context), &small(500), |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let (x, context) = parabola(4000, 1);
    let loss = mean_loss(&flow, (&x, &context)).unwrap();
    assert!(
        (entropy() - 0.1..entropy() + 0.1).contains(&loss),
        "{loss} is not {}",
        entropy()
    );
    assert!(flow.log_prob(&x).is_err());
}

#[test]
fn the_best_weights_are_kept_and_training_repeats() {
    let (x, _) = parabola(600, 0);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let (flow, params) = spline_flow(0);
            let mut epochs = Vec::<Epoch>::new();
            // A high rate, at which it overfits and oscillates.
            let settings = FitSettings {
                optimization: at_rate(0.03),
                patience: 4,
                epochs: 60,
                batch_size: 300,
                ..FitSettings::default()
            };
            let fit = fit(&flow, &params, &x, &settings, |epoch| {
                epochs.push(*epoch);
                ControlFlow::Continue(())
            });
            let weights = params
                .vars()
                .into_iter()
                .map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            (fit.unwrap(), epochs, weights.flatten().collect::<Vec<_>>())
        })
    };
    let (fit, epochs, weights) = run(1);
    assert_eq!(run(2), (fit, epochs.clone(), weights));
    let best = epochs
        .iter()
        .min_by(|a, b| a.validation.unwrap().total_cmp(&b.validation.unwrap()))
        .unwrap();
    assert_eq!(fit.best.epoch, best.epoch);
    assert!(epochs.iter().all(|epoch| {
        epoch.best
            == (epochs[..epoch.epoch]
                .iter()
                .all(|before| before.validation >= epoch.validation))
    }));
    assert_eq!(
        (fit.epochs, epochs.len()),
        (best.epoch + 4, best.epoch + 4),
        "patience is 4"
    );
}

#[test]
fn the_callback_ends_training_and_what_does_not_fit_is_said() {
    let (flow, params) = spline_flow(0);
    let (x, context) = parabola(100, 0);
    let stopped = fit(&flow, &params, &x, &small(1000), |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.epochs, stopped.best.steps), (1, 1));
    let message = |x: &Tensor, settings| {
        let result = fit(&flow, &params, x, &settings, |_| ControlFlow::Continue(()));
        result.unwrap_err().to_string()
    };
    assert!(message(&x.narrow(0, 0, 1).unwrap(), small(10)).contains("none are left to train on"));
    let pair = (&x, &context.narrow(0, 0, 50).unwrap());
    let error = fit(&flow, &params, pair, &small(10), |_| {
        ControlFlow::Continue(())
    })
    .unwrap_err();
    assert!(error.to_string().contains("100 samples have 50 contexts"));
}

#[test]
fn bases_draw_what_they_measure() {
    let params = ParamStore::new(0);
    let builder = |name| params.builder(DType::F64, &Device::Cpu).pp(name);
    let (dtype, device) = (DType::F64, Device::Cpu);
    let bases: [(&str, Box<dyn Distribution>); 4] = [
        ("normal", Box::new(StandardNormal::new(2, dtype, &device))),
        (
            "gaussian",
            Box::new(DiagonalGaussian::new(2, builder("gaussian")).unwrap()),
        ),
        (
            "uniform",
            Box::new(Uniform::new(-1.0, 2.0, 2, dtype, &device).unwrap()),
        ),
        (
            "mixture",
            Box::new(GaussianMixture::new(3, 2, builder("mixture")).unwrap()),
        ),
    ];
    check::randomize(&params, 5, 0.5).unwrap();
    for (name, base) in bases {
        // The share of draws in a box is the integral of the density over it.
        let (count, side) = (40_000, 200);
        let inside = |point: &[f64]| point.iter().all(|value| (0.0..1.0).contains(value));
        let draws = base.sample(count, 3).unwrap().to_vec2::<f64>().unwrap();
        let share = draws.iter().filter(|draw| inside(draw)).count() as f64 / count as f64;
        let middle = |i: usize| (i as f64 + 0.5) / side as f64;
        let grid = (0..side * side)
            .flat_map(|i| [middle(i / side), middle(i % side)])
            .collect::<Vec<_>>();
        let grid = Tensor::from_vec(grid, (side * side, 2), &device).unwrap();
        let density = base.log_prob(&grid).unwrap().exp().unwrap();
        let integral = density.mean_all().unwrap().to_scalar::<f64>().unwrap();
        let error = (integral * (1.0 - integral) / count as f64).sqrt();
        assert!(
            (share - integral).abs() < 5.0 * error,
            "{name}: {share} is not {integral}"
        );
    }
    let outside = Tensor::new(&[[0.0, 3.0]], &device).unwrap();
    let uniform = Uniform::new(-1.0, 2.0, 2, dtype, &device).unwrap();
    assert_eq!(
        uniform
            .log_prob(&outside)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap(),
        [f64::NEG_INFINITY]
    );
}

/// The average of the weights after each step is aₜ = aₜ₋₁ + (1 − dₜ)(wₜ − aₜ₋₁).
#[test]
fn a_fit_with_an_average_ends_with_it() {
    const DECAY: f64 = 0.3;
    let points = random::normal(3, (50, 2), DType::F64, &Device::Cpu).unwrap();
    let points = ((points * 0.1).unwrap() + 1.0).unwrap();
    let courses = [0.0, DECAY].map(|average_decay| {
        let params = ParamStore::new(0);
        let flow = Flow::new(
            ElementwiseAffine::new(2, params.builder(DType::F64, &Device::Cpu)).unwrap(),
            StandardNormal::new(2, DType::F64, &Device::Cpu),
        );
        let weights = || {
            let vars = params.vars().into_iter();
            let vars = vars.map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f64>().unwrap());
            vars.flatten().collect::<Vec<_>>()
        };
        let settings = FitSettings {
            epochs: 12,
            validation: Validation::Share(0.0),
            patience: usize::MAX,
            keep_best: false,
            optimization: Optimization {
                average_decay,
                schedule: Schedule::Constant,
                ..at_rate(0.1)
            },
            ..FitSettings::default()
        };
        let mut course = vec![weights()];
        fit(&flow, &params, &points, &settings, |_| {
            course.push(weights());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(course.last(), Some(&weights()));
        course
    });
    let [weights, averages] = courses;
    assert_eq!(averages.len(), 13);
    let mut expected = weights[0].clone();
    for (step, (weights, averages)) in weights.iter().zip(&averages).enumerate().skip(1) {
        let decay = DECAY.min(step as f64 / (9 + step) as f64);
        for ((expected, weight), average) in expected.iter_mut().zip(weights).zip(averages) {
            *expected += (1.0 - decay) * (weight - *expected);
            assert!((*expected - average).abs() < 1e-13, "{expected} {average}");
        }
    }
}

/// A flow fitted to an unnormalised density by its own samples (Rezende & Mohamed 2015).
#[test]
fn variational_inference_finds_a_gaussian() {
    let params = ParamStore::new(0);
    let builder = params.builder(DType::F64, &Device::Cpu);
    let flow = Flow::new(
        ElementwiseAffine::new(2, builder).unwrap(),
        StandardNormal::new(2, DType::F64, &Device::Cpu),
    );
    let settings = Optimization {
        clip_norm: f64::MAX,
        ..Optimization::default()
    };
    let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
    for step in 0..1500 {
        let (x, log_prob) = flow.with_graph().sample_with_log_prob(64, step).unwrap();
        // N((3, −1), 0.5²), unnormalised.
        let mean = Tensor::new(&[[3.0, -1.0]], &Device::Cpu).unwrap();
        let target = x
            .broadcast_sub(&mean)
            .unwrap()
            .sqr()
            .unwrap()
            .sum(1)
            .unwrap()
            * -2.0;
        let loss = (log_prob - target.unwrap()).unwrap().mean_all().unwrap();
        let gradient = LossGradient::of(&loss, &params).unwrap();
        let rate = 0.05 * (1.0 - step as f64 / 1500.0);
        steps.take(&gradient, rate, &settings, &mut store).unwrap();
    }
    let x = flow
        .bijection()
        .inverse(&Tensor::new(&[[0.0, 0.0], [1.0, 1.0]], &Device::Cpu).unwrap())
        .unwrap();
    let expected = Tensor::new(&[[3.0, -1.0], [3.5, -0.5]], &Device::Cpu).unwrap();
    check::close(&x, &expected, 0.02).unwrap();
}

#[test]
fn whitening_is_fitted_to_columns_and_density_stays_in_their_units() {
    let count = 1000;
    let normal = random::normal(4, (count, 3), DType::F64, &Device::Cpu).unwrap();
    // Distant means and standard deviations, and one constant column.
    let of = |values: [f64; 3]| Tensor::new(&[values], &Device::Cpu).unwrap();
    let x = normal
        .broadcast_mul(&of([1e-6, 1e4, 0.0]))
        .unwrap()
        .broadcast_add(&of([1e-3, -1e5, 0.1]))
        .unwrap();
    assert_eq!(constant_columns(&x).unwrap(), [2]);
    let rows = x.to_vec2::<f64>().unwrap();
    for dtype in [DType::F32, DType::F64] {
        let x = x.to_dtype(dtype).unwrap();
        assert_eq!(constant_columns(&x).unwrap(), [2]);
        let whiten = Whiten::fit(&x).unwrap();
        let (y, log_det) = whiten.forward(&x).unwrap();
        let y = y.to_dtype(DType::F64).unwrap();
        let tolerance = if dtype == DType::F32 { 2e-3 } else { 1e-9 };
        check::close(&y.mean_keepdim(0).unwrap(), &of([0.0; 3]), tolerance).unwrap();
        let variance = y.sqr().unwrap().mean_keepdim(0).unwrap();
        check::close(&variance, &of([1.0, 1.0, 0.0]), tolerance).unwrap();
        let std = |column: usize| {
            let values = rows.iter().map(|row| row[column]);
            let mean = values.clone().sum::<f64>() / count as f64;
            (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt()
        };
        let expected = -std(0).ln() - std(1).ln();
        let found = log_det
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        assert!((found[0] - expected).abs() < 1e-4 * expected, "{found:?}");
    }
    let params = ParamStore::new(0);
    let builder = params.builder(DType::F64, &Device::Cpu);
    let gaussian = Flow::new(
        ElementwiseAffine::new(3, builder).unwrap(),
        StandardNormal::new(3, DType::F64, &Device::Cpu),
    );
    let whiten = Whiten::fit(&x).unwrap();
    let (y, log_det) = whiten.forward(&x).unwrap();
    let expected = (gaussian.log_prob(&y).unwrap() + log_det).unwrap();
    let (latents, _) = gaussian.bijection().forward(&y).unwrap();
    let flow = gaussian.after(whiten);
    check::close(&flow.log_prob(&x).unwrap(), &expected, 1e-12).unwrap();

    // And a map behind the flow.
    let last = Whiten::fit(&x).unwrap();
    let (z, log_det) = last.forward(&latents).unwrap();
    let of_flow = flow.bijection().forward(&x).unwrap().1;
    let expected = (standard_normal_log_prob(&z).unwrap() + log_det).unwrap() + of_flow;
    let flow = flow.before(last);
    check::close(&flow.log_prob(&x).unwrap(), &expected.unwrap(), 1e-12).unwrap();
    check::close(&flow.encode(&x).unwrap().0, &z, 1e-12).unwrap();

    let message = |x: &Tensor| Whiten::fit(x).err().unwrap().to_string();
    assert!(message(&x.narrow(0, 0, 1).unwrap()).contains("at least two rows"));
    let broken = Tensor::new(&[[0.0, 1.0], [2.0, f64::NAN]], &Device::Cpu).unwrap();
    assert!(message(&broken).contains("row 1, column 1 (counted from 0) is NaN"));
}

/// A constant channel among others, one of a few rows, and one that hardly varies.
#[test]
fn the_scale_of_an_initialisation_has_a_bound() {
    let mut x = random::normal(0, (256, 4), DType::F64, &Device::Cpu)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    for row in &mut x {
        row[0] = 0.1;
        row[1] *= 1e-7;
    }
    let x = Tensor::new(x, &Device::Cpu).unwrap();
    let params = ParamStore::new(0);
    let norm = ActNorm::new(4, params.builder(DType::F64, &Device::Cpu)).unwrap();
    let y = norm.initialize(&x).unwrap();
    let scales = norm.log_scale().exp().unwrap().flatten_all().unwrap();
    let scales = scales.to_vec1::<f64>().unwrap();
    let of = |column| {
        let column = y.narrow(1, column, 1).unwrap();
        column
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    };
    let variances = scales
        .iter()
        .map(|scale| scale.powi(-2))
        .collect::<Vec<_>>();
    let mean = (variances[2] + variances[3]) / 3.0;
    assert!((of(2) - 1.0).abs() < 1e-9 && (of(3) - 1.0).abs() < 1e-9);
    assert!((variances[0] / mean - 1.0).abs() < 1e-9, "{scales:?}");
    assert!((variances[1] / mean - 1e-4).abs() < 1e-9, "{scales:?}");
}

/// For every recipe, with a context and a learned base: a fit by inversion ends with the weights of
/// one that stores activations, and with the same average loss.
#[test]
fn a_fit_by_inversion_takes_the_same_steps() {
    type Make = fn(usize) -> Recipe;
    let makes: [(&str, Make); 3] = [
        ("realnvp", recipes::realnvp),
        ("nsf", recipes::neural_spline_flow),
        ("maf", recipes::masked_autoregressive_flow),
    ];
    let x = random::normal(1, (300, 3), DType::F64, &Device::Cpu).unwrap();
    let context = random::normal(2, (300, 2), DType::F64, &Device::Cpu).unwrap();
    for (name, make) in makes {
        let fitted = |memory| {
            let params = ParamStore::new(3);
            let builder = params.builder(DType::F64, &Device::Cpu);
            let recipe = make(3).layers(3).width(12).context(2);
            let chain = recipe.flow(&builder.pp("flow")).unwrap();
            let base = DiagonalGaussian::new(3, builder.pp("base")).unwrap();
            let flow = Flow::new(chain.bijection(), base);
            let settings = FitSettings {
                batch_size: 150,
                max_steps: 8,
                memory,
                keep_best: false,
                ..FitSettings::default()
            };
            let mut last = None;
            fit(&flow, &params, (&x, &context), &settings, |epoch| {
                last = Some(*epoch);
                ControlFlow::Continue(())
            })
            .unwrap();
            let weights = params.vars().into_iter();
            let weights = weights
                .map(|(_, var)| var.copy().unwrap())
                .collect::<Vec<_>>();
            (last.unwrap(), weights)
        };
        let (plain, expected) = fitted(Memory::Plain);
        let (constant, weights) = fitted(Memory::Constant);
        assert_eq!(constant.unsound_inversions, 0, "{name}");
        assert!((plain.train - constant.train).abs() < 1e-9, "{name}");
        for (weight, expected) in weights.iter().zip(&expected) {
            check::close(weight, expected, 1e-7).unwrap();
        }
    }
}

/// With no gradient from the data, k steps shrink weights by (1 − lr·decay)ᵏ.
#[test]
fn weight_decay_shrinks_weights_by_the_rate_alone() {
    for dtype in [DType::F32, DType::F64] {
        let params = ParamStore::new(0);
        let builder = params.builder(dtype, &Device::Cpu);
        let weight = builder
            .get_with_hints(7, "w", Init::Normal { std: 1.0 })
            .unwrap();
        let before = weight.copy().unwrap();
        let settings = Optimization {
            weight_decay: 0.3,
            ..at_rate(0.1)
        };
        let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
        for _ in 0..3 {
            let still = (&weight - weight.detach()).unwrap();
            let loss = still.sqr().unwrap().sum_all().unwrap();
            let gradient = LossGradient::of(&loss, &params).unwrap();
            steps.take(&gradient, 0.1, &settings, &mut store).unwrap();
        }
        let expected = (before * 0.97_f64.powi(3)).unwrap();
        check::close(&weight, &expected, 1e-6).unwrap();
    }
}

#[test]
fn a_schedule_of_ones_own_is_followed() {
    let points = random::normal(3, (50, 2), DType::F32, &Device::Cpu).unwrap();
    let fitted = |schedule: Schedule| {
        let recipe = recipes::realnvp(2).layers(2).width(8);
        let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
        let settings = FitSettings {
            batch_size: 15,
            epochs: 2,
            optimization: Optimization {
                schedule: schedule.clone(),
                ..at_rate(0.01)
            },
            ..FitSettings::default()
        };
        let fit = model.fit(&points, &settings, |_| ControlFlow::Continue(()));
        fit.map(|_| model.log_prob(&points).unwrap().to_vec1::<f32>().unwrap())
    };
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let cosine = Schedule::custom(move |step, done| {
        seen.lock().unwrap().push((step, done));
        0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    });
    assert_eq!(fitted(cosine).unwrap(), fitted(Schedule::Cosine).unwrap());
    let expected = (0..6).map(|step| (step, step as f64 / 6.0));
    assert_eq!(*steps.lock().unwrap(), expected.collect::<Vec<_>>());
    let message = fitted(Schedule::custom(|_, _| -1.0))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("the learning rate of a step must be at least 0"),
        "{message}"
    );
}

#[test]
fn an_interrupted_fit_ends_with_the_best_weights_so_far() {
    let (x, _) = parabola(1000, 0);
    let loss_after = |interrupt: Option<Arc<AtomicBool>>, epochs| {
        let (flow, params) = spline_flow(0);
        let flag = interrupt.clone();
        let settings = FitSettings {
            epochs,
            optimization: Optimization {
                schedule: Schedule::Constant,
                ..at_rate(5e-3)
            },
            interrupt,
            ..FitSettings::default()
        };
        let fitted = fit(&flow, &params, &x, &settings, |epoch| {
            if let Some(flag) = &flag {
                flag.store(epoch.epoch == 2, Ordering::Relaxed);
            }
            ControlFlow::Continue(())
        });
        (fitted.unwrap(), mean_loss(&flow, &x).unwrap())
    };
    let (interrupted, loss) = loss_after(Some(Arc::default()), 50);
    assert_eq!(interrupted.epochs, 2);
    assert_eq!((interrupted, loss), loss_after(None, 2));
}

#[test]
fn a_fit_interrupted_in_its_first_epoch_is_an_error_and_changes_nothing() {
    let (x, _) = parabola(1000, 0);
    let (flow, params) = spline_flow(0);
    let before = mean_loss(&flow, &x).unwrap();
    let settings = FitSettings {
        interrupt: Some(Arc::new(AtomicBool::new(true))),
        ..small(500)
    };
    let fitted = fit(&flow, &params, &x, &settings, |_| ControlFlow::Continue(()));
    let message = fitted.unwrap_err().to_string();
    assert!(
        message.contains("interrupted before the end of its first epoch"),
        "{message}"
    );
    assert_eq!(mean_loss(&flow, &x).unwrap(), before);
}
