//! Strange images: metrics against scikit-learn, observations against the model's own likelihood.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use flow_analysis::outliers::{detection, observe};
use flow_core::params::ParamStore;
use flow_core::{Bijection, random};
use flow_glow::{Glow, GlowConfig, ImageShape};
use serde_json::Value;

/// Written by `assets/reference/make_metrics.py`.
const METRICS: &str = include_str!("../../../assets/reference/metrics.json");

#[test]
fn metrics_are_those_of_scikit_learn() {
    let fixtures: Value = serde_json::from_str(METRICS).unwrap();
    let cases = fixtures["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let scores = |side: &str| -> Vec<f64> {
            let scores = case[side].as_array().unwrap();
            scores.iter().map(|score| score.as_f64().unwrap()).collect()
        };
        let found = detection(&scores("normal"), &scores("strange")).unwrap();
        for (name, value) in [
            ("auroc", found.auroc),
            ("aupr", found.aupr),
            ("fpr95", found.fpr95),
        ] {
            let expected = case[name].as_f64().unwrap();
            let case = &case["name"];
            assert!(
                (value - expected).abs() < 1e-13,
                "{case}: {name} is {value}, not {expected}"
            );
        }
    }
}

/// A model at random parameters, with its images: 40, so that they go through it in two runs.
fn model(classes: Option<usize>) -> (Glow, Tensor) {
    let image = ImageShape::new(1, 8, 8);
    let config = GlowConfig {
        steps: 2,
        width: 8,
        classes,
        ..GlowConfig::small(image)
    };
    let params = ParamStore::new(0);
    let model = Glow::new(&config, params.builder(DType::F32, &Device::Cpu)).unwrap();
    for (name, parameter) in params.vars() {
        if name.ends_with("rotation") {
            continue;
        }
        let noise = random::normal(
            random::derive(5, &name),
            parameter.shape(),
            DType::F32,
            &Device::Cpu,
        );
        parameter
            .set(&((noise.unwrap() * 0.05).unwrap() + parameter.as_tensor()).unwrap())
            .unwrap();
    }
    let noise = random::uniform(1, (40, 1, 8, 8), DType::F32, &Device::Cpu).unwrap();
    (model, (noise * 255.0).unwrap().to_dtype(DType::U8).unwrap())
}

fn bits<B: Bijection>(model: &Glow<B>, images: &Tensor) -> Vec<f64> {
    let bits = model.bits_per_dim(images, 3).unwrap();
    bits.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[test]
fn observations_are_the_likelihood_and_the_latents() {
    let (model, images) = model(None);
    let (x, offset) = model.dequantize(&images, 3).unwrap();
    let found = observe(&model, &x, &offset).unwrap();
    let found_bits: Vec<_> = found.iter().map(|one| one.bits_per_dim).collect();
    assert_eq!(found_bits, bits(&model, &images));

    let latents = model.latents(&model.encode(&x).unwrap().0).unwrap();
    for (image, one) in found.iter().enumerate() {
        let squares = latents.0.iter().map(|latent| {
            let latent = latent
                .get(image)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            latent.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>()
        });
        let norm = (squares.sum::<f64>() / 64.0).sqrt();
        assert!(
            (one.latent_norm - norm).abs() < 1e-6 * norm,
            "{} is not {norm}",
            one.latent_norm
        );
    }
}

#[test]
fn without_labels_all_classes_count_alike() {
    let (model, images) = model(Some(3));
    let labels = |class: u32| Tensor::full(class, 40, &Device::Cpu).unwrap();
    let by_class = [0, 1, 2].map(|class| bits(&model.given(&labels(class)).unwrap(), &images));
    let (x, offset) = model.dequantize(&images, 3).unwrap();
    let one = observe(&model, (&x, &labels(1)), &offset).unwrap();
    let all = observe(&model, &x, &offset).unwrap();
    for image in 0..40 {
        assert!((one[image].bits_per_dim - by_class[1][image]).abs() < 1e-12);
        let likelihoods = by_class
            .each_ref()
            .map(|bits| (-64.0 * (bits[image] - by_class[0][image])).exp2());
        let expected = by_class[0][image] - (likelihoods.iter().sum::<f64>() / 3.0).log2() / 64.0;
        assert!((all[image].bits_per_dim - expected).abs() < 1e-12);
    }
    assert!(by_class[0] != by_class[1]);
}
