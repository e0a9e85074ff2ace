//! Agreement with nflows, normflows, scipy, torch and zuko on the parameters and inputs in
//! `assets/reference/vectors`.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::{
    BoxUniform, DiagonalGaussian, Distribution, GaussianMixture, Laplace, Logistic, StandardNormal,
    StudentT, Uniform, VonMises,
};
use flow_core::ops::spline;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::{
    Activation, Additive, Affine, Autoregressive, Bijection, Chain, CircularShift, Coupling, Flow,
    Householder, IntervalSpline, LuLinear, Mlp, MlpSize, MonotonicNetwork, Order, Passing,
    Permutation, Planar, Pointwise, Radial, ScaleMap, Spline, Transform, check,
};
use std::collections::HashMap;

type Tensors = HashMap<String, Tensor>;

/// Tensors of a file that are not parameters.
const DATA: [&str; 8] = [
    "x", "y", "log_det", "z", "x_from_z", "log_prob", "h", "context",
];

const FEATURES: usize = 5;

const SIZE: MlpSize = MlpSize {
    width: 12,
    blocks: 2,
    context: 0,
    activation: Activation::Relu,
    residual: true,
    dropout: 0.0,
};

fn load(name: &str, dtype: DType) -> Tensors {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../assets/reference/vectors"
    );
    let file = candle_core::safetensors::load(format!("{folder}/{name}.safetensors"), &Device::Cpu);
    let cast = |(name, tensor): (String, Tensor)| (name, tensor.to_dtype(dtype).unwrap());
    file.unwrap().into_iter().map(cast).collect()
}

fn params(file: &Tensors) -> ParamStore {
    let is_param = |(name, _): &(&String, &Tensor)| !DATA.contains(&name.as_str());
    let params = file.iter().filter(is_param);
    ParamStore::from_tensors(params.map(|(name, value)| (name.clone(), value.clone()))).unwrap()
}

/// 1e-5 in f32; 1e-10 in f64, where only the order of sums differs.
const PRECISIONS: [(DType, f64); 2] = [(DType::F32, 1e-5), (DType::F64, 1e-10)];

fn agrees(name: &str, build: impl Fn(ParamBuilder) -> Result<Box<dyn Bijection>>) {
    for (dtype, tolerance) in PRECISIONS {
        let file = load(name, dtype);
        let params = params(&file);
        let bijection = build(params.builder(dtype, &Device::Cpu)).unwrap();
        assert_eq!(params.unused(), Vec::<String>::new(), "{name}");
        let (y, log_det) = bijection.forward(&file["x"]).unwrap();
        check::close(&y, &file["y"], tolerance).unwrap();
        check::close(&log_det, &file["log_det"], tolerance).unwrap();
        let x = bijection.inverse(&file["z"]).unwrap();
        check::close(&x, &file["x_from_z"], tolerance).unwrap();
    }
}

/// Numbers 0, 2 and 4 are transformed.
fn coupling(
    transform: impl Transform + Copy + 'static,
) -> impl Fn(ParamBuilder) -> Result<Box<dyn Bijection>> {
    move |params| {
        let network = Mlp::new(2, 3 * transform.parameters(), SIZE, params)?;
        Ok(Box::new(Coupling::new(transform, Passing::Odd, network)))
    }
}

fn made(
    transform: impl Transform + Copy + 'static,
) -> impl Fn(ParamBuilder) -> Result<Box<dyn Bijection>> {
    move |params| {
        Ok(Box::new(Autoregressive::new(
            FEATURES, transform, SIZE, params,
        )?))
    }
}

#[test]
fn the_spline_is_that_of_nflows() {
    for (dtype, tolerance) in PRECISIONS {
        let file = load("spline", dtype);
        let (x, h) = (&file["x"], &file["h"]);
        let (y, log_det) = spline::forward(x, h, Spline::default()).unwrap();
        check::close(&y, &file["y"], tolerance).unwrap();
        check::close(&log_det, &file["log_det"], tolerance).unwrap();
        let x = spline::inverse(&file["z"], h, Spline::default()).unwrap();
        check::close(&x, &file["x_from_z"], tolerance).unwrap();
    }
}

