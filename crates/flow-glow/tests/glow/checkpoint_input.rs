//! Checkpoints damaged at random, and malicious ones: they give an error of one line or a working
//! model, and take at most four times the file's size in memory. `cargo xtask fuzz checkpoint` runs
//! the same at length.

use flow_core::train::Data;
use std::{fmt::Write, fs, sync::LazyLock};

use candle_core::{DType, Device, Tensor};
use flow_glow::{Checkpoint, Error, GlowConfig, ImageShape, Result, TrainSettings, Trainer};
use flow_testing::damage::{self, damage, damaged};
use proptest::{prelude::*, sample::Index};
use tempfile::TempDir;

/// Memory that loading takes beside four times the file's size.
const LOADING: usize = 2 << 20;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A model and the state of its training.
static FILES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let config = GlowConfig {
        steps: 1,
        width: 2,
        classes: Some(2),
        ..GlowConfig::small(ImageShape::new(1, 4, 4))
    };
    let mut trainer =
        Trainer::new(&config, TrainSettings::default(), "mnist", &Device::Cpu).unwrap();
    let pixels = (0..128).map(|i| (i * 37 % 251) as u8).collect();
    let images = Tensor::from_vec(pixels, (8, 1, 4, 4), &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0_u32, 1, 0, 1, 0, 1, 0, 1], &Device::Cpu).unwrap();
    trainer.initialize(&images).unwrap();
    trainer.step((&images, &labels), 0.0).unwrap();
    let file = |save: &dyn Fn(&std::path::Path) -> Result<()>| {
        let path = FOLDER.path().join("good");
        save(&path).unwrap();
        damage::without_digest(&fs::read(path).unwrap())
    };
    [
        file(&|path| trainer.save_model(path)),
        file(&|path| trainer.save_training(path)),
    ]
});

/// Loads a file of this content through every loader. A model must draw an image, whatever its
/// weights.
fn load(name: &str, content: &[u8]) -> Option<Error> {
    let path = FOLDER.path().join(name);
    fs::write(&path, content).unwrap();
    let limit = 4 * content.len() + LOADING;
    let resumed = damage::within(limit, || Trainer::resume(&path, &Device::Cpu).map(drop));
    if let Err(error) = resumed {
        damage::check_text(&error, name);
    }
    match damage::within(limit, || Checkpoint::load(&path, &Device::Cpu)) {
        Ok(checkpoint) => {
            let model = &checkpoint.model;
            let (x, label) = (
                Tensor::zeros(1, DType::U8, &Device::Cpu).unwrap(),
                Tensor::zeros(1, DType::U32, &Device::Cpu).unwrap(),
            );
            let classes = model.config().classes;
            let data = classes.map_or(Data::from(&x), |_| Data::from((&x, &label)));
            let drawn = model
                .conditioned_on(&data)
                .and_then(|model| model.at_temperature(0.7)?.sample_images(1, 0));
            if let Err(error) = drawn {
                damage::check_text(&error, "");
            }
            None
        }
        Err(error) => {
            damage::check_text(&error, name);
            Some(error)
        }
    }
}

/// Offset of the numbers.
fn numbers(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

/// A file with this header before so many bytes.
fn with_header(header: &str, bytes: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + bytes, 0);
    file
}

