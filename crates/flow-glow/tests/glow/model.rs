//! A step, a level and the whole multi-scale model against the Jacobian from automatic
//! differentiation, in f64, at random parameters; names, latents, samples.

use candle_core::{DType, Device, Tensor};
use flow_core::ops::Precision;
use flow_core::params::ParamStore;
use flow_core::train::Data;
use flow_core::{Bijection, check, random};
use flow_glow::{
    Column, Condition, Coupling, Dequantization, Glow, GlowConfig, ImageShape, Part, Place,
    Preprocessing, ScaleMap, SplitPrior,
};
use proptest::prelude::*;

fn config(image: ImageShape, levels: usize, coupling: Coupling, scale_map: ScaleMap) -> GlowConfig {
    GlowConfig {
        levels,
        steps: 2,
        width: 6,
        coupling,
        scale_map,
        ..GlowConfig::small(image)
    }
}

/// The first step of an inner level.
fn place(channels: usize) -> Place {
    Place {
        channels,
        step: 0,
        last_level: false,
    }
}

/// Kinds of a condition that a model can have.
#[derive(Clone, Copy, Debug)]
enum Kind {
    None,
    Classes(usize),
    Numbers { networks: bool },
}

fn kinds_of_condition() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::None),
        (2_usize..5).prop_map(Kind::Classes),
        any::<bool>().prop_map(|networks| Kind::Numbers { networks }),
    ]
}

impl Kind {
    fn of(self, config: GlowConfig) -> GlowConfig {
        let column = |name: &str, mean, std| Column {
            name: name.into(),
            mean,
            std,
        };
        let columns = || vec![column("slant", 0.5, 2.0), column("thickness", -3.0, 0.25)];
        match self {
            Self::None => config,
            Self::Classes(classes) => GlowConfig {
                classes: Some(classes),
                ..config
            },
            Self::Numbers { networks } => GlowConfig {
                condition: Some(Condition {
                    columns: columns(),
                    networks,
                }),
                ..config
            },
        }
    }

    /// Images with a random condition each.
    fn data(self, x: &Tensor, seed: u64) -> Data {
        match self {
            Self::None => Data::from(x),
            Self::Classes(classes) => {
                let label = (seed % classes as u64) as u32;
                Data::from((x, &Tensor::new(&[label], &Device::Cpu).unwrap()))
            }
            Self::Numbers { .. } => {
                let numbers = random::normal(seed, (1, 2), DType::F64, &Device::Cpu).unwrap();
                Data::from((x, &numbers))
            }
        }
    }
}

fn couplings() -> impl Strategy<Value = (Coupling, ScaleMap)> {
    prop_oneof![
        Just((Coupling::Additive, ScaleMap::Sigmoid)),
        Just((Coupling::Affine, ScaleMap::Sigmoid)),
        Just((Coupling::Affine, ScaleMap::SigmoidOffset)),
        Just((Coupling::Affine, ScaleMap::ExpTanh { bound: 2.0 })),
    ]
}

fn image(seed: u64, batch: usize, shape: ImageShape) -> Tensor {
    let shape = (batch, shape.channels, shape.height, shape.width);
    random::normal(seed, shape, DType::F64, &Device::Cpu).unwrap()
}

