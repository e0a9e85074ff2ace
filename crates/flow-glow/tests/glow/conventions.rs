//! Models of every convention against the Jacobian from automatic differentiation, in f64, at
//! random parameters, and the definitions of the settings.

use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::train::Data;
use flow_core::{Bijection, Order, Passing, check, random};
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, Glow, GlowConfig, Half, ImageShape, LevelEnd, NetworkInput,
    Padding, PriorForm, ScaleMap,
};
use proptest::prelude::*;

fn conventions() -> impl Strategy<Value = Conventions> {
    use prop::sample::select;
    let flow = (
        select(vec![
            Conv1x1Form::RotationLowerUpper,
            Conv1x1Form::LowerUpperRotation,
            Conv1x1Form::Plain,
            Conv1x1Form::PlainButLast,
        ]),
        select(vec![LevelEnd::Bare, LevelEnd::Conv1x1]),
        select(vec![
            Passing::FirstHalf,
            Passing::SecondHalf,
            Passing::Even,
            Passing::Odd,
        ]),
        any::<bool>(),
        select(vec![Order::ShiftFirst, Order::ScaleFirst]),
        select(vec![NetworkInput::Plain, NetworkInput::AffineRelu]),
        select(vec![Padding::Zeros, Padding::Ones]),
    );
    let priors = vec![
        PriorForm::Standard,
        PriorForm::Channel,
        PriorForm::Element,
        PriorForm::Convolution,
    ];
    let latents = (
        select(vec![Half::First, Half::Second]),
        select(priors.clone()),
        select(priors),
    );
    (flow, latents).prop_map(|(flow, (split_keeps, split_prior, top_prior))| {
        let (conv1x1, level_end, passing, alternating, affine_order, network_input, padding) = flow;
        Conventions {
            conv1x1,
            level_end,
            passing,
            alternating,
            affine_order,
            network_input,
            padding,
            split_keeps,
            split_prior,
            top_prior,
        }
    })
}

fn scale_maps() -> impl Strategy<Value = ScaleMap> {
    prop::sample::select(vec![
        ScaleMap::Sigmoid,
        ScaleMap::SigmoidOffset,
        ScaleMap::SigmoidInverse,
        ScaleMap::Softplus,
        ScaleMap::Exp,
        ScaleMap::ExpTanh { bound: 2.0 },
        ScaleMap::ExpTanhLearned,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_model_of_any_convention_is_a_bijection(
        conventions in conventions(), scale_map in scale_maps(), additive: bool, classes: bool,
        b in 1_usize..=2, seed: u64,
    ) {
        let knows_classes = matches!(conventions.top_prior, PriorForm::Channel | PriorForm::Element);
        let classes = (classes && knows_classes).then_some(3);
        let image = ImageShape::new(1, 4, 8);
        let config = GlowConfig {
            steps: 2,
            width: 5,
            coupling: if additive { Coupling::Additive } else { Coupling::Affine },
            scale_map,
            classes,
            conventions,
            ..GlowConfig::small(image)
        };
        let params = ParamStore::new(seed);
        let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        // Unbounded maps overflow f64 at larger parameters.
        check::randomize(&params, seed, 0.05).unwrap();
        let x = random::normal(seed, (b, 1, 4, 8), DType::F64, &Device::Cpu).unwrap();
        let label = Tensor::new(&[(seed % 3) as u32], &Device::Cpu).unwrap();
        let data = classes.map_or(Data::from(&x), |_| Data::from((&x, &label)));
        let given = glow.conditioned_on(&data).unwrap();
        let whole = given.bijection();
        // Worse conditions leave too few of the sixteen digits of f64 for the bounds below.
        prop_assume!(check::condition(whole, &x).unwrap() < 1e5);
        let y = whole.forward(&x).unwrap().0;
        check::close(&whole.inverse(&y).unwrap(), &x, 1e-9).unwrap();
        check::log_det(whole, &x, 1e-8).unwrap();
        check::gradients(whole, &params, &x, 1e-9).unwrap();
    }
}
