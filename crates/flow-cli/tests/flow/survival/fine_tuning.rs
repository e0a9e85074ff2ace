//! Trainings that begin with the weights of a trained model.

use std::{fs, path::Path};

use flow_core::Passing;
use flow_glow::{Conventions, Coupling, GlowConfig, ImageShape};

use super::TINY;
use crate::sandbox::{Sandbox, header, metrics};

/// One step that moves nothing.
const STILL: &str = "--batch-size 16 --lr 1e-12 --max-steps 1";

/// A model of the digits of the sandbox, in `source/model.safetensors`.
fn with_source() -> Sandbox {
    let sandbox = Sandbox::with_digits();
    sandbox.ok(&format!("train --out source {TINY} --max-steps 40"));
    sandbox
}

/// The same digits in white on black, in the folder `inverted`.
fn invert(sandbox: &Sandbox) {
    for entry in fs::read_dir(sandbox.path("data/mnist")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let mut bytes = sandbox.read(&format!("data/mnist/{name}"));
        if name.contains("images") {
            bytes[16..].iter_mut().for_each(|pixel| *pixel = !*pixel);
        }
        sandbox.write(&format!("inverted/mnist/{name}"), bytes);
    }
}

#[test]
fn the_first_step_finds_the_model_as_it_was() {
    let sandbox = with_source();
    let source = "source/model.safetensors";
    let before = sandbox.bits_per_dim(source, "data");
    for (out, from, steps, more, tolerance) in [
        ("same", source, 40, "", 1e-6),
        ("state", "source/training.safetensors", 40, "", 1e-6),
        ("classes", source, 40, "--classes", 1e-6),
        // The noise begins as even noise to 1e-6, between two of 256 values.
        ("noise", source, 40, "--dequantization variational", 1e-4),
        ("both", "noise/model.safetensors", 1, "--classes", 1e-4),
    ] {
        let train = format!("train --out {out} --from {from} {STILL} {more}");
        let said = sandbox.run(&train).succeeded().stderr;
        let told = format!("beginning with the weights of `{from}`, and its preprocessing");
        assert!(said.contains(&told), "{said}");
        let model = format!("{out}/model.safetensors");
        let after = sandbox.bits_per_dim(&model, "data");
        assert!(
            (after - before).abs() < tolerance,
            "{out}: {before} to {after}"
        );
        let header = header(&sandbox.read(&model));
        assert_eq!(header["origin"]["checkpoint"], from);
        assert_eq!(header["origin"]["dataset"], "mnist");
        assert_eq!(header["origin"]["steps"], steps);
        assert_eq!(header["training"]["progress"]["step"], 1);
        assert_eq!(header["training"]["progress"]["epoch"], 0);
        assert_eq!(header["model"]["classes"].is_u64(), more == "--classes");
        let shown = sandbox.ok(&format!("inspect {model}"));
        assert!(
            shown.contains(&format!("{from} (mnist, after step {steps})")),
            "{shown}"
        );
        let line = &metrics(&sandbox.path(out))[0];
        assert_eq!(
            (&line["step"], &line["lr"]),
            (&1.into(), &(1e-12 / 101.0).into())
        );
    }
    // Going on with it needs no other word than of any training.
    sandbox.ok("train --out both --resume --max-steps 2");
    let bytes = sandbox.read("both/training.safetensors");
    assert_eq!(
        header(&bytes)["origin"]["checkpoint"],
        "noise/model.safetensors"
    );
}

#[test]
fn the_models_that_ship_can_be_begun_with() {
    let sandbox = Sandbox::with_digits();
    for (classes, file, name) in [
        ("", "mnist", "the model of MNIST that ships"),
        (
            "--classes",
            "mnist-classes",
            "the model of MNIST with classes that ships",
        ),
    ] {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models");
        let shipped = fs::read(assets.join(format!("{file}.safetensors"))).unwrap();
        sandbox.write("shipped.safetensors", shipped);
        let before = sandbox.bits_per_dim("shipped.safetensors", "data");
        let train = format!("train --out {file} {STILL} {classes} --from");
        let said = sandbox.run(&train).succeeded().stderr;
        assert!(said.contains(name), "{said}");
        let after = sandbox.bits_per_dim(&format!("{file}/model.safetensors"), "data");
        assert!((after - before).abs() < 1e-6, "{before} to {after}");
    }
}

#[test]
fn other_images_are_learned() {
    let sandbox = with_source();
    invert(&sandbox);
    let source = "source/model.safetensors";
    let before = sandbox.bits_per_dim(source, "inverted");
    let options = "--data-dir inverted --lr 0.01 --max-steps 100 --warmup-steps 10";
    for (out, more) in [
        ("tuned", ""),
        ("classes", "--classes"),
        // The table of pixel values is made anew.
        ("table", "--preprocessing equalized"),
    ] {
        sandbox.ok(&format!(
            "train --out {out} --from {source} {options} {more}"
        ));
        let model = format!("{out}/model.safetensors");
        let after = sandbox.bits_per_dim(&model, "inverted");
        assert!(after < before - 1.0, "{out}: {before} to {after}");
        let [own, tuned] = [source, &model]
            .map(|file| header(&sandbox.read(file))["model"]["preprocessing"].clone());
        assert_eq!(own == tuned, out != "table");
    }
}

/// Settings that are not given are those of the source, or the paper's where another program
/// trained it.
#[test]
fn what_is_not_given_is_as_it_was() {
    let sandbox = with_source();
    let image = ImageShape::new(1, 28, 28);
    let converted = GlowConfig {
        levels: 2,
        steps: 1,
        width: 4,
        coupling: Coupling::Additive,
        conventions: Conventions {
            passing: Passing::SecondHalf,
            ..Conventions::default()
        },
        ..GlowConfig::paper(image)
    };
    sandbox.write_model("converted.safetensors", &converted, 0.0);

    for (out, from, batch_size, lr) in [
        ("own", "source/model.safetensors", 16, 8e-3),
        ("other", "converted.safetensors", 32, 1e-3),
    ] {
        sandbox.ok(&format!("train --out {out} --from {from} --max-steps 2"));
        let [source, tuned] =
            [from, &format!("{out}/model.safetensors")].map(|file| header(&sandbox.read(file)));
        assert_eq!(source["model"], tuned["model"]);
        assert_eq!(tuned["training"]["settings"]["batch_size"], batch_size);
        assert_eq!(tuned["training"]["settings"]["learning_rate"], lr);
        assert_eq!(tuned["origin"].get("steps").is_none(), out == "other");
    }
}

#[test]
fn images_of_another_size_are_refused() {
    let sandbox = with_source();
    sandbox.write_cifar10("data", 3, |_, _, _| 1);
    let error =
        sandbox.refused("train --out tuned --from source/model.safetensors --dataset cifar10");
    assert_eq!(
        error,
        "error: the images of `cifar10` are 3×32×32, the model takes 1×28×28; choose another `--dataset`"
    );
    assert!(!sandbox.path("tuned").exists());
}