/// Largest condition number. It leaves eleven of the sixteen digits of f64, one more than the
/// bounds need. One random flow in ten is worse, and some are singular.
const WORST_CONDITION: f64 = 1e5;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn steps_levels_and_splits_are_bijections(
        (coupling, scale_map) in couplings(),
        b in 1_usize..=3, c in 1_usize..=2, h in 1_usize..=2, w in 1_usize..=2, seed: u64,
    ) {
        let shape = ImageShape::new(c, 2 * h, 2 * w);
        let config = config(shape, 1, coupling, scale_map);
        let x = image(seed, b, shape);
        let params = ParamStore::new(seed);
        let p = params.builder(DType::F64, &Device::Cpu);
        let squeezed = image(!seed, b, ImageShape::new(4 * c, h, w));
        let (precision, step) = (Precision::F32, place(4 * c));
        let level = |last, params| Part::level(&config, precision, c, last, params).unwrap();
        let parts: [(Box<dyn Bijection>, &Tensor); 4] = [
            (Box::new(Part::step(&config, precision, step, p.pp("step")).unwrap()), &squeezed),
            (
                Box::new(SplitPrior::new(&config.conventions, 4 * c, p.pp("split")).unwrap()),
                &squeezed,
            ),
            (Box::new(level(false, p.pp("inner"))), &x),
            (Box::new(level(true, p.pp("last"))), &x),
        ];
        check::randomize(&params, seed, 0.2).unwrap();
        for (part, x) in &parts {
            let y = part.forward(x).unwrap().0;
            prop_assume!(check::condition(part, x).unwrap() < WORST_CONDITION);
            check::close(&part.inverse(&y).unwrap(), x, 1e-9).unwrap();
            check::log_det(part, x, 1e-8).unwrap();
            check::gradients(part, &params, x, 1e-9).unwrap();
        }
    }

    #[test]
    fn the_whole_model_is_a_bijection(
        (coupling, scale_map) in couplings(),
        b in 1_usize..=3, c in 1_usize..=2, levels in 1_usize..=3, h in 1_usize..=2, w in 1_usize..=2,
        last_steps in prop::option::of(1_usize..=3), kind in kinds_of_condition(), seed: u64,
    ) {
        // Three levels of two colours at 16×8 would have a Jacobian of 256 dimensions.
        let (h, w) = if levels == 3 { (1, 1) } else { (h, w) };
        let shape = ImageShape::new(c, h << levels, w << levels);
        let config = GlowConfig {
            last_steps,
            ..kind.of(config(shape, levels, coupling, scale_map))
        };
        let params = ParamStore::new(seed);
        let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, seed, 0.1).unwrap();
        let x = image(seed, b, shape);
        let data = kind.data(&x, seed);
        let given = glow.conditioned_on(&data).unwrap();
        let whole = given.bijection();
        let y = whole.forward(&x).unwrap().0;
        prop_assume!(check::condition(whole, &x).unwrap() < WORST_CONDITION);
        check::close(&whole.inverse(&y).unwrap(), &x, 1e-9).unwrap();
        check::log_det(whole, &x, 1e-8).unwrap();
        check::gradients(whole, &params, &x, 1e-9).unwrap();

    }
}

#[test]
fn every_actnorm_leaves_the_first_batch_normalised() {
    let shape = ImageShape::new(1, 8, 8);
    let config = config(shape, 1, Coupling::Affine, ScaleMap::ExpTanh { bound: 2.0 });
    let params = ParamStore::new(3);
    let step = Part::step(
        &config,
        Precision::F32,
        place(4),
        params.builder(DType::F64, &Device::Cpu),
    )
    .unwrap();
    let x = (image(1, 6, ImageShape::new(4, 4, 4)) * 5.0)
        .unwrap()
        .affine(1.0, 2.0)
        .unwrap();
    let y = step.initialize(&x).unwrap();
    // A rotation keeps the sum of the variances, and a fresh coupling of this scale map is the
    // identity.
    let mean = y.mean_keepdim((0, 2, 3)).unwrap();
    check::close(&mean, &mean.zeros_like().unwrap(), 1e-10).unwrap();
    let total = y
        .sqr()
        .unwrap()
        .mean((0, 2, 3))
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap();
    assert!((total - 4.0).abs() < 1e-10);
}

#[test]
fn conditional_density_depends_on_the_label_and_unconditional_takes_none() {
    let shape = ImageShape::new(1, 4, 4);
    let base = config(shape, 2, Coupling::Affine, ScaleMap::Sigmoid);
    let labels = |label: u32| Tensor::full(label, 2, &Device::Cpu).unwrap();
    let x = image(0, 2, shape);
    let build = |classes| {
        let params = ParamStore::new(0);
        let config = GlowConfig {
            classes,
            ..base.clone()
        };
        let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, 1, 0.1).unwrap();
        glow
    };
    let conditional = build(Some(3));
    let log_prob = |label| {
        conditional
            .given(&labels(label))
            .unwrap()
            .log_prob(&x)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    assert_ne!(log_prob(0), log_prob(2));
    assert!(
        conditional
            .log_prob(&x)
            .unwrap_err()
            .to_string()
            .contains("labels are needed")
    );
    assert!(
        build(None)
            .given(&labels(0))
            .err()
            .unwrap()
            .to_string()
            .contains("takes no condition")
    );
}

#[test]
fn temperature_scales_every_level_and_seeds_repeat() {
    let shape = ImageShape::new(1, 8, 8);
    let params = ParamStore::new(0);
    let config = config(shape, 2, Coupling::Affine, ScaleMap::ExpTanh { bound: 2.0 });
    let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
    check::randomize(&params, 1, 0.05).unwrap();
    let latents = |temperature| {
        let x = glow
            .at_temperature(temperature)
            .unwrap()
            .sample(3, 7)
            .unwrap();
        glow.latents(&glow.encode(&x).unwrap().0).unwrap().0
    };
    for (full, half) in latents(1.0).iter().zip(&latents(0.5)) {
        check::close(&(full * 0.5).unwrap(), half, 1e-9).unwrap();
    }
    // Several runs of decoding give the same draws.
    let many = glow.sample(130, 7).unwrap();
    assert_eq!(many.dims(), [130, 1, 8, 8]);
    check::close(&glow.sample(130, 7).unwrap(), &many, 0.0).unwrap();
}

