//! Training: learning, determinism, stopping and resuming, and the checks of a checkpoint.

use candle_core::{DType, Device, Tensor, Var};
use flow_core::train::Memory;
use flow_core::train::{Data, Optimization, Optimizer};
use flow_core::{check, random};
use flow_glow::{
    Checkpoint, Conventions, Dequantization, Error, Fault, Glow, GlowConfig, ImageShape,
    Preprocessing, PriorForm, Shard, TrainSettings, Trainer, UnsoundInversion,
};
use std::collections::BTreeMap;
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
        optimization: optimization(|it| it.warmup_steps = 2),
        ..TrainSettings::default()
    }
}

/// The default with a change.
fn optimization(change: impl FnOnce(&mut Optimization)) -> Optimization {
    let mut optimization = TrainSettings::default().optimization;
    change(&mut optimization);
    optimization
}

fn fresh(settings: TrainSettings) -> Trainer {
    fresh_of(&config(), settings)
}

fn fresh_of(config: &GlowConfig, settings: TrainSettings) -> Trainer {
    let trainer = Trainer::new(config, settings, "discs", &Device::Cpu).unwrap();
    trainer.initialize(&batch(0).0).unwrap();
    trainer
}

fn train(trainer: &mut Trainer, steps: u64) -> f64 {
    let run = |trainer: &mut Trainer| {
        let (images, labels) = batch(trainer.progress.step);
        trainer.step((&images, &labels), 0.0).unwrap().bits_per_dim
    };
    (0..steps).map(|_| run(trainer)).last().unwrap()
}

fn bits_per_dim(model: &Glow) -> f64 {
    let (images, labels) = batch(999);
    let bits = model
        .given(&labels)
        .unwrap()
        .bits_per_dim(&images, 1)
        .unwrap();
    f64::from(bits.mean_all().unwrap().to_scalar::<f32>().unwrap())
}

#[test]
fn a_few_steps_reduce_the_loss_and_the_average_follows() {
    for optimizer in [Optimizer::Adam, Optimizer::Adamax, Optimizer::Muon] {
        let mut trainer = fresh(TrainSettings {
            optimization: Optimization {
                optimizer,
                ..settings().optimization
            },
            ..settings()
        });
        let before = bits_per_dim(&trainer.model().unwrap());
        train(&mut trainer, 60);
        let after = bits_per_dim(&trainer.model().unwrap());
        assert!(after < before - 0.3, "{optimizer:?}: {before} to {after}");
    }
}

/// Mean −ln p(class | image) of unseen images, in nats.
fn cross_entropy(model: &Glow) -> f32 {
    let (images, labels) = batch(999);
    let (x, _) = model.dequantize(&images, 1).unwrap();
    let posteriors = model.class_log_posteriors(&x).unwrap();
    let own = posteriors.gather(&labels.unsqueeze(1).unwrap(), 1).unwrap();
    -own.mean_all().unwrap().to_scalar::<f32>().unwrap()
}

#[test]
fn a_model_with_classes_learns_to_tell_them_apart() {
    // Positions would separate the classes at once.
    let config = GlowConfig {
        conventions: Conventions {
            top_prior: PriorForm::Channel,
            ..config().conventions
        },
        ..config()
    };
    // Means over seeds, as one training differs much from the next.
    let after = |classification| {
        let ends = [0, 1, 2, 3].map(|seed| {
            let settings = TrainSettings {
                classification,
                seed,
                ..settings()
            };
            let mut trainer = fresh_of(&config, settings);
            train(&mut trainer, 150);
            let model = trainer.model().unwrap();
            (bits_per_dim(&model), cross_entropy(&model))
        });
        let mean = |of: fn(&(f64, f32)) -> f64| ends.iter().map(of).sum::<f64>() / 4.0;
        (mean(|end| end.0), mean(|end| f64::from(end.1)))
    };
    let (likely, unsure) = after(0.0);
    let (also_likely, sure) = after(5.0);
    assert!(sure < 0.5 * unsure, "{sure} after {unsure}");
    assert!(also_likely < likely + 0.1, "{also_likely} after {likely}");
}

#[test]
fn a_gradient_by_inversion_tells_classes_apart_too() {
    let mut trainer = fresh(TrainSettings {
        classification: 20.0,
        ..settings()
    });
    train(&mut trainer, 20);
    assert_same_by_inversion(&mut trainer);
}

