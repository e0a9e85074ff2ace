//! Inverses of autoregressive maps, number by number.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::runs::Rows;
use flow_core::{
    Activation, Additive, Affine, Autoregressive, Bijection, Chain, Conditioner, Flow, Mlp,
    MlpSize, Order, Permutation, ScaleMap, Spline, Transform, check, device,
    distribution::StandardNormal, random,
};

const AFFINE: Affine = Affine(ScaleMap::ExpTanh { bound: 1.0 }, Order::ScaleFirst);

fn normal(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    random::normal(seed, shape, dtype, &Device::Cpu).unwrap()
}

/// A flow of a made whose order is shuffled, away from its initial state.
fn shuffled(
    d: usize,
    transform: impl Transform + 'static,
    size: MlpSize,
    dtype: DType,
) -> Autoregressive<Box<dyn Transform>> {
    let order = Permutation::random(d, 7).unwrap();
    let numbers = Tensor::arange(0_u32, d as u32, &Device::Cpu).unwrap();
    let numbers = numbers.to_dtype(DType::F64).unwrap().unsqueeze(0).unwrap();
    let order = order.forward(&numbers).unwrap().0.to_vec2::<f64>().unwrap();
    let order = order[0].iter().map(|number| *number as usize);
    let order = order.collect::<Vec<_>>();
    let params = ParamStore::new(1);
    let transform: Box<dyn Transform> = Box::new(transform);
    let builder = params.builder(dtype, &Device::Cpu);
    let network = Mlp::made(&transform, &order, size, builder).unwrap();
    check::randomize(&params, 2, 0.2).unwrap();
    Autoregressive::with_network(&order, transform, network).unwrap()
}

/// Without a graph: the same x as D passes of the network give, and their log-determinant.
fn steps_are_passes(d: usize, rows: usize, size: MlpSize, dtype: DType, tolerance: f64) {
    let transforms: [Box<dyn Transform>; 3] = [
        Box::new(AFFINE),
        Box::new(Spline::default()),
        Box::new(Additive),
    ];
    for transform in transforms {
        let flow = shuffled(d, transform, size, dtype);
        let y = normal(3, &[rows, d], dtype);
        let context = normal(4, &[rows, size.context.max(1)], dtype);
        let bound = |context: &Tensor| -> Box<dyn Bijection + '_> {
            if size.context == 0 {
                Box::new(&flow)
            } else {
                flow.given(context).unwrap()
            }
        };
        for context in [context.clone(), context.narrow(0, 0, 1).unwrap()] {
            let bound = bound(&context);
            let (passes, log_det) = bound.inverse_with_log_det(&y).unwrap();
            let frozen = bound.frozen(&Rows::all(rows)).unwrap();
            let (x, frozen_log_det) = frozen.inverse_with_log_det(&y).unwrap();
            assert!(passes.track_op() && !x.track_op());
            check::close(&x, &passes, tolerance).unwrap();
            check::close(&frozen_log_det, &log_det, tolerance).unwrap();
            check::close(&frozen.inverse(&y).unwrap(), &x, 0.0).unwrap();
            let (_, forward) = frozen.forward(&x).unwrap();
            check::close(&frozen_log_det, &forward.neg().unwrap(), tolerance).unwrap();
        }
    }
}

#[test]
fn steps_without_a_graph_are_passes_of_the_network() {
    let forms = [
        (Activation::Relu, true),
        (Activation::Relu, false),
        (Activation::Elu, true),
        (Activation::Tanh, false),
    ];
    for (d, rows, width, blocks) in [(1, 3, 4, 1), (2, 1, 1, 2), (5, 17, 9, 1), (12, 300, 31, 2)] {
        for (activation, residual) in forms {
            for context in [0, 2] {
                let size = MlpSize {
                    width,
                    blocks,
                    context,
                    activation,
                    residual,
                    dropout: 0.0,
                };
                steps_are_passes(d, rows, size, DType::F64, 1e-10);
                steps_are_passes(d, rows, size, DType::F32, 1e-4);
            }
        }
    }
}

fn made(size: MlpSize, params: ParamBuilder) -> Mlp {
    Mlp::made(AFFINE, &[1, 0, 2], size, params).unwrap()
}

#[test]
fn a_network_is_evaluated_by_numbers_where_no_graph_is_recorded() {
    let params = ParamStore::new(0);
    let trained = made(MlpSize::default(), params.builder(DType::F32, &Device::Cpu));
    let is_incremental = |network: &dyn Conditioner| network.incremental(5).unwrap().is_some();
    assert!(!is_incremental(&trained));
    let frozen = trained.frozen(&Rows::all(5)).unwrap();
    assert!(is_incremental(&*frozen));
    assert!(!device::rehearse(|| is_incremental(&*frozen)));
    let full = Mlp::new(3, 6, MlpSize::default(), {
        let full = ParamStore::new(0);
        full.builder(DType::F32, &Device::Cpu)
    });
    let full = full.unwrap();
    assert!(!is_incremental(&*full.frozen(&Rows::all(5)).unwrap()));

    let message = |result: Result<Tensor>| result.err().unwrap().to_string();
    let mut steps = frozen.incremental(5).unwrap().unwrap();
    assert!(message(steps.parameters(0)).contains("does not come next"));
    assert_eq!(steps.parameters(1).unwrap().dims(), [5, 2]);
    let one = Tensor::zeros((5, 1), DType::F32, &Device::Cpu).unwrap();
    steps.fix(1, &one).unwrap();
    assert!(message(steps.parameters(1)).contains("after 1 others"));
    assert!(steps.fix(0, &one.narrow(0, 0, 4).unwrap()).is_err());
}

#[test]
fn orders_and_sizes_are_checked() {
    let builder = || ParamStore::new(0).builder(DType::F32, &Device::Cpu);
    let size = MlpSize::default();
    for order in [&[][..], &[1], &[0, 0], &[0, 2]] {
        let refused = Mlp::made(Additive, order, size, builder()).err().unwrap();
        assert!(
            refused.to_string().starts_with("autoregressive: "),
            "{refused}"
        );
    }
    let network = made(size, builder());
    let refused = Autoregressive::with_network(&[0, 1, 2], Additive, network);
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("got a network of [3, 6]") && refused.contains("needed [3, 3]"));
}

/// 10,000 draws of 64 numbers take the memory of their results and of a run.
#[test]
fn draws_of_many_numbers_take_little_memory() {
    const ROWS: usize = 10_000;
    const D: usize = 64;
    let params = ParamStore::new(0);
    let builder = params.builder(DType::F32, &Device::Cpu);
    let mut parts = Vec::<Box<dyn Bijection>>::new();
    for layer in 0..2 {
        let size = MlpSize::default();
        let made = Autoregressive::new(D, AFFINE, size, builder.pp(layer)).unwrap();
        parts.push(Box::new(Permutation::reverse(D)));
        parts.push(Box::new(made));
    }
    let base = StandardNormal::new(D, DType::F32, &Device::Cpu);
    let flow = Flow::new(Chain::new(parts).unwrap(), base);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    one.unwrap().install(|| {
        let results = (ROWS * D * size_of::<f32>()) as u64;
        let drawn = allocation_counter::measure(|| {
            assert_eq!(flow.sample(ROWS, 1).unwrap().dims(), [ROWS, D]);
        });
        // Latents, results of the runs, and all of them as one tensor.
        let bound = 4 * results + (4 << 20);
        assert!(drawn.bytes_max < bound, "{} bytes", drawn.bytes_max);
    });
}