/// Of normflows on a circle, of nflows on an interval, and the formula of the paper.
#[test]
fn transforms_are_those_of_their_peers() {
    let transforms: [(&str, Box<dyn Transform>); 3] = [
        ("circular-spline", Box::new(IntervalSpline::circle())),
        ("interval-spline", Box::new(IntervalSpline::on(-1.0, 2.0))),
        ("monotonic-network", Box::new(MonotonicNetwork { units: 4 })),
    ];
    for (dtype, tolerance) in PRECISIONS {
        for (name, transform) in &transforms {
            let file = load(name, dtype);
            let (y, log_det) = transform.forward_last(&file["x"], &file["h"]).unwrap();
            check::close(&y, &file["y"], tolerance).unwrap();
            check::close(&log_det, &file["log_det"], tolerance).unwrap();
            let x = transform.inverse_last(&file["z"], &file["h"]).unwrap();
            check::close(&x, &file["x_from_z"], tolerance).unwrap();
        }
        let file = load("circular-shift", dtype);
        let phases = Tensor::full(std::f64::consts::PI, (16, 5), &Device::Cpu).unwrap();
        let shift = CircularShift::default();
        let (y, _) = shift
            .forward_last(&file["x"], &phases.to_dtype(dtype).unwrap())
            .unwrap();
        check::close(&y, &file["y"], tolerance).unwrap();
    }
}

#[test]
fn planar_and_radial_flows_are_those_of_normflows() {
    agrees("planar", |params| {
        Ok(Box::new(Planar::new(FEATURES, params)?))
    });
    agrees("radial", |params| {
        Ok(Box::new(Radial::new(FEATURES, params)?))
    });
}

#[test]
fn couplings_are_those_of_nflows() {
    let affine = Affine(ScaleMap::SigmoidOffset, Order::ScaleFirst);
    agrees("affine-coupling", coupling(affine));
    agrees("additive-coupling", coupling(Additive));
    agrees("spline-coupling", coupling(Spline::default()));
}

#[test]
fn a_flow_under_a_context_is_that_of_nflows() {
    let size = MlpSize { context: 3, ..SIZE };
    for (dtype, tolerance) in PRECISIONS {
        let file = load("conditional-flow", dtype);
        let params = params(&file);
        let builder = params.builder(dtype, &Device::Cpu);
        let coupling = |index: usize, transform: Box<dyn Transform>, passing: Passing| {
            let count = passing.count(FEATURES);
            let network =
                Mlp::for_transform(&transform, count, FEATURES - count, size, builder.pp(index));
            Coupling::new(transform, passing, network.unwrap())
        };
        let affine = Affine(ScaleMap::SigmoidOffset, Order::ScaleFirst);
        let parts: Vec<Box<dyn Bijection>> = vec![
            Box::new(coupling(0, Box::<Spline>::default(), Passing::Even)),
            Box::new(Permutation::reverse(FEATURES)),
            Box::new(coupling(2, Box::new(affine), Passing::Odd)),
        ];
        let base = StandardNormal::new(FEATURES, dtype, &Device::Cpu);
        let flow = Flow::new(Chain::new(parts).unwrap(), base);
        assert_eq!(params.unused(), Vec::<String>::new());
        let flow = flow.given(&file["context"]).unwrap();
        let (y, log_det) = flow.bijection().forward(&file["x"]).unwrap();
        check::close(&y, &file["y"], tolerance).unwrap();
        check::close(&log_det, &file["log_det"], tolerance).unwrap();
        let x = flow.bijection().inverse(&file["z"]).unwrap();
        check::close(&x, &file["x_from_z"], tolerance).unwrap();
        let log_prob = flow.log_prob(&file["x"]).unwrap();
        check::close(&log_prob, &file["log_prob"], tolerance).unwrap();
    }
}

#[test]
fn autoregressive_flows_are_those_of_nflows() {
    let affine = Affine(ScaleMap::SoftplusUnbounded, Order::ScaleFirst);
    agrees("affine-maf", made(affine));
    agrees("spline-maf", made(Spline::default()));
}

