//! The exact JSON of configurations and settings, as in the headers of all checkpoints.

use flow_core::train::Memory;
use flow_core::train::{Optimization, Optimizer, Schedule};
use flow_core::{Order, Passing, ops::Precision};
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, Dequantization, GlowConfig, Half, ImageShape, LevelEnd,
    NetworkInput, Padding, Preprocessing, PriorForm, ScaleMap, TrainSettings, UnsoundInversion,
};
use serde::{Serialize, de::DeserializeOwned};

/// `value` is written as `text`, and read from it.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, text: &str) {
    assert_eq!(serde_json::to_string(&value).unwrap(), text);
    assert_eq!(serde_json::from_str::<T>(text).unwrap(), value);
}

fn small() -> GlowConfig {
    GlowConfig::small(ImageShape::new(1, 28, 28))
}

#[test]
fn configurations_are_written_as_ever() {
    same(
        GlowConfig {
            classes: Some(10),
            dequantization: Dequantization::Variational {
                steps: 4,
                width: 64,
            },
            ..small()
        },
        "{\"image\":{\"channels\":1,\"height\":28,\"width\":28},\"levels\":2,\"steps\":8,\
         \"width\":64,\"coupling\":\"affine\",\"scale_map\":{\"exp-tanh\":{\"bound\":2.0}},\
         \"preprocessing\":{\"logit\":{\"alpha\":0.01}},\
         \"dequantization\":{\"variational\":{\"steps\":4,\"width\":64}},\"bits\":8,\
         \"classes\":10,\"conventions\":{\"conv1x1\":\"rotation-lower-upper\",\
         \"level_end\":\"bare\",\"passing\":\"first-half\",\"alternating\":false,\
         \"affine_order\":\"shift-first\",\"network_input\":\"plain\",\"padding\":\"zeros\",\
         \"split_keeps\":\"first\",\"split_prior\":\"convolution\",\"top_prior\":\"element\"}}",
    );
}

#[test]
fn conventions_are_written_as_ever() {
    same(
        GlowConfig {
            coupling: Coupling::Additive,
            scale_map: ScaleMap::ExpTanhLearned,
            preprocessing: Preprocessing::Centered,
            conventions: Conventions {
                conv1x1: Conv1x1Form::PlainButLast,
                level_end: LevelEnd::Conv1x1,
                passing: Passing::Odd,
                alternating: true,
                affine_order: Order::ScaleFirst,
                network_input: NetworkInput::AffineRelu,
                padding: Padding::Ones,
                split_keeps: Half::Second,
                split_prior: PriorForm::Standard,
                top_prior: PriorForm::Channel,
            },
            ..small()
        },
        "{\"image\":{\"channels\":1,\"height\":28,\"width\":28},\"levels\":2,\"steps\":8,\
         \"width\":64,\"coupling\":\"additive\",\"scale_map\":\"exp-tanh-learned\",\
         \"preprocessing\":\"centered\",\"dequantization\":\"uniform\",\"bits\":8,\
         \"classes\":null,\"conventions\":{\"conv1x1\":\"plain-but-last\",\
         \"level_end\":\"conv1x1\",\"passing\":\"odd\",\"alternating\":true,\
         \"affine_order\":\"scale-first\",\"network_input\":\"affine-relu\",\"padding\":\"ones\",\
         \"split_keeps\":\"second\",\"split_prior\":\"standard\",\"top_prior\":\"channel\"}}",
    );
}

#[test]
fn settings_are_written_as_ever() {
    same(
        TrainSettings::default(),
        "{\"batch_size\":32,\"learning_rate\":0.008,\"warmup_steps\":100,\"clip_norm\":1.0,\
         \"average_decay\":0.999,\"optimizer\":\"muon\",\"precision\":\"f32\",\
         \"memory\":\"plain\",\"unsound_inversion\":\"plain\",\"classification\":0.0,\"seed\":0}",
    );
    same(
        TrainSettings {
            optimization: Optimization {
                optimizer: Optimizer::Adamax,
                schedule: Schedule::Constant,
                ..TrainSettings::default().optimization
            },
            precision: Precision::Bf16,
            memory: Memory::Constant,
            unsound_inversion: UnsoundInversion::Stop,
            ..TrainSettings::default()
        },
        "{\"batch_size\":32,\"learning_rate\":0.008,\"warmup_steps\":100,\"clip_norm\":1.0,\
         \"average_decay\":0.999,\"optimizer\":\"adamax\",\"schedule\":\"constant\",\"precision\":\"bf16\",\
         \"memory\":\"constant\",\"unsound_inversion\":\"stop\",\"classification\":0.0,\"seed\":0}",
    );
}

#[test]
fn names_are_written_as_ever() {
    same(Passing::FirstHalf, "\"first-half\"");
    same(Passing::SecondHalf, "\"second-half\"");
    same(Passing::Even, "\"even\"");
    same(Passing::Odd, "\"odd\"");
    same(Conv1x1Form::LowerUpperRotation, "\"lower-upper-rotation\"");
    same(Conv1x1Form::Plain, "\"plain\"");
    same(ScaleMap::Sigmoid, "\"sigmoid\"");
    same(ScaleMap::SigmoidOffset, "\"sigmoid-offset\"");
    same(ScaleMap::SigmoidInverse, "\"sigmoid-inverse\"");
    same(ScaleMap::Softplus, "\"softplus\"");
    same(ScaleMap::Exp, "\"exp\"");
    same(Preprocessing::Unit, "\"unit\"");
}

/// Later fields may be missing; names that no version wrote are refused.
#[test]
fn files_of_before_are_read() {
    let settings = serde_json::from_str::<TrainSettings>(
        "{\"batch_size\":32,\"learning_rate\":0.008,\"warmup_steps\":100,\"clip_norm\":1.0,\
         \"average_decay\":0.999,\"optimizer\":\"adam\",\"precision\":\"f32\",\"seed\":0}",
    );
    let mut expected = TrainSettings::default();
    expected.optimization.optimizer = Optimizer::Adam;
    assert_eq!(settings.unwrap(), expected);
    let written = serde_json::to_string(&TrainSettings::default()).unwrap();
    for (change, reason) in [
        ("\"clip\":1.0,", "unknown field `clip`"),
        ("\"optimization\":{},", "unknown field `optimization`"),
        ("\"seed\":0,", "duplicate field `seed`"),
        ("\"clip_norm\":1.0,", "duplicate field `clip_norm`"),
    ] {
        let text = written.replacen('{', &format!("{{{change}"), 1);
        let error = serde_json::from_str::<TrainSettings>(&text).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let error = serde_json::from_str::<TrainSettings>(&written.replace("\"clip_norm\":1.0,", ""));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("missing field `clip_norm`"), "{error}");
    for text in ["\"Adam\"", "\"sgd\"", "1"] {
        assert!(serde_json::from_str::<Optimizer>(text).is_err(), "{text}");
    }
}
