//! Trainings that begin with the weights of a trained model.

use super::sandbox::{Sandbox, TINY, failed, header, metrics, succeeded};
use flow_core::Passing;
use flow_glow::{Checkpoint, Conventions, Coupling, GlowConfig, ImageShape};
use std::fs;

/// One step that moves nothing.
const STILL: &[&str] = &["--batch-size", "16", "--lr", "1e-12", "--max-steps", "1"];

/// A model of the digits of the sandbox, in `source/model.safetensors`.
fn with_source() -> Sandbox {
    let sandbox = Sandbox::new();
    let options = [TINY, &["--max-steps", "40"]].concat();
    succeeded(&sandbox.train("source", &options).output().unwrap());
    sandbox
}

/// The same digits in white on black, in the folder `inverted`.
fn invert(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.path("inverted/mnist")).unwrap();
    for entry in fs::read_dir(sandbox.path("data/mnist")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        if name.contains("images") {
            bytes[16..].iter_mut().for_each(|pixel| *pixel = !*pixel);
        }
        fs::write(sandbox.path("inverted/mnist").join(name), bytes).unwrap();
    }
}

#[test]
fn the_first_step_finds_the_model_as_it_was() {
    let sandbox = with_source();
    let source = "source/model.safetensors";
    let before = sandbox.bits_per_dim(source, "data");
    for (out, from, more, tolerance) in [
        ("same", source, &[][..], 1e-6),
        ("state", "source/training.safetensors", &[], 1e-6),
        ("classes", source, &["--classes"], 1e-6),
        // The noise begins as even noise to 1e-6, between two of 256 values.
        ("noise", source, &["--dequantization", "variational"], 1e-4),
        ("both", "noise/model.safetensors", &["--classes"], 1e-4),
    ] {
        let options = [&["--from", from], STILL, more].concat();
        let output = sandbox.train(out, &options).output().unwrap();
        succeeded(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        let told = format!("beginning with the weights of `{from}`, and its preprocessing");
        assert!(said.contains(&told), "{said}");
        let model = format!("{out}/model.safetensors");
        let after = sandbox.bits_per_dim(&model, "data");
        assert!(
            (after - before).abs() < tolerance,
            "{out}: {before} to {after}"
        );
        let header = header(&fs::read(sandbox.path(&model)).unwrap());
        assert_eq!(header["origin"]["checkpoint"], from);
        assert_eq!(header["origin"]["dataset"], "mnist");
        let steps = if out == "both" { 1 } else { 40 };
        assert_eq!(header["origin"]["steps"], steps);
        assert_eq!(header["training"]["progress"]["step"], 1);
        assert_eq!(header["training"]["progress"]["epoch"], 0);
        assert_eq!(
            header["model"]["classes"].is_u64(),
            more.contains(&"--classes")
        );
        let shown = sandbox.flow(&["inspect", &model]);
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
    succeeded(
        &sandbox
            .train("both", &["--resume", "--max-steps", "2"])
            .output()
            .unwrap(),
    );
    let bytes = fs::read(sandbox.path("both/training.safetensors")).unwrap();
    assert_eq!(
        header(&bytes)["origin"]["checkpoint"],
        "noise/model.safetensors"
    );
}

#[test]
fn the_models_that_ship_can_be_begun_with() {
    let sandbox = Sandbox::new();
    for (classes, name) in [
        (&[][..], "the model of MNIST that ships"),
        (&["--classes"], "the model of MNIST with classes that ships"),
    ] {
        let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models");
        let file = ["mnist.safetensors", "mnist-classes.safetensors"][classes.len()];
        let before = sandbox.bits_per_dim(assets.join(file).to_str().unwrap(), "data");
        let out = format!("shipped-{}", classes.len());
        let options = [&["--from"], STILL, classes].concat();
        let output = sandbox.train(&out, &options).output().unwrap();
        succeeded(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(name), "{said}");
        let after = sandbox.bits_per_dim(&format!("{out}/model.safetensors"), "data");
        assert!((after - before).abs() < 1e-6, "{before} to {after}");
    }
}

#[test]
fn other_images_are_learned() {
    let sandbox = with_source();
    invert(&sandbox);
    let source = "source/model.safetensors";
    let before = sandbox.bits_per_dim(source, "inverted");
    let options = [
        "--from",
        source,
        "--data-dir",
        "inverted",
        "--lr",
        "0.01",
        "--max-steps",
        "100",
        "--warmup-steps",
        "10",
    ];
    for (out, more) in [
        ("tuned", &[][..]),
        ("classes", &["--classes"]),
        // The table of pixel values is made anew.
        ("table", &["--preprocessing", "equalized"]),
    ] {
        succeeded(
            &sandbox
                .train(out, &[&options, more].concat())
                .output()
                .unwrap(),
        );
        let model = format!("{out}/model.safetensors");
        let after = sandbox.bits_per_dim(&model, "inverted");
        assert!(after < before - 1.0, "{out}: {before} to {after}");
        let [own, tuned] = [source, &model].map(|file| {
            header(&fs::read(sandbox.path(file)).unwrap())["model"]["preprocessing"].clone()
        });
        assert_eq!(own == tuned, out != "table");
    }
}

/// Settings that are not given are those of the source, or the paper's where another program trained it.
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
    let params = flow_core::params::ParamStore::new(1);
    let device = candle_core::Device::Cpu;
    flow_glow::Glow::new(&converted, params.builder(candle_core::DType::F32, &device)).unwrap();
    let tensors = params
        .vars()
        .into_iter()
        .map(|(name, var)| (name, var.into_inner()));
    let path = sandbox.path("converted.safetensors");
    Checkpoint::save(&path, &converted, "mnist", tensors.collect()).unwrap();

    for (out, from, batch_size, lr) in [
        ("own", "source/model.safetensors", 16, 8e-3),
        ("other", "converted.safetensors", 32, 1e-3),
    ] {
        let options = ["--from", from, "--max-steps", "2"];
        succeeded(&sandbox.train(out, &options).output().unwrap());
        let [source, tuned] = [from, &format!("{out}/model.safetensors")]
            .map(|file| header(&fs::read(sandbox.path(file)).unwrap()));
        assert_eq!(source["model"], tuned["model"]);
        assert_eq!(tuned["training"]["settings"]["batch_size"], batch_size);
        assert_eq!(tuned["training"]["settings"]["learning_rate"], lr);
        assert_eq!(tuned["origin"].get("steps").is_none(), out == "other");
    }
}

#[test]
fn images_of_another_size_are_refused() {
    let sandbox = with_source();
    let folder = sandbox.path("data/cifar10");
    fs::create_dir_all(&folder).unwrap();
    for name in (1..=5)
        .map(|i| format!("data_batch_{i}.bin"))
        .chain(["test_batch.bin".to_owned()])
    {
        fs::write(folder.join(name), vec![1; 3 * 3073]).unwrap();
    }
    let options = ["--from", "source/model.safetensors", "--dataset", "cifar10"];
    let error = failed(&sandbox.train("tuned", &options).output().unwrap());
    assert_eq!(
        error,
        "error: the images of `cifar10` are 3×32×32, the model takes 1×28×28; choose another `--dataset`"
    );
    assert!(!sandbox.path("tuned").exists());
}
