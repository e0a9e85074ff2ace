//! Every bijection × every check, in f64, at random parameters and shapes.

use crate::doors;
use crate::sinh_arcsinh::SinhArcsinh;
use candle_core::{DType, Device, Result, Tensor};
use flow_core::check::Tolerances;
use flow_core::ops::Precision;
use flow_core::ops::coupling_network::{Weights, coupling_network};
use flow_core::params::{Init, ParamBuilder, ParamStore};
use flow_core::{
    ActNorm, Additive, Affine, Bijection, Chain, Conditioner, Coupling, Gradients,
    InvertibleConv1x1, MatrixForm, Order, Passing, ScaleMap, Squeeze, Transform, Whiten, check,
    device, random,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

/// The network of `ops`, with its own parameters.
struct Network(Vec<Tensor>);

impl Network {
    fn new(inputs: usize, outputs: usize, params: &ParamBuilder) -> Result<Self> {
        let width = 5;
        let shapes: [(&str, &[usize]); 6] = [
            ("w1", &[width, inputs, 3, 3]),
            ("b1", &[width]),
            ("w2", &[width, width]),
            ("b2", &[width]),
            ("w3", &[outputs, width, 3, 3]),
            ("b3", &[outputs]),
        ];
        let get = |(name, shape)| params.get_with_hints(shape, name, Init::Zeros);
        Ok(Self(shapes.into_iter().map(get).collect::<Result<_>>()?))
    }
}

impl Conditioner for Network {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [w1, b1, w2, b2, w3, b3] = self.0.iter().collect::<Vec<_>>().try_into().unwrap();
        coupling_network(
            x,
            Weights {
                w1,
                b1,
                w2,
                b2,
                w3,
                b3,
            },
            Precision::F32,
        )
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        Some([self.0[0].dims()[1], self.0[4].dims()[0]])
    }
}

type Build = fn(usize, &ParamBuilder) -> Result<Box<dyn Bijection>>;

fn coupling(
    channels: usize,
    params: &ParamBuilder,
    transform: impl Transform + 'static,
    passing: Passing,
) -> Result<Box<dyn Bijection>> {
    let count = passing.count(channels);
    let network = Network::new(count, transform.parameters() * (channels - count), params)?;
    Ok(Box::new(Coupling::new(transform, passing, network)))
}

/// The paper's affine coupling, except for its scale map.
fn affine(channels: usize, params: &ParamBuilder, map: ScaleMap) -> Result<Box<dyn Bijection>> {
    let transform = Affine(map, Order::ShiftFirst);
    coupling(channels, params, transform, Passing::FirstHalf)
}

/// A coupling that scales first.
fn scale_first(
    channels: usize,
    params: &ParamBuilder,
    passing: Passing,
) -> Result<Box<dyn Bijection>> {
    let transform = Affine(ScaleMap::SigmoidOffset, Order::ScaleFirst);
    coupling(channels, params, transform, passing)
}

/// Channels of the images that bijections refuse.
const C: usize = 4;

const RANKS: &[&[usize]] = &[&[C, 4, 4], &[C], &[], &[2, C, 4]];

const RANK_5: &[&[usize]] = &[&[2, C, 4, 4, 1]];

const CHANNELS: &[&[usize]] = &[
    &[2, C - 1, 4, 4],
    &[2, C + 1, 4, 4],
    &[2, C + 2, 4, 4],
    &[2, C - 1],
    &[2, C + 1],
    &[2, C + 2],
];

