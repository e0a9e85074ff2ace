//! Trainings that cannot be.

use std::fs;

use super::{RUN, transcript};
use crate::sandbox::Sandbox;

#[test]
fn trainings_that_cannot_be() {
    let sandbox = Sandbox::with_everything_wrong();
    sandbox.write("file-as-samples/samples", "");
    // Folders of trainings, with what lies in every such folder.
    for (folder, training) in [
        ("broken", b"lost".to_vec()),
        ("model-only", sandbox.read(RUN)),
    ] {
        sandbox.write(&format!("{folder}/training.safetensors"), training);
        fs::create_dir(sandbox.path(folder).join("samples")).unwrap();
    }
    let rows = "
        train --out run
        train --out run --resume --width 16
        train --out run --resume --lr 0.1 --seed 7 --bits 5
        train --out run --resume --classes
        train --out run --resume --preset base
        train --out run --resume --dataset cifar10
        train --out new --resume
        train --out text --resume
        train --out folder --resume
        train --out broken --resume
        train --out model-only --resume
        train --out text
        train --out text/new
        train --out /dev/full
        train --out /dev/null/new
        train --out file-as-samples
        train --out new --levels 7
        train --out new --steps 256 --width 8192
        train --out new --flip
        train --out new --batch-size 20000
        train --out new --dataset cifar10
        train --out new --dataset fashion-mnist
        train --out new --from none
        train --out new --from text
        train --out new --from folder
        train --out run --from run/model.safetensors
        train --out new --from run/model.safetensors --width 16 --levels 2 --max-steps 1
        train --out new --from run/model.safetensors --preset small
        train --out new --from run/model.safetensors --bits 5 --coupling additive --scale-map exp-tanh
        train --out new --from --dequantization uniform
        train --out new --from run/model.safetensors --classification 1
        train --out new --from run/model.safetensors --batch-size 20000
    ";
    insta::assert_snapshot!("train", transcript(&sandbox, rows));
}