/// Gradients from stored activations and by inversion, relative to the largest number in each.
fn assert_same_by_inversion(trainer: &mut Trainer) {
    let (images, labels) = batch(20);
    let plain = trainer.gradient((&images, &labels)).unwrap();
    trainer.set_memory(Memory::Constant, UnsoundInversion::Stop);
    let inverted = trainer.gradient((&images, &labels)).unwrap();
    for (name, _, expected) in plain.gradients().iter() {
        let actual = inverted.gradients().get(name).unwrap();
        let largest = |x: &Tensor| {
            let largest = x.abs().unwrap().max_all().unwrap();
            largest.to_scalar::<f32>().unwrap()
        };
        let error = largest(&(actual - expected).unwrap());
        assert!(
            error <= 1e-3 * largest(expected) + 1e-7,
            "{name}: {error} of {}",
            largest(expected)
        );
    }
}

fn with_learned_noise() -> GlowConfig {
    GlowConfig {
        dequantization: Dequantization::Variational { steps: 2, width: 4 },
        ..config()
    }
}

#[test]
fn noise_is_learned_with_the_model_and_comes_back_with_it() {
    let mut trainer = fresh_of(&with_learned_noise(), settings());
    let mut even = fresh(settings());
    // Untrained noise is uniform.
    assert!(
        (bits_per_dim(&trainer.model().unwrap()) - bits_per_dim(&even.model().unwrap())).abs()
            < 1e-4
    );
    train(&mut trainer, 60);
    train(&mut even, 60);
    let gain = bits_per_dim(&even.model().unwrap()) - bits_per_dim(&trainer.model().unwrap());
    assert!(gain > 0.05, "{gain}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    trainer.save_model(&path).unwrap();
    let loaded = Checkpoint::load(&path, &Device::Cpu).unwrap();
    let config = &loaded.header.model;
    assert_eq!(config.dequantization, with_learned_noise().dequantization);
    let bits = bits_per_dim(&loaded.model);
    assert!((bits - bits_per_dim(&trainer.model().unwrap())).abs() < 1e-12);

    assert_same_by_inversion(&mut trainer);
}

#[test]
fn classes_cannot_be_told_apart_where_there_are_none() {
    let config = GlowConfig {
        classes: None,
        ..config()
    };
    let settings = TrainSettings {
        classification: 1.0,
        ..settings()
    };
    let trainer = Trainer::new(&config, settings, "discs", &Device::Cpu);
    let error = trainer.err().unwrap().to_string();
    assert!(error.contains("without classes"), "{error}");
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

/// Trains through rollbacks, as a caller would, until `steps` are done; returns the last undone
/// one.
fn train_through(trainer: &mut Trainer, steps: u64) -> Option<u64> {
    let mut undone = None;
    while trainer.progress.step < steps {
        let (images, labels) = batch(trainer.progress.step);
        match trainer.step((&images, &labels), 0.0) {
            Err(Error::Diverged { .. }) => {
                undone = Some(trainer.progress.step);
                trainer.roll_back().unwrap();
                trainer.progress.step += 1;
            }
            report => drop(report.unwrap()),
        }
    }
    undone
}

#[test]
fn a_training_that_diverges_now_and_then_resumes_bit_for_bit_too() {
    for memory in [Memory::Plain, Memory::Constant] {
        diverges_now_and_then_and_resumes(memory);
    }
}

fn diverges_now_and_then_and_resumes(memory: Memory) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let settings = TrainSettings {
        optimization: optimization(|it| (it.learning_rate, it.warmup_steps) = (1.0, 130)),
        memory,
        ..settings()
    };
    let mut whole = fresh(settings.clone());
    whole.notes = serde_json::json!({"left": [0.1 + 0.2, "by the caller"]});
    let mut parts = fresh(settings);
    parts.notes = whole.notes.clone();
    // The place of the last good state, average and moments must not matter.
    parts.keep_on_disk(folder.path()).unwrap();
    let mut undone = Vec::new();
    for stop in [1, 2, 30, 99, 101, 150, 260, 300] {
        undone.extend(train_through(&mut whole, stop));
        train_through(&mut parts, stop);
        parts.save_training(&file("parts")).unwrap();
        whole.save_training(&file("whole")).unwrap();
        assert!(
            std::fs::read(file("whole")).unwrap() == std::fs::read(file("parts")).unwrap(),
            "after step {stop}"
        );
        parts = Trainer::resume(&file("parts"), &Device::Cpu).unwrap();
        parts.keep_on_disk(folder.path()).unwrap();
        assert_eq!(parts.notes, whole.notes);
    }
    // Rollbacks to the fresh model as well as to later states.
    assert!(
        undone.first() < Some(&100) && undone.last() > Some(&130),
        "{undone:?}"
    );
}

#[test]
fn going_back_restores_everything_but_the_learning_rate() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = |trainer: &Trainer| {
        let path = folder.path().join("training");
        trainer.save_training(&path).unwrap();
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let parts = ["weights/", "average/", "first_moment/", "second_moment/"];
        let own = tensors
            .into_iter()
            .filter(|(name, _)| parts.iter().any(|part| name.starts_with(part)));
        own.map(|(name, tensor)| {
            let numbers = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (
                name,
                numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>(),
            )
        })
        .collect::<std::collections::BTreeMap<_, _>>()
    };
    let mut trainer = fresh(settings());
    let mut states = vec![tensors(&trainer)];
    let mut rates = Vec::new();
    for step in 0..250 {
        let (images, labels) = batch(step);
        let report = trainer.step((&images, &labels), 0.0).unwrap();
        rates.push(report.learning_rate);
        states.push(tensors(&trainer));
    }
    trainer.roll_back().unwrap();
    let back = tensors(&trainer);
    let at = states.iter().position(|state| *state == back).unwrap();
    // The state after one or two hundred updates, and a few more, because the loss must be a usual
    // one.
    assert!((200..230).contains(&at), "{at}");
    assert_eq!(
        (trainer.progress.step, trainer.progress.rollbacks),
        (250, 1)
    );

    let (images, labels) = batch(at as u64);
    let report = trainer.step((&images, &labels), 0.0).unwrap();
    assert_eq!(report.learning_rate.to_bits(), (0.5 * rates[at]).to_bits());
}

