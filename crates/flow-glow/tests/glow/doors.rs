//! Argument checks of models: empty batches give empty results, and misfits are refused in one
//! line.

use candle_core::{DType, Device, Tensor};
use flow_core::ops::Precision;
use flow_core::params::ParamStore;
use flow_core::runs::Rows;
use flow_core::train::Data;
use flow_core::train::Memory;
use flow_core::{Bijection, Gradients, check};
use flow_glow::{
    Conventions, Dequantization, Glow, GlowConfig, Half, ImageShape, Latents, LevelEnd,
    NetworkInput, Padding, Part, Place, PriorForm, Result, ScaleMap, SplitPrior, TrainSettings,
    Trainer,
};

const IMAGE: ImageShape = ImageShape {
    channels: 1,
    height: 8,
    width: 8,
};

fn configs() -> Vec<GlowConfig> {
    let small = GlowConfig {
        levels: 2,
        steps: 1,
        width: 4,
        ..GlowConfig::small(IMAGE)
    };
    vec![
        small.clone(),
        GlowConfig {
            classes: Some(3),
            dequantization: Dequantization::Variational { steps: 1, width: 4 },
            bits: 5,
            ..small.clone()
        },
        GlowConfig {
            scale_map: ScaleMap::ExpTanhLearned,
            conventions: Conventions {
                level_end: LevelEnd::Conv1x1,
                network_input: NetworkInput::AffineRelu,
                padding: Padding::Ones,
                split_keeps: Half::Second,
                split_prior: PriorForm::Element,
                top_prior: PriorForm::Convolution,
                ..Conventions::default()
            },
            ..small
        },
    ]
}

fn zeros(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(shape, dtype, &Device::Cpu).unwrap()
}

