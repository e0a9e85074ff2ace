//! Flows as distributions: scores and draws without a graph in bounded memory, contexts, empty
//! batches.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::{
    DiagonalGaussian, Distribution, GaussianMixture, StandardNormal, Uniform,
};
use flow_core::params::ParamStore;
use flow_core::recipes::{self, Recipe};
use flow_core::train::mean_loss;
use flow_core::{Flow, Gradients, check, random};

type Make = fn(usize) -> Recipe;

const RECIPES: [(&str, Make); 3] = [
    ("realnvp", recipes::realnvp),
    ("nsf", recipes::neural_spline_flow),
    ("maf", recipes::masked_autoregressive_flow),
];

const DTYPES: [DType; 2] = [DType::F32, DType::F64];

/// A small flow of vectors of 3 numbers, away from its initial state.
fn flow(make: Make, context: usize, dtype: DType) -> (Flow, ParamStore) {
    let params = ParamStore::new(1);
    let recipe = make(3).layers(2).width(8).blocks(1).context(context);
    let flow = recipe.flow(&params.builder(dtype, &Device::Cpu)).unwrap();
    check::randomize(&params, 2, 0.1).unwrap();
    (flow, params)
}

fn normal(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    random::normal(seed, shape, dtype, &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    tensor.to_vec1().unwrap()
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_graph_is_recorded_where_it_is_asked_for_alone() {
    for (name, make) in RECIPES {
        let (flow, params) = flow(make, 0, DType::F64);
        let x = normal(0, &[5, 3], DType::F64);
        let graph = flow.with_graph();
        let (draws, log_prob) = flow.sample_with_log_prob(5, 1).unwrap();
        let plain = [
            flow.log_prob(&x).unwrap(),
            flow.sample(5, 1).unwrap(),
            draws,
            log_prob,
        ];
        let (draws, log_prob) = graph.sample_with_log_prob(5, 1).unwrap();
        let recorded = [
            graph.log_prob(&x).unwrap(),
            graph.sample(5, 1).unwrap(),
            draws,
            log_prob,
        ];
        for (plain, recorded) in plain.iter().zip(&recorded) {
            check::close(plain, recorded, 1e-12).unwrap();
            assert!(!plain.track_op() && recorded.track_op(), "{name}");
            assert!(
                message(Gradients::of(&plain.sum_all().unwrap(), &params)).contains("no graph")
            );
            let gradients = Gradients::of(&recorded.sum_all().unwrap(), &params).unwrap();
            assert!(gradients.global_norm().unwrap() > 0.0, "{name}");
        }
    }
}

/// Rows have the same bits in a batch of several runs and of one run, on one thread and on many. A
/// run of another length only changes the order of sums.
#[test]
fn results_do_not_depend_on_where_a_batch_is_cut() {
    for (name, make) in RECIPES {
        for (dtype, rounding) in [(DType::F32, 1e-5), (DType::F64, 1e-13)] {
            let (flow, _) = flow(make, 2, dtype);
            let (x, context) = (normal(0, &[700, 3], dtype), normal(1, &[700, 2], dtype));
            let whole = flow.given(&context).unwrap().log_prob(&x).unwrap();
            for (start, count) in [(0, 256), (256, 256), (3, 256), (255, 2), (690, 10)] {
                let part = |tensor: &Tensor| tensor.narrow(0, start, count).unwrap();
                let own = flow.given(&part(&context)).unwrap();
                let own = own.log_prob(&part(&x)).unwrap();
                let tolerance = if count == 256 && start < 300 {
                    0.0
                } else {
                    rounding
                };
                check::close(&own, &part(&whole), tolerance).unwrap();
            }
            let draws = flow.given(&context).unwrap().sample(700, 4).unwrap();
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            let again = one.unwrap().install(|| {
                let given = flow.given(&context).unwrap();
                given.sample_with_log_prob(700, 4).unwrap().0
            });
            assert_eq!(numbers(&again), numbers(&draws), "{name} {dtype:?}");
        }
    }
}

/// A trainable flow takes the memory of its results and of a run; with a graph it would take
/// gigabytes.
#[test]
fn scoring_and_sampling_take_little_memory() {
    const ROWS: usize = 20_000;
    let recipe = recipes::neural_spline_flow(2).context(4);
    let flow = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
    let context = normal(1, &[ROWS, 4], DType::F32);
    let x = normal(0, &[ROWS, 2], DType::F32);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    one.unwrap().install(|| {
        let given = flow.given(&context).unwrap();
        let peak = |work: &dyn Fn() -> Result<Tensor>| {
            allocation_counter::measure(|| assert_eq!(work().unwrap().dim(0).unwrap(), ROWS))
                .bytes_max
        };
        let scored = peak(&|| given.log_prob(&x));
        let drawn = peak(&|| given.sample(ROWS, 1));
        let both = peak(&|| Ok(given.sample_with_log_prob(ROWS, 1)?.0));
        let each = peak(&|| {
            flow.sample_each(10, &context.narrow(0, 0, ROWS / 10)?, 1)?
                .flatten(0, 1)
        });
        for (what, peak) in [
            ("scored", scored),
            ("drawn", drawn),
            ("both", both),
            ("each", each),
        ] {
            assert!(peak < 16 << 20, "{what}: {peak} bytes");
        }
    });
}

#[test]
fn contexts_are_checked_at_the_door() {
    for (name, make) in RECIPES {
        let (conditional, _) = flow(make, 2, DType::F32);
        let context = |rows| normal(1, &[rows, 2], DType::F32);
        let x = normal(0, &[5, 3], DType::F32);
        let given = conditional.given(&context(4)).unwrap();
        for result in [
            given.log_prob(&x),
            given.sample(5, 0),
            given.sample_with_log_prob(5, 0).map(|(x, _)| x),
            given.with_graph().log_prob(&x),
            given.with_graph().sample(5, 0),
            given.sample(3, 0),
            given.sample(1, 0),
        ] {
            let message = message(result);
            assert!(
                message.contains("got a tensor of shape [4, 2], needed 1 row"),
                "{message}"
            );
        }
        assert!(
            message(given.given(&context(1))).contains("bound already"),
            "{name}"
        );
        for wrong in [&[2][..], &[1, 3], &[1, 2, 1], &[]] {
            let message = message(conditional.given(&normal(0, wrong, DType::F32)));
            assert!(
                message.contains(&format!("got a tensor of shape {wrong:?}, needed")),
                "{message}"
            );
        }
        for wrong in [&[3][..], &[5, 2], &[5, 4], &[5, 3, 1], &[]] {
            let wrong = normal(0, wrong, DType::F32);
            let one = conditional.given(&context(1)).unwrap();
            assert!(message(one.log_prob(&wrong)).contains("needed"), "{name}");
            assert!(
                message(one.with_graph().log_prob(&wrong)).contains("needed"),
                "{name}"
            );
        }
        assert!(message(conditional.log_prob(&x)).contains("needs a context of 2"));

        let (plain, _) = flow(make, 0, DType::F32);
        assert!(
            message(plain.given(&context(5))).contains("needed none"),
            "{name}"
        );
        assert!(
            message(plain.sample_each(2, &context(5), 0)).contains("needed none"),
            "{name}"
        );
    }
}

#[test]
fn draws_of_each_context_are_those_of_the_context_alone() {
    for (name, make) in RECIPES {
        let (flow, _) = flow(make, 2, DType::F64);
        let contexts = normal(1, &[7, 2], DType::F64);
        for count in [1, 40, 300] {
            let (x, log_prob) = flow.sample_each_with_log_prob(count, &contexts, 9).unwrap();
            assert_eq!(
                (x.dims(), log_prob.dims()),
                (&[7, count, 3][..], &[7, count][..])
            );
            let drawn = flow.sample_each(count, &contexts, 9).unwrap();
            check::close(&drawn, &x, 1e-12).unwrap();
            for index in 0..7 {
                let seed = random::derive(9, &format!("context {index}"));
                let own = flow.given(&contexts.narrow(0, index, 1).unwrap()).unwrap();
                let (own_x, own_log_prob) = own.sample_with_log_prob(count, seed).unwrap();
                check::close(&x.get(index).unwrap(), &own_x, 1e-12).unwrap();
                check::close(&log_prob.get(index).unwrap(), &own_log_prob, 1e-12).unwrap();
                check::close(&own.log_prob(&own_x).unwrap(), &own_log_prob, 1e-8).unwrap();
            }
            assert_ne!(
                numbers(&x.get(0).unwrap()),
                numbers(&x.get(1).unwrap()),
                "{name}"
            );
        }
        assert_eq!(flow.sample_each(0, &contexts, 9).unwrap().dims(), [7, 0, 3]);
        let none = contexts.narrow(0, 0, 0).unwrap();
        assert_eq!(flow.sample_each(4, &none, 9).unwrap().dims(), [0, 4, 3]);
    }
}

fn bases(dtype: DType) -> Vec<(&'static str, Box<dyn Distribution>)> {
    let params = ParamStore::new(0);
    let builder = |name| params.builder(dtype, &Device::Cpu).pp(name);
    let gaussian = DiagonalGaussian::new(3, builder("gaussian")).unwrap();
    let mixture = GaussianMixture::new(2, 3, builder("mixture")).unwrap();
    let uniform = Uniform::new(-1.0, 2.0, 3, dtype, &Device::Cpu).unwrap();
    vec![
        (
            "normal",
            Box::new(StandardNormal::new(3, dtype, &Device::Cpu)),
        ),
        ("gaussian", Box::new(gaussian)),
        ("mixture", Box::new(mixture)),
        ("uniform", Box::new(uniform)),
    ]
}

#[test]
fn distributions_refuse_samples_of_another_shape() {
    for dtype in DTYPES {
        for (name, base) in bases(dtype) {
            for shape in [&[4, 2][..], &[4, 4], &[3], &[4, 3, 1], &[4, 1], &[]] {
                let message = message(base.log_prob(&normal(0, shape, dtype)));
                let expected = format!("got a tensor of shape {shape:?}, needed [B, 3]");
                assert!(message.contains(&expected), "{name}: {message}");
            }
        }
    }
}

#[test]
fn nothing_comes_of_nothing() {
    for dtype in DTYPES {
        for (name, base) in bases(dtype) {
            assert_eq!(base.sample(0, 1).unwrap().dims(), [0, 3], "{name}");
            let none = normal(0, &[0, 3], dtype);
            assert_eq!(base.log_prob(&none).unwrap().dims(), [0], "{name}");
        }
        for (name, make) in RECIPES {
            for context in [0, 2] {
                let (flow, _) = flow(make, context, dtype);
                let none = normal(0, &[0, 3], dtype);
                let condition = normal(0, &[1, 2], dtype);
                let work = |flow: &dyn Fn() -> Result<[Tensor; 4]>| {
                    let [log_prob, x, draws, density] = flow().unwrap();
                    assert_eq!(
                        (log_prob.dims(), density.dims()),
                        (&[0][..], &[0][..]),
                        "{name}"
                    );
                    assert_eq!(
                        (x.dims(), draws.dims()),
                        (&[0, 3][..], &[0, 3][..]),
                        "{name}"
                    );
                };
                macro_rules! all {
                    ($flow:expr) => {
                        work(&|| {
                            let (draws, density) = $flow.sample_with_log_prob(0, 1)?;
                            Ok([$flow.log_prob(&none)?, $flow.sample(0, 1)?, draws, density])
                        })
                    };
                }
                if context == 0 {
                    all!(flow);
                    all!(flow.with_graph());
                    assert!(message(mean_loss(&flow, &none)).contains("needs at least one sample"));
                } else {
                    let given = flow.given(&condition).unwrap();
                    all!(given);
                    all!(given.with_graph());
                    let contexts = normal(0, &[0, 2], dtype);
                    let loss = mean_loss(&flow, (&none, &contexts));
                    assert!(message(loss).contains("needs at least one sample"));
                }
            }
        }
    }
}

/// In every type the ends of the interval are inside, and so are all draws.
#[test]
fn a_uniform_holds_its_ends() {
    use std::f64::consts::PI;
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        for (low, high) in [(-PI, PI), (0.1, 0.3), (1e3, 1e3 + 8.1), (-0.7, 1e-3)] {
            let uniform = Uniform::new(low, high, 1, dtype, &Device::Cpu).unwrap();
            let ends = Tensor::new(&[[low], [high]], &Device::Cpu).unwrap();
            let log_prob = uniform.log_prob(&ends.to_dtype(dtype).unwrap()).unwrap();
            for value in numbers(&log_prob) {
                assert!(
                    (value + (high - low).ln()).abs() < 0.02,
                    "{dtype:?} {low} {high}"
                );
            }
            let draws = uniform.sample(20_000, 3).unwrap();
            let log_prob = numbers(&uniform.log_prob(&draws).unwrap());
            assert!(log_prob.iter().all(|value| value.is_finite()));
            let beyond = Tensor::new(
                &[[low - 0.1 * low.abs()], [f64::NAN], [high * 1.1]],
                &Device::Cpu,
            );
            let log_prob = uniform.log_prob(&beyond.unwrap().to_dtype(dtype).unwrap());
            let outside = [f64::NEG_INFINITY; 3];
            assert_eq!(
                numbers(&log_prob.unwrap()),
                outside,
                "{dtype:?} {low} {high}"
            );
        }
    }
    for (low, high) in [(1.0, 1.0 + 1e-9), (2.0, 1.0), (f64::NAN, 1.0), (0.0, 1e39)] {
        assert!(Uniform::new(low, high, 1, DType::F32, &Device::Cpu).is_err());
    }
}

/// N(0, T²) is the standard normal at temperature T. Draws are those of T = 1, scaled before they
/// are decoded.
#[test]
fn a_temperature_scales_the_latents_and_their_density() {
    for (name, make) in RECIPES {
        let (flow, _) = flow(make, 0, DType::F64);
        let z = StandardNormal::new(3, DType::F64, &Device::Cpu)
            .sample(6, 4)
            .unwrap();
        for temperature in [0.0, 0.3, 1.0, 2.5] {
            let tempered = flow.at_temperature(temperature).unwrap();
            let expected = flow.decode(&(&z * temperature).unwrap()).unwrap();
            let drawn = tempered.sample(6, 4).unwrap();
            check::close(&drawn, &expected, 0.0).unwrap();
            if temperature == 0.0 {
                assert!(
                    message(tempered.log_prob(&drawn)).contains("no density"),
                    "{name}"
                );
                continue;
            }
            let (latents, log_det) = flow.encode(&drawn).unwrap();
            let density = numbers(&latents)
                .chunks(3)
                .map(log_normal(temperature))
                .collect::<Vec<_>>();
            let expected = (Tensor::new(density, &Device::Cpu).unwrap() + log_det).unwrap();
            check::close(&tempered.log_prob(&drawn).unwrap(), &expected, 1e-10).unwrap();
            let (again, log_prob) = tempered.sample_with_log_prob(6, 4).unwrap();
            check::close(&again, &drawn, 0.0).unwrap();
            check::close(&log_prob, &expected, 1e-9).unwrap();
        }
        for bad in [f64::NAN, f64::INFINITY, -0.1] {
            let expected = format!("a temperature must be 0 or more and finite, not {bad}");
            assert!(
                message(flow.at_temperature(bad)).starts_with(&expected),
                "{name}"
            );
        }
    }
}

/// ln of the density of N(0, std²) in three dimensions.
fn log_normal(std: f64) -> impl Fn(&[f64]) -> f64 {
    move |z| {
        let of_one = |z: &f64| {
            let scaled = z / std;
            -0.5 * (scaled * scaled + (2.0 * std::f64::consts::PI).ln()) - std.ln()
        };
        z.iter().map(of_one).sum()
    }
}

#[test]
fn far_latents_are_decoded_to_finite_numbers_and_leave_others_alone() {
    for (name, make) in RECIPES {
        for dtype in DTYPES {
            let (flow, _) = flow(make, 0, dtype);
            let near = normal(3, &[4, 3], dtype);
            let alone = numbers(&flow.decode(&near).unwrap());
            let largest = if dtype == DType::F64 {
                f64::MAX
            } else {
                f32::MAX.into()
            };
            for far in [1e10, -1e30, largest] {
                let row = Tensor::full(far, (1, 3), &Device::Cpu).unwrap();
                let row = row.to_dtype(dtype).unwrap();
                let z = Tensor::cat(&[&near, &row], 0).unwrap();
                let x = numbers(&flow.decode(&z).unwrap());
                assert!(x.iter().all(|x| x.is_finite()), "{name}, {far}: {x:?}");
                assert_eq!(x[..12], alone, "{name}, {far}");
            }
        }
    }
}
