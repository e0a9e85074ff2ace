//! `.npy` and `.npz` files in and out of `flow encode`, `flow decode` and their neighbours.

use std::{collections::BTreeMap, fs};

use candle_core::{DType, Device, Tensor};
use flow_core::{check, random};
use flow_data::numpy;

use flow_glow::ImageShape;

use crate::sandbox::Sandbox;

/// `numpy.savez_compressed(FILE, images=(numpy.arange(128) * 37 % 256).astype(numpy.uint8)
/// .reshape(2, 8, 8, 1), labels=numpy.array([2, 0]))` of NumPy 2.4.6.
const COMPRESSED: &[u8] = include_bytes!("from-numpy.npz");

impl Sandbox {
    fn arrays(&self, name: &str) -> BTreeMap<String, Tensor> {
        numpy::read(&self.path(name)).unwrap()
    }
}

/// Images with the pixels of [`COMPRESSED`], and more like them.
fn images(count: usize, channels: usize) -> Tensor {
    let pixels = (0..count * channels * 64).map(|place| (place * 37 % 256) as u8);
    let pixels = Tensor::from_iter(pixels, &Device::Cpu).unwrap();
    pixels.reshape((count, channels, 8, 8)).unwrap()
}

/// The bytes of an array as NumPy 2.4.6 saves it: `numpy.save`.
fn npy(dtype: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00v\x00", header.as_bytes(), elements].concat()
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The same tensors to the bit.
#[track_caller]
fn same(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) {
    assert!(a.keys().eq(b.keys()), "{:?} {:?}", a.keys(), b.keys());
    for (name, tensor) in a {
        assert_eq!(tensor.dtype(), b[name].dtype(), "{name}");
        check::close(tensor, &b[name], 0.0).unwrap();
    }
}

#[test]
fn latents_are_those_of_safetensors() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(3, 8, 8), Some(4));
    let (x, labels) = (
        images(5, 3),
        Tensor::new(&[3_u32, 0, 1, 2, 2], &Device::Cpu),
    );
    sandbox.write_tensors("x.safetensors", &[("x", &x), ("labels", &labels.unwrap())]);
    sandbox.of_model("encode --input x.safetensors --out z.safetensors");
    sandbox.of_model("encode --input x.safetensors --out z.npz");
    let latents = sandbox.arrays("z.npz");
    assert!(
        latents
            .keys()
            .eq(["labels", "log_prob", "z.0", "z.1"].iter())
    );
    same(&latents, &sandbox.read_tensors("z.safetensors"));

    for out in ["back.npy", "back.npz", "BACK.NPZ"] {
        sandbox.of_model(&format!("decode --input z.npz --out {out}"));
        let back = sandbox.arrays(out);
        assert!(back.keys().eq(["x"].iter()));
        assert_eq!(back["x"].dims(), x.dims());
        assert_eq!(bytes(&back["x"]), bytes(&x));
        sandbox.of_model(&format!(
            "encode --input {out} --class 1 --out again.safetensors"
        ));
    }
    // Two runs write the same file.
    let first = sandbox.read("z.npz");
    sandbox.of_model("encode --input x.safetensors --out z.npz");
    assert_eq!(first, sandbox.read("z.npz"));
}

#[test]
fn images_are_taken_in_every_layout() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), Some(3));
    let (x, labels) = (
        images(2, 1),
        Tensor::new(&[2_u32, 0], &Device::Cpu).unwrap(),
    );
    sandbox.write_tensors("x.safetensors", &[("x", &x), ("labels", &labels)]);
    sandbox.of_model("encode --input x.safetensors --out expected.safetensors");
    sandbox.write("packed.npz", COMPRESSED);
    sandbox.of_model("encode --input packed.npz --out z.safetensors");
    let expected = sandbox.read_tensors("expected.safetensors");
    same(&sandbox.read_tensors("z.safetensors"), &expected);

    sandbox.of_model("encode --input x.safetensors --class 1 --out expected.safetensors");
    let expected = sandbox.read_tensors("expected.safetensors");
    for shape in ["(2, 8, 8)", "(2, 8, 8, 1)", "(2, 1, 8, 8)"] {
        sandbox.write("x.npy", npy("|u1", shape, &bytes(&x)));
        sandbox.of_model("encode --input x.npy --class 1 --out z.safetensors");
        same(&sandbox.read_tensors("z.safetensors"), &expected);
    }
}

#[test]
fn colors_lie_first_or_last() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(3, 8, 8), None);
    let x = images(2, 3);
    let last = x.permute((0, 2, 3, 1)).unwrap();
    sandbox.write("first.npy", npy("|u1", "(2, 3, 8, 8)", &bytes(&x)));
    sandbox.write("last.npy", npy("|u1", "(2, 8, 8, 3)", &bytes(&last)));
    sandbox.of_model("encode --input first.npy --out first.npz");
    sandbox.of_model("encode --input last.npy --out last.npz");
    assert_eq!(sandbox.read("first.npz"), sandbox.read("last.npz"));
    sandbox.of_model("decode --input last.npz --out back.npy");
    assert_eq!(bytes(&sandbox.arrays("back.npy")["x"]), bytes(&x));
    // Where images are measured they may be of any size.
    let of_array = sandbox.ok("measure last.npy");
    sandbox.write_tensors("x.safetensors", &[("x", &x)]);
    assert_eq!(of_array, sandbox.ok("measure x.safetensors"));
}

