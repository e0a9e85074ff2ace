//! Every bijection of vectors × every check, at random parameters, with and without a context.

use crate::doors;
use crate::sinh_arcsinh::SinhArcsinh;
use candle_core::{DType, Device, Result, Tensor};
use flow_core::check::Tolerances;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::recipes;
use flow_core::runs::Rows;
use flow_core::{
    ActNorm, Activation, Additive, Affine, Autoregressive, Bijection, Chain, CircularShift,
    ColumnMap, Columnwise, Conditioned, Coupling, Elementwise, ElementwiseAffine, Householder,
    IntervalSpline, Inverse, LuLinear, Mlp, MlpSize, MonotonicNetwork, Order, Passing, PerChannel,
    PeriodicFeatures, Permutation, Planar, Pointwise, Radial, Reshape, ScaleMap, Spline, Transform,
    check, device, random,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

type Boxed = Result<Box<dyn Bijection>>;
type Build = fn(usize, ParamBuilder) -> Boxed;

const SIZE: MlpSize = MlpSize {
    width: 7,
    blocks: 1,
    context: 0,
    activation: Activation::Relu,
    residual: true,
    dropout: 0.0,
};

const CONDITIONAL: MlpSize = MlpSize { context: 3, ..SIZE };

const SPLINE: Spline = Spline {
    bins: 5,
    bound: 2.0,
    min_width: 0.05,
    min_height: 0.05,
    min_derivative: 0.1,
};

const CIRCLE: IntervalSpline = IntervalSpline {
    bins: 4,
    min_width: 0.05,
    min_height: 0.05,
    min_derivative: 0.1,
    ..IntervalSpline::circle()
};

const INTERVAL: IntervalSpline = IntervalSpline {
    bins: 3,
    min_width: 0.05,
    min_height: 0.05,
    min_derivative: 0.1,
    ..IntervalSpline::on(-1.0, 2.0)
};

const NETWORK: MonotonicNetwork = MonotonicNetwork { units: 3 };

const AFFINE: Affine = Affine(ScaleMap::ExpTanh { bound: 1.0 }, Order::ScaleFirst);

fn coupling(
    d: usize,
    transform: impl Transform + 'static,
    passing: Passing,
    size: MlpSize,
    params: ParamBuilder,
) -> Boxed {
    let count = passing.count(d);
    let network = Mlp::new(count, transform.parameters() * (d - count), size, params)?;
    Ok(Box::new(Coupling::new(transform, passing, network)))
}

/// A coupling whose passing numbers are angles.
fn circular(
    d: usize,
    transform: impl Transform + 'static,
    size: MlpSize,
    params: ParamBuilder,
) -> Boxed {
    let passing = Passing::Odd;
    let count = passing.count(d);
    let angles = (0..count).collect::<Vec<_>>();
    let network = Mlp::for_transform(&transform, 2 * count, d - count, size, params)?;
    let network = PeriodicFeatures::new(count, &angles, std::f64::consts::TAU, network)?;
    Ok(Box::new(Coupling::new(transform, passing, network)))
}

fn made(
    d: usize,
    transform: impl Transform + 'static,
    size: MlpSize,
    params: ParamBuilder,
) -> Boxed {
    Ok(Box::new(Autoregressive::new(d, transform, size, params)?))
}

/// The last number first; a plain network of SiLUs.
fn made_in_reverse(
    d: usize,
    transform: impl Transform + 'static,
    context: usize,
    params: ParamBuilder,
) -> Boxed {
    let order = (0..d).rev().collect::<Vec<_>>();
    let size = MlpSize {
        context,
        activation: Activation::Silu,
        residual: false,
        ..SIZE
    };
    let network = Mlp::made(&transform, &order, size, params)?;
    let made = Autoregressive::with_network(&order, transform, network)?;
    Ok(Box::new(made))
}

/// The second of every three numbers passes, through a plain network.
fn masked(
    d: usize,
    transform: impl Transform + 'static,
    activation: Activation,
    params: ParamBuilder,
) -> Boxed {
    let mask = (0..d).map(|number| number % 3 == 1).collect::<Vec<_>>();
    let passing = mask.iter().filter(|passes| **passes).count();
    let size = MlpSize {
        activation,
        residual: false,
        ..SIZE
    };
    let network = Mlp::for_transform(&transform, passing, d - passing, size, params)?;
    Ok(Box::new(Coupling::masked(transform, &mask, network)?))
}

/// NICE (Dinh, Krueger & Bengio 2015): additive couplings, then a scale of every number.
fn nice(d: usize, params: ParamBuilder) -> Boxed {
    Ok(Box::new(Chain::new(vec![
        coupling(d, Additive, Passing::Even, SIZE, params.pp("0"))?,
        coupling(d, Additive, Passing::Odd, SIZE, params.pp("1"))?,
        Box::new(ElementwiseAffine::new(d, params.pp("scale"))?),
    ])?))
}

/// Numbers of the vectors that bijections refuse.
const D: usize = 4;

const RANKS: &[&[usize]] = &[&[D], &[]];

const RANK_3: &[&[usize]] = &[&[2, D, 1]];

const SIZES: &[&[usize]] = &[&[2, D - 1], &[2, D + 1], &[2, D + 2]];

/// A bijection and the expectations of the tests.
struct Row {
    name: &'static str,
    build: Build,
    /// Draws a batch of the given seed and shape within the domain of the map and of its inverse.
    draw: fn(u64, (usize, usize)) -> Result<Tensor>,
    /// Shapes that a bijection of `D` numbers refuses, in groups.
    refuses: &'static [&'static [&'static [usize]]],
}

impl Row {
    fn input(&self, b: usize, d: usize, seed: u64, dtype: DType) -> Tensor {
        (self.draw)(seed, (b, d)).unwrap().to_dtype(dtype).unwrap()
    }
}

/// A bijection of all of ℝᴰ.
const fn row(name: &'static str, build: Build) -> Row {
    Row {
        name,
        build,
        draw: |seed, shape| random::normal(seed, shape, DType::F64, &Device::Cpu),
        refuses: &[RANKS, RANK_3, SIZES],
    }
}

/// A function of each number, for vectors of any size; it and its inverse are defined on (0, 1).
const fn elementwise(name: &'static str, build: Build) -> Row {
    Row {
        draw: |seed, shape| {
            random::uniform(seed, shape, DType::F64, &Device::Cpu)?.affine(0.9, 0.05)
        },
        refuses: &[RANKS],
        ..row(name, build)
    }
}

/// A map of angles.
const fn angles(name: &'static str, build: Build) -> Row {
    Row {
        draw: |seed, shape| {
            random::uniform(seed, shape, DType::F64, &Device::Cpu)?.affine(6.2, -3.1)
        },
        ..row(name, build)
    }
}

/// A map of numbers between −1 and 2, kept away from the ends. A rotation does not carry them to
/// ±π, where a rounding would be a turn.
const fn between(name: &'static str, build: Build) -> Row {
    Row {
        draw: |seed, shape| {
            random::uniform(seed, shape, DType::F64, &Device::Cpu)?.affine(2.9, -0.95)
        },
        ..row(name, build)
    }
}

/// One row tests a new bijection.
const TABLE: &[Row] = &[
    row("actnorm", |d, p| Ok(Box::new(ActNorm::new(d, p)?))),
    row("elementwise affine", |d, p| {
        Ok(Box::new(ElementwiseAffine::new(d, p)?))
    }),
    Row {
        refuses: &[RANKS, SIZES],
        ..row("permutation", |d, _| {
            Ok(Box::new(Permutation::random(d, 3)?))
        })
    },
    Row {
        refuses: &[RANKS, SIZES],
        ..row("reverse", |d, _| Ok(Box::new(Permutation::reverse(d))))
    },
    row("lu linear", |d, p| Ok(Box::new(LuLinear::new(d, p)?))),
    row("householder", |d, p| {
        Ok(Box::new(Householder::new(d, 3, p)?))
    }),
    row("reshape", |d, _| Ok(Box::new(Reshape::new(d, d)?))),
    elementwise("sigmoid", |_, _| Ok(Box::new(Pointwise::Sigmoid))),
    elementwise("softplus", |_, _| Ok(Box::new(Pointwise::Softplus))),
    elementwise("exp", |_, _| Ok(Box::new(Pointwise::Exp))),
    elementwise("tanh", |_, _| Ok(Box::new(Pointwise::Tanh))),
    Row {
        draw: |seed, shape| {
            random::uniform(seed, shape, DType::F64, &Device::Cpu)?.affine(1.9, -0.95)
        },
        ..elementwise("soft clip", |_, _| {
            Ok(Box::new(flow_core::SoftClip::new(1.0)?))
        })
    },
    elementwise("interval", |_, _| {
        Ok(Box::new(Pointwise::Interval {
            low: -1.0,
            high: 1.5,
        }))
    }),
    elementwise("power", |_, _| {
        Ok(Box::new(Pointwise::Power { exponent: 0.6 }))
    }),
    elementwise("yeo-johnson", |_, _| {
        Ok(Box::new(Pointwise::YeoJohnson { lambda: 0.6 }))
    }),
    Row {
        refuses: &[RANKS, RANK_3, SIZES],
        ..elementwise("columnwise", |d, _| {
            let maps = [
                ColumnMap::Log,
                ColumnMap::Identity,
                ColumnMap::Logit {
                    low: -0.5,
                    high: 1.5,
                },
                ColumnMap::InverseSoftplus,
                ColumnMap::Log,
            ];
            let maps = maps.into_iter().cycle().take(d).collect::<Vec<_>>();
            Ok(Box::new(Columnwise::new(&maps)?))
        })
    },
    elementwise("logit", |_, _| Ok(Box::new(Inverse(Pointwise::Sigmoid)))),
    row("additive", |d, p| {
        coupling(d, Additive, Passing::FirstHalf, SIZE, p)
    }),
    row("affine", |d, p| {
        coupling(d, AFFINE, Passing::SecondHalf, SIZE, p)
    }),
    row("affine, odd", |d, p| {
        let transform = Affine(ScaleMap::Softplus, Order::ShiftFirst);
        coupling(d, transform, Passing::Odd, SIZE, p)
    }),
    row("spline", |d, p| {
        coupling(d, SPLINE, Passing::FirstHalf, SIZE, p)
    }),
    row("spline, even", |d, p| {
        coupling(d, SPLINE, Passing::Even, SIZE, p)
    }),
    row("maf, additive", |d, p| made(d, Additive, SIZE, p)),
    row("maf, affine", |d, p| made(d, AFFINE, SIZE, p)),
    row("maf, spline", |d, p| made(d, SPLINE, SIZE, p)),
    row("maf in another order", |d, p| {
        made_in_reverse(d, AFFINE, 0, p)
    }),
    row("maf in another order, spline", |d, p| {
        made_in_reverse(d, SPLINE, 0, p)
    }),
    row("affine by a mask, tanh", |d, p| {
        masked(d, AFFINE, Activation::Tanh, p)
    }),
    row("spline by a mask, elu", |d, p| {
        masked(d, SPLINE, Activation::Elu, p)
    }),
    row("additive by a mask, gelu", |d, p| {
        masked(d, Additive, Activation::Gelu, p)
    }),
    row("nice", nice),
    row("iaf", |d, p| {
        Ok(Box::new(Inverse(made(d, AFFINE, SIZE, p)?)))
    }),
    row("iaf, spline", |d, p| {
        Ok(Box::new(Inverse(made(d, SPLINE, SIZE, p)?)))
    }),
    row("transform from outside", |d, p| {
        coupling(d, SinhArcsinh, Passing::Odd, SIZE, p)
    }),
    row("inverse of a transform from outside", |d, p| {
        let coupling = coupling(d, SinhArcsinh, Passing::FirstHalf, SIZE, p)?;
        Ok(Box::new(Inverse(coupling)))
    }),
    row("maf, transform from outside", |d, p| {
        made(d, SinhArcsinh, SIZE, p)
    }),
    row("elementwise spline", |d, p| {
        Ok(Box::new(Elementwise::new(d, SPLINE, SIZE, p)?))
    }),
    row("elementwise affine transform", |d, p| {
        Ok(Box::new(Elementwise::new(d, AFFINE, SIZE, p)?))
    }),
    between("spline on an interval", |d, p| {
        coupling(d, INTERVAL, Passing::FirstHalf, SIZE, p)
    }),
    angles("circular spline", |d, p| circular(d, CIRCLE, SIZE, p)),
    between("circular shift", |d, p| {
        circular(d, CircularShift::default(), SIZE, p)
    }),
    between("learned phase", |d, p| {
        Ok(Box::new(Elementwise::new(
            d,
            CircularShift::default(),
            SIZE,
            p,
        )?))
    }),
    angles("mixed coupling", |d, p| {
        let angles = [0, d - 1];
        Ok(Box::new(Coupling::mixed(
            d,
            &angles,
            CIRCLE,
            SPLINE,
            Passing::FirstHalf,
            SIZE,
            p,
        )?))
    }),
    angles("mixed maf", |d, p| {
        let angles = [d - 1, 0];
        Ok(Box::new(Autoregressive::mixed(
            d, &angles, CIRCLE, SPLINE, SIZE, p,
        )?))
    }),
    angles("mixed channels", |d, p| {
        let groups: Vec<(Box<dyn Transform>, _)> = vec![
            (Box::new(NETWORK), vec![0]),
            (Box::new(AFFINE), (1..d).collect()),
        ];
        made(d, PerChannel::new(groups)?, SIZE, p)
    }),
    row("monotonic network", |d, p| {
        coupling(d, NETWORK, Passing::Even, SIZE, p)
    }),
    row("maf, monotonic network", |d, p| made(d, NETWORK, SIZE, p)),
    row("planar", |d, p| Ok(Box::new(Planar::new(d, p)?))),
    row("radial", |d, p| Ok(Box::new(Radial::new(d, p)?))),
    row("inverse of lu linear", |d, p| {
        Ok(Box::new(Inverse(LuLinear::new(d, p)?)))
    }),
    row("inverse of a chain", |d, p| {
        Ok(Box::new(Inverse(Chain::new(vec![
            Box::new(Householder::new(d, 2, p.pp("0"))?) as Box<dyn Bijection>,
            coupling(d, SPLINE, Passing::FirstHalf, SIZE, p.pp("1"))?,
        ])?)))
    }),
];

/// The same with a context of three numbers.
const CONDITIONAL_TABLE: &[Row] = &[
    row("affine", |d, p| {
        coupling(d, AFFINE, Passing::FirstHalf, CONDITIONAL, p)
    }),
    row("spline", |d, p| {
        coupling(d, SPLINE, Passing::Odd, CONDITIONAL, p)
    }),
    row("maf", |d, p| made(d, AFFINE, CONDITIONAL, p)),
    row("maf in another order", |d, p| {
        made_in_reverse(d, SPLINE, 3, p)
    }),
    row("elementwise", |d, p| {
        Ok(Box::new(Elementwise::new(d, AFFINE, CONDITIONAL, p)?))
    }),
    angles("circular spline", |d, p| {
        circular(d, CIRCLE, CONDITIONAL, p)
    }),
    angles("mixed maf", |d, p| {
        Ok(Box::new(Autoregressive::mixed(
            d,
            &[0],
            CIRCLE,
            AFFINE,
            CONDITIONAL,
            p,
        )?))
    }),
    row("iaf, spline", |d, p| {
        Ok(Box::new(Inverse(made(d, SPLINE, CONDITIONAL, p)?)))
    }),
    row("conditioned", |d, p| {
        let embedding = Mlp::new(3, 2, SIZE, p.pp("embedding"))?;
        let size = MlpSize { context: 2, ..SIZE };
        let made = made(d, AFFINE, size, p.pp("made"))?;
        Ok(Box::new(Conditioned::new(made, embedding)?))
    }),
    row("chain", |d, p| {
        Ok(Box::new(Chain::new(vec![
            coupling(d, AFFINE, Passing::FirstHalf, CONDITIONAL, p.pp("0"))?,
            Box::new(Permutation::reverse(d)),
            made(d, SPLINE, CONDITIONAL, p.pp("2"))?,
        ])?))
    }),
];

/// Small operations are several times faster within one thread.
fn on_one_thread(work: impl FnOnce() -> TestCaseResult + Send) -> TestCaseResult {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(work)
}

fn named(name: &str, result: Result<()>) -> TestCaseResult {
    result.map_err(|error| TestCaseError::fail(format!("{name}: {error}")))
}

fn all_checks(
    name: &str,
    bijection: &dyn Bijection,
    params: &ParamStore,
    x: &Tensor,
) -> TestCaseResult {
    all_checks_on(&Tolerances::double(), name, bijection, params, x)
}

fn all_checks_on(
    tolerances: &Tolerances,
    name: &str,
    bijection: &dyn Bijection,
    params: &ParamStore,
    x: &Tensor,
) -> TestCaseResult {
    named(name, check::round_trip(bijection, x, tolerances.round_trip))?;
    named(name, check::log_det(bijection, x, tolerances.log_det))?;
    named(
        name,
        check::gradients(bijection, params, x, tolerances.gradients),
    )?;
    named(
        name,
        check::inverse_gradients(bijection, params, x, tolerances.gradients),
    )?;
    let y = bijection.forward(x).unwrap().0;
    let (_, log_det) = bijection.inverse_with_log_det(&y).unwrap();
    let expected = bijection.forward(x).unwrap().1.neg().unwrap();
    named(
        name,
        check::close(&log_det, &expected, tolerances.round_trip),
    )
}

/// Every row of the table, where the digits of the precision suffice.
fn check_table(tolerances: &Tolerances, b: usize, d: usize, seed: u64) -> TestCaseResult {
    for row in TABLE {
        let Row { name, build, .. } = row;
        let x = row.input(b, d, seed, DType::F64);
        let x = x
            .to_dtype(tolerances.dtype)
            .unwrap()
            .to_device(&tolerances.device)
            .unwrap();
        let params = ParamStore::new(seed);
        let bijection = build(d, params.builder(tolerances.dtype, &tolerances.device)).unwrap();
        check::randomize(&params, seed, 0.3).unwrap();
        let places = [x.clone(), bijection.inverse(&x).unwrap()];
        let condition = |x| check::condition(&bijection, x).unwrap();
        let of_gradient = || check::gradient_condition(&bijection, &x).unwrap();
        let is_good = |found| found < tolerances.condition;
        if tolerances.dtype == DType::F64
            || places.iter().map(condition).all(is_good) && is_good(of_gradient())
        {
            all_checks_on(tolerances, name, &bijection, &params, &x)?;
        }
    }
    Ok(())
}

/// Largest condition number. It leaves five of the seven digits of f32, one more than the bound
/// needs. Most random flows are better.
const WORST_CONDITION: f64 = 100.0;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_bijection_is_one(b in 1_usize..=3, d in 2_usize..=6, seed: u64) {
        on_one_thread(|| check::devices().iter().try_for_each(|tolerances| check_table(tolerances, b, d, seed)))?;
    }

    /// Rehearsal of an accelerator, with its tolerances.
    #[test]
    fn every_bijection_is_one_as_an_accelerator_computes_it(b in 1_usize..=3, d in 2_usize..=6, seed: u64) {
        on_one_thread(|| device::rehearse(|| check_table(&Tolerances::single(Device::Cpu), b, d, seed)))?;
    }

    #[test]
    fn every_conditional_one_is_too(b in 1_usize..=3, d in 2_usize..=6, seed: u64) {
        on_one_thread(|| {
            for row in CONDITIONAL_TABLE {
                let Row { name, build, .. } = row;
                let x = row.input(b, d, seed, DType::F64);
                let params = ParamStore::new(seed);
                let bijection = build(d, params.builder(DType::F64, &Device::Cpu)).unwrap();
                check::randomize(&params, seed, 0.3).unwrap();
                let context = random::normal(!seed, (1, 3), DType::F64, &Device::Cpu).unwrap();
                all_checks(name, &bijection.given(&context).unwrap(), &params, &x)?;
                prop_assert!(bijection.forward(&x).is_err(), "{}", name);

                // Every sample has its own row.
                let rows = random::normal(seed, (b, 3), DType::F64, &Device::Cpu).unwrap();
                let all = bijection.given(&rows).unwrap().forward(&x).unwrap().0;
                for row in 0..b {
                    let own = bijection.given(&rows.narrow(0, row, 1).unwrap()).unwrap();
                    let own = own.forward(&x.narrow(0, row, 1).unwrap()).unwrap().0;
                    named(name, check::close(&own, &all.narrow(0, row, 1).unwrap(), 1e-12))?;
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn single_precision_is_close(b in 1_usize..=20, d in 2_usize..=6, seed: u64) {
        on_one_thread(|| {
            for row in TABLE {
                let Row { name, build, .. } = row;
                let x = row.input(b, d, seed, DType::F64);
                let params = ParamStore::new(seed);
                let bijection = build(d, params.builder(DType::F64, &Device::Cpu)).unwrap();
                check::randomize(&params, seed, 0.3).unwrap();
                let places = [x.clone(), bijection.inverse(&x).unwrap()];
                if places.iter().any(|x| check::condition(&bijection, x).unwrap() > WORST_CONDITION) {
                    continue;
                }
                let outputs = |dtype: DType, device: &Device| {
                    let params = ParamStore::new(seed);
                    build(d, params.builder(DType::F64, &Device::Cpu)).unwrap();
                    check::randomize(&params, seed, 0.3).unwrap();
                    let cast = |(name, var): (String, candle_core::Var)| {
                        (name, var.to_dtype(dtype).unwrap().to_device(device).unwrap())
                    };
                    let params = ParamStore::from_tensors(params.vars().into_iter().map(cast)).unwrap();
                    let bijection = build(d, params.builder(dtype, device)).unwrap();
                    let x = x.to_dtype(dtype).unwrap().to_device(device).unwrap();
                    let (y, log_det) = bijection.forward(&x).unwrap();
                    let back = bijection.inverse(&y).unwrap();
                    let sampled = bijection.inverse(&x).unwrap();
                    [y, log_det, back, sampled].map(|output| output.to_device(&Device::Cpu).unwrap())
                };
                let wide = outputs(DType::F64, &Device::Cpu);
                let mut all = vec![outputs(DType::F32, &Device::Cpu)];
                all.push(device::rehearse(|| outputs(DType::F32, &Device::Cpu)));
                let accelerators = check::devices().into_iter().skip(1);
                all.extend(accelerators.map(|tolerances| outputs(DType::F32, &tolerances.device)));
                for (narrow, wide) in all.iter().flat_map(|narrow| narrow.iter().zip(&wide)) {
                    named(name, check::close(narrow, wide, 1e-4))?;
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn splines_of_images_are_bijections(b in 1_usize..=2, c in 2_usize..=4, h in 1_usize..=3, w in 1_usize..=3, seed: u64) {
        struct Pixels(Mlp);
        impl flow_core::Conditioner for Pixels {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                let (b, c, h, w) = x.dims4()?;
                let rows = x.permute([0, 2, 3, 1])?.reshape((b * h * w, c))?;
                self.0.forward(&rows)?.reshape((b, h, w, ()))?.permute([0, 3, 1, 2])?.contiguous()
            }
        }
        on_one_thread(|| {
            let params = ParamStore::new(seed);
            let outputs = SPLINE.parameters() * (c - c / 2);
            let network = Mlp::new(c / 2, outputs, SIZE, params.builder(DType::F64, &Device::Cpu)).unwrap();
            let coupling = Coupling::new(SPLINE, Passing::FirstHalf, Pixels(network));
            check::randomize(&params, seed, 0.3).unwrap();
            let x = random::normal(seed, (b, c, h, w), DType::F64, &Device::Cpu).unwrap();
            all_checks("spline of images", &coupling, &params, &x)
        })?;
    }

    #[test]
    fn recipes_are_flows(d in 2_usize..=5, seed: u64) {
        on_one_thread(|| {
            for (name, make) in recipes::ALL {
                let params = ParamStore::new(seed);
                let recipe = make(d).layers(2).width(8).blocks(1);
                let flow = recipe.flow(&params.builder(DType::F64, &Device::Cpu)).unwrap();
                check::randomize(&params, seed, 0.1).unwrap();
                let (x, log_prob) = flow.sample_with_log_prob(5, seed).unwrap();
                named(name, check::close(&flow.log_prob(&x).unwrap(), &log_prob, 1e-8))?;
                named(name, check::close(&flow.sample(5, seed).unwrap(), &x, 1e-12))?;
                all_checks(name, flow.bijection(), &params, &x)?;
            }
            Ok(())
        })?;
    }
}

#[test]
fn every_door_refuses_what_does_not_fit() {
    for dtype in [DType::F32, DType::F64] {
        let context = doors::numbers(&[2, 3], dtype);
        for Row {
            name,
            build,
            refuses,
            ..
        } in TABLE
        {
            let params = ParamStore::new(1);
            let bijection = build(D, params.builder(dtype, &Device::Cpu)).unwrap();
            for shape in refuses.concat() {
                doors::refuses(name, &bijection, shape, dtype);
            }
            assert_eq!(bijection.context(), None, "{name}");
            let refused = bijection.given(&context).err().unwrap().to_string();
            assert!(refused.contains("needed none"), "{name}: {refused}");
        }
        for Row {
            name,
            build,
            refuses,
            ..
        } in CONDITIONAL_TABLE
        {
            let params = ParamStore::new(1);
            let bijection = build(D, params.builder(dtype, &Device::Cpu)).unwrap();
            assert_eq!(bijection.context(), Some(3), "{name}");
            for shape in [&[3][..], &[2, 2], &[2, 4], &[2, 3, 1], &[]] {
                let refused = bijection
                    .given(&doors::numbers(shape, dtype))
                    .err()
                    .unwrap();
                assert!(refused.to_string().contains("needed [B, 3]"), "{refused}");
            }
            let bound = bijection.given(&context).unwrap();
            let refused = bound.given(&context).err().unwrap().to_string();
            assert!(refused.contains("bound already"), "{name}: {refused}");
            for shape in refuses.concat() {
                doors::refuses(name, &bound, shape, dtype);
            }
            for rows in [1, 3] {
                doors::refuses(name, &bound, &[rows, D], dtype);
            }
        }
    }
}

#[test]
fn an_empty_batch_stays_empty() {
    for dtype in [DType::F32, DType::F64] {
        for Row { name, build, .. } in TABLE {
            let params = ParamStore::new(1);
            let bijection = build(D, params.builder(dtype, &Device::Cpu)).unwrap();
            doors::empty(name, &bijection, &[D], dtype);
        }
        for Row { name, build, .. } in CONDITIONAL_TABLE {
            let params = ParamStore::new(1);
            let bijection = build(D, params.builder(dtype, &Device::Cpu)).unwrap();
            for rows in [0, 1] {
                let context = doors::numbers(&[rows, 3], dtype);
                doors::empty(name, &bijection.given(&context).unwrap(), &[D], dtype);
            }
        }
    }
}

/// With enough hidden units, every number depends on all before it; smaller networks are refused.
#[test]
fn a_made_drops_no_dependency() {
    for (features, width) in [(2, 1), (5, 4), (9, 8), (30, 29), (30, 40)] {
        let size = MlpSize { width, ..SIZE };
        let params = ParamStore::new(3);
        let builder = params.builder(DType::F64, &Device::Cpu);
        let made = Autoregressive::new(features, Additive, size, builder).unwrap();
        // Positive everywhere, so that every path is active and nothing cancels.
        for (_, var) in params.vars() {
            var.set(&(var.abs().unwrap() + 0.1).unwrap()).unwrap();
        }
        let x = Tensor::ones((1, features), DType::F64, &Device::Cpu).unwrap();
        let jacobian = check::jacobian(|x| Ok(made.forward(x)?.0), &x, 1).unwrap();
        for (i, row) in jacobian.iter().enumerate() {
            for (j, slope) in row.iter().enumerate() {
                assert_eq!(j <= i, *slope != 0.0, "dy{i}/dx{j} = {slope} of {features}");
            }
        }
        let size = MlpSize {
            width: features - 2,
            ..SIZE
        };
        let builder = ParamStore::new(3).builder(DType::F64, &Device::Cpu);
        let refused = Autoregressive::new(features, Additive, size, builder);
        let refused = refused.err().unwrap().to_string();
        let needed = format!("width {}, needed {}", features - 2, features - 1);
        assert!(refused.contains(&needed), "{refused}");
    }
}

/// Bins of the least width, derivatives from the least to enormous, numbers at the ends of the
/// interval.
#[test]
fn splines_survive_extreme_parameters() {
    let spline = Spline::default();
    let ends = Tensor::new(
        &[[-3.0, 3.0, -3.000_001], [2.999_999, 1e6, f64::MIN_POSITIVE]],
        &Device::Cpu,
    );
    let normal = |seed, shape| random::normal(seed, shape, DType::F64, &Device::Cpu).unwrap();
    for (dtype, std) in [DType::F32, DType::F64]
        .into_iter()
        .flat_map(|dtype| [10.0, 1e2, 1e4].map(|std| (dtype, std)))
    {
        let x = Tensor::cat(
            &[
                ends.as_ref().unwrap(),
                &(normal(0, (500, 3)) * 1.5).unwrap(),
            ],
            0,
        )
        .unwrap();
        let h = (normal(1, (502, 3 * spline.parameters())) * std).unwrap();
        let (x, h) = (x.to_dtype(dtype).unwrap(), h.to_dtype(dtype).unwrap());
        let (y, log_det) = spline.forward_last(&x, &h).unwrap();
        let back = spline.inverse_last(&x, &h).unwrap();
        // Tails are the identity, and inner numbers stay inside.
        for (name, result, bound) in [
            ("forward", y, 1e6),
            ("log_det", log_det, 100.0),
            ("inverse", back, 1e6),
        ] {
            let largest = result.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let largest = largest
                .to_dtype(DType::F64)
                .unwrap()
                .to_scalar::<f64>()
                .unwrap();
            assert!(
                largest <= bound,
                "{name} at {std} in {dtype:?} reaches {largest}"
            );
            let nan = result
                .ne(&result)
                .unwrap()
                .to_dtype(DType::F64)
                .unwrap()
                .sum_all()
                .unwrap();
            assert!(
                nan.to_scalar::<f64>().unwrap() < 0.5,
                "{name} at {std} in {dtype:?}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let x = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    let params = ParamStore::new(0);
    let builder = |name| params.builder(DType::F64, &Device::Cpu).pp(name);
    let message = |result: Result<(Tensor, Tensor)>| result.unwrap_err().to_string();
    assert!(
        message(Permutation::reverse(4).forward(&x))
            .contains("got a tensor of shape [2, 3], needed [B, 4, …]")
    );
    assert!(
        Permutation::new(vec![0, 0])
            .unwrap_err()
            .to_string()
            .contains("is not a permutation of 0..2")
    );
    assert!(
        message(Reshape::new(4, (2, 2)).unwrap().forward(&x))
            .contains("got a tensor of shape [2, 3], needed [B, 4]")
    );
    assert!(Reshape::new(4, (3, 2)).is_err());
    let h = Tensor::zeros((2, 7), DType::F64, &Device::Cpu).unwrap();
    assert!(message(SPLINE.forward_last(&x, &h)).contains("do not fit inputs"));
    let crowded = Spline {
        bins: 2000,
        ..Spline::default()
    };
    assert!(message(crowded.forward_last(&x, &h)).contains("2000 bins of at least 0.001"));
    let maf = made(3, AFFINE, CONDITIONAL, builder("maf")).unwrap();
    assert!(message(maf.forward(&x)).contains("needs a context of 3 numbers"));
    assert!(
        maf.given(&h)
            .err()
            .unwrap()
            .to_string()
            .contains("got a tensor of shape [2, 7], needed [B, 3]")
    );
    assert!(recipes::realnvp(1).flow(&builder("nvp")).is_err());
}

type Function<'a> = &'a dyn Fn(&Tensor) -> Result<Vec<Tensor>>;

fn both((x, log_det): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![x, log_det]
}

/// A map with a graph and one without.
fn trained_and_frozen(build: Build, d: usize, dtype: DType) -> [Box<dyn Bijection>; 2] {
    let params = ParamStore::new(1);
    let trained = build(d, params.builder(dtype, &Device::Cpu)).unwrap();
    check::randomize(&params, 1, 0.3).unwrap();
    let frozen = build(d, params.frozen().builder(dtype, &Device::Cpu)).unwrap();
    [trained, frozen]
}

/// Checks the fused and the composed form of `f`.
fn check_independence(name: &str, f: Function, x: &Tensor) {
    let results = [
        check::independent_rows(f, x),
        device::rehearse(|| check::independent_rows(f, x)),
    ];
    for result in results {
        let named = |error| format!("{name} at {:?} in {:?}: {error}", x.dims(), x.dtype());
        result.map_err(named).unwrap();
    }
}

fn types_and_sizes() -> impl Iterator<Item = (DType, usize)> {
    let types = [DType::F32, DType::F64].into_iter();
    types.flat_map(|dtype| [2, 3, 8].map(|d| (dtype, d)))
}

#[test]
fn rows_do_not_see_each_other() {
    for (dtype, d) in types_and_sizes() {
        for row in TABLE {
            let x = row.input(5, d, 2, dtype);
            for bijection in trained_and_frozen(row.build, d, dtype) {
                let y = bijection.forward(&x).unwrap().0;
                check_independence(row.name, &|x| bijection.forward(x).map(both), &x);
                let inverse = |y: &Tensor| bijection.inverse_with_log_det(y).map(both);
                check_independence(row.name, &inverse, &y);
            }
        }
    }
}

#[test]
fn rows_with_contexts_do_not_see_each_other() {
    for (dtype, d) in types_and_sizes() {
        let x = random::normal(3, (5, 3 + d), dtype, &Device::Cpu).unwrap();
        // The first three columns are the context.
        let parts =
            |x: &Tensor| Ok::<_, candle_core::Error>((x.narrow(1, 0, 3)?, x.narrow(1, 3, d)?));
        for row in CONDITIONAL_TABLE {
            for bijection in trained_and_frozen(row.build, d, dtype) {
                let forward = |x: &Tensor| {
                    let (context, x) = parts(x)?;
                    bijection.given(&context)?.forward(&x).map(both)
                };
                let inverse = |y: &Tensor| {
                    let (context, y) = parts(y)?;
                    let bound = bijection.given(&context)?;
                    bound.inverse_with_log_det(&y).map(both)
                };
                check_independence(row.name, &forward, &x);
                check_independence(row.name, &inverse, &x);
            }
        }
    }
}

/// `Detached`, and the maps' own frozen forms: the same numbers, without a graph.
#[test]
fn frozen_maps_are_the_same_without_a_graph() {
    for row in TABLE {
        let Row { name, build, .. } = row;
        let params = ParamStore::new(1);
        let bijection = build(4, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, 1, 0.3).unwrap();
        let x = row.input(5, 4, 2, DType::F64);
        let (y, log_det) = bijection.forward(&x).unwrap();
        let frozen = bijection.frozen(&Rows::all(5)).unwrap();
        let (frozen_y, frozen_log_det) = frozen.forward(&x).unwrap();
        let back = frozen.inverse(&y.detach()).unwrap();
        for (found, expected) in [(&frozen_y, &y), (&frozen_log_det, &log_det), (&back, &x)] {
            assert!(!found.track_op(), "{name}");
            check::close(found, expected, 1e-9).unwrap();
        }
    }
}