/// Saving and the last good state need memory for a few tensors at most. With constant memory, so
/// do average and moments.
#[test]
fn a_state_is_saved_and_kept_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training");
    let config = GlowConfig {
        width: 256,
        ..config()
    };
    let kept = |memory, optimizer| {
        let settings = TrainSettings {
            memory,
            optimization: optimization(|it| it.optimizer = optimizer),
            ..settings()
        };
        let mut trainer = Trainer::new(&config, settings, "noise", &Device::Cpu).unwrap();
        trainer.keep_on_disk(folder.path()).unwrap();
        let (images, labels) = batch(0);
        let gradient = trainer.gradient((&images, &labels)).unwrap();
        let parameters = 4 * trainer.parameters() as u64;
        let kept = allocation_counter::measure(|| {
            trainer.apply(gradient, 0.0).unwrap();
        });
        let saved = allocation_counter::measure(|| trainer.save_training(&path).unwrap());
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size > 6 * parameters, "{size}");
        let saved = saved.bytes_max;
        assert!(saved < size / 8, "{saved} for {size}");
        kept.bytes_max as f64 / parameters as f64
    };
    // The library of products keeps a buffer for each thread, as large as the second-level cache.
    kept(Memory::Plain, Optimizer::Muon);
    // In memory are both moments, and with the good state weights and average too.
    let plain = kept(Memory::Plain, Optimizer::Adam);
    assert!((2.0..3.0).contains(&plain), "{plain}");
    // A few copies of the largest parameter.
    let constant = kept(Memory::Constant, Optimizer::Adam);
    assert!(constant < 1.0, "{constant}");
    // Muon iterates on some copies of the largest matrix, which here is a quarter of all.
    let plain = kept(Memory::Plain, Optimizer::Muon);
    assert!((2.0..4.0).contains(&plain), "{plain}");
    let constant = kept(Memory::Constant, Optimizer::Muon);
    assert!(constant < 2.2, "{constant}");
}

#[test]
fn settings_come_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training");
    let random = random::uniform(3, 50, DType::F64, &Device::Cpu).unwrap();
    for random in random.to_vec1::<f64>().unwrap() {
        let settings = TrainSettings {
            optimization: Optimization {
                learning_rate: random * 1e-2,
                clip_norm: 1.0 / random,
                average_decay: random,
                ..settings().optimization
            },
            ..settings()
        };
        let mut trainer = fresh(settings.clone());
        trainer.progress.seconds = 1e5 * random;
        trainer.save_training(&path).unwrap();
        let resumed = Trainer::resume(&path, &Device::Cpu).unwrap();
        assert_eq!(resumed.settings(), &settings);
        assert_eq!(resumed.progress, trainer.progress);
    }
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
            checkpoint.header.training.as_ref().unwrap().progress.step
        ),
        (&config(), 3)
    );
    assert_eq!(checkpoint.parameters, trainer.parameters());
    let (images, labels) = batch(5);
    let bits = |model: &Glow| {
        model
            .given(&labels)
            .unwrap()
            .bits_per_dim(&images, 0)
            .unwrap()
    };
    check::close(
        &bits(&checkpoint.model),
        &bits(&trainer.model().unwrap()),
        0.0,
    )
    .unwrap();
    let sample = |model: &Glow| {
        let given = model.given(&labels).unwrap();
        let cool = given.at_temperature(0.7).unwrap();
        cool.sample_images(16, 3).unwrap()
    };
    check::close(
        &sample(&checkpoint.model),
        &sample(&trainer.model().unwrap()),
        0.0,
    )
    .unwrap();
}