/// A bijection and the expectations of the tests.
struct Row {
    name: &'static str,
    build: Build,
    /// Outputs have the shape of inputs. Otherwise height and width must be even.
    keeps_shape: bool,
    /// Shapes that a bijection of `C` channels refuses, in groups.
    refuses: &'static [&'static [&'static [usize]]],
}

/// A bijection of `[B, C, H, W]` to the same shape.
const fn row(name: &'static str, build: Build) -> Row {
    Row {
        name,
        build,
        keeps_shape: true,
        refuses: &[RANKS, RANK_5, CHANNELS],
    }
}

/// One row tests a new bijection.
const TABLE: &[Row] = &[
    row("actnorm", |c, p| Ok(Box::new(ActNorm::new(c, p.clone())?))),
    row("conv1x1", |c, p| {
        Ok(Box::new(InvertibleConv1x1::new(c, p.clone())?))
    }),
    Row {
        keeps_shape: false,
        refuses: &[RANKS, RANK_5],
        ..row("squeeze", |_, _| Ok(Box::new(Squeeze)))
    },
    row("conv1x1, rotation first", |c, p| {
        let form = MatrixForm::LowerUpperRotation;
        Ok(Box::new(InvertibleConv1x1::with_form(c, form, p.clone())?))
    }),
    row("conv1x1, plain", |c, p| {
        let form = MatrixForm::Plain;
        Ok(Box::new(InvertibleConv1x1::with_form(c, form, p.clone())?))
    }),
    row("additive", |c, p| {
        coupling(c, p, Additive, Passing::FirstHalf)
    }),
    row("additive, odd", |c, p| {
        coupling(c, p, Additive, Passing::Odd)
    }),
    row("affine, sigmoid", |c, p| affine(c, p, ScaleMap::Sigmoid)),
    row("affine, sigmoid-offset", |c, p| {
        affine(c, p, ScaleMap::SigmoidOffset)
    }),
    row("affine, sigmoid-inverse", |c, p| {
        affine(c, p, ScaleMap::SigmoidInverse)
    }),
    row("affine, softplus", |c, p| affine(c, p, ScaleMap::Softplus)),
    row("affine, softplus without bound", |c, p| {
        affine(c, p, ScaleMap::SoftplusUnbounded)
    }),
    row("affine, exp", |c, p| affine(c, p, ScaleMap::Exp)),
    row("affine, exp-tanh", |c, p| {
        affine(c, p, ScaleMap::ExpTanh { bound: 2.0 })
    }),
    row("scale first", |c, p| scale_first(c, p, Passing::FirstHalf)),
    row("scale first, second half", |c, p| {
        scale_first(c, p, Passing::SecondHalf)
    }),
    row("scale first, even", |c, p| scale_first(c, p, Passing::Even)),
    row("scale first, odd", |c, p| scale_first(c, p, Passing::Odd)),
    row("transform from outside", |c, p| {
        coupling(c, p, SinhArcsinh, Passing::Even)
    }),
    // A mean may broadcast from fewer dimensions.
    Row {
        refuses: &[RANKS, CHANNELS],
        ..row("whiten", |c, p| {
            let mean = p.get_with_hints((1, c, 1, 1), "mean", Init::Zeros)?;
            let log_std = p.get_with_hints((1, c, 1, 1), "log_std", Init::Zeros)?;
            Ok(Box::new(Whiten::new(mean, log_std)))
        })
    },
    Row {
        keeps_shape: false,
        ..row("chain", |c, p| {
            let map = ScaleMap::ExpTanh { bound: 2.0 };
            Ok(Box::new(Chain::new(vec![
                Box::new(ActNorm::new(c, p.pp("0"))?) as Box<dyn Bijection>,
                Box::new(InvertibleConv1x1::new(c, p.pp("1"))?),
                affine(c, &p.pp("2"), map)?,
                Box::new(Squeeze),
                affine(4 * c, &p.pp("4"), map)?,
            ])?))
        })
    },
];

/// The bijection at random parameters that leave the tolerances enough digits, both ways. In double
/// precision about one draw in ten does not; each retry is closer to the initial state.
fn well_conditioned(
    build: Build,
    x: &Tensor,
    seed: u64,
    tolerances: &Tolerances,
) -> (ParamStore, Box<dyn Bijection>) {
    let draw = |draw: i32| -> Result<_> {
        let params = ParamStore::new(seed);
        let bijection = build(x.dim(1)?, &params.builder(x.dtype(), x.device()))?;
        let spread = 0.3 * 0.9_f64.powi(draw);
        check::randomize(&params, random::derive(seed, &draw.to_string()), spread)?;
        let of_gradient = check::gradient_condition(&bijection, x)?;
        let mut condition = check::condition(&bijection, x)?.max(of_gradient);
        if bijection.forward(x)?.0.shape() == x.shape() {
            condition = condition.max(check::condition(&bijection, &bijection.inverse(x)?)?);
        }
        Ok((condition, (params, bijection)))
    };
    (0..40)
        .map(|number| draw(number).unwrap())
        .find_map(|(condition, drawn)| (condition < tolerances.condition).then_some(drawn))
        .unwrap()
}

/// Small operations are several times faster within one thread.
fn on_one_thread(work: impl FnOnce() -> TestCaseResult + Send) -> TestCaseResult {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(work)
}

/// Every check of every bijection within its tolerances, and equal results on the CPU in double
/// precision.
fn check_all(
    tolerances: &Tolerances,
    shape: (usize, usize, usize, usize),
    seed: u64,
) -> TestCaseResult {
    let x = random::normal(seed, shape, tolerances.dtype, &tolerances.device).unwrap();
    for Row {
        name,
        build,
        keeps_shape,
        ..
    } in TABLE
    {
        let (params, bijection) = well_conditioned(*build, &x, seed, tolerances);
        let y = bijection.forward(&x).unwrap().0;
        prop_assert_eq!(y.elem_count(), x.elem_count(), "{}", name);
        let context = |result: Result<()>| {
            result
                .map_err(|e| TestCaseError::fail(format!("{name} in {:?}: {e}", tolerances.dtype)))
        };
        if *keeps_shape {
            context(check::round_trip(&bijection, &x, tolerances.round_trip))?;
        } else {
            // The inverse takes `y` only.
            let back = bijection.inverse(&y).unwrap();
            context(check::close(&back, &x, tolerances.round_trip))?;
        }
        context(check::log_det(&bijection, &x, tolerances.log_det))?;
        context(check::gradients(
            &bijection,
            &params,
            &x,
            tolerances.gradients,
        ))?;
        context(is_the_same_in_double_precision(
            *build, &params, &bijection, &x,
        ))?;
    }
    Ok(())
}

/// Outputs agree to four digits with those in double precision on the CPU.
fn is_the_same_in_double_precision(
    build: Build,
    params: &ParamStore,
    bijection: &dyn Bijection,
    x: &Tensor,
) -> Result<()> {
    let double = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64);
    let twins = params.vars().into_iter();
    let twins = twins.map(|(name, var)| Ok((name, double(&var)?)));
    let twins = ParamStore::from_tensors(twins.collect::<Result<Vec<_>>>()?)?;
    let twin = build(x.dim(1)?, &twins.builder(DType::F64, &Device::Cpu))?;
    let (y, log_det) = bijection.forward(x)?;
    let (expected, expected_log_det) = twin.forward(&double(x)?)?;
    check::close(&double(&y)?, &expected, 1e-4)?;
    check::close(&double(&log_det)?, &expected_log_det, 1e-4)?;
    check::close(
        &double(&bijection.inverse(&y)?)?,
        &twin.inverse(&double(&y)?)?,
        1e-4,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_bijection_is_one(
        b in 1_usize..=3, c in 2_usize..=7, h in 1_usize..=2, w in 1_usize..=2, seed: u64,
    ) {
        on_one_thread(|| {
            let mut all = check::devices().into_iter();
            all.try_for_each(|tolerances| check_all(&tolerances, (b, c, 2 * h, 2 * w), seed))
        })?;
    }

    #[test]
    fn actnorm_normalises_its_first_batch(b in 2_usize..6, c in 1_usize..5, seed: u64) {
        let params = ParamStore::new(seed);
        let actnorm = ActNorm::new(c, params.builder(DType::F64, &Device::Cpu)).unwrap();
        let x = random::normal(seed, (b, c, 4, 4), DType::F64, &Device::Cpu).unwrap();
        let y = actnorm.initialize(&((x * 7.0).unwrap() + 3.0).unwrap()).unwrap();
        let moments = |t: &Tensor| t.mean_keepdim((0, 2, 3));
        let (mean, variance) = (moments(&y).unwrap(), moments(&y.sqr().unwrap()).unwrap());
        check::close(&mean, &mean.zeros_like().unwrap(), 1e-10).unwrap();
        check::close(&variance, &variance.ones_like().unwrap(), 1e-10).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// Rehearsal of an accelerator, with its tolerances.
    #[test]
    fn every_bijection_is_one_as_an_accelerator_computes_it(
        b in 1_usize..=3, c in 2_usize..=7, h in 1_usize..=2, w in 1_usize..=2, seed: u64,
    ) {
        let tolerances = Tolerances::single(Device::Cpu);
        on_one_thread(|| device::rehearse(|| check_all(&tolerances, (b, c, 2 * h, 2 * w), seed)))?;
    }
}

#[test]
fn actnorm_survives_a_constant_channel() {
    let params = ParamStore::new(0);
    let actnorm = ActNorm::new(3, params.builder(DType::F32, &Device::Cpu)).unwrap();
    let x = Tensor::full(0.25_f32, (4, 3, 2, 2), &Device::Cpu).unwrap();
    let y = actnorm.initialize(&x).unwrap();
    check::close(&y, &y.zeros_like().unwrap(), 1e-6).unwrap();
    check::close(&actnorm.inverse(&y).unwrap(), &x, 1e-6).unwrap();
}

#[test]
fn every_door_refuses_what_does_not_fit() {
    for dtype in [DType::F32, DType::F64] {
        for row in TABLE {
            let params = ParamStore::new(1);
            let bijection = (row.build)(C, &params.builder(dtype, &Device::Cpu)).unwrap();
            for shape in row.refuses.concat() {
                doors::refuses(row.name, &bijection, shape, dtype);
            }
            assert!(bijection.given(&doors::numbers(&[2, 3], dtype)).is_err());
        }
    }
}

#[test]
fn an_empty_batch_stays_empty() {
    for dtype in [DType::F32, DType::F64] {
        for Row { name, build, .. } in TABLE {
            let params = ParamStore::new(1);
            let bijection = build(C, &params.builder(dtype, &Device::Cpu)).unwrap();
            doors::empty(name, &bijection, &[C, 4, 4], dtype);
        }
    }
}

#[test]
fn wrong_shapes_are_named() {
    let image = |c, h, w| Tensor::zeros((1, c, h, w), DType::F64, &Device::Cpu).unwrap();
    let message = |result: Result<Tensor>| result.unwrap_err().to_string();
    let squeeze = |x: &Tensor| Squeeze.forward(x).map(|(y, _)| y);
    assert!(message(squeeze(&image(1, 3, 4))).contains("height 3 and width 4 must be even"));
    assert!(
        message(Squeeze.inverse(&image(6, 2, 2))).contains("channels 6 must be a multiple of 4")
    );
    let params = ParamStore::new(0);
    let network = Network::new(1, 1, &params.builder(DType::F64, &Device::Cpu)).unwrap();
    let coupling = Coupling::new(Additive, Passing::FirstHalf, network);
    assert!(message(coupling.inverse(&image(1, 2, 2))).contains("needed [B, 2, …]"));
    assert!(Chain::<Squeeze>::new(vec![]).is_err());
}

/// Parameters with a graph and without, fused and composed, in both precisions, images of odd and
/// even sizes.
#[test]
fn rows_do_not_see_each_other() {
    for (index, row) in TABLE.iter().enumerate() {
        let Row { name, build, .. } = row;
        let shapes = [
            (4, 2, 6, 10),
            (3, 3, 2, 14),
            (5, 2, 7, 7),
            (3, 4, 3, 1),
            (3, 2, 1, 1),
        ];
        let is_even = |&(_, _, h, w): &(usize, usize, usize, usize)| h % 2 == 0 && w % 2 == 0;
        for shape in shapes
            .into_iter()
            .filter(|shape| row.keeps_shape || is_even(shape))
        {
            for dtype in [DType::F32, DType::F64] {
                let x = random::normal(index as u64, shape, dtype, &Device::Cpu).unwrap();
                let params = ParamStore::new(7);
                let trained = build(shape.1, &params.builder(dtype, &Device::Cpu)).unwrap();
                check::randomize(&params, 3, 0.2).unwrap();
                let frozen = params.frozen().builder(dtype, &Device::Cpu);
                let frozen = build(shape.1, &frozen).unwrap();
                for bijection in [trained, frozen] {
                    let y = bijection.forward(&x).unwrap().0;
                    let independent = || {
                        let forward =
                            |x: &Tensor| bijection.forward(x).map(|(y, log_det)| vec![y, log_det]);
                        let inverse = |y: &Tensor| {
                            bijection
                                .inverse_with_log_det(y)
                                .map(|(x, log_det)| vec![x, log_det])
                        };
                        let backward = |y: &Tensor| {
                            let (grad, grad_log_det) =
                                (y.ones_like()?, y.ones_like()?.flatten_from(1)?.mean(1)?);
                            let mut grads = Gradients::new(&params);
                            let (x, grad_x) =
                                bijection.backward(y, &grad, &grad_log_det, &mut grads)?;
                            Ok(vec![x, grad_x])
                        };
                        check::independent_rows(forward, &x)?;
                        check::independent_rows(inverse, &y)?;
                        check::independent_rows(backward, &y)?;
                        check::batch_invariance(forward, &x)?;
                        check::batch_invariance(inverse, &y)?;
                        check::batch_invariance(backward, &y)
                    };
                    let independent = [independent(), device::rehearse(independent)];
                    for result in independent {
                        result
                            .map_err(|error| format!("{name}, {shape:?}, {dtype:?}: {error}"))
                            .unwrap();
                    }
                }
            }
        }
    }
}
