//! Models of `flow train`, written for peers: all settings that weights and parts make up for.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::{check, random, train::Data};
use flow_glow::{
    Checkpoint, Conventions, Coupling, Glow, GlowConfig, ImageShape, Padding, Peer, PriorForm,
    ScaleMap, Setting,
};

use crate::dialects::turned;
use crate::fold::with_padding;
use crate::parameters::{Model, Parameters};
use serde_json::json;

use super::{convert, convert_for, difference, facts};

/// Nats a dimension.
const LOG_PROB: f64 = 1e-5;

/// A checkpoint of a model at random parameters.
fn random(config: &GlowConfig, seed: u64, path: &Path) {
    let store = ParamStore::new(seed);
    Glow::new(config, store.builder(DType::F32, &Device::Cpu)).unwrap();
    check::randomize(&store, seed, 0.03).unwrap();
    let vars = store.vars().into_iter();
    let tensors = vars.map(|(name, var)| (name, var.as_tensor().clone()));
    Checkpoint::save(path, config, "none", tensors.collect()).unwrap();
}

fn small(image: ImageShape) -> GlowConfig {
    GlowConfig {
        steps: 3,
        width: 5,
        ..GlowConfig::small(image)
    }
}

fn log_prob(path: &Path) -> Tensor {
    let model = Checkpoint::load(path, &Device::Cpu).unwrap().model;
    let ImageShape {
        channels,
        height,
        width,
    } = model.config().image;
    let x = random::normal(1, (4, channels, height, width), DType::F32, &Device::Cpu).unwrap();
    let data = model.config().classes.map_or((&x).into(), |classes| {
        let labels: Vec<u32> = (0..4).map(|row| row % classes as u32).collect();
        Data::from((&x, &Tensor::new(labels, &Device::Cpu).unwrap()))
    });
    model.conditioned_on(&data).unwrap().log_prob(&x).unwrap()
}

/// An error unless both checkpoints are the same density.
fn assert_same(a: &Path, b: &Path, what: &str) {
    let config = Checkpoint::load(a, &Device::Cpu).unwrap();
    let dimensions = config.model.config().image.dimensions() as f64;
    let error = difference(&log_prob(a), &log_prob(b)) / dimensions;
    assert!(
        error < LOG_PROB,
        "{what}: off by {error:e} nats a dimension"
    );
}

#[test]
fn what_is_trained_for_a_peer_comes_back_from_it_as_the_same_density() {
    let work = tempfile::tempdir().unwrap();
    let [own, back] = ["own", "back"].map(|name| work.path().join(format!("{name}.safetensors")));
    for peer in Peer::ALL {
        for (seed, (channels, levels, coupling)) in [
            (1, 1, Coupling::Affine),
            (1, 2, Coupling::Affine),
            (3, 3, Coupling::Affine),
            (3, 2, Coupling::Additive),
        ]
        .into_iter()
        .enumerate()
        {
            let config = peer.adapt(GlowConfig {
                levels,
                coupling,
                ..small(ImageShape::new(channels, 8, 16))
            });
            random(&config, seed as u64, &own);
            let exported = convert_for(peer, &own).unwrap();
            convert(&exported, &back, None, &facts(json!({ "size": [8, 16] }))).unwrap();
            assert_same(&own, &back, &format!("{} {config:?}", peer.as_str()));
        }
    }
}

#[test]
fn every_preset_for_a_peer_is_exported() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("own.safetensors");
    let image = ImageShape::new(1, 28, 28);
    for peer in Peer::ALL {
        for preset in [
            GlowConfig::small(image),
            GlowConfig::base(image),
            GlowConfig::paper(image),
        ] {
            // Its form, at a size that is written at once.
            let config = peer.adapt(GlowConfig { width: 8, ..preset });
            random(&config, 0, &path);
            convert_for(peer, &path).unwrap();
        }
    }
}

/// Models of ours in the forms of `flow train`, some with forms that only other programs have.
fn forms() -> Vec<GlowConfig> {
    let image = ImageShape::new(1, 8, 16);
    let config = small(image);
    let with = |conventions| GlowConfig {
        conventions,
        ..config.clone()
    };
    let own = Conventions::default();
    vec![
        config.clone(),
        GlowConfig {
            classes: Some(3),
            ..config.clone()
        },
        GlowConfig {
            coupling: Coupling::Additive,
            levels: 3,
            ..config.clone()
        },
        with(own),
        with(Conventions {
            split_prior: PriorForm::Channel,
            top_prior: PriorForm::Convolution,
            ..own
        }),
        Peer::Nflows.adapt(config.clone()),
        Peer::Rosinality.adapt(GlowConfig {
            levels: 1,
            ..config.clone()
        }),
    ]
}

