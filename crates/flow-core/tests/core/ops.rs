//! Every fused operation against its composed twin: values and gradients, in the types it is fused
//! in.

use candle_core::{DType, Device, Result, Tensor, Var};
use flow_core::ops::Precision;
use flow_core::ops::channel_map::{self, AffineMap, Factors};
use flow_core::ops::coupling_network::{self, Weights};
use flow_core::ops::linear::{self, Activation};
use flow_core::ops::lower_upper::{self, Triangles};
use flow_core::ops::spline::{self, Ends, IntervalSpline};
use flow_core::ops::{affine, channel_mix, column_affine};
use flow_core::{Bijection, Order, Permutation, ScaleMap, Transform, check, random};
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

/// The numbers of [`vars`], in f32 and in f64.
fn vars_of_both_types(seed: u64, shapes: &[&[usize]], std: f64) -> [Vec<Var>; 2] {
    let single = vars(seed, shapes, std);
    let double = in_doubles(&single).unwrap();
    [single, double]
}

fn in_doubles(inputs: &[Var]) -> Result<Vec<Var>> {
    let widen = |input: &Var| Var::from_tensor(&input.to_dtype(DType::F64)?);
    inputs.iter().map(widen).collect()
}

/// The bound of differences in this type.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 {
        1e-12
    } else {
        TOLERANCE
    }
}

/// Values, and gradients of a random linear loss, of both forms of an operation. The weights of the
/// loss are positive: gradients that are sums over all pixels would otherwise cancel now and then,
/// and rounding would dominate.
fn compare(inputs: &[Var], fused: &Tensor, composed: &Tensor) -> Result<()> {
    let tolerance = tolerance(fused.dtype());
    check::close(fused, composed, tolerance)?;
    let grad = random::normal(99, fused.shape(), fused.dtype(), &Device::Cpu)?.abs()?;
    let fused = (fused * &grad)?.sum_all()?.backward()?;
    let composed = (composed * &grad)?.sum_all()?.backward()?;
    for input in inputs {
        let gradient =
            |store: &candle_core::backprop::GradStore| store.get(input).cloned().unwrap();
        check::close(&gradient(&fused), &gradient(&composed), tolerance)?;
    }
    Ok(())
}

/// The same, fused, and in f64, composed.
fn compare_to_double(
    inputs: &[Var],
    fused: &Tensor,
    composed: impl Fn(&[Var]) -> Result<Tensor>,
) -> Result<()> {
    let tolerance = tolerance(fused.dtype());
    let wide = in_doubles(inputs)?;
    let composed = composed(&wide)?;
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64);
    check::close(&double(fused)?, &composed, tolerance)?;
    let grad = random::normal(99, fused.shape(), fused.dtype(), &Device::Cpu)?.abs()?;
    let fused = (fused * &grad)?.sum_all()?.backward()?;
    let composed = (composed * double(&grad)?)?.sum_all()?.backward()?;
    for (input, wide) in inputs.iter().zip(&wide) {
        let found = double(fused.get(input).unwrap())?;
        check::close(&found, composed.get(wide).unwrap(), 10.0 * tolerance)?;
    }
    Ok(())
}

