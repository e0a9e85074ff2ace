//! Every fused operation against its composed twin: values and gradients, in f32.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor, Var};
use flow_core::ops::coupling_network::{self, Weights};
use flow_core::ops::{affine, channel_mix};
use flow_core::{ScaleMap, check, random};
use proptest::prelude::*;

const TOLERANCE: f64 = 1e-5;

fn vars(seed: u64, shapes: &[&[usize]], std: f64) -> Vec<Var> {
    let draw = |(index, shape): (usize, &&[usize])| {
        let draw = random::normal(
            seed.wrapping_add(index as u64),
            *shape,
            DType::F32,
            &Device::Cpu,
        )?;
        Var::from_tensor(&(draw * std)?)
    };
    shapes
        .iter()
        .enumerate()
        .map(draw)
        .collect::<Result<_>>()
        .unwrap()
}

/// Values, and gradients of a random linear loss, of both forms of an operation.
fn compare(inputs: &[Var], fused: &Tensor, composed: &Tensor) -> Result<()> {
    check::close(fused, composed, TOLERANCE)?;
    let grad = random::normal(99, fused.shape(), DType::F32, &Device::Cpu)?;
    let fused = (fused * &grad)?.sum_all()?.backward()?;
    let composed = (composed * &grad)?.sum_all()?.backward()?;
    for input in inputs {
        let gradient =
            |store: &candle_core::backprop::GradStore| store.get(input).cloned().unwrap();
        check::close(&gradient(&fused), &gradient(&composed), TOLERANCE)?;
    }
    Ok(())
}

/// One tensor of y and log_det, so that both enter the loss.
fn joined((y, log_det): (Tensor, Tensor)) -> Tensor {
    Tensor::cat(&[y.flatten_all().unwrap(), log_det], 0).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn channel_mix_is_its_twin(
        b in 1_usize..40, c in 1_usize..9, o in 1_usize..9, h in 1_usize..6, w in 1_usize..6, seed: u64,
    ) {
        let inputs = vars(seed, &[&[b, c, h, w], &[o, c], &[o]], 1.0);
        let [x, weight, bias] = &inputs[..] else { unreachable!() };
        let fused = channel_mix::channel_mix(x, weight, bias).unwrap();
        compare(&inputs, &fused, &channel_mix::composed::channel_mix(x, weight, bias).unwrap()).unwrap();
    }

    #[test]
    fn affine_is_its_twin(
        b in 1_usize..40, c in 1_usize..6, h in 1_usize..10, w in 1_usize..10, seed: u64,
    ) {
        let transformed = c.div_ceil(2);
        let inputs = vars(seed, &[&[b, c, h, w], &[b, 2 * transformed, h, w]], 2.0);
        let [x, parameters] = &inputs[..] else { unreachable!() };
        for map in [ScaleMap::Sigmoid, ScaleMap::SigmoidOffset, ScaleMap::ExpTanh { bound: 1.5 }] {
            let (y, log_det) = affine::forward(x, parameters, map).unwrap();
            check::close(&affine::inverse(&y, parameters, map).unwrap(), x, 1e-4).unwrap();
            let composed = affine::composed::forward(x, parameters, map).unwrap();
            compare(&inputs, &joined((y, log_det)), &joined(composed)).unwrap();
        }
    }

    #[test]
    fn coupling_network_is_its_twin(
        b in 1_usize..40, i in 1_usize..4, k in 1_usize..40, o in 1_usize..6, h in 1_usize..9, w in 1_usize..9,
        seed: u64,
    ) {
        let shapes: [&[usize]; 7] =
            [&[b, i, h, w], &[k, i, 3, 3], &[k], &[k, k], &[k], &[o, k, 3, 3], &[o]];
        let inputs = vars(seed, &shapes, 0.3);
        let [x, w1, b1, w2, b2, w3, b3] = &inputs[..] else { unreachable!() };
        let weights = Weights { w1, b1, w2, b2, w3, b3 };
        let fused = coupling_network::coupling_network(x, weights).unwrap();
        let composed = coupling_network::composed::coupling_network(x, weights).unwrap();
        compare(&inputs, &fused, &composed).unwrap();
        // Without a graph nothing is kept, and the result is the same.
        let [x, w1, b1, w2, b2, w3, b3] = &inputs.iter().map(Var::as_detached_tensor).collect::<Vec<_>>()[..]
        else { unreachable!() };
        let detached = coupling_network::coupling_network(x, Weights { w1, b1, w2, b2, w3, b3 }).unwrap();
        check::close(&detached, &fused, 0.0).unwrap();
    }
}

#[test]
fn channels_of_a_larger_tensor_need_no_copy_and_repeat_bit_for_bit() {
    let inputs = vars(
        5,
        &[
            &[33, 4, 7, 7],
            &[8, 2, 3, 3],
            &[8],
            &[8, 8],
            &[8],
            &[4, 8, 3, 3],
            &[4],
        ],
        0.5,
    );
    let [x, w1, b1, w2, b2, w3, b3] = &inputs[..] else {
        unreachable!()
    };
    let weights = Weights {
        w1,
        b1,
        w2,
        b2,
        w3,
        b3,
    };
    let half = x.narrow(1, 2, 2).unwrap();
    let run = |x: &Tensor| coupling_network::coupling_network(x, weights).unwrap();
    check::close(&run(&half), &run(&half.contiguous().unwrap()), 0.0).unwrap();

    let gradient = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let grads = run(&half)
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            grads
                .get(w2)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        })
    };
    assert_eq!(gradient(1), gradient(3));
}

#[test]
fn a_broken_model_shows() {
    let inputs = vars(
        5,
        &[
            &[2, 1, 4, 4],
            &[3, 1, 3, 3],
            &[3],
            &[3, 3],
            &[3],
            &[2, 3, 3, 3],
            &[2],
        ],
        0.5,
    );
    let [x, w1, b1, w2, b2, w3, b3] = &inputs[..] else {
        unreachable!()
    };
    b1.set(&Tensor::new(&[f32::NAN, 0.0, 0.0], &Device::Cpu).unwrap())
        .unwrap();
    let weights = Weights {
        w1,
        b1,
        w2,
        b2,
        w3,
        b3,
    };
    let y = coupling_network::coupling_network(x, weights).unwrap();
    assert!(y.sum_all().unwrap().to_scalar::<f32>().unwrap().is_nan());
}