#[test]
fn a_step_that_diverges_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut trainer = fresh(TrainSettings {
        optimization: optimization(|it| (it.learning_rate, it.warmup_steps) = (1e30, 0)),
        ..settings()
    });
    let (images, labels) = batch(0);
    let mut diverged = None;
    for _ in 0..5 {
        trainer.save_training(&file("before")).unwrap();
        if let Err(error) = trainer.step((&images, &labels), 0.0) {
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

    assert!(refusal(&file("nowhere")).contains("cannot read"));
    std::fs::write(file("text"), "not a checkpoint").unwrap();
    assert!(refusal(&file("text")).contains("it looks like a text file"));
    assert!(Checkpoint::load(&file("training"), &Device::Cpu).is_ok());
    let error = Trainer::resume(&file("model"), &Device::Cpu)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`training.safetensors`"), "{error}");
    let bytes = std::fs::read(file("model")).unwrap();
    std::fs::write(file("cut"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&file("cut")).contains("not a safetensors file"));
}

type Change = fn(&mut Vec<(String, Tensor)>);

fn refusal(path: &Path) -> String {
    let error = Checkpoint::load(path, &Device::Cpu).err().unwrap();
    error.to_string()
}

#[test]
fn a_checkpoint_with_one_thing_changed_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fresh(settings()).save_model(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let header = metadata.metadata().as_ref().unwrap()["flow"].clone();
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let tensors = tensors.into_iter().collect::<BTreeMap<_, _>>();
    let refuse = |header: String, tensors: Vec<_>, reason: &str| {
        let metadata = [("flow".to_owned(), header)].into_iter().collect();
        let bytes = safetensors::serialize(tensors, Some(metadata)).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = refusal(&path);
        assert!(error.contains(reason), "{error}");
    };

    let changes: [(Change, &str); 4] = [
        (
            |tensors| drop(tensors.remove(0)),
            "`levels.0.split.conv.bias` is missing",
        ),
        (
            |tensors| tensors.push(("extra".into(), tensors[0].1.clone())),
            "`extra` does not belong",
        ),
        (
            |tensors| tensors[0].1 = tensors[0].1.unsqueeze(0).unwrap(),
            "`levels.0.split.conv.bias` has shape",
        ),
        (
            |tensors| tensors[0].1 = tensors[0].1.to_dtype(DType::F64).unwrap(),
            "F64",
        ),
    ];
    let unchanged = || tensors.clone().into_iter().collect::<Vec<_>>();
    for (change, reason) in changes {
        let mut changed = unchanged();
        change(&mut changed);
        refuse(header.clone(), changed, reason);
    }
    for (old, new, reason) in [
        ("\"version\":2", "\"version\":99", "version 99"),
        ("\"steps\":2", "\"steps\":3", "is missing"),
        (header.as_str(), "{", "header cannot be read"),
    ] {
        refuse(header.replace(old, new), unchanged(), reason);
    }
}

/// A trained model without classes, on disk and back.
fn without_classes(folder: &Path) -> Checkpoint {
    let config = GlowConfig {
        classes: None,
        preprocessing: Preprocessing::Centered,
        ..config()
    };
    let mut trainer = fresh_of(&config, settings());
    for step in 0..20 {
        trainer.step(&batch(step).0, 0.0).unwrap();
    }
    let path = folder.join("model.safetensors");
    trainer.save_model(&path).unwrap();
    Checkpoint::load(&path, &Device::Cpu).unwrap()
}

fn begin(checkpoint: &Checkpoint, config: &GlowConfig) -> flow_glow::Result<Trainer> {
    let mut trainer = Trainer::new(config, settings(), "discs", &Device::Cpu)?;
    trainer.begin_with(checkpoint, "source").map(|()| trainer)
}

#[test]
fn a_training_begins_with_the_weights_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = without_classes(folder.path());
    let (images, labels) = batch(999);
    let plain = Data::from(&images);
    let labelled = Data::from((&images, &labels));
    let bits = |model: &Glow, data: &Data| {
        let given = model.conditioned_on(data).unwrap();
        let bits = given.bits_per_dim(&images, 1).unwrap();
        bits.to_vec1::<f32>().unwrap()
    };
    let expected = bits(&checkpoint.model, &plain);
    let begun = |config| begin(&checkpoint, config);
    let source = &checkpoint.header.model;
    let same = begun(source).unwrap().model().unwrap();
    assert_eq!(bits(&same, &plain), expected);
    // Every class begins with the checkpoint's prior, to the bit.
    let classes = GlowConfig {
        classes: Some(2),
        ..source.clone()
    };
    let mut told = begun(&classes).unwrap();
    assert_eq!(bits(&told.model().unwrap(), &labelled), expected);
    let noise = GlowConfig {
        dequantization: Dequantization::Variational { steps: 2, width: 4 },
        ..source.clone()
    };
    let noisy = begun(&noise).unwrap().model().unwrap();
    for (actual, expected) in bits(&noisy, &plain).iter().zip(&expected) {
        assert!((actual - expected).abs() < 1e-4, "{actual} {expected}");
    }

    // It learns, and keeps a record of its origin.
    for step in 20..60 {
        let (images, labels) = batch(step);
        told.step((&images, &labels), 0.0).unwrap();
    }
    let mean = |bits: Vec<f32>| bits.iter().sum::<f32>() / bits.len() as f32;
    let after = mean(bits(&told.model().unwrap(), &labelled));
    assert!(after < mean(expected) - 0.1, "{after}");
    let path = folder.path().join("training.safetensors");
    told.save_training(&path).unwrap();
    Trainer::resume(&path, &Device::Cpu)
        .unwrap()
        .save_model(&path)
        .unwrap();
    let origin = Checkpoint::load(&path, &Device::Cpu).unwrap().header.origin;
    let origin = origin.unwrap();
    assert_eq!(
        (origin.checkpoint.as_str(), origin.dataset.as_str()),
        ("source", "discs")
    );
    assert_eq!(origin.steps, Some(20));
}

