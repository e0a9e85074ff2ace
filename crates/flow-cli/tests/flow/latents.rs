//! `flow encode` and `flow decode` by the real binary: there and back, and what they refuse.

use candle_core::{DType, Device, Tensor};
use flow_core::{check, random, train::Data};
use flow_glow::{GlowConfig, ImageShape};

use crate::sandbox::{Sandbox, small};

const MODEL: &str = "model.safetensors";
const OF_MODEL: &str = "--checkpoint model.safetensors";

#[track_caller]
fn fails(sandbox: &Sandbox, words: &str, reason: &str) {
    let error = sandbox.refused(&format!("{words} {OF_MODEL}"));
    assert!(error.contains(reason), "{words}: {error}");
}

#[test]
fn raw_numbers_come_back_with_their_density() {
    for (image, classes) in [
        (ImageShape::new(1, 8, 12), None),
        (ImageShape::new(3, 8, 8), Some(4)),
    ] {
        let sandbox = Sandbox::with_small_model(image, classes);
        let count = 103;
        let shape = (count, image.channels, image.height, image.width);
        let x = random::normal(2, shape, DType::F32, &Device::Cpu).unwrap();
        let labels = Tensor::from_iter((0..count as u32).map(|i| i % 4), &Device::Cpu).unwrap();
        sandbox.write_tensors("x.safetensors", &[("x", &x), ("labels", &labels)]);
        sandbox.of_model("encode --raw --input x.safetensors --out z.safetensors");
        let z = sandbox.read_tensors("z.safetensors");
        let model = sandbox.checkpoint(MODEL).model;
        let data = classes.map_or((&x).into(), |_| Data::from((&x, &labels)));
        let expected = model.conditioned_on(&data).unwrap().log_prob(&x).unwrap();
        check::close(&z["log_prob"], &expected, 1e-6).unwrap();
        assert_eq!(z["z.0"].dim(0).unwrap(), count);
        sandbox.of_model("decode --raw --input z.safetensors --out back.safetensors");
        check::close(&sandbox.read_tensors("back.safetensors")["x"], &x, 1e-4).unwrap();
    }
}

/// Numbers in f64 are neither rounded on their way in nor on their way out.
#[test]
fn raw_numbers_in_double_precision_stay_so() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    let x = random::normal(2, (5, 1, 8, 8), DType::F64, &Device::Cpu).unwrap();
    sandbox.write_tensors("x.safetensors", &[("x", &x)]);
    sandbox.of_model("encode --raw --input x.safetensors --out z.safetensors");
    let z = sandbox.read_tensors("z.safetensors");
    let checkpoint = sandbox.checkpoint(MODEL);
    let expected = checkpoint.in_f64().unwrap().log_prob(&x).unwrap();
    check::close(&z["log_prob"], &expected, 1e-14).unwrap();
    sandbox.of_model("decode --raw --input z.safetensors --out back.safetensors");
    check::close(&sandbox.read_tensors("back.safetensors")["x"], &x, 1e-12).unwrap();
    // One level in f64 is enough.
    let single = z["z.0"].to_dtype(DType::F32).unwrap();
    sandbox.write_tensors("mixed.safetensors", &[("z.0", &single), ("z.1", &z["z.1"])]);
    sandbox.of_model("decode --raw --input mixed.safetensors --out back.safetensors");
    check::close(&sandbox.read_tensors("back.safetensors")["x"], &x, 1e-5).unwrap();
}

/// Random steps one after the other make an inverse that loses digits, and at last all of them.
#[test]
fn images_come_back_in_double_precision_or_are_named() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    let images = random::uniform(3, (4, 1, 8, 8), DType::F32, &Device::Cpu).unwrap();
    let images = (images * 256.0).unwrap().to_dtype(DType::U8).unwrap();
    sandbox.write_tensors("x.safetensors", &[("x", &images)]);
    let lost = |levels: usize, steps: usize, spread: f64| {
        let config = GlowConfig {
            levels,
            steps,
            ..small(ImageShape::new(1, 8, 8), None)
        };
        sandbox.write_model(MODEL, &config, spread);
        let encode = format!("encode --input x.safetensors --out z.safetensors {OF_MODEL}");
        let stderr = sandbox.run(&encode).succeeded().stderr;
        assert!(stderr.contains("going on in double"), "{stderr}");
        sandbox.of_model("decode --input z.safetensors --out back.safetensors");
        let back = sandbox.read_tensors("back.safetensors")["x"].clone();
        let pixels = |images: &Tensor| images.flatten_from(1).unwrap().to_vec2::<u8>().unwrap();
        let pairs = pixels(&images).into_iter().zip(pixels(&back)).enumerate();
        let lost = pairs.filter(|(_, (image, back))| image != back);
        for (i, (image, back)) in lost.clone() {
            let pixels = image.iter().zip(&back).filter(|(a, b)| a != b).count();
            let told = format!(
                "image {} of 4 does not come back exactly: {pixels} of 64",
                i + 1
            );
            assert!(stderr.contains(&told), "{told}: {stderr}");
        }
        let lost = lost.count();
        assert_eq!(
            stderr.matches("does not come back").count(),
            lost,
            "{stderr}"
        );
        lost
    };
    assert_eq!(lost(2, 4, 0.07), 0);
    // One level: with two, even double precision holds no latents of such a model.
    assert!(lost(1, 32, 0.15) > 0);
}