const SCALE_MAPS: [ScaleMap; 7] = [
    ScaleMap::Sigmoid,
    ScaleMap::SigmoidOffset,
    ScaleMap::SigmoidInverse,
    ScaleMap::Softplus,
    ScaleMap::SoftplusUnbounded,
    ScaleMap::Exp,
    ScaleMap::ExpTanh { bound: 1.5 },
];

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
        for inputs in vars_of_both_types(seed, &[&[b, c, h, w], &[o, c], &[o]], 1.0) {
            let [x, weight, bias] = &inputs[..] else { unreachable!() };
            let fused = channel_mix::channel_mix(x, weight, bias).unwrap();
            compare(&inputs, &fused, &channel_mix::composed::channel_mix(x, weight, bias).unwrap()).unwrap();
        }
    }

    #[test]
    fn column_affine_is_its_twin(b in 1_usize..2000, d in 1_usize..40, seed: u64) {
        for inputs in vars_of_both_types(seed, &[&[b, d], &[d], &[d]], 1.0) {
            let [x, shift, scale] = &inputs[..] else { unreachable!() };
            let fused = column_affine::column_affine(x, shift, scale).unwrap();
            compare(&inputs, &fused, &column_affine::composed::column_affine(x, shift, scale).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_permutation_is_a_selection(
        b in 1_usize..200, c in 1_usize..12, space in 1_usize..4, vector: bool, seed: u64,
    ) {
        let shape: &[usize] = if vector { &[b, c] } else { &[b, c, space, 2] };
        for inputs in vars_of_both_types(seed, &[shape], 1.0) {
            let permutation = Permutation::random(c, seed).unwrap();
            let places = Tensor::arange(0, c as u32, &Device::Cpu).unwrap();
            let named = places.to_dtype(DType::F64).unwrap().unsqueeze(0).unwrap();
            let named = permutation.forward(&named).unwrap().0.squeeze(0).unwrap();
            let selected = inputs[0].index_select(&named.to_dtype(DType::U32).unwrap(), 1).unwrap();
            compare(&inputs, &permutation.forward(&inputs[0]).unwrap().0, &selected).unwrap();
        }
    }

    #[test]
    fn channel_map_is_its_twin(c in 1_usize..14, seed: u64) {
        let inputs = vars(seed, &[&[c, c], &[c, c], &[c], &[1, c, 1, 1], &[1, c, 1, 1]], 0.3);
        let [lower, upper, log_scale, actnorm_log_scale, actnorm_shift] = &inputs[..] else { unreachable!() };
        let rotation = random::rotation(seed, c).unwrap().to_dtype(DType::F32).unwrap();
        let triangles = Triangles::new(c, DType::F32, &Device::Cpu).unwrap();
        let factors =
            Factors { rotation: &rotation, lower, upper, log_scale, actnorm_log_scale, actnorm_shift, triangles: &triangles };
        let flat = |map: AffineMap| {
            Tensor::cat(&[map.weight.flatten_all()?, map.bias, map.log_det.reshape(1)?], 0)
        };
        let fused = flat(channel_map::channel_map(factors).unwrap()).unwrap();
        compare(&inputs, &fused, &flat(channel_map::composed::channel_map(factors).unwrap()).unwrap()).unwrap();
    }

    #[test]
    fn lower_upper_is_its_twin(c in 1_usize..20, seed: u64) {
        for inputs in vars_of_both_types(seed, &[&[c, c], &[c, c], &[c]], 0.5) {
            let [lower, upper, log_scale] = &inputs[..] else { unreachable!() };
            let triangles = Triangles::new(c, lower.dtype(), &Device::Cpu).unwrap();
            let fused = lower_upper::lower_upper(lower, upper, log_scale, &triangles).unwrap();
            let composed = lower_upper::composed::lower_upper(lower, upper, log_scale, &triangles);
            compare(&inputs, &fused, &composed.unwrap()).unwrap();
        }
    }

    #[test]
    fn linear_is_its_twin(rows in 1_usize..600, inputs in 1_usize..12, outputs in 1_usize..12, relu: bool, seed: u64) {
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        for tensors in vars_of_both_types(seed, &[&[rows, inputs], &[outputs, inputs], &[outputs]], 1.0) {
            let [x, weight, bias] = &tensors[..] else { unreachable!() };
            let fused = linear::linear(x, weight, bias, activation).unwrap();
            compare(&tensors, &fused, &linear::composed::linear(x, weight, bias, activation).unwrap()).unwrap();
        }
    }

    #[test]
    fn activations_have_their_slopes(seed: u64) {
        for activation in [Activation::Tanh, Activation::Elu, Activation::Silu, Activation::Gelu] {
            let x = random::normal(seed, 50, DType::F64, &Device::Cpu).unwrap();
            let x = Var::from_tensor(&(x * 3.0).unwrap()).unwrap();
            let at = |offset: f64| activation.apply(&(x.as_tensor() + offset).unwrap()).unwrap();
            let slope = ((at(1e-6) - at(-1e-6)).unwrap() / 2e-6).unwrap();
            let gradients = at(0.0).sum_all().unwrap().backward().unwrap();
            check::close(gradients.get(&x).unwrap(), &slope.detach(), 1e-7).unwrap();
        }
    }

    #[test]
    fn spline_is_its_twin(
        b in 1_usize..700, c in 1_usize..5, h in 1_usize..3, w in 1_usize..3, bins in 2_usize..7, vector: bool, seed: u64,
    ) {
        let b = if vector { b } else { b.div_ceil(10) };
        let space: &[usize] = if vector { &[] } else { &[h, w] };
        for ends in [Ends::Linear, Ends::Free, Ends::Circular] {
            spline_and_its_twin(b, c, space, (bins, ends), seed).unwrap();
        }
    }

    #[test]
    fn affine_of_vectors_is_its_twin(b in 1_usize..40, c in 1_usize..12, seed: u64) {
        for inputs in vars_of_both_types(seed, &[&[b, c], &[b, 2 * c.div_ceil(2)]], 1.0) {
            let [x, h] = &inputs[..] else { unreachable!() };
            let map = ScaleMap::ExpTanh { bound: 1.5 };
            let fused = joined(affine::forward(x, h, map, Order::ScaleFirst).unwrap());
            let composed = joined(affine::composed::forward(x, h, map, Order::ScaleFirst).unwrap());
            compare(&inputs, &fused, &composed).unwrap();
        }
    }

    #[test]
    fn affine_is_its_twin(
        b in 1_usize..40, c in 1_usize..6, h in 1_usize..10, w in 1_usize..10, seed: u64,
    ) {
        let transformed = c.div_ceil(2);
        // Dividing by scales below a hundredth would leave too few digits.
        for inputs in vars_of_both_types(seed, &[&[b, c, h, w], &[b, 2 * transformed, h, w]], 1.0) {
            for map in SCALE_MAPS {
                for order in [Order::ShiftFirst, Order::ScaleFirst] {
                    affine_and_its_twin(&inputs, map, order).unwrap();
                }
            }
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
        // Closer to zero, rounding alone decides whether a ReLU passes a gradient.
        prop_assume!(nearest_to_zero(x, weights).unwrap() > 1e-5);
        let fused = coupling_network::coupling_network(x, weights, Precision::F32).unwrap();
        let composed = coupling_network::composed::coupling_network(x, weights).unwrap();
        compare(&inputs, &fused, &composed).unwrap();
        // Without a graph, another form applies.
        let [x, w1, b1, w2, b2, w3, b3] = &inputs.iter().map(Var::as_detached_tensor).collect::<Vec<_>>()[..]
        else { unreachable!() };
        let detached = coupling_network::coupling_network(x, Weights { w1, b1, w2, b2, w3, b3 }, Precision::F32).unwrap();
        check::close(&detached, &composed, TOLERANCE).unwrap();
    }

    /// The products equal the convolutions that they replace.
    #[test]
    fn coupling_network_is_three_convolutions(
        b in 1_usize..5, i in 1_usize..4, k in 1_usize..12, o in 1_usize..6, h in 1_usize..6, w in 1_usize..6,
        seed: u64,
    ) {
        let shapes: [&[usize]; 7] =
            [&[b, i, h, w], &[k, i, 3, 3], &[k], &[k, k], &[k], &[o, k, 3, 3], &[o]];
        let inputs = vars(seed, &shapes, 0.3);
        let [x, w1, b1, w2, b2, w3, b3] = &inputs[..] else { unreachable!() };
        let weights = Weights { w1, b1, w2, b2, w3, b3 };
        let products = coupling_network::composed::coupling_network(x, weights).unwrap();
        compare(&inputs, &products, &by_convolutions(x, weights, |x| Ok(x.clone())).unwrap()).unwrap();
    }

    /// A machine without the instructions computes in f32, which is as close.
    #[test]
    fn coupling_network_in_bf16_rounds_its_factors(
        b in 1_usize..20, i in 1_usize..4, k in 1_usize..70, o in 1_usize..6, h in 1_usize..9, w in 1_usize..9,
        seed: u64,
    ) {
        let shapes: [&[usize]; 7] =
            [&[b, i, h, w], &[k, i, 3, 3], &[k], &[k, k], &[k], &[o, k, 3, 3], &[o]];
        let inputs = vars(seed, &shapes, 0.3);
        // Activations stay away from zero, where rounding decides whether a ReLU passes a gradient:
        // those of the second layer are sums of up to 70 numbers of about 30. All other numbers are
        // positive, so that no sum is smaller than its roundings.
        for (index, input) in inputs.iter().enumerate() {
            let value = match index {
                2 => (input.as_tensor().sign().unwrap() * 30.0).unwrap(),
                4 => (input.as_tensor().sign().unwrap() * 2000.0).unwrap(),
                _ => input.as_tensor().abs().unwrap(),
            };
            input.set(&value).unwrap();
        }
        let [x, w1, b1, w2, b2, w3, b3] = &inputs[..] else { unreachable!() };
        let weights = Weights { w1, b1, w2, b2, w3, b3 };
        let fused = coupling_network::coupling_network(x, weights, Precision::Bf16).unwrap();
        let rounded = in_rounded_factors(x, weights).unwrap();
        let gradients = |y: &Tensor| {
            let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            inputs.iter().map(|input| grads.get(input).unwrap().clone()).chain([y.clone()]).collect::<Vec<_>>()
        };
        for (fused, rounded) in gradients(&fused).iter().zip(&gradients(&rounded)) {
            check::close(fused, rounded, 0.02).unwrap();
        }
    }
}

/// The network with factors of 8 bits. Gradients pass the rounding.
fn in_rounded_factors(x: &Tensor, weights: Weights) -> Result<Tensor> {
    by_convolutions(x, weights, |x| {
        let rounded = x.detach().to_dtype(DType::BF16)?.to_dtype(DType::F32)?;
        x + (rounded - x.detach())?
    })
}

/// The network by candle's convolutions, with factors mapped by `round`.
fn by_convolutions(
    x: &Tensor,
    weights: Weights,
    round: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    Ok(layers(x, weights, round)?.2)
}

/// The smallest magnitude before a ReLU.
fn nearest_to_zero(x: &Tensor, weights: Weights) -> Result<f32> {
    let (first, second, _) = layers(x, weights, |x| Ok(x.clone()))?;
    let smallest = |x: Tensor| x.abs()?.flatten_all()?.min(0)?.to_scalar::<f32>();
    Ok(smallest(first)?.min(smallest(second)?))
}

fn affine_and_its_twin(inputs: &[Var], map: ScaleMap, order: Order) -> Result<()> {
    let [x, h] = inputs else { unreachable!() };
    let tolerance = tolerance(x.dtype());
    let (y, log_det) = affine::forward(x, h, map, order)?;
    check::close(&affine::inverse(&y, h, map, order)?, x, 10.0 * tolerance)?;
    // In f64, so that the divisor has all its digits.
    let exact = |x: &Tensor| x.detach().to_dtype(DType::F64);
    let specified = affine::composed::inverse(&exact(&y)?, &exact(h)?, map, order)?;
    let without_graph = affine::inverse(&y.detach(), &h.detach(), map, order)?;
    check::close(&exact(&without_graph)?, &specified, tolerance)?;
    let composed = affine::composed::forward(x, h, map, order)?;
    compare(inputs, &joined((y, log_det)), &joined(composed))?;
    let inverse = affine::inverse_with_log_det(x, h, map, order)?;
    let plain = affine::inverse(&x.detach(), &h.detach(), map, order)?;
    check::close(&inverse.0, &plain, 0.0)?;
    let composed = |inputs: &[Var]| {
        affine::composed::inverse_with_log_det(&inputs[0], &inputs[1], map, order).map(joined)
    };
    compare_to_double(inputs, &joined(inverse), composed)
}

fn spline_and_its_twin(
    b: usize,
    c: usize,
    space: &[usize],
    (bins, ends): (usize, Ends),
    seed: u64,
) -> Result<()> {
    // Bins large enough that rounding alone cannot move a number within one.
    let spline = IntervalSpline {
        bins,
        ends,
        min_width: 0.1,
        min_height: 0.1,
        min_derivative: 0.1,
        ..IntervalSpline::on(-1.0, 1.0)
    };
    let channels = c.div_ceil(2) * Transform::parameters(&spline);
    let shape = |channels| [&[b, channels], space].concat();
    for inputs in vars_of_both_types(seed, &[&shape(c), &shape(channels)], 0.5) {
        let [x, h] = &inputs[..] else { unreachable!() };
        let tolerance = tolerance(x.dtype());
        let fused = joined(spline::forward(x, h, spline)?);
        let composed = joined(spline::composed::forward(x, h, spline)?);
        // Closer to a knot, rounding alone decides which bin a number is in. Values do not show it,
        // but the gradient of ln ∂y/∂x jumps there (`precision` compares it with those of both
        // bins).
        let near = 0.2 * tolerance;
        if nearest_to_knot(x, h, spline)? > near {
            compare(&inputs, &fused, &composed)?;
        } else {
            check::close(&fused, &composed, tolerance)?;
        }
        let inverse = spline::inverse_with_log_det(x, h, spline)?;
        let plain = spline::inverse(&x.detach(), &h.detach(), spline)?;
        check::close(&inverse.0, &plain, 0.0)?;
        let composed = |inputs: &[Var]| {
            spline::composed::inverse_with_log_det(&inputs[0], &inputs[1], spline).map(joined)
        };
        if nearest_to_knot(&plain, h, spline)? > near {
            compare_to_double(&inputs, &joined(inverse), composed)?;
        } else {
            check::close(&joined(inverse), &composed(&inputs)?, tolerance)?;
        }
        let [x, h] = [x, h].map(Var::as_detached_tensor);
        let fused = spline::inverse(&x, &h, spline)?;
        let composed = spline::composed::inverse(&x, &h, spline)?;
        check::close(&fused, &composed, tolerance)?;
    }
    Ok(())
}

/// torch 2.15: `torch.nn.functional.{tanh,elu,silu,gelu}(torch.tensor([-100., -2., -0.5, 0., 1.,
/// 100.], dtype=torch.float64))`.
#[test]
fn activations_are_those_of_torch() {
    let x = Tensor::new(&[-100.0, -2.0, -0.5, 0.0, 1.0, 100.0], &Device::Cpu).unwrap();
    for (activation, expected) in TORCH {
        let expected = Tensor::new(&expected, &Device::Cpu).unwrap();
        check::close(&activation.apply(&x).unwrap(), &expected, 1e-14).unwrap();
        let x = Var::from_tensor(&x.to_dtype(DType::F32).unwrap()).unwrap();
        let gradients = activation.apply(&x).unwrap().sum_all().unwrap().backward();
        let gradient = gradients.unwrap().remove(&x).unwrap();
        check::close(&gradient, &gradient, 0.0).unwrap();
    }
}

const TORCH: [(Activation, [f64; 6]); 4] = [
    (
        Activation::Tanh,
        [
            -1.0,
            -0.964_027_580_075_816_9,
            -0.462_117_157_260_009_74,
            0.0,
            0.761_594_155_955_764_9,
            1.0,
        ],
    ),
    (
        Activation::Elu,
        [
            -1.0,
            -0.864_664_716_763_387_3,
            -0.393_469_340_287_366_6,
            0.0,
            1.0,
            100.0,
        ],
    ),
    (
        Activation::Silu,
        [
            -3.720_075_976_020_836e-42,
            -0.238_405_844_044_235_1,
            -0.188_770_334_399_072_7,
            0.0,
            0.731_058_578_630_004_9,
            100.0,
        ],
    ),
    (
        Activation::Gelu,
        [
            0.0,
            -0.045_500_263_896_358_42,
            -0.154_268_769_362_993_44,
            0.0,
            0.841_344_746_068_543,
            100.0,
        ],
    ),
];

/// A number of this draw lies on one of its own knots, to the last digit of f32.
#[test]
fn a_spline_on_a_knot_is_its_twin() {
    spline_and_its_twin(380, 4, &[], (5, Ends::Linear), 13_355_227_071_208_564_099).unwrap();
}

/// The smallest distance of a number from one of its own knots.
fn nearest_to_knot(x: &Tensor, h: &Tensor, spline: IntervalSpline) -> Result<f64> {
    let parameters = Transform::parameters(&spline);
    let transformed = h.dim(1)? / parameters;
    let numbers = x.narrow(1, x.dim(1)? - transformed, transformed)?;
    let numbers = numbers.reshape((x.dim(0)?, transformed, 1, ()))?;
    let raw = h.reshape((x.dim(0)?, transformed, parameters, ()))?;
    let raw = raw.narrow(2, 0, spline.bins)?.to_dtype(DType::F64)?;
    let shares = candle_nn::ops::softmax(&raw, 2)?;
    let (side, minimum) = (spline.high - spline.low, spline.min_width);
    let widths = shares.affine(side * (1.0 - minimum * spline.bins as f64), side * minimum)?;
    let knots = (widths.cumsum(2)? + spline.low)?;
    let numbers = numbers.to_dtype(DType::F64)?;
    let first = (&numbers - spline.low)?.abs()?.min_all()?;
    let others = knots.broadcast_sub(&numbers)?.abs()?.min_all()?;
    first.minimum(&others)?.to_scalar()
}

/// The three layers' outputs before a ReLU.
fn layers(
    x: &Tensor,
    weights: Weights,
    round: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<(Tensor, Tensor, Tensor)> {
    let layer = |x: &Tensor, weight: &Tensor, bias: &Tensor, padding| {
        let bias = bias.reshape((1, bias.elem_count(), 1, 1))?;
        round(x)?
            .conv2d(&round(weight)?, padding, 1, 1, 1)?
            .broadcast_add(&bias)
    };
    let w2 = weights.w2.unsqueeze(2)?.unsqueeze(3)?;
    let first = layer(x, weights.w1, weights.b1, 1)?;
    let second = layer(&first.relu()?, &w2, weights.b2, 0)?;
    let third = layer(&second.relu()?, weights.w3, weights.b3, 1)?;
    Ok((first, second, third))
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
    let run = |x: &Tensor| coupling_network::coupling_network(x, weights, Precision::F32).unwrap();
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
    let y = coupling_network::coupling_network(x, weights, Precision::F32).unwrap();
    assert!(y.sum_all().unwrap().to_scalar::<f32>().unwrap().is_nan());
}
