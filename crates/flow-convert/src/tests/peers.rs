//! A converted model computes the same as the peer.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use flow_core::{Bijection, Squeeze, train::Data};
use flow_glow::{Checkpoint, Latents, Peer, PriorForm};

use super::{difference, expected, fixtures, import, known};
use crate::Program;

/// Nats a dimension.
const LOG_PROB: f64 = 1e-5;

/// Relative to 1 + the largest number.
const IMAGES: f64 = 1e-4;

#[test]
fn every_fixture_computes_what_its_program_does() {
    let folder = tempfile::tempdir().unwrap();
    for name in fixtures() {
        let checkpoint = Checkpoint::load(&import(&name, folder.path()), &Device::Cpu).unwrap();
        let (model, expected) = (&checkpoint.model, expected(&name));
        let x = &expected["x"];
        let data = expected.get("labels").map_or(x.into(), |labels| {
            Data::from((x, &labels.to_dtype(DType::U32).unwrap()))
        });
        let bound = model.conditioned_on(&data).unwrap();

        let log_prob = bound.log_prob(x).unwrap();
        let error =
            difference(&log_prob, &expected["log_prob"]) / model.config().image.dimensions() as f64;
        assert!(
            error < LOG_PROB,
            "{name}: log_prob is off by {error:e} nats a dimension"
        );

        let (latents, _) = bound.encode(x).unwrap();
        let error = difference(&bound.decode(&latents).unwrap(), x);
        assert!(
            error < IMAGES,
            "{name}: decode(encode(x)) is off by {error:e}"
        );

        let latents = white(&name, &checkpoint, &expected, &data);
        let decoded = bound.decode_latents(&Latents(latents)).unwrap();
        let theirs = &expected["x_from_z"];
        let size = difference(theirs, &theirs.zeros_like().unwrap());
        let error = difference(&decoded, theirs) / (1.0 + size);
        assert!(error < IMAGES, "{name}: x_from_z is off by {error:e}");
    }
}

/// The latents `z_in` of a fixture as ours.
fn white(
    name: &str,
    checkpoint: &Checkpoint,
    expected: &BTreeMap<String, Tensor>,
    data: &Data,
) -> Vec<Tensor> {
    let model = &checkpoint.model;
    let levels = model.config().levels;
    match known(name).program.unwrap() {
        Program::Peer(Peer::Nflows) => model.latents(&expected["z_in"]).unwrap().0,
        Program::Peer(Peer::Rosinality) => (0..levels)
            .map(|level| expected[&format!("z_in.{level}")].clone())
            .collect(),
        Program::Peer(Peer::Normflows) => (0..levels)
            .map(|level| {
                let theirs = &expected[&format!("z_in.{}", levels - 1 - level)];
                whiten(checkpoint, level, theirs, data)
            })
            .collect(),
        // Latents of the splits are their means.
        Program::Y0ast => {
            let top = &expected["z_in"];
            let zeros = |[c, h, w]: [usize; 3]| {
                let shape = (top.dim(0).unwrap(), c, h, w);
                Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
            };
            let mut latents: Vec<_> = model.latent_shapes().iter().map(zeros).collect();
            latents[levels - 1] = top.clone();
            latents
        }
        // Squeezed as images are, the second half of the channels at each level.
        Program::Chrischute => {
            let (mut latents, mut rest) = (Vec::new(), expected["z_in"].clone());
            for level in 0..levels {
                rest = Squeeze.forward(&rest).unwrap().0;
                if level + 1 < levels {
                    let half = rest.dim(1).unwrap() / 2;
                    latents.push(rest.narrow(1, half, half).unwrap());
                    rest = rest.narrow(1, 0, half).unwrap();
                }
            }
            latents.push(rest);
            latents
        }
    }
}

/// (z − mean) / std of a level's own Gaussian.
fn whiten(checkpoint: &Checkpoint, level: usize, z: &Tensor, data: &Data) -> Tensor {
    let weights: BTreeMap<_, _> = checkpoint.weights.vars().into_iter().collect();
    let last = level + 1 == checkpoint.model.config().levels;
    let place = if last {
        "prior".to_owned()
    } else {
        format!("levels.{level}.split")
    };
    let mut gaussian = weights[&format!("{place}.gaussian")].as_tensor().clone();
    if let Ok(labels) = data.context() {
        let classes = weights[&format!("{place}.class_gaussian")]
            .index_select(labels, 0)
            .unwrap();
        gaussian = gaussian.broadcast_add(&classes).unwrap();
    }
    if checkpoint.model.config().conventions.top_prior == PriorForm::Channel {
        gaussian = gaussian.unsqueeze(2).unwrap().unsqueeze(3).unwrap();
    }
    let half = gaussian.dim(1).unwrap() / 2;
    let mean = gaussian.narrow(1, 0, half).unwrap();
    let std = gaussian.narrow(1, half, half).unwrap().exp().unwrap();
    z.broadcast_sub(&mean).unwrap().broadcast_div(&std).unwrap()
}