/// Configurations of 8×8 images with every number of bits and every preprocessing.
fn pixel_configurations() -> impl Iterator<Item = GlowConfig> {
    (1..=8).flat_map(|bits| {
        // The counts of the values are high, zero and low.
        let counts = std::array::from_fn(|v| [1 << 20, 0, 3][v % 3]);
        [
            Preprocessing::Centered,
            Preprocessing::Unit,
            Preprocessing::Logit { alpha: 0.01 },
            Preprocessing::equalized(&counts, bits),
        ]
        .map(|preprocessing| GlowConfig {
            bits,
            preprocessing,
            ..GlowConfig::small(ImageShape::new(1, 8, 8))
        })
    })
}

/// ln|dx/dp| of the preprocessing at `x`, the dequantised `images`.
fn log_slopes(config: &GlowConfig, images: &Tensor, x: &Tensor) -> candle_core::Result<Tensor> {
    let logit = || {
        let p = (x.neg()?.exp()? + 1.0)?.recip()?;
        (&p * (1.0 - &p)?)?.log()?.neg()
    };
    match &config.preprocessing {
        Preprocessing::Centered | Preprocessing::Unit => x.zeros_like(),
        Preprocessing::Logit { alpha } => logit()? + (1.0 - 2.0 * alpha).ln(),
        // The slope of a logit everywhere, times that of the linear piece of the pixel value.
        Preprocessing::Equalized { shares } => {
            let margin = 1e-5;
            let values = images.flatten_all()?.to_vec1::<u8>()?;
            let pieces = values.iter().map(|&value| {
                let share = shares[usize::from(value >> (8 - config.bits))];
                (share * shares.len() as f64 * (1.0 - 2.0 * margin)).ln()
            });
            Tensor::from_iter(pieces, &Device::Cpu)?.reshape(x.shape())? + logit()?
        }
    }
}

#[test]
fn pixels_survive_quantisation_and_the_bound_counts_every_term() {
    let pixels: Vec<u8> = (0..=255).collect();
    let images = Tensor::from_vec(pixels, (4, 1, 8, 8), &Device::Cpu).unwrap();
    for config in pixel_configurations() {
        let params = ParamStore::new(0);
        let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        let requantise = |images: &Tensor| {
            let (x, _) = glow.dequantize(images, 1).unwrap();
            flow_glow::quantize::quantize(&config, &x).unwrap()
        };
        let once = requantise(&images);
        check::close(&requantise(&once), &once, 0.0).unwrap();
        if config.bits == 8 {
            check::close(&once, &images, 0.0).unwrap();
        }
        // A uniform density over [0, 1)^D gives `bits` bits a dimension: ln p(x) = −Σ ln|dx/dp|.
        let (x, offset) = glow.dequantize(&images, 1).unwrap();
        let slopes = log_slopes(&config, &images, &x).unwrap();
        let sums = slopes.flatten_from(1).unwrap().sum(1).unwrap();
        let total = (offset - sums).unwrap();
        let bits_per_dim = flow_glow::quantize::bits_per_dim(&config, &total).unwrap();
        let expected = Tensor::full(f64::from(config.bits), 4, &Device::Cpu).unwrap();
        check::close(&bits_per_dim, &expected, 1e-12).unwrap();
    }
}