#[test]
fn a_model_that_was_turned_or_padded_is_the_same_density() {
    let work = tempfile::tempdir().unwrap();
    let [own, other] = ["own", "other"].map(|name| work.path().join(format!("{name}.safetensors")));
    let save = |model: Model, path: &Path| {
        let tensors = model.parameters.into_single().unwrap();
        Checkpoint::save(path, &model.config, "none", tensors).unwrap();
    };
    let mut changed = 0;
    for config in forms() {
        for seed in 0..3 {
            random(&config, seed, &own);
            let checkpoint = Checkpoint::load(&own, &Device::Cpu).unwrap();
            let model = Model {
                config: config.clone(),
                parameters: Parameters::of(&checkpoint.weights).unwrap(),
            };
            save(turned(&model).unwrap(), &other);
            assert_same(&own, &other, &format!("turned {config:?}"));
            for padding in [Padding::Zeros, Padding::Ones] {
                let predicts = config.conventions.split_prior == PriorForm::Convolution;
                if config.levels > 1 && predicts {
                    continue;
                }
                let padded = with_padding(&model, padding).unwrap();
                changed += usize::from(padded.config != config);
                save(padded, &other);
                assert_same(&own, &other, &format!("{padding:?} {config:?}"));
            }
        }
    }
    assert!(changed > 5, "{changed}");
}

fn shipped(name: &str, work: &Path) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../assets/models")
        .join(name);
    let copy = work.join(name);
    std::fs::copy(path, &copy).unwrap();
    copy
}

#[test]
fn the_shipped_models_are_written_for_the_peers_that_have_such() {
    let work = tempfile::tempdir().unwrap();
    for (name, has_classes) in [
        ("mnist.safetensors", false),
        ("mnist-classes.safetensors", true),
    ] {
        let path = shipped(name, work.path());
        for peer in [Peer::Nflows, Peer::Normflows] {
            let exported = convert_for(peer, &path).unwrap();
            // Parts beside a Glow of the peer are never taken for one without them.
            let back = work.path().join("back.safetensors");
            convert(&exported, &back, None, &facts(json!({ "size": 28 }))).unwrap_err();
        }
        let error = format!("{:#}", convert_for(Peer::Rosinality, &path).unwrap_err());
        for setting in [
            "`scale_map` (`--scale-map sigmoid`)",
            "`padding` (`--for rosinality`)",
            "`top_prior`",
        ] {
            assert!(error.contains(setting), "{error}");
        }
        assert_eq!(
            error.contains("`classes` (no `--classes`)"),
            has_classes,
            "{error}"
        );
        assert!(!path.with_extension("rosinality.safetensors").exists());
    }
}

#[test]
fn every_obstacle_is_named_with_what_avoids_it() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("own.safetensors");
    for peer in Peer::ALL {
        for scale_map in [
            ScaleMap::Sigmoid,
            ScaleMap::SigmoidOffset,
            ScaleMap::ExpTanhLearned,
        ] {
            let config = GlowConfig {
                scale_map,
                last_steps: Some(2),
                classes: Some(2),
                ..small(ImageShape::new(1, 8, 8))
            };
            random(&config, 0, &path);
            let obstacles = peer.obstacles(&config);
            assert_eq!(
                obstacles.contains(&Setting::LastSteps),
                peer == Peer::Rosinality
            );
            let exported = convert_for(peer, &path);
            assert_eq!(exported.is_err(), !obstacles.is_empty());
            let Err(error) = exported else { continue };
            let error = format!("{error:#}");
            for setting in &obstacles {
                let named = format!("`{}` ({})", setting.name(), peer.remedy(*setting));
                assert!(error.contains(&named), "{error}");
            }
            assert_eq!(
                error.contains("classes"),
                peer == Peer::Rosinality,
                "{error}"
            );
            assert!(!obstacles.contains(&Setting::Dequantization));
        }
    }
}
