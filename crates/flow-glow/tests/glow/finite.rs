//! Files with NaN or infinity, or with a singular matrix: refused by name.

use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use flow_core::check;
use flow_core::params::ParamStore;
use flow_glow::{
    Checkpoint, Conv1x1Form, Dequantization, Error, Glow, GlowConfig, ImageShape, LevelEnd,
    TrainSettings, Trainer,
};
use tempfile::TempDir;

/// A model with every kind of parameter that `flow train` makes.
fn config() -> GlowConfig {
    GlowConfig {
        steps: 2,
        width: 4,
        classes: Some(3),
        dequantization: Dequantization::Variational { steps: 1, width: 3 },
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    }
}

/// Parameters of a model, drawn at random.
fn parameters(config: &GlowConfig) -> BTreeMap<String, Tensor> {
    let store = ParamStore::new(1);
    Glow::new(config, store.builder(DType::F32, &Device::Cpu)).unwrap();
    check::randomize(&store, 1, 0.05).unwrap();
    let tensors = store.vars().into_iter();
    let tensors = tensors.map(|(name, var)| (name, var.as_tensor().copy().unwrap()));
    tensors.collect()
}

/// Offsets of the numbers of each tensor of a safetensors file, by name.
fn places(file: &[u8]) -> BTreeMap<String, usize> {
    let length = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..length]).unwrap();
    let tensors = header.as_object().unwrap().iter();
    let tensors = tensors.filter(|(name, _)| *name != "__metadata__");
    let place = |tensor: &serde_json::Value| tensor["data_offsets"][0].as_u64().unwrap();
    let places = tensors.map(|(name, tensor)| (name.clone(), length + place(tensor) as usize));
    places.collect()
}

fn load(path: &Path) -> Result<Checkpoint, Error> {
    Checkpoint::load(path, &Device::Cpu)
}

#[test]
fn a_file_with_a_number_that_is_not_finite_is_refused_whatever_tensor_holds_it() {
    let folder = TempDir::new().unwrap();
    let config = config();
    let mut trainer =
        Trainer::new(&config, TrainSettings::default(), "mnist", &Device::Cpu).unwrap();
    let images = (0..8 * 64).map(|i| (i * 37 % 251) as u8).collect();
    let images = Tensor::from_vec(images, (8, 1, 8, 8), &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0_u32, 1, 2, 0, 1, 2, 0, 1], &Device::Cpu).unwrap();
    trainer.initialize(&images).unwrap();
    trainer.step((&images, &labels), 0.0).unwrap();
    let (model, training) = (folder.path().join("model"), folder.path().join("training"));
    trainer.save_model(&model).unwrap();
    trainer.save_training(&training).unwrap();

    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let mut tried = 0;
    for path in [model, training] {
        let good = fs::read(&path).unwrap();
        for ((name, place), bad) in places(&good).into_iter().zip(bad.into_iter().cycle()) {
            let mut file = good.clone();
            file[place..place + 4].copy_from_slice(&bad.to_le_bytes());
            let path = folder.path().join("bad");
            fs::write(&path, &file).unwrap();
            let expected = format!("tensor `{name}` holds {bad} at [");
            let resumed = Trainer::resume(&path, &Device::Cpu).err().unwrap();
            let in_memory = Checkpoint::from_bytes(&path, &file, &Device::Cpu);
            for error in [load(&path).err(), in_memory.err(), Some(resumed)] {
                let error = error.unwrap().to_string();
                assert!(error.contains(&path.display().to_string()), "{error}");
                assert!(error.contains(&expected), "{error}, not {expected}");
            }
            tried += 1;
        }
    }
    // Weights, average and two moments of each trained parameter.
    assert!(tried > 4 * parameters(&config).len(), "{tried}");
}

#[test]
fn a_number_that_is_not_finite_is_not_saved() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model");
    let mut tensors = parameters(&config());
    let shape = tensors["prior.gaussian"].shape().clone();
    let bad = Tensor::full(f32::INFINITY, shape, &Device::Cpu).unwrap();
    tensors.insert("prior.gaussian".into(), bad);
    let error = Checkpoint::save(&path, &config(), "mnist", tensors).unwrap_err();
    let expected = "tensor `prior.gaussian` holds inf at [0, 0, 0, 0]";
    assert_eq!(error.to_string(), expected);
    assert!(!path.exists());
}

#[test]
fn a_matrix_without_an_inverse_is_named_with_its_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let full = |value: f32, shape: &[usize]| Tensor::full(value, shape, &Device::Cpu).unwrap();
    let mut plain = config();
    plain.conventions.conv1x1 = Conv1x1Form::Plain;
    plain.conventions.level_end = LevelEnd::Conv1x1;
    let step = "levels.0.steps.1";
    let cases = [
        (
            plain.clone(),
            "levels.1.steps.0.conv1x1.weight",
            zeros(&[8, 8]),
            "levels.1.steps.0.conv1x1",
        ),
        (
            plain,
            "levels.0.conv1x1.weight",
            full(0.3, &[4, 4]),
            "levels.0.conv1x1",
        ),
        (
            config(),
            "levels.0.steps.1.conv1x1.log_scale",
            full(-800.0, &[4]),
            &format!("{step}.conv1x1"),
        ),
        (
            config(),
            "levels.0.steps.1.actnorm.log_scale",
            full(200.0, &[1, 4, 1, 1]),
            &format!("{step}.actnorm.log_scale"),
        ),
        (
            config(),
            "levels.0.steps.1.actnorm.log_scale",
            full(-200.0, &[1, 4, 1, 1]),
            &format!("{step}.actnorm.log_scale"),
        ),
    ];
    for (config, name, value, culprit) in cases {
        let mut tensors = parameters(&config);
        assert_eq!(tensors[name].dims(), value.dims());
        tensors.insert(name.to_owned(), value);
        Checkpoint::save(&path, &config, "mnist", tensors).unwrap();
        let error = load(&path).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(
            error.contains(&format!("`{culprit}`")),
            "{error}, not {culprit}"
        );
    }
}
