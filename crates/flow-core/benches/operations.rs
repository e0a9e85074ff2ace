//! Benchmarks of the fused operations and their composed twins, forwards and with the backward
//! pass, and of draws of autoregressive flows: `cargo bench -p flow-core`, or `cargo bench -p
//! flow-core -- network` for some.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use flow_core::distribution::StandardNormal;
use flow_core::ops::channel_map::{self, Factors};
use flow_core::ops::coupling_network::{self, Weights};
use flow_core::ops::lower_upper::Triangles;
use flow_core::ops::{Precision, affine, channel_mix, spline};
use flow_core::params::ParamStore;
use flow_core::{
    Affine, Autoregressive, Bijection, Chain, Flow, MlpSize, Order, Permutation, ScaleMap, Spline,
    Transform, random,
};

fn main() {
    divan::main();
}

/// Images of the first level of a Glow for MNIST.
const IMAGES: usize = 64;
const CHANNELS: usize = 4;
const SIDE: usize = 14;
const MAP: ScaleMap = ScaleMap::ExpTanh { bound: 2.0 };

#[derive(Clone, Copy, Debug)]
enum Form {
    Composed,
    Fused,
    FusedBf16,
}

#[divan::bench(args = [(128, Form::Composed), (128, Form::Fused), (128, Form::FusedBf16), (512, Form::Fused), (512, Form::FusedBf16)])]
fn network_forward(bencher: Bencher, (width, form): (usize, Form)) {
    let network = Network::new(width);
    let inputs = network.0.map(|input| input.detach());
    time(bencher, || Network::run(inputs.each_ref(), form));
}

#[divan::bench(args = [(128, Form::Composed), (128, Form::Fused), (128, Form::FusedBf16), (512, Form::Fused), (512, Form::FusedBf16)])]
fn network_with_backward(bencher: Bencher, (width, form): (usize, Form)) {
    let network = Network::new(width);
    let inputs = network.0.each_ref().map(Var::as_tensor);
    time(bencher, || {
        Network::run(inputs, form)
            .sum_all()
            .unwrap()
            .backward()
            .unwrap()
    });
}

#[divan::bench(args = [Form::Composed, Form::Fused])]
fn affine_with_backward(bencher: Bencher, form: Form) {
    let [x, h] = [CHANNELS, CHANNELS].map(|c| var(&[IMAGES, c, SIDE, SIDE]));
    time(bencher, || {
        let forward = match form {
            Form::Composed => affine::composed::forward,
            _ => affine::forward,
        };
        let (y, log_det) = forward(&x, &h, MAP, Order::ShiftFirst).unwrap();
        let loss = (y.sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
        loss.backward().unwrap()
    });
}

#[divan::bench(args = [Form::Composed, Form::Fused])]
fn affine_inverse(bencher: Bencher, form: Form) {
    let [y, h] = [CHANNELS, CHANNELS].map(|c| var(&[IMAGES, c, SIDE, SIDE]).detach());
    time(bencher, || {
        let inverse = match form {
            Form::Composed => affine::composed::inverse,
            _ => affine::inverse,
        };
        inverse(&y, &h, MAP, Order::ShiftFirst).unwrap()
    });
}

#[divan::bench(args = [Form::Composed, Form::Fused])]
fn channel_mix_with_backward(bencher: Bencher, form: Form) {
    let x = var(&[IMAGES, CHANNELS, SIDE, SIDE]);
    let (weight, bias) = (var(&[CHANNELS, CHANNELS]), var(&[CHANNELS]));
    time(bencher, || {
        let mix = match form {
            Form::Composed => channel_mix::composed::channel_mix,
            _ => channel_mix::channel_mix,
        };
        let y = mix(&x, &weight, &bias).unwrap();
        y.sum_all().unwrap().backward().unwrap()
    });
}

#[divan::bench(args = [Form::Composed, Form::Fused])]
fn channel_map_with_backward(bencher: Bencher, form: Form) {
    let [lower, upper] = [(); 2].map(|()| var(&[CHANNELS, CHANNELS]));
    let [log_scale, actnorm_log_scale, actnorm_shift] = [(); 3].map(|()| var(&[CHANNELS]));
    let rotation = random::rotation(0, CHANNELS)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let triangles = Triangles::new(CHANNELS, DType::F32, &Device::Cpu).unwrap();
    let factors = Factors {
        rotation: &rotation,
        lower: &lower,
        upper: &upper,
        log_scale: &log_scale,
        actnorm_log_scale: &actnorm_log_scale,
        actnorm_shift: &actnorm_shift,
        triangles: &triangles,
    };
    bencher.bench_local(|| {
        let map = match form {
            Form::Composed => channel_map::composed::channel_map,
            _ => channel_map::channel_map,
        };
        let map = map(factors).unwrap();
        let loss = (map.weight.sum_all().unwrap() + map.bias.sum_all().unwrap()).unwrap();
        black_box((loss + map.log_det).unwrap().backward().unwrap())
    });
}

#[divan::bench(args = [Form::Composed, Form::Fused], consts = [false, true])]
fn spline_with_backward<const DOUBLE: bool>(bencher: Bencher, form: Form) {
    const ROWS: usize = 4096;
    let dtype = if DOUBLE { DType::F64 } else { DType::F32 };
    let spline = Spline::default();
    let draw = |seed, columns| {
        let draw = random::normal(seed, (ROWS, columns), dtype, &Device::Cpu);
        Var::from_tensor(&draw.unwrap()).unwrap()
    };
    let (x, h) = (draw(1, 8), draw(2, 4 * spline.parameters()));
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let (y, log_det) = match form {
            Form::Composed => spline::composed::forward(&x, &h, spline),
            _ => spline::forward(&x, &h, spline),
        }
        .unwrap();
        let loss = (y.sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
        black_box(loss.backward().unwrap())
    });
}

