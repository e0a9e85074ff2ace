//! Output of the real binary: pictures in the format of their name, numbers with the right form of
//! their noun, and files of other formats called by their name.

use std::{fs, path::Path};

use image::{ColorType, ImageFormat};

use crate::sandbox::{Sandbox, header, with_header};

const FASHION: &str = "fashion/model.safetensors";

/// The model with classes that ships, as if it had been trained on Fashion-MNIST.
fn write_model_of_clothes(sandbox: &Sandbox) {
    let model = "../../assets/models/mnist-classes.safetensors";
    let model = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(model)).unwrap();
    let mut changed = header(&model);
    assert_eq!(changed["dataset"], "mnist");
    changed["dataset"] = "fashion-mnist".into();
    sandbox.write(FASHION, with_header(&model, &changed));
}

#[test]
fn pictures_have_the_format_of_their_name() {
    let sandbox = Sandbox::new();
    let commands = [
        ("sample --count 4", ColorType::L8),
        ("sample --count 2 --temperature 0.5,1", ColorType::L8),
        ("interpolate --from 1 --to 2 --steps 3", ColorType::L8),
        (
            "edit --attribute slant --index 1 --steps 3 --examples 200",
            ColorType::L8,
        ),
        (
            "cluster --limit 60 --clusters 3 --components 4",
            ColorType::Rgb8,
        ),
        ("outliers --rank 4 --limit 20", ColorType::L8),
    ];
    for (command, color) in commands {
        let pixels = ["png", "jpg", "JPEG", "gif"].map(|extension| {
            let name = format!("out.{extension}");
            sandbox.ok(&format!("{command} --out {name}"));
            let content = sandbox.read(&name);
            let expected = ImageFormat::from_extension(extension.to_ascii_lowercase());
            let format = image::guess_format(&content).unwrap();
            assert_eq!(Some(format), expected, "{command}");
            let picture = image::load_from_memory(&content).unwrap();
            if format != ImageFormat::Gif {
                assert_eq!(picture.color(), color, "{command}");
            }
            picture.to_rgb8()
        });
        let [png, others @ ..] = &pixels;
        for other in others {
            assert_eq!(other.dimensions(), png.dimensions(), "{command}");
            let differences = png.iter().zip(other.iter()).map(|(a, b)| a.abs_diff(*b));
            let mean = differences.map(f64::from).sum::<f64>() / png.len() as f64;
            assert!(mean < 3.0, "{command}: {mean}");
        }
        let error = sandbox.refused(&format!("{command} --out out.bmp"));
        assert!(
            error.starts_with("error: cannot write `out.bmp`: its name may end in `.png`, `.jpg`"),
            "{error}"
        );
        assert!(!sandbox.path("out.bmp").exists());
    }
}

#[test]
fn other_names_than_the_format_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.ok("encode --limit 2 --out z.safetensors");
    for (command, known) in [
        ("sample --animate walk --out walk.png", "`.gif`"),
        (
            "sample --count 1 --out-tensor x.npy",
            "`.safetensors`, `.npz`",
        ),
        ("encode --limit 2 --out z.png", "`.safetensors`, `.npz`"),
        (
            "decode --input z.safetensors --out x.jpg",
            "`.png`, `.safetensors`, `.npz`, `.npy`",
        ),
        (
            "outliers --rank 1 --limit 5 --out x.pdf",
            "`.png`, `.jpg`, `.jpeg`, `.gif`, `.html`",
        ),
    ] {
        let error = sandbox.refused(command);
        let expected = format!(": its name may end in {known}");
        assert!(error.ends_with(&expected), "{error}");
    }
    sandbox.ok("sample --animate walk --count 1 --frames 4 --out walk.GIF");
    let walk = sandbox.read("walk.GIF");
    assert_eq!(image::guess_format(&walk).unwrap(), ImageFormat::Gif);
    // Where there is no extension there is nothing to contradict.
    sandbox.ok("sample --count 1 --out picture");
    let picture = sandbox.read("picture");
    assert_eq!(image::guess_format(&picture).unwrap(), ImageFormat::Png);
}

#[test]
fn one_is_singular() {
    let sandbox = Sandbox::new();
    let tiny = "--levels 1 --steps 1 --width 4 --batch-size 16 --dequantization uniform";
    let cases = [
        (
            format!(
                "train --out run --max-steps 1 --warmup-steps 1 --bits 1 {tiny} --eval-images 20"
            ),
            "training for 1 step into",
        ),
        (
            "inspect run/model.safetensors".to_owned(),
            "1 step, 0 whole epochs",
        ),
        ("inspect run/model.safetensors".to_owned(), ", 1 bit\n"),
        (
            "inspect run/model.safetensors".to_owned(),
            ", 1 warm-up step,",
        ),
        ("eval --limit 1".to_owned(), "1 test image of mnist"),
        (
            "interpolate --from 1 --to 2 --steps 2".to_owned(),
            "1 row of 2 images in",
        ),
        (
            "edit --attribute slant --index 1 --steps 2 --examples 200".to_owned(),
            "1 row of 2 images in",
        ),
        ("sample --count 1".to_owned(), "1 sample in `samples.png`"),
        (
            "outliers --threshold-quantile 0.5 --limit 1 --typical-images 20".to_owned(),
            "0 outliers among 1 image of mnist test",
        ),
        (
            "bench --levels 1 --steps 1 --width 4 --size 8 --iters 1 --batch-size 1 --threads 1"
                .to_owned(),
            "1 level of 1 step, width 4",
        ),
    ];
    for (command, expected) in cases {
        let report = sandbox.run(&command).succeeded();
        let text = report.stdout + &report.stderr;
        assert!(text.contains(expected), "{command}: {text}");
        let wrong = [
            " 1 images",
            " 1 rows",
            " 1 epochs",
            " 1 steps",
            " 1 samples",
            " 1 bits",
        ];
        let found = wrong.into_iter().find(|wrong| text.contains(wrong));
        assert_eq!(found, None, "{command}: {text}");
    }
    let error = sandbox.refused("cluster --limit 1");
    assert!(
        error.contains("1 image cannot be put into groups"),
        "{error}"
    );
}

