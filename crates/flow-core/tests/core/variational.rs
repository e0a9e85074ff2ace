//! Variational inference and importance sampling, where the truth is known.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::importance::{self, WeightedSamples};
use flow_core::params::ParamStore;
use flow_core::train::{
    Data, FitSettings, Memory, Optimization, ReverseKlSettings, Schedule, Validation, fit,
    fit_reverse_kl, with_gradient,
};
use flow_core::{
    Affine, Autoregressive, Bijection, Chain, Coupling, Flow, Inverse, Mlp, MlpSize, Order,
    Passing, Permutation, Pointwise, ScaleMap, Spline, Whiten, check, random, recipes,
};
use std::f64::consts::PI;
use std::ops::ControlFlow;

const SIZE: MlpSize = MlpSize {
    width: 24,
    blocks: 1,
    context: 0,
    activation: flow_core::Activation::Relu,
    residual: true,
    dropout: 0.0,
};

/// An inverse autoregressive flow, or a flow of spline couplings, of two numbers.
fn flow(splines: bool) -> (Flow<Chain>, ParamStore) {
    flow_of(splines, DType::F32)
}

fn flow_of(splines: bool, dtype: DType) -> (Flow<Chain>, ParamStore) {
    let params = ParamStore::new(0);
    let builder = params.builder(dtype, &Device::Cpu);
    let mut parts = Vec::<Box<dyn Bijection>>::new();
    for layer in 0..4 {
        let params = builder.pp(layer);
        if splines {
            let spline = Spline {
                bound: 5.0,
                ..Spline::default()
            };
            let network = Mlp::for_transform(spline, 1, 1, SIZE, params).unwrap();
            parts.push(Box::new(Coupling::new(spline, Passing::FirstHalf, network)));
        } else {
            let transform = Affine(ScaleMap::ExpTanh { bound: 2.0 }, Order::ScaleFirst);
            let made = Autoregressive::new(2, transform, SIZE, params).unwrap();
            parts.push(Box::new(Inverse(made)));
        }
        parts.push(Box::new(Permutation::reverse(2)));
    }
    let base = StandardNormal::new(2, dtype, &Device::Cpu);
    (Flow::new(Chain::new(parts).unwrap(), base), params)
}

/// A banana, b₁ ~ N(0, 1) and b₂ ~ N(b₁²/2, 0.5²), without its normaliser.
fn banana(x: &Tensor) -> Result<Tensor> {
    let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let bend = ((second - (first.sqr()? * 0.5)?)? / 0.5)?;
    ((first.sqr()? + bend.sqr()?)? * -0.5)?.squeeze(1)
}

/// The same with its own gradient.
fn banana_and_gradient(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let bend = ((second - (first.sqr()? * 0.5)?)? / 0.25)?;
    let of_first = ((&first * &bend)? - &first)?;
    let gradient = Tensor::cat(&[of_first, bend.neg()?], 1)?;
    Ok((banana(x)?, gradient))
}

fn log_evidence_of_banana() -> f64 {
    (2.0 * PI * 0.5).ln()
}

fn settings(steps: usize) -> ReverseKlSettings {
    ReverseKlSettings {
        batch_size: 128,
        steps,
        optimization: Optimization {
            learning_rate: 5e-3,
            ..Optimization::default()
        },
        seed: 0,
    }
}

