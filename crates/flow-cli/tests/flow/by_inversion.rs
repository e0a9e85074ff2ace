//! Training by inversion on real digits.
use candle_core::{Device, Tensor};
use flow_core::ops::Precision;
use flow_core::train::Data;
use flow_core::train::Memory;
use flow_data::{Batch, Batches, Dataset, Split};
use flow_glow::{GlowConfig, ImageShape, TrainSettings, Trainer, UnsoundInversion};

/// The Euclidean norm.
fn norm(tensor: &Tensor) -> f32 {
    let squares = tensor.sqr().unwrap().sum_all().unwrap();
    squares.to_scalar::<f32>().unwrap().sqrt()
}

#[test]
fn gradients_after_fifty_steps_are_those_of_kept_activations() {
    let dataset = Dataset::bundled(Split::Train).unwrap();
    let mut batches = Batches::new(&dataset, 20, 0, 0).map(|batch| batch.unwrap());
    let config = GlowConfig {
        steps: 4,
        width: 16,
        classes: Some(10),
        ..GlowConfig::small(ImageShape::new(1, 28, 28))
    };
    let settings = TrainSettings {
        batch_size: 20,
        precision: Precision::F32,
        memory: Memory::Constant,
        unsound_inversion: UnsoundInversion::Stop,
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(&config, settings, "mnist", &Device::Cpu).unwrap();
    let data = |batch: &Batch| Data::from((&batch.images, &batch.labels));
    trainer.initialize(data(&batches.next().unwrap())).unwrap();
    for batch in batches.by_ref().take(50) {
        let report = trainer.step(data(&batch), 0.0).unwrap();
        assert!(report.inversion.unwrap().error < 1e-4, "{report:?}");
    }
    let batch = data(&batches.next().unwrap());
    let by_inversion = trainer.gradient(&batch).unwrap();
    trainer.set_memory(Memory::Plain, UnsoundInversion::Stop);
    let plain = trainer.gradient(&batch).unwrap();

    assert_eq!(plain.inversion(), None);
    let difference = (plain.bits_per_dim() - by_inversion.bits_per_dim()).abs();
    assert!(difference < 1e-6, "{difference}");
    let (plain, by_inversion) = (plain.gradients(), by_inversion.gradients());
    assert_eq!(plain.iter().count(), by_inversion.iter().count());
    for (name, _, expected) in plain.iter() {
        let difference = norm(&(by_inversion.get(name).unwrap() - expected).unwrap());
        let size = norm(expected);
        assert!(
            difference <= 1e-4 * size,
            "`{name}`: {difference} of {size}"
        );
    }
}
