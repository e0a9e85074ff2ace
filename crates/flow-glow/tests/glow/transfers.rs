//! Copies of a training step between host and accelerator, rehearsed on the CPU, and equality of
//! its results.

use candle_core::{DType, Device, Tensor};
use flow_core::train::Memory;
use flow_core::transfer::{self, Copies};
use flow_core::{Passing, check, device, random};
use flow_glow::{Dequantization, GlowConfig, ImageShape, Preprocessing, TrainSettings, Trainer};

const BATCH: usize = 40;

fn config(steps: usize) -> GlowConfig {
    GlowConfig {
        steps,
        width: 8,
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    }
}

fn images() -> Tensor {
    let x = random::uniform(5, (BATCH, 1, 8, 8), DType::F32, &Device::Cpu).unwrap();
    (x * 255.0).unwrap().to_dtype(DType::U8).unwrap()
}

fn trainer(config: &GlowConfig, memory: Memory) -> Trainer {
    let settings = TrainSettings {
        batch_size: BATCH,
        memory,
        ..TrainSettings::default()
    };
    let trainer = Trainer::new(config, settings, "noise", &Device::Cpu).unwrap();
    trainer.initialize(&images()).unwrap();
    trainer
}

/// The copies of a step. The first step may copy constants to the device.
fn copies_of_a_step(config: &GlowConfig, memory: Memory) -> Copies {
    // Drawn before, because drawing counts too.
    let images = images();
    device::rehearse(|| {
        let mut trainer = trainer(config, memory);
        trainer.step(&images, 0.0).unwrap();
        let before = transfer::copies();
        trainer.step(&images, 0.0).unwrap();
        let after = transfer::copies();
        Copies {
            to_device: after.to_device - before.to_device,
            to_host: after.to_host - before.to_host,
        }
    })
}

/// Noise goes to the device; the loss and the gradient norm come back, at any depth.
#[test]
fn a_step_makes_three_copies() {
    let three = Copies {
        to_device: 1,
        to_host: 2,
    };
    for steps in [1, 3] {
        assert_eq!(copies_of_a_step(&config(steps), Memory::Plain), three);
    }
    let mut odd = config(3);
    odd.conventions.passing = Passing::Odd;
    assert_eq!(copies_of_a_step(&odd, Memory::Plain), three);
    let learned = GlowConfig {
        dequantization: Dequantization::Variational { steps: 2, width: 8 },
        ..config(1)
    };
    assert_eq!(copies_of_a_step(&learned, Memory::Plain), three);
    // Also the tables of the equalisation, for the noise and for the preprocessing.
    let equalized = GlowConfig {
        preprocessing: Preprocessing::equalized(&[1; 256], 8),
        ..learned
    };
    let with_tables = Copies {
        to_device: 1 + 2 * 3,
        ..three
    };
    assert_eq!(copies_of_a_step(&equalized, Memory::Plain), with_tables);
}

/// By inversion also the matrix and bias of every step's channel map, which the host inverts, and
/// the error of each level.
#[test]
fn inversion_copies_the_channel_maps_too() {
    for steps in [1, 3] {
        let config = config(steps);
        let (maps, levels) = ((config.levels * steps) as u64, config.levels as u64);
        let expected = Copies {
            to_device: 1 + 2 * maps,
            to_host: 2 + 2 * maps + levels,
        };
        assert_eq!(copies_of_a_step(&config, Memory::Constant), expected);
    }
}

#[test]
fn initialisation_sends_noise_alone() {
    let images = images();
    let copies = device::rehearse(|| {
        let settings = TrainSettings::default();
        let trainer = Trainer::new(&config(2), settings, "noise", &Device::Cpu).unwrap();
        let before = transfer::copies();
        trainer.initialize(&images).unwrap();
        let after = transfer::copies();
        (
            after.to_device - before.to_device,
            after.to_host - before.to_host,
        )
    });
    assert_eq!(copies, (1, 0));
}

#[test]
fn nothing_is_copied_on_the_processor() {
    let mut trainer = trainer(&config(2), Memory::Constant);
    trainer.step(&images(), 0.0).unwrap();
    assert_eq!(transfer::copies(), Copies::default());
}

/// Composed forms in one run replace fused forms in several, with the same noise.
#[test]
fn training_takes_the_same_course() {
    let config = config(3);
    for memory in [Memory::Plain, Memory::Constant] {
        let course = || {
            let mut trainer = trainer(&config, memory);
            let losses = (0..5).map(|_| {
                let report = trainer.step(&images(), 0.0).unwrap();
                assert!(report.inversion.is_none_or(|found| found.is_sound()));
                report.bits_per_dim
            });
            let losses = losses.collect::<Vec<_>>();
            let gradient = trainer.gradient(&images()).unwrap();
            let draws = trainer.model().unwrap().sample(8, 3).unwrap();
            (losses, gradient, draws)
        };
        let (losses, gradient, draws) = course();
        let (rehearsed_losses, rehearsed_gradient, rehearsed_draws) = device::rehearse(course);
        for (rehearsed, loss) in rehearsed_losses.iter().zip(&losses) {
            assert!((rehearsed - loss).abs() < 1e-4 * loss, "{rehearsed} {loss}");
        }
        for (name, _, expected) in gradient.gradients().iter() {
            let rehearsed = rehearsed_gradient.gradients().get(name).unwrap();
            check::close(rehearsed, expected, 1e-3).unwrap();
        }
        check::close(&rehearsed_draws, &draws, 1e-3).unwrap();
    }
}