#[test]
fn evidence_and_moments_of_a_banana_are_found() {
    for splines in [false, true] {
        let (flow, params) = flow(splines);
        let mut bounds = Vec::new();
        fit_reverse_kl(&flow, &params, banana, &settings(500), |step| {
            bounds.push(step.evidence_bound);
            ControlFlow::Continue(())
        })
        .unwrap();
        let last = bounds[400..].iter().sum::<f64>() / 100.0;
        let truth = log_evidence_of_banana();
        assert!(
            (truth - 0.2..truth + 0.02).contains(&last),
            "{last} of {truth}"
        );

        let draws = importance::sample(&flow, banana, 5_000, 1).unwrap();
        let evidence = draws.log_evidence();
        let error = (evidence.value - truth).abs();
        assert!(evidence.standard_error < 0.02, "{evidence:?}");
        assert!(
            error < 4.0 * evidence.standard_error,
            "{evidence:?}, {truth}"
        );
        let share = draws.effective_sample_size() / 5_000.0;
        assert!(share > 0.7, "effective share {share}");
        let means = draws.expectation(draws.samples()).unwrap();
        assert!(
            means[0].abs() < 0.1 && (means[1] - 0.5).abs() < 0.1,
            "{means:?}"
        );
    }
}

/// A gradient of one's own takes the steps that automatic differentiation takes.
#[test]
fn a_gradient_of_ones_own_gives_the_same_fit() {
    let weights = |is_own: bool| {
        let (flow, params) = flow(true);
        let on = |_: &_| ControlFlow::Continue(());
        if is_own {
            let density = with_gradient(banana_and_gradient);
            fit_reverse_kl(&flow, &params, density, &settings(5), on).unwrap();
        } else {
            fit_reverse_kl(&flow, &params, banana, &settings(5), on).unwrap();
        }
        params.vars()
    };
    for ((name, own), (_, plain)) in weights(true).iter().zip(weights(false)) {
        check::close(own, &plain, 1e-5).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn fits_repeat_bit_for_bit_and_stop_when_asked() {
    let weights = |threads| {
        let (flow, params) = flow(true);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let mut steps = 0;
        pool.unwrap().install(|| {
            let on = |_: &_| {
                steps += 1;
                if steps < 4 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let settings = ReverseKlSettings {
                batch_size: 300,
                ..settings(20)
            };
            fit_reverse_kl(&flow, &params, banana, &settings, on).unwrap();
        });
        assert_eq!(steps, 4);
        params.vars()
    };
    for ((_, one), (_, two)) in weights(1).iter().zip(weights(2)) {
        check::close(one, &two, 0.0).unwrap();
    }
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let (flow, params) = flow(false);
    let refused = |density: &(dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync), settings| {
        let on = |_: &_| ControlFlow::Continue(());
        let refused = fit_reverse_kl(&flow, &params, density, &settings, on);
        refused.err().unwrap().to_string()
    };
    assert!(refused(&|x| banana(&x.detach()), settings(5)).contains("no graph was recorded"));
    assert!(refused(&|x| banana(x)?.sum_all(), settings(5)).contains("needed [128]"));
    assert!(refused(&|x| x.log()?.sum(1), settings(5)).contains("at step 1 the loss is NaN"));
    assert!(refused(&banana, settings(0)).contains("at least 1"));
    let other = ParamStore::new(1);
    let on = |_: &_| ControlFlow::Continue(());
    let result = fit_reverse_kl(&flow, &other, banana, &settings(5), on);
    assert!(result.err().unwrap().to_string().contains("ParamStore"));
}

#[test]
fn weights_of_known_draws_are_sums_in_double() {
    // w = 1, 2, 0, 5 times e^1000, beyond the range of numbers.
    let logs = [1.0_f64, 2.0, 0.0, 5.0].map(|weight| weight.ln() + 1000.0);
    let x = Tensor::new(&[[1.0_f32], [2.0], [f32::NAN], [4.0]], &Device::Cpu).unwrap();
    let draws = WeightedSamples::new(x.clone(), logs.to_vec()).unwrap();
    let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
    let evidence = draws.log_evidence();
    assert!(close(evidence.value, 2_f64.ln() + 1000.0), "{evidence:?}");
    // The standard deviation of the weights (n − 1) is √(14/3), their mean 2.
    let error = (14.0_f64 / 3.0).sqrt() / 2.0 / 2.0;
    assert!(close(evidence.standard_error, error), "{evidence:?}");
    assert!(close(draws.effective_sample_size(), 64.0 / 30.0));
    let mean = draws.expectation(&x).unwrap();
    assert!(close(mean[0], 25.0 / 8.0), "{mean:?}");
    let again = draws.resample(8, 3).unwrap();
    let mut again = again.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    again.sort_by(f32::total_cmp);
    assert_eq!(again, [1.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]);

    let error = |logs: Vec<f64>| {
        WeightedSamples::new(x.clone(), logs)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(vec![0.0; 3]).contains("got 3 weights, needed 4"));
    assert!(error(vec![0.0, f64::NAN, 0.0, 0.0]).contains("draw 1 is NaN"));
    assert!(error(vec![0.0, 0.0, f64::INFINITY, 0.0]).contains("draw 2 is inf"));
    assert!(error(vec![f64::NEG_INFINITY; 4]).contains("none of 4 draws"));
    assert!(draws.expectation(&x.narrow(0, 0, 2).unwrap()).is_err());
}

/// All weights are Z if the flow is the density.
#[test]
fn draws_of_the_density_itself_have_equal_weights() {
    let base = StandardNormal::new(1, DType::F64, &Device::Cpu);
    let flow = Flow::new(Inverse(Pointwise::Exp), base);
    let density = |x: &Tensor| {
        let log = x.log()?;
        ((log.sqr()? * -0.5)? - &log)?.squeeze(1)? + 3.0
    };
    let draws = importance::sample(&flow, density, 3_000, 0).unwrap();
    let evidence = draws.log_evidence();
    let truth = 3.0 + 0.5 * (2.0 * PI).ln();
    assert!((evidence.value - truth).abs() < 1e-12, "{evidence:?}");
    assert!(evidence.standard_error < 1e-6, "{evidence:?}");
    assert!((draws.effective_sample_size() - 3_000.0).abs() < 1e-6);
}

/// A fit to weighted draws covers what the flow has missed: half of the density.
#[test]
fn a_refinement_by_forward_kl_raises_the_effective_sample_size() {
    let (flow, params) = flow(true);
    let draws = importance::sample(&flow, banana, 4_000, 1).unwrap();
    let before = draws.effective_sample_size();
    let settings = FitSettings {
        epochs: 15,
        ..FitSettings::default()
    };
    let data = draws.data().unwrap();
    fit(&flow, &params, data, &settings, |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let draws = importance::sample(&flow, banana, 4_000, 3).unwrap();
    let after = draws.effective_sample_size();
    assert!(
        after > 2.0 * before && after > 2_000.0,
        "{before}, then {after}"
    );
}

/// Neal's funnel, v ~ N(0, 3²) and x ~ N(0, eᵛ), of (v/3, x).
fn funnel(x: &Tensor) -> Result<Tensor> {
    let (v, x) = ((x.narrow(1, 0, 1)? * 3.0)?, x.narrow(1, 1, 1)?);
    let white = (&x * (&v * -0.5)?.exp()?)?;
    let square = ((&v / 3.0)?.sqr()? + white.sqr()?)?;
    ((square + v)? * -0.5)?.squeeze(1)
}

/// Splines whose interval covers most of the density find a funnel from any seed.
#[test]
fn spline_couplings_find_a_funnel_from_every_seed() {
    let spline = Spline {
        bound: 5.0,
        ..Spline::default()
    };
    for seed in 0..3 {
        let recipe = recipes::neural_spline_flow(2).spline(spline);
        let model = recipe.build(seed, DType::F32, &Device::Cpu).unwrap();
        let settings = ReverseKlSettings {
            steps: 400,
            seed,
            ..ReverseKlSettings::default()
        };
        let on = |_: &_| ControlFlow::Continue(());
        model.fit_reverse_kl(funnel, &settings, on).unwrap();
        let draws = importance::sample(&model, funnel, 10_000, 1).unwrap();
        let share = draws.effective_sample_size() / 10_000.0;
        assert!(share > 0.85, "seed {seed}: effective share {share}");
    }
}

/// Data-dependent whitening in front keeps the density in the units of the data.
#[test]
fn a_flow_behind_a_whitening_is_fitted_too() {
    let (flow, params) = flow(false);
    let mean = Tensor::new(&[[10.0_f32, -5.0]], &Device::Cpu).unwrap();
    let flow = flow.after(Whiten::new(mean.clone(), mean.zeros_like().unwrap()));
    let density = move |x: &Tensor| banana(&x.broadcast_sub(&mean)?);
    let on = |_: &_| ControlFlow::Continue(());
    fit_reverse_kl(&flow, &params, &density, &settings(200), on).unwrap();
    let draws = importance::sample(&flow, &density, 4_000, 1).unwrap();
    let evidence = draws.log_evidence();
    let error = (evidence.value - log_evidence_of_banana()).abs();
    assert!(error < 4.0 * evidence.standard_error, "{evidence:?}");
}

/// A sample of weight k counts as k samples, and one of weight 0 as none.
#[test]
fn weights_count_samples() {
    let x = random::normal(5, (40, 2), DType::F64, &Device::Cpu).unwrap();
    let weights = (0..40).map(|row| f64::from(row % 4)).collect::<Vec<_>>();
    let rows = (0_u32..40).flat_map(|row| vec![row; (row % 4) as usize]);
    let rows = rows.collect::<Vec<_>>();
    let count = rows.len();
    let rows = Tensor::from_vec(rows, count, &Device::Cpu).unwrap();
    let repeated = Data::from(&x.index_select(&rows, 0).unwrap());
    let weighted = Data::from(&x).weighted(&weights).unwrap();
    for memory in [Memory::Plain, Memory::Constant] {
        let fitted = |data: &Data| {
            let (flow, params) = flow_of(true, DType::F64);
            let settings = FitSettings {
                batch_size: 100,
                epochs: 4,
                validation: Validation::Share(0.0),
                memory,
                ..FitSettings::default()
            };
            fit(&flow, &params, data, &settings, |_| {
                ControlFlow::Continue(())
            })
            .unwrap();
            params.vars()
        };
        for ((name, found), (_, expected)) in fitted(&weighted).iter().zip(fitted(&repeated)) {
            check::close(found, &expected, 1e-9).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let data = Data::from(&x);
    let error = |weights: &[f64]| data.weighted(weights).err().unwrap().to_string();
    assert!(error(&weights[1..]).contains("40 samples have 39 weights"));
    assert!(error(&[0.0; 40]).contains("all weights are 0"));
    let mut negative = weights.clone();
    negative[7] = -1.0;
    assert!(error(&negative).contains("the weight of sample 7 is -1"));
}

#[test]
fn reverse_kl_follows_a_schedule_of_ones_own() {
    let log_density = |x: &Tensor| (x.sqr()? * -0.5)?.sum(1);
    let fitted = |schedule| {
        let model = recipes::realnvp(2).layers(2).width(8);
        let model = model.build(0, DType::F64, &Device::Cpu).unwrap();
        let settings = ReverseKlSettings {
            steps: 4,
            optimization: Optimization {
                schedule,
                ..Optimization::default()
            },
            ..ReverseKlSettings::default()
        };
        let fit = model.fit_reverse_kl(log_density, &settings, |_| ControlFlow::Continue(()));
        fit.unwrap();
        model.sample(3, 0).unwrap().to_vec2::<f64>().unwrap()
    };
    let stopped = Schedule::custom(|step, _| f64::from(step < 2));
    let constant = Schedule::custom(|_, _| 1.0);
    assert_eq!(fitted(constant), fitted(Schedule::Constant));
    assert_ne!(fitted(stopped.clone()), fitted(Schedule::Constant));
    assert_eq!(stopped.clone(), stopped);
}
