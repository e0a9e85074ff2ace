//! Training: it learns, repeats, stops and goes on; and what a checkpoint must be to be loaded.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use flow_core::{check, random};
use flow_glow::{
    Checkpoint, Error, Glow, GlowConfig, ImageShape, Optimizer, TrainSettings, Trainer,
};
use std::path::Path;

fn config() -> GlowConfig {
    GlowConfig {
        steps: 2,
        width: 8,
        classes: Some(2),
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    }
}

/// Images with structure: a random disc on black.
fn batch(seed: u64) -> (Tensor, Tensor) {
    let centres = random::uniform(seed, (16, 2), DType::F64, &Device::Cpu)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    let pixel = |centre: &[f64], i: usize| {
        let (y, x) = (
            (i / 8) as f64 - 8.0 * centre[0],
            (i % 8) as f64 - 8.0 * centre[1],
        );
        if y * y + x * x < 6.0 { 230 } else { 0_u8 }
    };
    let pixels = centres
        .iter()
        .flat_map(|centre| (0..64).map(|i| pixel(centre, i)))
        .collect();
    let labels = centres
        .iter()
        .map(|centre| u32::from(centre[0] > 0.5))
        .collect::<Vec<_>>();
    (
        Tensor::from_vec(pixels, (16, 1, 8, 8), &Device::Cpu).unwrap(),
        Tensor::new(labels, &Device::Cpu).unwrap(),
    )
}

fn settings() -> TrainSettings {
    TrainSettings {
        batch_size: 16,
        warmup_steps: 2,
        ..TrainSettings::default()
    }
}

fn fresh(settings: TrainSettings) -> Trainer {
    let trainer = Trainer::new(&config(), settings, "discs", &Device::Cpu).unwrap();
    trainer.initialize(&batch(0).0).unwrap();
    trainer
}

fn train(trainer: &mut Trainer, steps: u64) -> f64 {
    let run = |trainer: &mut Trainer| {
        let (images, labels) = batch(trainer.progress.step);
        trainer
            .step(&images, Some(&labels), 0.0)
            .unwrap()
            .bits_per_dim
    };
    (0..steps).map(|_| run(trainer)).last().unwrap()
}

fn bits_per_dim(model: &Glow) -> f64 {
    let (images, labels) = batch(999);
    let bits = model.bits_per_dim(&images, Some(&labels), 1).unwrap();
    f64::from(bits.mean_all().unwrap().to_scalar::<f32>().unwrap())
}

#[test]
fn a_few_steps_reduce_the_loss_and_the_average_follows() {
    for optimizer in [Optimizer::Adam, Optimizer::Adamax] {
        let mut trainer = fresh(TrainSettings {
            optimizer,
            ..settings()
        });
        let before = bits_per_dim(trainer.model());
        train(&mut trainer, 60);
        let after = bits_per_dim(trainer.model());
        assert!(after < before - 0.3, "{optimizer:?}: {before} to {after}");
    }
}

#[test]
fn the_same_seed_gives_the_same_file_and_resuming_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut whole = fresh(settings());
    train(&mut whole, 6);
    whole.save_model(&file("whole")).unwrap();

    let mut part = fresh(settings());
    train(&mut part, 2);
    part.save_training(&file("part")).unwrap();
    let mut resumed = Trainer::resume(&file("part"), &Device::Cpu).unwrap();
    assert_eq!(resumed.progress, part.progress);
    train(&mut resumed, 4);
    resumed.save_model(&file("resumed")).unwrap();
    assert_eq!(
        std::fs::read(file("whole")).unwrap(),
        std::fs::read(file("resumed")).unwrap()
    );

    let mut other = fresh(TrainSettings {
        seed: 1,
        ..settings()
    });
    train(&mut other, 6);
    other.save_model(&file("other")).unwrap();
    assert_ne!(
        std::fs::read(file("whole")).unwrap(),
        std::fs::read(file("other")).unwrap()
    );
}

