//! Numbers that are not finite, in the real binary: it refuses them where they come in, and counts
//! them where they go out, with status 1 whatever the command.

use std::fs;

use candle_core::{DType, Device, Tensor};
use flow_glow::{GlowConfig, ImageShape};

use crate::sandbox::{Sandbox, with_tensor};

const GAIN: &str = "levels.0.steps.0.coupling.network.conv3.log_gain";

/// A small model of digits.
fn config() -> GlowConfig {
    GlowConfig {
        levels: 1,
        steps: 1,
        width: 4,
        ..GlowConfig::small(ImageShape::new(1, 28, 28))
    }
}

/// Numbers of each image, `[N, …]`.
fn rows(x: &Tensor) -> Vec<Vec<f64>> {
    let x = x.to_dtype(DType::F64).unwrap();
    x.flatten_from(1).unwrap().to_vec2().unwrap()
}

/// At 5, seven of nine images of the model that ships leave f32 on their way.
#[test]
fn far_samples_are_pictures() {
    let sandbox = Sandbox::with_model(&config());
    for temperature in ["0", "5", "50", "1e300"] {
        let options = format!("--temperature {temperature} --count 9 --out x.png");
        sandbox.ok(&format!("sample {options} --out-tensor x.safetensors"));
        let x = &sandbox.read_tensors("x.safetensors")["x"];
        for (i, pixels) in rows(x).iter().enumerate() {
            let bright = pixels.iter().filter(|&&pixel| pixel > 127.0).count();
            assert!(
                (20..764).contains(&bright),
                "{i} at {temperature}: {bright}"
            );
        }
    }
    sandbox.ok("sample --temperature 50 --count 4 --animate walk --frames 8 --out x.gif");
    // A temperature that draws nothing.
    for bad in ["nan", "inf", "-0.5", "-inf", "0.7,nan"] {
        let report = sandbox.run(&format!("sample --temperature {bad} --out bad.png"));
        assert_eq!(report.status, Some(2), "{report:#?}");
        assert!(!sandbox.path("bad.png").exists());
    }
}

#[test]
fn far_latents_are_pictures() {
    let sandbox = Sandbox::with_model(&config());
    let ones = Tensor::ones((2, 4, 14, 14), DType::F64, &Device::Cpu).unwrap();
    for far in [1e6, 1e30, -1e30, 3e38, 1e300] {
        let z = (&ones * far).unwrap();
        sandbox.write_tensors("z.safetensors", &[("z.0", &z)]);
        let decode = "decode --checkpoint model.safetensors --input z.safetensors";
        sandbox.ok(&format!("{decode} --out x.png"));
        sandbox.ok(&format!("{decode} --raw --out x.safetensors"));
        let x = &sandbox.read_tensors("x.safetensors")["x"];
        assert!(rows(x).concat().iter().all(|x| x.is_finite()), "{far}");
        // The model is nearly linear: its images follow the latents to the ends of the range.
        sandbox.ok(&format!("{decode} --out pixels.safetensors"));
        let pixels = rows(&sandbox.read_tensors("pixels.safetensors")["x"]).concat();
        assert!(pixels.contains(&0.0) && pixels.contains(&255.0), "{far}");
    }
}

#[test]
fn bad_numbers_of_a_file_are_refused_with_tensor_and_place() {
    let sandbox = Sandbox::with_model(&config());
    for bad in [f32::NAN, f32::INFINITY] {
        let mut z = vec![0.5; 2 * 784];
        z[2 * 196 + 14 + 3] = bad;
        let z = Tensor::from_vec(z, (2, 4, 14, 14), &Device::Cpu).unwrap();
        let x = z.reshape((2, 1, 28, 28)).unwrap();
        sandbox.write_tensors("bad.safetensors", &[("z.0", &z), ("x", &x)]);
        let decode = "decode --checkpoint model.safetensors --input bad.safetensors";
        for out in ["out.png", "out.safetensors", "out.safetensors --raw"] {
            let error = sandbox.refused(&format!("{decode} --out {out}"));
            let expected = format!("`bad.safetensors`: tensor `z.0` holds {bad} at [0, 2, 1, 3]");
            assert!(error.ends_with(&expected), "{error}");
        }
        let encode = "encode --checkpoint model.safetensors --input bad.safetensors --raw";
        let error = sandbox.refused(&format!("{encode} --out out.safetensors"));
        let expected = format!("`bad.safetensors`: tensor `x` holds {bad} at [0, 0, 14, 17]");
        assert!(error.ends_with(&expected), "{error}");
    }
    let out = ["out.png", "out.safetensors"].map(|name| sandbox.path(name).exists());
    assert_eq!(out, [false; 2]);
}