#[test]
fn raw_numbers_keep_their_precision() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    for dtype in [DType::F32, DType::F64] {
        let x = random::normal(2, (3, 1, 8, 8), dtype, &Device::Cpu).unwrap();
        sandbox.write_tensors("x.safetensors", &[("x", &x)]);
        fs::write(sandbox.path("x.npy"), numpy::npy(&x).unwrap()).unwrap();
        sandbox.of_model("encode --raw --input x.safetensors --out expected.safetensors");
        sandbox.of_model("encode --raw --input x.npy --out z.npz");
        let latents = sandbox.arrays("z.npz");
        same(&latents, &sandbox.read_tensors("expected.safetensors"));
        assert_eq!(latents["z.0"].dtype(), dtype);
        sandbox.of_model("decode --raw --input z.npz --out back.npz");
        sandbox.of_model("decode --raw --input expected.safetensors --out back.safetensors");
        let back = sandbox.arrays("back.npz");
        same(&back, &sandbox.read_tensors("back.safetensors"));
        check::close(&back["x"], &x, 1e-4).unwrap();
        // What one command wrote is read by the next.
        sandbox.of_model("encode --raw --input back.npz --out again.npz");
    }
}

/// Commands with what does not fit a model of 8×8 grey images, each with a part of its error.
const REFUSED: [(&str, &str); 13] = [
    (
        "encode --input floats.npy",
        "`floats.npy` holds float32, and pixels are uint8",
    ),
    ("encode --input large.npy", "should have [N, 1, 8, 8]"),
    (
        "encode --input large.npy --raw",
        "numbers of the model are floats",
    ),
    ("encode --input colors.npy", "should have [N, 1, 8, 8]"),
    (
        "encode --input short.npy",
        "announces 256 B, but holds 138 B",
    ),
    (
        "encode --input short.npy --raw",
        "announces 256 B, but holds 138 B",
    ),
    ("encode --input huge.npy", "announces"),
    ("encode --input huge.npy --raw", "announces"),
    (
        "encode --input text.npz",
        "is no zip archive that can be read",
    ),
    (
        "encode --input text.npy --raw",
        "is not an array that NumPy saved",
    ),
    (
        "decode --input flipped.npz",
        "cannot read `flipped.npz`: its checksum is another one",
    ),
    ("decode --input half.npz", "holds no tensor `z.1`"),
    ("decode --input none.npz", "cannot read `none.npz`"),
];

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    sandbox.write("floats.npy", npy("<f4", "(2, 1, 8, 8)", &[0; 512]));
    sandbox.write("large.npy", npy("|u1", "(2, 8, 9)", &[0; 144]));
    sandbox.write("colors.npy", npy("|u1", "(1, 8, 8, 3)", &[0; 192]));
    sandbox.write("short.npy", npy("|u1", "(2, 8, 8)", &[0; 10]));
    sandbox.write(
        "huge.npy",
        npy("|u1", "(4611686018427387904, 8, 8)", &[0; 128]),
    );
    sandbox.write("text.npy", "nonsense and more of it");
    sandbox.write("text.npz", "nonsense and more of it");
    let z = Tensor::zeros((2, 2, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let half = numpy::npz(&[("z.0".to_owned(), z)]).unwrap();
    sandbox.write("half.npz", &half);
    let mut flipped = half;
    flipped[200] ^= 1;
    sandbox.write("flipped.npz", flipped);
    for (words, reason) in REFUSED {
        let words = format!("{words} --out out.npz --checkpoint model.safetensors");
        let error = sandbox.refused(&words);
        assert!(error.contains(reason), "{words}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(!sandbox.path("out.npz").exists());
    }
    sandbox.write("x.npy", npy("|u1", "(2, 8, 8)", &[0; 128]));
    for out in ["out.npy", "out.mat"] {
        let words = format!("encode --input x.npy --out {out} --checkpoint model.safetensors");
        let error = sandbox.refused(&words);
        let expected = "its name may end in `.safetensors`, `.npz`";
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn samples_are_written_for_numpy() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), Some(3));
    sandbox.of_model("sample --count 4 --out-tensor x.npz");
    sandbox.of_model("sample --count 4 --out-tensor x.safetensors");
    same(
        &sandbox.arrays("x.npz"),
        &sandbox.read_tensors("x.safetensors"),
    );
    sandbox.of_model("encode --input x.npz --out z.npz");
    let labels = sandbox.arrays("z.npz")["labels"].to_vec1::<u32>().unwrap();
    assert_eq!(labels, [0, 1, 2, 0]);
    let error = sandbox.refused("sample --out-tensor x.npy --checkpoint model.safetensors");
    assert!(
        error.contains("its name may end in `.safetensors`, `.npz`"),
        "{error}"
    );
}
