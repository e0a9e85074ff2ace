//! Scales of affine transforms over the range of network outputs, in every form.

use super::{column, gradient, near, numbers, places};
use candle_core::{DType, Tensor};
use flow_core::ops::affine::{self, Order, ScaleMap};

type Forward = fn(&Tensor, &Tensor, ScaleMap, Order) -> candle_core::Result<(Tensor, Tensor)>;

const FORMS: [(&str, DType, Forward); 3] = [
    ("fused", DType::F32, affine::forward),
    ("composed", DType::F32, affine::composed::forward),
    ("composed", DType::F64, affine::composed::forward),
];

/// ln s and its derivative.
fn exact(map: ScaleMap, raw: f64) -> (f64, f64) {
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let sigmoid = |x: f64| {
        let e = (-x.abs()).exp();
        x.min(0.0).exp() / (1.0 + e)
    };
    let a = raw + 2.0;
    let (offset, slope) = (softplus(raw) + 1e-3, sigmoid(raw));
    match map {
        ScaleMap::Sigmoid => (-softplus(-a), sigmoid(-a)),
        ScaleMap::SigmoidInverse => (softplus(-a), -sigmoid(-a)),
        ScaleMap::SigmoidOffset => {
            let scale = sigmoid(a) + 1e-3;
            (scale.ln(), sigmoid(a) * sigmoid(-a) / scale)
        }
        ScaleMap::Softplus if offset > 3.0 => (3_f64.ln(), 0.0),
        ScaleMap::Softplus | ScaleMap::SoftplusUnbounded => (offset.ln(), slope / offset),
        ScaleMap::Exp => (raw, 1.0),
        ScaleMap::ExpTanh { bound } => {
            let t = (raw / bound).tanh();
            (bound * t, (raw / bound).cosh().powi(-2))
        }
    }
}

#[test]
fn log_scales_and_gradients_keep_their_digits() {
    type Function = fn(f64) -> f64;
    let same: Function = |log_scale| log_scale;
    // Logarithms of scales near 1 are small differences: they count beside the 1.
    let beside: Function = |log_scale| log_scale + 8.0;
    // Divided by the least scale, a subnormal gradient stays subnormal.
    let scaled: Function = |gradient| gradient * 1e-3;
    // A saturated hyperbolic tangent has the digits that 1 − t² leaves.
    let saturated: Function = |gradient| gradient + 1.0;
    // Each map with the forms in which its log-scales and gradients are compared.
    let maps = [
        (ScaleMap::Sigmoid, same, scaled),
        (ScaleMap::SigmoidOffset, beside, scaled),
        (ScaleMap::SigmoidInverse, same, scaled),
        (ScaleMap::Softplus, beside, scaled),
        (ScaleMap::SoftplusUnbounded, beside, scaled),
        (ScaleMap::Exp, same, scaled),
        (ScaleMap::ExpTanh { bound: 1.5 }, beside, saturated),
    ];
    let at = places();
    for ((map, of_log_scale, of_gradient), (form, dtype, forward)) in maps
        .into_iter()
        .flat_map(|map| FORMS.map(|form| (map, form)))
    {
        let raw = column(&at, dtype);
        let log_scale = |raw: &Tensor| {
            let h = Tensor::cat(&[&raw.zeros_like().unwrap(), raw], 1).unwrap();
            forward(&raw.zeros_like().unwrap(), &h, map, Order::ScaleFirst)
                .unwrap()
                .1
        };
        let name = |what: &str| format!("{map:?}, {form}, {what}");
        let (values, slopes): (Vec<_>, Vec<_>) = at.iter().map(|raw| exact(map, *raw)).unzip();
        let each = |values: Vec<f64>, f: Function| values.into_iter().map(f).collect::<Vec<_>>();
        let [found, values] =
            [numbers(&log_scale(&raw)), values].map(|values| each(values, of_log_scale));
        near(&name("value"), &found, &values, &at, dtype, 4.0);
        let [found, slopes] =
            [gradient(&raw, log_scale), slopes].map(|slopes| each(slopes, of_gradient));
        near(&name("gradient"), &found, &slopes, &at, dtype, 8.0);
    }
}
