//! The model that ships: every command works with it where nothing was ever trained or fetched.

use candle_core::{DType, Device, Tensor};
use flow_core::random;
use flow_data::{Dataset, Split};
use serde_json::Value;

use crate::sandbox::{Report, Sandbox, pixels};

#[test]
fn digits_at_once() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.run("sample").succeeded().stderr;
    assert!(
        stderr.contains("the model of MNIST with classes that ships"),
        "{stderr}"
    );
    let size = image::image_dimensions(sandbox.path("samples.png")).unwrap();
    assert_eq!(size, (5 * 116 + 4, 5 * 116 + 4));
}

/// On bundled test images, which the model was not trained on.
#[test]
fn likelihoods_as_published() {
    let sandbox = Sandbox::new();
    let found = sandbox.json("eval --json");
    assert_eq!(found["images"], 2000);
    let bits = found["bits_per_dim"].as_f64().unwrap();
    assert!((1.0..1.08).contains(&bits), "{bits}");
}

#[test]
fn classes_recognized_as_published() {
    let sandbox = Sandbox::new();
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../assets/models/mnist-classes.safetensors"
    );
    let mut eval = sandbox.flow("eval --limit 300 --json --checkpoint");
    let found = Report::of(eval.arg(model)).succeeded().stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    let bits = found["bits_per_dim"].as_f64().unwrap();
    assert!((0.98..1.06).contains(&bits), "{bits}");
    let accuracy = found["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

/// Latents go back through the model that they came from, whichever of the two that was.
#[test]
fn latents_and_back() {
    let sandbox = Sandbox::new();
    for class in ["", " --class 3"] {
        sandbox.ok(&format!("encode --limit 20 --out z.safetensors{class}"));
        sandbox.ok("decode --input z.safetensors --out back.safetensors");
        let back = sandbox.read_tensors("back.safetensors");
        let mut images = Dataset::bundled(Split::Test).unwrap();
        images.thin_out(20);
        let images = images.batch(&(0..20).collect::<Vec<_>>()).unwrap().images;
        assert_eq!(pixels(&images), pixels(&back["x"]), "{class}");
    }
}

/// Images that no digit is like: noise, all black, all white, checkerboards, stripes, a ramp, and
/// inverted digits.
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
    let sandbox = Sandbox::new();
    let images = unusual_images();
    sandbox.write_tensors("x.safetensors", &[("x", &images)]);
    let mut in_double = 0;
    for options in ["", " --seed 1", " --class 3", " --class 8 --seed 1"] {
        let encode = format!("encode --input x.safetensors --out z.safetensors{options}");
        let stderr = sandbox.run(&encode).succeeded().stderr;
        assert!(!stderr.contains("does not come back"), "{stderr}");
        let latents = sandbox.read_tensors("z.safetensors");
        let double = latents["z.0"].dtype() == DType::F64;
        assert_eq!(stderr.contains("going on in double"), double, "{stderr}");
        in_double += usize::from(double);
        sandbox.ok("decode --input z.safetensors --out back.safetensors");
        let back = sandbox.read_tensors("back.safetensors");
        assert_eq!(pixels(&images), pixels(&back["x"]), "{options}");
    }
    assert!(in_double > 0);
}

/// A drawn seven is nearest to a seven among the bundled training images.
#[test]
fn digits_of_a_class() {
    let sandbox = Sandbox::new();
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
        let sample = format!("sample --class {class} --count 50 --out-tensor drawn");
        let stderr = sandbox.run(&sample).succeeded().stderr;
        assert!(stderr.contains("with classes that ships"), "{stderr}");
        let drawn = sandbox.read_tensors("drawn");
        let products = pixels(&drawn["x"]).matmul(&references.t().unwrap());
        let distances = squares.broadcast_sub(&(products.unwrap() * 2.0).unwrap());
        let nearest = distances.unwrap().argmin(1).unwrap();
        let nearest = nearest.to_vec1::<u32>().unwrap().into_iter();
        let hits = nearest.filter(|&image| labels[image as usize] == class);
        let hits = hits.count();
        assert!(hits >= 35, "{hits} of 50 look like a {class}");
    }
}
