//! There and back: the same tensors, bit for bit where the form is the same.

use std::{collections::BTreeMap, path::Path};

use candle_core::{DType, Device};
use flow_core::params::ParamStore;
use flow_core::{Order, Passing, check, random};
use flow_glow::{
    Checkpoint, Conv1x1Form, Conventions, Coupling, Glow, GlowConfig, Half, ImageShape, LevelEnd,
    Padding, Peer, PriorForm, ScaleMap,
};
use proptest::prelude::*;
use serde_json::json;

use super::{convert, convert_for, difference, facts, folder, import, tensors, values};

/// Relative.
const OTHER_FORM: f64 = 1e-6;

/// Tells whether a tensor of a peer comes back as it was, bit for bit. Otherwise it passes an
/// exponential: a plain scale, a shift that is multiplied by one, a softplus.
fn same_form(name: &str) -> bool {
    let other = ["actnorm.scale", "0.shift", "unconstrained_upper_diag"];
    !other.iter().any(|end| name.ends_with(end))
}

/// Fixtures, their programs, and a prefix of names with its replacement in the written file. Gains
/// and ActNorms of networks are folded into the layers that they scale, so `normflows-base` is not
/// among them.
const WRITTEN: [(&str, Peer, [&str; 2]); 9] = [
    ("nflows-additive", Peer::Nflows, ["", ""]),
    ("nflows-gain", Peer::Nflows, ["", ""]),
    // A `Flow` is written without the preprocessing that stands before its transform.
    (
        "nflows-nsf",
        Peer::Nflows,
        ["_transform._transforms.1.", "_transform."],
    ),
    ("nflows-softplus", Peer::Nflows, ["", ""]),
    ("normflows-additive", Peer::Normflows, ["", ""]),
    ("normflows-lu", Peer::Normflows, ["", ""]),
    ("normflows-plain", Peer::Normflows, ["", ""]),
    ("rosinality-lu", Peer::Rosinality, ["", ""]),
    ("rosinality-plain", Peer::Rosinality, ["", ""]),
];

#[test]
fn there_and_back_is_where_it_began() {
    let work = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (name, peer, [prefix, written]) in WRITTEN {
        let back = convert_for(peer, &import(name, work.path())).unwrap();
        let back = tensors(&back);
        let original: BTreeMap<_, _> = tensors(&folder().join(format!("{name}.pt")))
            .into_iter()
            .filter_map(|(name, tensor)| {
                let rest = name.strip_prefix(prefix)?;
                Some((format!("{written}{rest}"), tensor))
            })
            .collect();
        assert!(original.keys().eq(back.keys()), "{name}");
        for (tensor, original) in &original {
            let (original, back) = (values(original), values(&back[tensor]));
            assert_eq!(original.len(), back.len());
            // rosinality's scales may be negative, which moves a sign to the next matrix.
            let is_sign_moved = peer == Peer::Rosinality
                && !tensor.contains("coupling")
                && !tensor.contains("prior");
            for (a, b) in original.iter().zip(&back) {
                let (a, b) = if is_sign_moved {
                    (a.abs(), b.abs())
                } else {
                    (*a, *b)
                };
                let error = if same_form(tensor) {
                    f64::from(u8::from(![a].contains(&b)))
                } else {
                    (a - b).abs() / a.abs().max(1e-3)
                };
                assert!(error < OTHER_FORM, "{name}: `{tensor}` was {a} and is {b}");
            }
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
}

/// Settings of models that a peer has too; `flag` chooses between two of them.
fn settings(peer: Peer, conv1x1: Conv1x1Form, flag: bool) -> (ScaleMap, Conventions) {
    let own = Conventions {
        conv1x1,
        ..Conventions::default()
    };
    match peer {
        Peer::Nflows => (
            ScaleMap::SigmoidOffset,
            Conventions {
                conv1x1: Conv1x1Form::LowerUpperRotation,
                level_end: if flag {
                    LevelEnd::Conv1x1
                } else {
                    LevelEnd::Bare
                },
                passing: Passing::Odd,
                alternating: flag,
                affine_order: Order::ScaleFirst,
                split_keeps: Half::Second,
                split_prior: PriorForm::Standard,
                top_prior: PriorForm::Standard,
                ..own
            },
        ),
        Peer::Normflows => (
            if flag {
                ScaleMap::Exp
            } else {
                ScaleMap::Sigmoid
            },
            Conventions {
                split_prior: PriorForm::Element,
                top_prior: PriorForm::Element,
                ..own
            },
        ),
        Peer::Rosinality => (
            ScaleMap::Sigmoid,
            Conventions {
                padding: Padding::Ones,
                top_prior: PriorForm::Convolution,
                ..own
            },
        ),
    }
}

/// Models of ours that a peer has too, with 1×1 convolutions of any form.
fn models() -> impl Strategy<Value = (Peer, GlowConfig)> {
    let forms = prop::sample::select(vec![
        Conv1x1Form::RotationLowerUpper,
        Conv1x1Form::Plain,
        Conv1x1Form::PlainButLast,
    ]);
    let couplings = prop::sample::select(vec![Coupling::Additive, Coupling::Affine]);
    let last_steps = prop::option::of(1_usize..=3);
    let sizes = (
        1_usize..=2,
        1_usize..=3,
        1_usize..=3,
        last_steps,
        1_usize..=5,
    );
    let peers = prop::sample::select(Peer::ALL.to_vec());
    (peers, forms, couplings, any::<bool>(), sizes).prop_map(
        |(peer, conv1x1, coupling, flag, (channels, levels, steps, last_steps, width))| {
            let (scale_map, conventions) = settings(peer, conv1x1, flag);
            let config = GlowConfig {
                levels,
                steps,
                last_steps: last_steps.filter(|_| peer != Peer::Rosinality),
                width,
                coupling,
                scale_map,
                conventions,
                ..GlowConfig::small(ImageShape::new(channels, 8, 16))
            };
            (peer, config)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_a_peer_can_represent_is_the_same_function_after_it((peer, config) in models(), seed: u64) {
        let work = tempfile::tempdir().unwrap();
        let store = ParamStore::new(seed);
        Glow::new(&config, store.builder(DType::F32, &Device::Cpu)).unwrap();
        check::randomize(&store, seed, 0.03).unwrap();
        let first = work.path().join("first.safetensors");
        let tensors = store.vars().into_iter().map(|(name, var)| (name, var.as_tensor().clone()));
        Checkpoint::save(&first, &config, "none", tensors.collect()).unwrap();

        let exported = convert_for(peer, &first).unwrap();
        let second = work.path().join("second.safetensors");
        let mut said = facts(json!({ "kind": peer.as_str(), "size": [8, 16] }));
        // A state dict of rosinality tells its scale map.
        said.scale_map = (peer != Peer::Rosinality).then_some(config.scale_map);
        convert(&exported, &second, None, &said).unwrap();

        let load = |path: &Path| Checkpoint::load(path, &Device::Cpu).unwrap().model;
        let shape = (2, config.image.channels, 8, 16);
        let x = random::normal(seed, shape, DType::F32, &Device::Cpu).unwrap();
        let encode = |path: &Path| load(path).encode(&x).unwrap();
        let ((z, log_det), (other_z, other_log_det)) = (encode(&first), encode(&second));
        // A sign of a channel is moved on until it is a latent's.
        let [z, other_z] = [z, other_z].map(|z| if peer == Peer::Nflows { z.abs().unwrap() } else { z });
        prop_assert!(difference(&z, &other_z) < 1e-4);
        prop_assert!(difference(&log_det, &other_log_det) < 1e-5 * config.image.dimensions() as f64);
    }
}