/// Draws of 64 numbers by five autoregressive layers with networks of two hidden layers of 64, as
/// zuko's `MAF(64, transforms=5, hidden_features=(64, 64))`, or `NSF` with splines.
#[divan::bench(args = [false, true], sample_count = 5)]
fn autoregressive_sample(bencher: Bencher, splines: bool) {
    const ROWS: usize = 10_000;
    const FEATURES: usize = 64;
    let (params, mut parts) = (ParamStore::new(0), Vec::<Box<dyn Bijection>>::new());
    let size = MlpSize {
        blocks: 1,
        residual: false,
        ..MlpSize::default()
    };
    for layer in 0..5 {
        let transform: Box<dyn Transform> = if splines {
            Box::new(Spline::default())
        } else {
            Box::new(Affine(MAP, Order::ScaleFirst))
        };
        let params = params.builder(DType::F32, &Device::Cpu).pp(layer);
        let made = Autoregressive::new(FEATURES, transform, size, params).unwrap();
        parts.push(Box::new(Permutation::reverse(FEATURES)));
        parts.push(Box::new(made));
    }
    let base = StandardNormal::new(FEATURES, DType::F32, &Device::Cpu);
    let flow = Flow::new(Chain::new(parts).unwrap(), base);
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| black_box(flow.sample(ROWS, 0).unwrap()));
}

/// x, w₁, b₁, w₂, b₂, w₃, b₃.
struct Network([Var; 7]);

impl Network {
    fn new(width: usize) -> Self {
        let (inputs, outputs) = (CHANNELS / 2, CHANNELS);
        Self([
            var(&[IMAGES, inputs, SIDE, SIDE]),
            var(&[width, inputs, 3, 3]),
            var(&[width]),
            var(&[width, width]),
            var(&[width]),
            var(&[outputs, width, 3, 3]),
            var(&[outputs]),
        ])
    }

    fn run([x, w1, b1, w2, b2, w3, b3]: [&Tensor; 7], form: Form) -> Tensor {
        let weights = Weights {
            w1,
            b1,
            w2,
            b2,
            w3,
            b3,
        };
        let y = match form {
            Form::Composed => coupling_network::composed::coupling_network(x, weights),
            Form::Fused => coupling_network::coupling_network(x, weights, Precision::F32),
            Form::FusedBf16 => coupling_network::coupling_network(x, weights, Precision::Bf16),
        };
        y.unwrap()
    }
}

fn var(shape: &[usize]) -> Var {
    let draw = random::normal(shape.len() as u64, shape, DType::F32, &Device::Cpu);
    Var::from_tensor(&(draw.unwrap() * 0.1).unwrap()).unwrap()
}

fn time<T>(bencher: Bencher, work: impl Fn() -> T) {
    bencher
        .counter(ItemsCount::new(IMAGES))
        .bench_local(|| black_box(work()));
}