#[test]
fn pictures_come_back_to_the_pixel() {
    for channels in [1, 3] {
        let image = ImageShape::new(channels, 8, 8);
        let sandbox = Sandbox::with_small_model(image, None);
        let pixels: Vec<u8> = (0..6 * channels * 64)
            .map(|i| (i * 37 % 256) as u8)
            .collect();
        let images = Tensor::from_vec(pixels, (6, channels, 8, 8), &Device::Cpu).unwrap();
        sandbox.write_tensors("x.safetensors", &[("x", &images)]);
        sandbox.of_model("encode --input x.safetensors --out z.safetensors");
        sandbox.of_model("decode --input z.safetensors --out images.png");
        sandbox.of_model("encode --input images.png --out again.safetensors");
        sandbox.of_model("decode --input again.safetensors --out back.safetensors");
        check::close(&sandbox.read_tensors("back.safetensors")["x"], &images, 0.0).unwrap();
        let (first, second) = (
            sandbox.read_tensors("z.safetensors"),
            sandbox.read_tensors("again.safetensors"),
        );
        assert!(first.keys().eq(["log_prob", "z.0", "z.1"].iter()));
        check::close(&first["z.1"], &second["z.1"], 0.0).unwrap();
        // Another draw of noise: other numbers of the same image.
        sandbox.of_model("encode --input images.png --seed 1 --out other.safetensors");
        assert!(
            check::close(
                &first["z.1"],
                &sandbox.read_tensors("other.safetensors")["z.1"],
                1e-6
            )
            .is_err()
        );
    }
}

/// The bound that `encode` writes is the one that the library gives in bits per dimension.
#[test]
fn a_data_set_is_encoded_with_its_bound() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 28, 28), None);
    sandbox.of_model("encode --limit 20 --out z.safetensors");
    let z = sandbox.read_tensors("z.safetensors");
    assert_eq!(z["z.0"].dims(), [20, 2, 14, 14]);
    assert_eq!(z["z.1"].dims(), [20, 8, 7, 7]);
    let mean = z["log_prob"]
        .mean_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    let bits = -f64::from(mean) / (784.0 * std::f64::consts::LN_2);
    let eval = sandbox.json(&format!("eval --json --limit 20 {OF_MODEL}"));
    let reported = eval["bits_per_dim"].as_f64().unwrap();
    assert!((bits / reported - 1.0).abs() < 1e-6, "{bits} {eval}");
}

/// Commands whose input does not fit a model of 8×8 grey images, each with a part of its error.
const REFUSED: [(&str, &str); 10] = [
    (
        "encode --input x.safetensors",
        "pixels are u8; `--raw` takes numbers of the model",
    ),
    (
        "encode --input large.safetensors",
        "should have [N, 1, 8, 8]",
    ),
    (
        "encode --input half.safetensors --raw",
        "holds no tensor `x`",
    ),
    (
        "encode --input broken.safetensors",
        "is not a usable file of tensors",
    ),
    ("encode --input broken.png", "cannot read `broken.png`"),
    ("encode --input none.png", "cannot read `none.png`"),
    (
        "encode --input x.safetensors --raw --class 1",
        "knows no classes",
    ),
    ("decode --input half.safetensors", "holds no tensor `z.1`"),
    (
        "decode --input uneven.safetensors",
        "should have [2, 8, 2, 2]",
    ),
    ("decode --input model.safetensors", "holds no tensor `z.0`"),
];

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    let tensor = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    let x = tensor(&[2, 1, 8, 8], DType::F32);
    sandbox.write_tensors("x.safetensors", &[("x", &x)]);
    sandbox.write_tensors(
        "large.safetensors",
        &[("x", &tensor(&[2, 1, 8, 16], DType::U8))],
    );
    sandbox.write_tensors(
        "half.safetensors",
        &[("z.0", &tensor(&[2, 2, 4, 4], DType::F32))],
    );
    let (first, second) = (
        tensor(&[2, 2, 4, 4], DType::F32),
        tensor(&[3, 8, 2, 2], DType::F32),
    );
    sandbox.write_tensors("uneven.safetensors", &[("z.0", &first), ("z.1", &second)]);
    sandbox.write("broken.safetensors", "nonsense and more");
    sandbox.write("broken.png", b"\x89PNG nonsense");
    for (arguments, reason) in REFUSED {
        fails(
            &sandbox,
            &format!("{arguments} --out out.safetensors"),
            reason,
        );
        assert!(!sandbox.path("out.safetensors").exists());
    }
    fails(
        &sandbox,
        "decode --input half.safetensors --out out.jpg",
        "cannot write `out.jpg`: its name may end in `.png`, `.safetensors`",
    );
    fails(
        &sandbox,
        "decode --input half.safetensors --raw --out out.png",
        "`--raw` writes a file of tensors",
    );
    fails(
        &sandbox,
        "encode --raw --input images.png --out out.safetensors",
        "a picture holds pixels",
    );
}

#[test]
fn classes_are_asked_for() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), Some(3));
    let x = Tensor::zeros((2, 1, 8, 8), DType::U8, &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0_u32, 3], &Device::Cpu).unwrap();
    sandbox.write_tensors("x.safetensors", &[("x", &x)]);
    sandbox.write_tensors("wrong.safetensors", &[("x", &x), ("labels", &labels)]);
    fails(
        &sandbox,
        "encode --input x.safetensors --out z.safetensors",
        "give `--class`",
    );
    fails(
        &sandbox,
        "encode --input wrong.safetensors --out z.safetensors",
        "there is no class 3",
    );
    sandbox.of_model("encode --input x.safetensors --class 2 --out z.safetensors");
    let labels = sandbox.read_tensors("z.safetensors")["labels"]
        .to_vec1::<u32>()
        .unwrap();
    assert_eq!(labels, [2, 2]);
    sandbox.of_model("decode --input z.safetensors --out back.safetensors");
    check::close(&sandbox.read_tensors("back.safetensors")["x"], &x, 0.0).unwrap();
}