/// Samples with a label of each, if the model has classes.
fn conditions(config: &GlowConfig, x: &Tensor) -> Data {
    match config.classes {
        Some(_) => Data::from((x, &zeros(&x.dims()[..1], DType::U32))),
        None => Data::from(x),
    }
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn no_images_give_no_results() {
    for config in configs() {
        for dtype in [DType::F32, DType::F64] {
            let params = ParamStore::new(1);
            let unbound = Glow::new(&config, params.builder(dtype, &Device::Cpu)).unwrap();
            check::randomize(&params, 2, 0.05).unwrap();
            let none = zeros(&[0, 1, 8, 8], dtype);
            let glow = &unbound.conditioned_on(&conditions(&config, &none)).unwrap();
            let pixels = zeros(&[0, 1, 8, 8], DType::U8);
            let images = [0, 1, 8, 8];

            assert_eq!(glow.log_prob(&none).unwrap().dims(), [0]);
            let (rows, log_det) = glow.encode(&none).unwrap();
            assert_eq!(log_det.dims(), [0]);
            let latents = glow.latents(&rows).unwrap();
            for (latent, [c, h, w]) in latents.0.iter().zip(glow.latent_shapes().iter()) {
                assert_eq!(latent.dims(), [0, c, h, w]);
            }
            assert_eq!(glow.decode(&rows).unwrap().dims(), images);
            assert_eq!(glow.sample(0, 1).unwrap().dims(), images);
            let drawn = glow.sample_images(0, 1).unwrap();
            assert_eq!((drawn.dims(), drawn.dtype()), (&images[..], DType::U8));
            let (x, offset) = glow.dequantize(&pixels, 1).unwrap();
            assert_eq!((x.dims(), offset.dims()), (&images[..], &[0][..]));
            assert_eq!(glow.bits_per_dim(&pixels, 1).unwrap().dims(), [0]);
            let latents = glow.encode_images(&pixels).unwrap();
            assert_eq!(glow.decode_images(&latents).unwrap().dims(), images);
            if let Some(classes) = config.classes {
                let posteriors = unbound.class_log_posteriors(&none).unwrap();
                assert_eq!(posteriors.dims(), [0, classes]);
                let bits = unbound.class_bits_per_dim(&pixels, 1).unwrap();
                assert_eq!(bits.dims(), [0, classes]);
            }
            assert!(glow.initialize(&none).is_err());
        }
    }
}

#[test]
fn parts_of_a_model_pass_an_empty_batch_and_refuse_other_channels() {
    let config = &configs()[2];
    for dtype in [DType::F32, DType::F64] {
        let params = ParamStore::new(1);
        let builder = |name| params.builder(dtype, &Device::Cpu).pp(name);
        let place = Place {
            channels: 4,
            step: 0,
            last_level: false,
        };
        let convolution = Conventions::default();
        let glow = Glow::new(config, builder("glow")).unwrap();
        let parts: [(&str, Box<dyn Bijection + '_>, usize); 4] = [
            (
                "step",
                Box::new(Part::step(config, Precision::F32, place, builder("step")).unwrap()),
                4,
            ),
            (
                "level",
                Box::new(Part::level(config, Precision::F32, 2, false, builder("level")).unwrap()),
                2,
            ),
            (
                "split",
                Box::new(SplitPrior::new(&convolution, 4, builder("split")).unwrap()),
                4,
            ),
            ("whole", Box::new(glow.bijection()), 1),
        ];
        for (name, part, channels) in parts {
            let x = zeros(&[0, channels, 8, 8], dtype);
            let frozen = part.frozen(&Rows::all(0)).unwrap();
            for part in [&*part, &*frozen] {
                let (y, log_det) = part.forward(&x).unwrap();
                assert_eq!((y.dim(0).unwrap(), log_det.dims()), (0, &[0][..]), "{name}");
                assert_eq!(part.inverse(&y).unwrap().dims(), x.dims(), "{name}");
            }
            let (y, log_det) = part.forward(&x).unwrap();
            let mut grads = Gradients::new(&params);
            let (y, log_det) = (y.detach(), log_det.detach());
            let (back, _) = part.backward(&y, &y, &log_det, &mut grads).unwrap();
            assert_eq!(back.dims(), x.dims(), "{name}");
            for channels in [channels + 1, channels + 2] {
                let x = zeros(&[2, channels, 8, 8], dtype);
                let message = part.forward(&x).err().unwrap().to_string();
                assert!(message.contains("needed"), "{name}: {message}");
            }
            let row = zeros(&[1, 3], dtype);
            assert!(part.given(&row).is_err(), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_a_model_is_refused() {
    let [plain, classes, _] = configs().try_into().unwrap();
    let params = ParamStore::new(1);
    let glow = |config, name| {
        let params = params.builder(DType::F32, &Device::Cpu).pp(name);
        Glow::new(config, params).unwrap()
    };
    let (plain, conditional) = (glow(&plain, "plain"), glow(&classes, "classes"));
    let x = zeros(&[5, 1, 8, 8], DType::F32);
    for labels in [zeros(&[5], DType::U32), zeros(&[0], DType::U32)] {
        let message = message(plain.given(&labels));
        assert!(message.contains("takes no condition"), "{message}");
    }
    for message in [
        conditional.log_prob(&x).err().unwrap().to_string(),
        conditional.sample(5, 0).err().unwrap().to_string(),
        conditional.encode(&x).err().unwrap().to_string(),
    ] {
        assert!(message.contains("labels are needed"), "{message}");
    }
    for wrong in [zeros(&[5, 1], DType::U32), zeros(&[5], DType::F32)] {
        let message = message(conditional.given(&wrong));
        assert!(message.contains("a label of each image"), "{message}");
    }
    let four = zeros(&[4], DType::U32);
    let four = conditional.given(&four).unwrap();
    for message in [
        four.log_prob(&x).err().unwrap().to_string(),
        four.sample(5, 0).err().unwrap().to_string(),
        four.encode(&x).err().unwrap().to_string(),
        four.bijection().forward(&x).err().unwrap().to_string(),
    ] {
        assert!(message.contains("needed"), "{message}");
    }
    for wrong in [
        &[1, 8, 8][..],
        &[5, 64],
        &[],
        &[5, 1, 8, 8, 1],
        &[5, 3, 8, 8],
        &[5, 1, 8, 9],
    ] {
        let message = plain.log_prob(&zeros(wrong, DType::F32)).err().unwrap();
        let message = message.to_string();
        assert!(message.contains("needed [B, "), "{message}");
        let latents = Latents(vec![zeros(wrong, DType::F32); 2]);
        let message = self::message(plain.decode_latents(&latents));
        assert!(
            message.contains("latents: got a tensor of shape"),
            "{message}"
        );
    }
}

#[test]
fn nothing_is_learned_from_an_empty_batch() {
    for memory in [Memory::Plain, Memory::Constant] {
        let settings = TrainSettings {
            memory,
            ..TrainSettings::default()
        };
        let mut trainer = Trainer::new(&configs()[0], settings, "noise", &Device::Cpu).unwrap();
        let none = zeros(&[0, 1, 8, 8], DType::U8);
        assert!(message(trainer.step(&none, 0.0)).contains("a batch is empty"));
    }
}