#[test]
fn linear_maps_are_those_of_nflows() {
    agrees("lu-linear", |params| {
        Ok(Box::new(LuLinear::new(FEATURES, params)?))
    });
    agrees("householder", |params| {
        Ok(Box::new(Householder::new(FEATURES, 3, params)?))
    });
}

#[test]
fn functions_are_those_of_torch_zuko_and_scipy() {
    for (name, function) in [
        ("sigmoid", Pointwise::Sigmoid),
        ("softplus", Pointwise::Softplus),
        ("exp", Pointwise::Exp),
        ("tanh", Pointwise::Tanh),
        (
            "interval",
            Pointwise::Interval {
                low: -2.0,
                high: 3.0,
            },
        ),
        ("power", Pointwise::Power { exponent: 0.6 }),
        ("yeo-johnson", Pointwise::YeoJohnson { lambda: 0.7 }),
    ] {
        agrees(name, |_| Ok(Box::new(function)));
    }
}

#[test]
fn densities_are_those_of_zuko() {
    for (dtype, tolerance) in PRECISIONS {
        let measures = |name, build: &dyn Fn(ParamBuilder) -> Result<Box<dyn Distribution>>| {
            let file = load(name, dtype);
            let base = build(params(&file).builder(dtype, &Device::Cpu)).unwrap();
            check::close(
                &base.log_prob(&file["x"]).unwrap(),
                &file["log_prob"],
                tolerance,
            )
            .unwrap();
        };
        measures("diagonal-gaussian", &|params| {
            Ok(Box::new(DiagonalGaussian::new(4, params)?))
        });
        measures("gaussian-mixture", &|params| {
            Ok(Box::new(GaussianMixture::new(3, 4, params)?))
        });
        measures("uniform", &|_| {
            Ok(Box::new(Uniform::new(-1.5, 1.0, 4, dtype, &Device::Cpu)?))
        });
    }
}

/// To 10⁻¹², also on both sides of where series for the normaliser change.
#[test]
fn densities_are_those_of_scipy() {
    let (dtype, cpu) = (DType::F64, Device::Cpu);
    let t = |freedom| StudentT::new(freedom, 2, dtype, &cpu).unwrap();
    let circle = |mean, kappa| VonMises::new(&[mean; 2], &[kappa; 2], dtype, &cpu).unwrap();
    let bases: [(&str, Box<dyn Distribution>); 11] = [
        ("student-t-1", Box::new(t(1.0))),
        ("student-t-3.5", Box::new(t(3.5))),
        ("student-t-1000", Box::new(t(1000.0))),
        ("laplace", Box::new(Laplace::new(2, dtype, &cpu))),
        ("logistic", Box::new(Logistic::new(2, dtype, &cpu))),
        ("von-mises-0.01", Box::new(circle(0.5, 0.01))),
        ("von-mises-3", Box::new(circle(-1.0, 3.0))),
        ("von-mises-39", Box::new(circle(0.5, 39.0))),
        ("von-mises-41", Box::new(circle(0.5, 41.0))),
        ("von-mises-5000", Box::new(circle(0.5, 5000.0))),
        (
            "box-uniform",
            Box::new(BoxUniform::new(&[-1.0, 2.0], &[1.0, 7.0], dtype, &cpu).unwrap()),
        ),
    ];
    for (name, base) in &bases {
        let file = load(name, dtype);
        let (found, expected) = (base.log_prob(&file["x"]).unwrap(), &file["log_prob"]);
        let pairs = found.to_vec1::<f64>().unwrap();
        let pairs = pairs.into_iter().zip(expected.to_vec1::<f64>().unwrap());
        for (found, expected) in pairs {
            let is_close = (found - expected).abs() < 1e-12 * (1.0 + expected.abs());
            // Both may be −∞.
            let is_same = is_close || found.to_bits() == expected.to_bits();
            assert!(is_same, "{name}: {found} is not {expected}");
        }
    }
}