/// Commands that take a model, with what they write.
const COMMANDS: [(&str, &str); 10] = [
    ("sample --out out", "out"),
    (
        "sample --animate walk --frames 4 --count 4 --out out",
        "out",
    ),
    ("interpolate --from 0 --to 1 --out out", "out"),
    (
        "edit --index 0 --attribute 0:1 --examples 20 --out out",
        "out",
    ),
    ("cluster --limit 30 --out out", "out"),
    ("encode --input x.png --out z", "z"),
    ("density x.png --out table", "table"),
    ("outliers x.png --limit 20 --rank 1 --json", ""),
    ("eval --limit 3 --json", ""),
    ("decode --input z.safetensors --out out.png", "out.png"),
];

/// A digit, and latents of one.
fn inputs(sandbox: &Sandbox) {
    let z = Tensor::ones((1, 4, 14, 14), DType::F32, &Device::Cpu).unwrap();
    sandbox.write_tensors("z.safetensors", &[("z.0", &z)]);
    sandbox.write_picture("x.png", (0..784).map(|i| (i * 7 % 256) as u8).collect());
}

#[test]
fn every_command_refuses_a_model_with_a_bad_weight() {
    let sandbox = Sandbox::with_model(&config());
    inputs(&sandbox);
    let mut bytes = sandbox.read("model.safetensors");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    sandbox.write("bad", bytes);
    for (command, out) in COMMANDS {
        let error = sandbox.refused(&format!("{command} --checkpoint bad"));
        assert!(
            error.starts_with("error: `bad` is not a usable checkpoint: tensor `"),
            "{error}"
        );
        assert!(error.contains("` holds NaN at ["), "{error}");
        assert!(out.is_empty() || !sandbox.path(out).exists(), "{command}");
    }
    for command in ["verify bad", "inspect bad"] {
        let error = sandbox.refused(command);
        assert!(error.contains("` holds NaN at ["), "{error}");
    }
}

#[test]
fn what_is_not_finite_is_counted_and_the_status_is_one() {
    let sandbox = Sandbox::with_model(&config());
    // Parameters that are all finite, of a network that gives none.
    let model = sandbox.read("model.safetensors");
    let exploding = with_tensor(&model, GAIN, |gain| gain.fill(1000.0));
    sandbox.write("model.safetensors", exploding);
    inputs(&sandbox);
    let count = |command: &str| match command.split(' ').next().unwrap() {
        "sample" if command.contains("walk") => "4 of 4 samples are not finite at temperature 0.7",
        "sample" => "25 of 25 samples are not finite at temperature 0.7",
        "interpolate" => "2 of 2 images have no finite latents",
        "edit" => "that show `0:1` have no finite latents",
        "cluster" => "30 of 30 images have no finite latents",
        "encode" => "1 of 1 images have latents or a likelihood that is not finite",
        "density" => "1 of 1 images have no finite likelihood",
        "outliers" => "1 of 1 images have no finite likelihood or score",
        "eval" => "3 of 3 images have no finite likelihood",
        _ => "1 of 1 images are not finite",
    };
    for (command, out) in COMMANDS {
        let command = format!("{command} --checkpoint model.safetensors");
        let error = sandbox.run(&command).failed();
        assert!(error.contains(count(&command)), "{command}: {error}");
        // Numbers are written as they are; pixels cannot be.
        let is_written = ["encode", "density"]
            .iter()
            .any(|of| command.starts_with(of));
        assert_eq!(sandbox.path(out).is_file(), is_written, "{command}");
    }
    let table = fs::read_to_string(sandbox.path("table")).unwrap();
    assert!(table.ends_with("x.png,NaN,NaN\n"), "{table}");
    assert!(
        rows(&sandbox.read_tensors("z")["z.0"])
            .concat()
            .iter()
            .any(|z| z.is_nan())
    );
}