#[test]
fn numbers_condition_a_model() {
    let shape = ImageShape::new(1, 8, 8);
    for networks in [false, true] {
        let kind = Kind::Numbers { networks };
        let scale_map = ScaleMap::ExpTanh { bound: 2.0 };
        let config = kind.of(config(shape, 2, Coupling::Affine, scale_map));
        let params = ParamStore::new(2);
        let glow = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, 1, 0.1).unwrap();
        let numbers = |rows: &[[f64; 2]]| {
            Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap()
        };
        let rows = [[0.5, -3.0], [2.5, -2.75], [-1.5, -3.5]];
        let x = image(0, 3, shape);
        let together = glow.given(&numbers(&rows)).unwrap();
        let log_probs = together.log_prob(&x).unwrap();
        for (i, row) in rows.into_iter().enumerate() {
            let alone = glow.given(&numbers(&[row])).unwrap();
            let of_all = alone.log_prob(&x).unwrap();
            let at = |log_prob: &Tensor, i| log_prob.narrow(0, i, 1).unwrap();
            check::close(&at(&of_all, i), &at(&log_probs, i), 0.0).unwrap();
            let other = (i + 1) % 3;
            assert!(check::close(&at(&of_all, other), &at(&log_probs, other), 1e-6).is_err());
            let (drawn, log_prob) = alone.sample_with_log_prob(4, 7).unwrap();
            check::close(&alone.sample(4, 7).unwrap(), &drawn, 0.0).unwrap();
            check::close(&alone.log_prob(&drawn).unwrap(), &log_prob, 1e-9).unwrap();
        }
        for wrong in [&[2_usize, 2][..], &[3, 3], &[3], &[3, 2, 1]] {
            let wrong = Tensor::zeros(wrong, DType::F64, &Device::Cpu).unwrap();
            let given = glow.given(&wrong).and_then(|glow| Ok(glow.log_prob(&x)?));
            let message = given.unwrap_err().to_string();
            assert!(message.contains("needed") || message.contains("2 numbers for each image"));
        }
        let message = glow.log_prob(&x).unwrap_err().to_string();
        assert!(message.contains("the model is conditional"), "{message}");
    }
}

/// Names are an interface: every checkpoint contains them.
#[test]
fn parameter_names() {
    let config = GlowConfig {
        classes: Some(2),
        steps: 1,
        dequantization: Dequantization::Variational { steps: 2, width: 6 },
        ..config(
            ImageShape::new(1, 8, 8),
            2,
            Coupling::Affine,
            ScaleMap::Sigmoid,
        )
    };
    let params = ParamStore::new(0);
    Glow::new(&config, params.builder(DType::F32, &Device::Cpu)).unwrap();
    let step = [
        "actnorm.log_scale",
        "actnorm.shift",
        "conv1x1.log_scale",
        "conv1x1.lower",
        "conv1x1.rotation",
        "conv1x1.upper",
        "coupling.network.conv1.bias",
        "coupling.network.conv1.weight",
        "coupling.network.conv2.bias",
        "coupling.network.conv2.weight",
        "coupling.network.conv3.bias",
        "coupling.network.conv3.log_gain",
        "coupling.network.conv3.weight",
    ];
    let split = ["bias", "log_gain", "weight"].map(|name| format!("levels.0.split.conv.{name}"));
    let network = step.map(|name| name.strip_prefix("coupling.network."));
    let noise = |step: usize| {
        let names = network.into_iter().flatten();
        names.map(move |name| format!("dequantizer.{step}.{name}"))
    };
    let mut expected: Vec<String> = (0..2)
        .flat_map(|l| step.map(|name| format!("levels.{l}.steps.0.{name}")))
        .chain(split)
        .chain((0..2).flat_map(noise))
        .collect();
    expected.extend([
        "prior.class_gaussian".to_owned(),
        "prior.gaussian".to_owned(),
    ]);
    expected.sort();
    let names: Vec<String> = params.vars().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected);
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let equalized = |shares| Preprocessing::Equalized { shares };
    let small = GlowConfig::small(ImageShape::new(1, 28, 28));
    let refuse = |change: &dyn Fn(&mut GlowConfig), reason: &str| {
        let mut config = small.clone();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refuse(&|config| config.levels = 3, "1 to 2 are possible");
    refuse(&|config| config.bits = 9, "bits is 9");
    refuse(&|config| config.width = 0, "width is 0");
    refuse(
        &|config| config.last_steps = Some(0),
        "steps of the last level is 0",
    );
    refuse(&|config| config.classes = Some(0), "classes is 0");
    refuse(
        &|config| {
            config.dequantization = Dequantization::Variational { steps: 4, width: 0 };
        },
        "width of the dequantization is 0",
    );
    refuse(
        &|config| config.preprocessing = Preprocessing::Logit { alpha: f64::NAN },
        "alpha of the logit is NaN",
    );
    for (shares, reason) in [
        (vec![0.5; 2], "has 2 shares"),
        (vec![f64::NAN; 256], "must lie between"),
        (vec![1.0; 256], "sum to 256"),
    ] {
        refuse(
            &|config| config.preprocessing = equalized(shares.clone()),
            reason,
        );
    }
    let bound = f64::INFINITY;
    refuse(
        &|config| config.scale_map = ScaleMap::ExpTanh { bound },
        "bound of the scale map is inf",
    );
    assert_eq!(GlowConfig::paper(ImageShape::new(3, 32, 32)).levels, 3);
    assert_eq!(GlowConfig::paper(ImageShape::new(1, 28, 28)).levels, 2);
}