/// A test set of one image.
#[test]
fn one_image_is_an_image() {
    let sandbox = Sandbox::new();
    sandbox.write_split("data/mnist/t10k", &[7; 784], &[4]);
    let report = sandbox.run("eval").succeeded();
    let text = report.stdout + &report.stderr;
    assert!(
        text.contains("mnist: 1 test image in `data/mnist`"),
        "{text}"
    );
}

#[test]
fn classes_are_named() {
    let sandbox = Sandbox::new();
    let digits = "error: there is no class 10: the model knows the classes 0 to 9";
    assert_eq!(sandbox.refused("sample --class 10"), digits);
    write_model_of_clothes(&sandbox);
    let clothes = format!(
        "{digits} (0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, \
         9 ankle boot)"
    );
    sandbox.write_picture("a.png", vec![0; 784]);
    for command in [
        "sample --class 10",
        "density a.png --class 10",
        "interpolate --images a.png a.png --class 10",
        "edit --attribute slant --images a.png --class 10",
        "encode --input a.png --out z.safetensors --class 10",
    ] {
        let error = sandbox.refused(&format!("{command} --checkpoint {FASHION}"));
        assert_eq!(error, clothes, "{command}");
    }
}

const NEEDED: &str = "a safetensors file that `flow` wrote is needed";

const CONVERT: &str = "convert it with `flow convert`";

/// Files of other formats, each with its description and the advice.
const FILES: [(&str, &str, &str); 10] = [
    ("a.npy", "looks like a NumPy array (.npy)", NEEDED),
    ("a.csv", "looks like a table (CSV)", NEEDED),
    ("metrics.jsonl", "looks like JSON", NEEDED),
    ("model.pt", "looks like a PyTorch checkpoint", CONVERT),
    ("old.pt", "looks like a PyTorch checkpoint", CONVERT),
    (
        "a.npz",
        "looks like an archive of NumPy arrays (.npz)",
        NEEDED,
    ),
    ("a.zip", "looks like a zip archive", NEEDED),
    ("a.png", "looks like a PNG picture", NEEDED),
    ("empty", "it is empty", "it is empty"),
    (
        "run",
        "is a folder",
        "name the file in it, such as `model.safetensors`",
    ),
];

/// Every command that reads checkpoints or tensors says what stands in their place.
#[test]
fn files_of_other_formats_are_called_by_their_name() {
    let sandbox = Sandbox::new();
    let npy = b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
    sandbox.write("a.npy", npy);
    sandbox.write("a.csv", "file,label\na.png,3\n");
    sandbox.write("metrics.jsonl", "{\"step\":1,\"lr\":0.001}\n");
    sandbox.write("empty", "");
    let zip = |name: &str| {
        let head = [b"PK\x03\x04\0\0\x08\x08".as_slice(), &[0; 18]].concat();
        let length = (name.len() as u16).to_le_bytes();
        [&head, &length[..], &[0, 0], name.as_bytes(), &[0; 100]].concat()
    };
    sandbox.write("model.pt", zip("archive/data.pkl"));
    sandbox.write("a.npz", zip("x.npy"));
    sandbox.write("a.zip", zip("notes/readme.txt"));
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    sandbox.write("old.pt", magic);
    sandbox.write_picture("a.png", vec![0; 784]);
    fs::create_dir(sandbox.path("run")).unwrap();
    for (file, what, advice) in FILES {
        // Those of NumPy are read there.
        let decode = format!("decode --input {file} --out x.safetensors");
        let decode = (!what.contains("NumPy")).then_some(decode);
        let commands = [
            format!("inspect {file}"),
            format!("verify {file}"),
            format!("eval --checkpoint {file}"),
            format!("sample --checkpoint {file}"),
            format!("density a.png --checkpoint {file}"),
            format!("outliers --rank 1 --limit 5 --background {file}"),
        ];
        for command in commands.into_iter().chain(decode) {
            let error = sandbox.refused(&command);
            let expected = format!("error: `{file}` is not a usable ");
            assert!(error.starts_with(&expected), "{command}: {error}");
            assert!(
                error.contains(what) && error.contains(advice),
                "{command}: {error}"
            );
        }
    }
    let error = sandbox.refused("encode --input a.csv --out z.safetensors");
    assert!(
        error.contains("`a.csv` is not a usable file of tensors: it looks like"),
        "{error}"
    );
}