#[test]
fn a_checkpoint_gives_back_the_model_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut trainer = fresh(settings());
    train(&mut trainer, 3);
    trainer.save_model(&path).unwrap();
    let checkpoint = Checkpoint::load(&path, &Device::Cpu).unwrap();
    assert_eq!(
        (
            &checkpoint.header.model,
            checkpoint.header.training.progress.step
        ),
        (&config(), 3)
    );
    assert_eq!(checkpoint.parameters, trainer.parameters());
    let (images, labels) = batch(5);
    let bits = |model: &Glow| model.bits_per_dim(&images, Some(&labels), 0).unwrap();
    check::close(&bits(&checkpoint.model), &bits(trainer.model()), 0.0).unwrap();
    let sample = |model: &Glow| model.sample_images(16, Some(&labels), 0.7, 3).unwrap();
    check::close(&sample(&checkpoint.model), &sample(trainer.model()), 0.0).unwrap();
}

#[test]
fn a_step_that_diverges_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut trainer = fresh(TrainSettings {
        learning_rate: 1e30,
        warmup_steps: 0,
        ..settings()
    });
    let (images, labels) = batch(0);
    let mut diverged = None;
    for _ in 0..5 {
        trainer.save_training(&file("before")).unwrap();
        if let Err(error) = trainer.step(&images, Some(&labels), 0.0) {
            diverged = Some(error);
            break;
        }
    }
    assert!(
        matches!(diverged, Some(Error::Diverged { .. })),
        "{diverged:?}"
    );
    trainer.save_training(&file("after")).unwrap();
    assert_eq!(
        std::fs::read(file("before")).unwrap(),
        std::fs::read(file("after")).unwrap()
    );
}

#[test]
fn what_is_not_a_checkpoint_is_refused_by_name_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let trainer = fresh(settings());
    trainer.save_model(&file("model")).unwrap();
    trainer.save_training(&file("training")).unwrap();
    let refusal = |path: &Path| {
        Checkpoint::load(path, &Device::Cpu)
            .err()
            .unwrap()
            .to_string()
    };

    assert!(refusal(&file("nowhere")).contains("cannot read"));
    std::fs::write(file("text"), "not a checkpoint").unwrap();
    assert!(refusal(&file("text")).contains("not a safetensors file"));
    assert!(Checkpoint::load(&file("training"), &Device::Cpu).is_ok());
    let error = Trainer::resume(&file("model"), &Device::Cpu)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`training.safetensors`"), "{error}");

    // The same file with one thing changed.
    let bytes = std::fs::read(file("model")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let header = metadata.metadata().as_ref().unwrap()["flow"].clone();
    let rewrite = |name: &str, header: &str, change: fn(&mut Vec<(String, Tensor)>)| {
        let mut tensors: Vec<_> = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        change(&mut tensors);
        let metadata = [("flow".to_owned(), header.to_owned())]
            .into_iter()
            .collect();
        std::fs::write(
            file(name),
            safetensors::serialize(tensors, Some(metadata)).unwrap(),
        )
        .unwrap();
        refusal(&file(name))
    };
    let missing = rewrite("missing", &header, |tensors| drop(tensors.remove(0)));
    assert!(
        missing.contains("`levels.0.split.conv.bias` is missing"),
        "{missing}"
    );
    let extra = rewrite("extra", &header, |tensors| {
        tensors.push(("extra".into(), tensors[0].1.clone()));
    });
    assert!(extra.contains("`extra` does not belong"), "{extra}");
    let shape = rewrite("shape", &header, |tensors| {
        tensors[0].1 = tensors[0].1.unsqueeze(0).unwrap();
    });
    assert!(
        shape.contains("`levels.0.split.conv.bias` has shape"),
        "{shape}"
    );
    let dtype = rewrite("dtype", &header, |tensors| {
        tensors[0].1 = tensors[0].1.to_dtype(DType::F64).unwrap();
    });
    assert!(dtype.contains("F64"), "{dtype}");
    let version = rewrite(
        "version",
        &header.replace("\"version\":1", "\"version\":99"),
        |_| (),
    );
    assert!(version.contains("version 99"), "{version}");
    let steps = rewrite(
        "steps",
        &header.replace("\"steps\":2", "\"steps\":3"),
        |_| (),
    );
    assert!(steps.contains("is missing"), "{steps}");
    let broken = rewrite("broken", "{", |_| ());
    assert!(broken.contains("header cannot be read"), "{broken}");
    std::fs::write(file("cut"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&file("cut")).contains("not a safetensors file"));
}