/// The header of the program as it stands in a safetensors header.
fn metadata() -> String {
    let file = &FILES[0];
    let header = std::str::from_utf8(&file[8..numbers(file)]).unwrap();
    let end = header.find(r#"}"},"#).unwrap();
    header[1..end + 3].to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn damaged_anywhere(damage in damage(), file in 0..2_usize) {
        load("damaged", &damaged(&FILES[file], &damage));
    }

    /// The length of the header is corrected afterwards, so that the header is read.
    #[test]
    fn damaged_in_the_header(damage in damage(), file in 0..2_usize) {
        let file = &FILES[file];
        let (header, numbers) = (&file[8..numbers(file)], &file[numbers(file)..]);
        let header = damaged(header, &damage);
        let length = (header.len() as u64).to_le_bytes();
        load("header", &[&length[..], &header, numbers].concat());
    }

    /// Every number of the header in turn becomes an extreme one.
    #[test]
    fn numbers_in_the_header(at: Index, file in 0..2_usize, extreme in 0..EXTREMES.len()) {
        let file = &FILES[file];
        let header = std::str::from_utf8(&file[8..numbers(file)]).unwrap();
        let starts: Vec<usize> = header
            .match_indices(|c: char| c.is_ascii_digit())
            .map(|(at, _)| at)
            .filter(|&at| !header.as_bytes()[at - 1].is_ascii_digit())
            .collect();
        let start = starts[at.index(starts.len())];
        let rest = header[start..].trim_start_matches(|c: char| c.is_ascii_digit());
        let header = format!("{}{}{rest}", &header[..start], EXTREMES[extreme]);
        let length = (header.len() as u64).to_le_bytes();
        load("number", &[&length[..], header.as_bytes(), &file[numbers(file)..]].concat());
    }

    #[test]
    fn any_weights(values in prop::collection::vec(any::<f32>(), 1..40), at: Index) {
        let mut file = FILES[0].clone();
        let start = numbers(&file);
        let first = at.index((file.len() - start) / 4);
        for (place, value) in file[start + 4 * first..].chunks_exact_mut(4).zip(&values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        load("weights", &file);
    }
}

const EXTREMES: [&str; 9] = [
    "0",
    "-1",
    "1e400",
    "0.5",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1073741824",
];

#[test]
fn what_is_not_damaged_loads() {
    for file in &*FILES {
        assert!(load("good", file).is_none());
    }
}

#[test]
fn tensors_that_deceive() {
    let tensor = |name: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let half = 1_u64 << 63;
    let a = tensor("a", "[1]", 0, 4);
    // Sizes that overflow, and offsets that disagree with the shape, overlap or leave a hole.
    let misplaced = [
        (tensor("a", "[4294967296,4294967296]", 0, 0), 0),
        (tensor("a", &format!("[{half},2]"), 0, 0), 0),
        (tensor("a", "[1]", u64::MAX - 3, u64::MAX), 4),
        (tensor("a", "[1]", 4, 0), 4),
        (tensor("a", "[2]", 0, 4), 4),
        (format!("{a},{}", tensor("b", "[1]", 0, 4)), 4),
        (format!("{a},{}", tensor("b", "[1]", 8, 12)), 12),
    ]
    .map(|(tensors, bytes)| (tensors, bytes, "do not fit its shape"));
    let unnamed = [
        tensor(&"a".repeat(100_000), "[1]", 0, 4),
        tensor("a\u{85}b", "[1]", 0, 4),
    ]
    .map(|tensors| (tensors, 4, "not a valid parameter name"));
    let others = [
        (
            tensor("a", "[1099511627776]", 0, 4 << 40),
            4,
            "announces 4398046511104 bytes",
        ),
        (
            format!("{a},{}", tensor("a", "[1]", 4, 8)),
            8,
            "two tensors `a`",
        ),
        (tensor("a", "[1,1,1,1,1]", 0, 4), 4, "at most 4 dimensions"),
        (tensor("a", "[-1]", 0, 4), 4, "invalid value"),
        (a.replace("F32", "F4"), 4, "which checkpoints do not use"),
        (a.replace("F32", "X"), 4, "unknown variant"),
    ];
    let metadata = metadata();
    let cases = misplaced.into_iter().chain(unnamed).chain(others);
    for (tensors, bytes, reason) in cases {
        let file = with_header(&format!("{{{metadata},{tensors}}}"), bytes);
        let error = load("deceit", &file).unwrap().to_string();
        assert!(error.contains(reason), "{tensors:.200}: {error}");
    }
}

#[test]
fn texts_that_deceive() {
    let metadata = metadata();
    for (header, reason) in [
        ("[".repeat(1 << 20), "expected an object"),
        (
            format!(r#"{{"a":{}"#, "[".repeat(1 << 20)),
            "expected value",
        ),
        (
            format!(r#"{{"a":{{"b":{}"#, "[".repeat(1 << 20)),
            "EOF while parsing",
        ),
        (
            format!("{{{}}}", metadata.replace("mnist", r"m\\u000anist")),
            "is not a valid name",
        ),
        (
            format!("{{{}}}", metadata.replace("mnist", &"m".repeat(1000))),
            "is not a valid name",
        ),
        (
            format!("{{{}}}", metadata.replace("mnist", &"m".repeat(1 << 23))),
            "too long for a model of images",
        ),
        (
            format!("{{{}}}", metadata.replace("levels", &"l".repeat(1 << 12))),
            "unknown field",
        ),
        (String::new(), "EOF"),
        ("{}".to_owned(), "another program wrote it"),
    ] {
        let error = load("deceit", &with_header(&header, 0))
            .unwrap()
            .to_string();
        assert!(error.contains(reason), "{header:.200}: {error}");
    }
}

/// Content that is cheap to write and expensive to hold.
#[test]
fn headers_of_many_small_things() {
    let metadata = metadata();
    let repeated = |one: &dyn Fn(usize, &mut String), count: usize| {
        let mut text = format!("{{{metadata}");
        (0..count).for_each(|i| one(i, &mut text));
        text.push('}');
        text
    };
    let empty = |i: usize, text: &mut String| {
        write!(
            text,
            r#","{i:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#
        )
        .unwrap();
    };
    let single = |i: usize, text: &mut String| {
        let (start, end) = (4 * i, 4 * i + 4);
        write!(
            text,
            r#","{i:x}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#
        )
        .unwrap();
    };
    let error = load("many", &with_header(&repeated(&empty, 200_000), 0)).unwrap();
    assert!(
        error
            .to_string()
            .contains("more tensors than the size allows"),
        "{error}"
    );
    let error = load("many", &with_header(&repeated(&single, 200_000), 800_000)).unwrap();
    assert!(
        error
            .to_string()
            .contains("more tensors than the size allows"),
        "{error}"
    );
    // The largest allowed number.
    let error = load("many", &with_header(&repeated(&single, 6_000), 24_000)).unwrap();
    assert!(error.to_string().contains("is missing"), "{error}");

    let texts = (0..200_000).fold(String::from(r#"{"__metadata__":{"#), |mut text, i| {
        write!(text, r#""{i:x}":"","#).unwrap();
        text
    });
    load("many", &with_header(&format!(r#"{texts}"x":""}}}}"#), 0)).unwrap();
    let shape = format!(
        r#"{{"a":{{"dtype":"F32","shape":[{}0]"#,
        "0,".repeat(1 << 20)
    );
    load("many", &with_header(&shape, 0)).unwrap();
}

/// A sparse file that claims a size of a terabyte.
#[test]
fn a_file_with_holes() {
    let path = FOLDER.path().join("holes");
    let header = r#"{"a":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}"#;
    fs::write(&path, with_header(header, 0)).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(8 + header.len() as u64 + (1 << 40)).unwrap();
    let error = damage::within(LOADING, || {
        Checkpoint::load(&path, &Device::Cpu).err().unwrap()
    });
    assert!(
        error.to_string().contains("another program wrote it"),
        "{error}"
    );
    fs::remove_file(path).unwrap();
}