#[test]
fn a_training_cannot_begin_with_the_weights_of_another_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = without_classes(folder.path());
    let changes: [fn(&mut GlowConfig); 4] = [
        |config| config.width = 9,
        |config| config.steps = 3,
        |config| config.last_steps = Some(3),
        |config| config.bits = 5,
    ];
    for change in changes {
        let mut config = checkpoint.header.model.clone();
        change(&mut config);
        let error = begin(&checkpoint, &config).err().unwrap().to_string();
        assert!(error.contains("its configuration differs"), "{error}");
    }
}

/// Squares of latents overflow for white pixels, and not for black ones.
#[test]
fn the_images_that_give_no_finite_loss_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = without_classes(folder.path());
    let config = &checkpoint.header.model;
    // White becomes 6·10¹⁹, black less than 3·10¹⁷, and all else is unchanged.
    let weight = |(name, var): (String, Var)| {
        let value = match name.as_str() {
            "levels.0.steps.0.actnorm.log_scale" => var.affine(0.0, 45.5),
            "levels.0.steps.0.actnorm.shift" => var.affine(0.0, 0.5),
            name if name.ends_with("rotation") => Ok(var.into_inner()),
            _ => var.zeros_like(),
        };
        (name, value.unwrap())
    };
    let changed = checkpoint.weights.vars().into_iter().map(weight);
    let path = folder.path().join("changed.safetensors");
    Checkpoint::save(&path, config, "discs", changed.collect()).unwrap();
    let changed = Checkpoint::load(&path, &Device::Cpu).unwrap();
    let mut trainer = Trainer::new(config, settings(), "discs", &Device::Cpu).unwrap();
    trainer.begin_with(&changed, "changed").unwrap();

    let mut pixels = vec![0_u8; 16 * 64];
    pixels[3 * 64 + 17] = 255;
    pixels[11 * 64] = 255;
    let images = Tensor::from_vec(pixels, (16, 1, 8, 8), &Device::Cpu).unwrap();
    let found = |trainer: &Trainer, images: &Tensor| {
        let whole = Shard::whole(images.dim(0).unwrap());
        trainer.find_fault(images, &whole).unwrap()
    };
    let fault = Fault::Images {
        part: "prior".into(),
        places: vec![3, 11],
    };
    assert_eq!(found(&trainer, &images), Some(fault));
    assert!(trainer.gradient(&images).is_err());
    // Black images have a loss, but its gradient overflows.
    let black = found(&trainer, &images.narrow(0, 4, 7).unwrap());
    assert!(matches!(black, Some(Fault::Gradient(_))), "{black:?}");

    let mut sound = Trainer::new(config, settings(), "discs", &Device::Cpu).unwrap();
    sound.begin_with(&checkpoint, "source").unwrap();
    assert_eq!(found(&sound, &images), None);
}
