//! `verify` passes models of every kind, on all their dimensions, and detects a tiny error of the
//! log-determinant.

use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::train::Data;
use flow_core::{Order, Passing, check, random};
use flow_glow::verify::{Report, verify};
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, Glow, GlowConfig, Half, ImageShape, LevelEnd,
    Preprocessing, PriorForm, ScaleMap,
};

const IMAGES: usize = 5;

fn base() -> GlowConfig {
    GlowConfig {
        levels: 2,
        steps: 2,
        width: 6,
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    }
}

fn images(shape: ImageShape) -> Tensor {
    let shape = (IMAGES, shape.channels, shape.height, shape.width);
    let noise = random::uniform(1, shape, DType::F32, &Device::Cpu).unwrap();
    (noise * 256.0).unwrap().to_dtype(DType::U8).unwrap()
}

/// Weights as after some training: normalised, and away from their initial values.
fn weights(config: &GlowConfig) -> ParamStore {
    let params = ParamStore::new(3);
    let glow = Glow::new(config, params.builder(DType::F32, &Device::Cpu)).unwrap();
    let (x, _) = glow.dequantize(&images(config.image), 2).unwrap();
    let given = glow.conditioned_on(&data(config, &x)).unwrap();
    given.initialize(&x).unwrap();
    check::randomize(&params, 4, 0.03).unwrap();
    params
}

fn report(config: &GlowConfig, weights: &ParamStore) -> Report {
    let data = data(config, &images(config.image));
    verify(config, weights, data, false).unwrap()
}

/// Samples with a condition of each, if the model takes any.
fn data(config: &GlowConfig, x: &Tensor) -> Data {
    let Some(classes) = config.classes else {
        return Data::from(x);
    };
    let labels = (0..IMAGES).map(|image| (image % classes) as u32);
    Data::from((x, &Tensor::from_iter(labels, &Device::Cpu).unwrap()))
}

fn kinds() -> Vec<GlowConfig> {
    vec![
        base(),
        GlowConfig {
            classes: Some(3),
            ..base()
        },
        GlowConfig {
            coupling: Coupling::Additive,
            ..base()
        },
        GlowConfig {
            scale_map: ScaleMap::Sigmoid,
            preprocessing: Preprocessing::Centered,
            ..base()
        },
        GlowConfig {
            image: ImageShape::new(3, 4, 6),
            levels: 1,
            scale_map: ScaleMap::SigmoidOffset,
            ..base()
        },
        GlowConfig {
            image: ImageShape::new(1, 8, 12),
            conventions: Conventions {
                conv1x1: Conv1x1Form::LowerUpperRotation,
                level_end: LevelEnd::Conv1x1,
                passing: Passing::Odd,
                alternating: true,
                affine_order: Order::ScaleFirst,
                split_keeps: Half::Second,
                split_prior: PriorForm::Element,
                top_prior: PriorForm::Element,
                ..Conventions::default()
            },
            ..base()
        },
        // The smallest crop has 64 latents, so only one is integrated over.
        GlowConfig {
            levels: 3,
            ..base()
        },
    ]
}

#[test]
fn models_of_every_kind_pass() {
    for config in kinds() {
        let report = report(&config, &weights(&config));
        for verdict in &report.verdicts {
            assert!(verdict.passed(), "{config:?}: {verdict:?}");
        }
        let dimensions = config.image.dimensions();
        let all = format!("{dimensions} of {dimensions} dimensions, 4 images");
        assert!(
            report.verdicts[1].detail.contains(&all),
            "{:?}",
            report.verdicts[1]
        );
        // Two steps and a split per level (no split in the last), the level itself, the prior and
        // the whole.
        let common = 4 * config.levels - 1 + 2;
        // With conventions, a 1×1 convolution at each end and a prior for each split.
        let more = 2 * config.levels - 1;
        let bare = config.conventions.level_end == LevelEnd::Bare;
        let expected = if bare { common } else { common + more };
        assert_eq!(report.layers.len(), expected);
    }
}

#[test]
fn a_weight_that_is_not_finite_is_named() {
    let (config, weights) = (base(), weights(&base()));
    let name = "levels.1.steps.0.coupling.network.conv2.weight";
    let (_, weight) = weights
        .vars()
        .into_iter()
        .find(|(other, _)| other == name)
        .unwrap();
    weight
        .set(&(weight.as_tensor() * f64::NAN).unwrap())
        .unwrap();
    let report = report(&config, &weights);
    let failed = report.verdicts.iter().filter(|verdict| !verdict.passed());
    let failed: Vec<_> = failed.map(|verdict| verdict.check).collect();
    assert_eq!(failed[..2], ["parameters", "log-determinant"]);
    let found = &report.verdicts[0];
    assert!(!found.passed() && found.detail.contains(name), "{found:?}");
}

#[test]
fn what_a_rotation_leaves_out_of_the_log_determinant_is_measured() {
    let config = base();
    let weights = weights(&config);
    let name = "levels.1.steps.0.conv1x1.rotation";
    let (_, rotation) = weights
        .vars()
        .into_iter()
        .find(|(other, _)| other == name)
        .unwrap();
    rotation
        .set(&(rotation.as_tensor() * 1.0001).unwrap())
        .unwrap();
    let found = &report(&config, &weights).verdicts[1];
    // Eight channels at four pixels, of 64 dimensions.
    let expected = 1.0001_f64.ln() * 8.0 * 4.0 / 64.0;
    assert!((found.value - expected).abs() < 1e-7, "{found:?}");
    assert!(!found.passed());
}
