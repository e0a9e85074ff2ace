//! The model that ships: every command works with it where nothing was ever trained or fetched.

use std::{collections::HashMap, path::Path, process::Command};

use candle_core::{DType, Device, Tensor};
use flow_core::random;
use flow_data::{Dataset, Split};
use serde_json::Value;

/// stdout and stderr of a command that must succeed.
fn flow(folder: &Path, arguments: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

#[test]
fn digits_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_, stderr) = flow(folder.path(), "sample");
    assert!(
        stderr.contains("the model of MNIST with classes that ships"),
        "{stderr}"
    );
    let size = image::image_dimensions(folder.path().join("samples.png")).unwrap();
    assert_eq!(size, (5 * 116 + 4, 5 * 116 + 4));
}

/// On bundled test images, which the model was not trained on.
#[test]
fn likelihoods_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let (stdout, _) = flow(folder.path(), "eval --json");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["images"], 2000);
    let bits = found["bits_per_dim"].as_f64().unwrap();
    assert!((1.0..1.08).contains(&bits), "{bits}");
}

#[test]
fn classes_recognized_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/mnist-classes.safetensors");
    let options = format!("eval --limit 300 --json --checkpoint {}", model.display());
    let (evaluation, _) = flow(folder.path(), &options);
    let found: Value = serde_json::from_str(&evaluation).unwrap();
    let bits = found["bits_per_dim"].as_f64().unwrap();
    assert!((0.98..1.06).contains(&bits), "{bits}");
    let accuracy = found["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

/// Latents go back through the model that they came from, whichever of the two that was.
#[test]
fn latents_and_back() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["", " --class 3"] {
        let options = format!("encode --limit 20 --out z.safetensors{class}");
        flow(folder.path(), &options);
        flow(
            folder.path(),
            "decode --input z.safetensors --out back.safetensors",
        );
        let back = folder.path().join("back.safetensors");
        let back = candle_core::safetensors::load(back, &Device::Cpu).unwrap();
        let mut images = Dataset::bundled(Split::Test).unwrap();
        images.thin_out(20);
        let images = images.batch(&(0..20).collect::<Vec<_>>()).unwrap().images;
        assert_eq!(pixels(&images), pixels(&back["x"]), "{class}");
    }
}

fn pixels(images: &Tensor) -> Vec<u8> {
    images.flatten_all().unwrap().to_vec1().unwrap()
}

/// Images that no digit is like: noise, all black, all white, checkerboards, stripes, a ramp, and inverted digits.
fn unusual_images() -> Tensor {
    let draw = |from: fn(usize, usize) -> u8| (0..784).map(move |i| from(i / 28, i % 28));
    let drawn = [
        |_, _| 0,
        |_, _| 255,
        |y, x| 255 * ((x + y) % 2) as u8,
        |y, x| 255 * ((x / 2 + y / 2) % 2) as u8,
        |_, x| 255 * (x % 2) as u8,
        |y, x| (9 * x + y % 3) as u8,
    ];
    let drawn = drawn.into_iter().flat_map(draw).collect::<Vec<_>>();
    let drawn = Tensor::from_vec(drawn, (6, 1, 28, 28), &Device::Cpu).unwrap();
    let noise = random::uniform(1, (6, 1, 28, 28), DType::F32, &Device::Cpu);
    let noise = (noise.unwrap() * 256.0)
        .unwrap()
        .to_dtype(DType::U8)
        .unwrap();
    let digits = Dataset::bundled(Split::Test).unwrap();
    let digits = digits.batch(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap().images;
    let inverted = (digits.ones_like().unwrap() * 255.0).unwrap() - digits;
    Tensor::cat(&[drawn, noise, inverted.unwrap()], 0).unwrap()
}

/// In single precision some of them are off by one; then double precision is used.
#[test]
fn unusual_images_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let images = unusual_images();
    let file = HashMap::from([("x", images.clone())]);
    candle_core::safetensors::save(&file, folder.path().join("x.safetensors")).unwrap();
    let mut in_double = 0;
    for options in ["", " --seed 1", " --class 3", " --class 8 --seed 1"] {
        let encode = format!("encode --input x.safetensors --out z.safetensors{options}");
        let (_, stderr) = flow(folder.path(), &encode);
        assert!(!stderr.contains("does not come back"), "{stderr}");
        let latents = folder.path().join("z.safetensors");
        let latents = candle_core::safetensors::load(latents, &Device::Cpu).unwrap();
        let double = latents["z.0"].dtype() == DType::F64;
        assert_eq!(stderr.contains("going on in double"), double, "{stderr}");
        in_double += usize::from(double);
        flow(
            folder.path(),
            "decode --input z.safetensors --out back.safetensors",
        );
        let back = folder.path().join("back.safetensors");
        let back = candle_core::safetensors::load(back, &Device::Cpu).unwrap();
        assert_eq!(pixels(&images), pixels(&back["x"]), "{options}");
    }
    assert!(in_double > 0);
}

/// What is drawn as a seven is a seven to the nearest of the bundled training images.
#[test]
fn digits_of_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let known = Dataset::bundled(Split::Train).unwrap();
    let known = known.batch(&(0..known.len()).collect::<Vec<_>>()).unwrap();
    let pixels = |images: &Tensor| {
        let pixels = images.flatten_from(1).unwrap();
        (pixels.to_dtype(DType::F32).unwrap() / 255.0).unwrap()
    };
    let (references, labels) = (
        pixels(&known.images),
        known.labels.to_vec1::<u32>().unwrap(),
    );
    let squares = references.sqr().unwrap().sum(1).unwrap();
    for class in [3, 7] {
        let (_, stderr) = flow(
            folder.path(),
            &format!("sample --class {class} --count 50 --out-tensor drawn"),
        );
        assert!(stderr.contains("with classes that ships"), "{stderr}");
        let drawn = candle_core::safetensors::load(folder.path().join("drawn"), &Device::Cpu);
        let products = pixels(&drawn.unwrap()["x"]).matmul(&references.t().unwrap());
        let distances = squares.broadcast_sub(&(products.unwrap() * 2.0).unwrap());
        let nearest = distances.unwrap().argmin(1).unwrap();
        let nearest = nearest.to_vec1::<u32>().unwrap().into_iter();
        let hits = nearest.filter(|&image| labels[image as usize] == class);
        let hits = hits.count();
        assert!(hits >= 35, "{hits} of 50 look like a {class}");
    }
}
