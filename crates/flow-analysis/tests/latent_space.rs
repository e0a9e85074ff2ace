//! Paths and attributes in latent space: their ends, their shape, and images that come back.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use flow_analysis::latent_space::{Direction, Path};
use flow_core::params::ParamStore;
use flow_core::{check, random, train::Data};
use flow_glow::{Glow, GlowConfig, ImageShape, Latents, Preprocessing, quantize};

fn glow(config: &GlowConfig, dtype: DType) -> Glow {
    let store = ParamStore::new(3);
    let glow = Glow::new(config, store.builder(dtype, &Device::Cpu)).unwrap();
    check::randomize(&store, 4, 0.1).unwrap();
    glow
}

fn config(classes: Option<usize>) -> GlowConfig {
    GlowConfig {
        steps: 2,
        width: 6,
        classes,
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    }
}

/// Random pixels, black and white among them.
fn images(seed: u64, count: usize) -> Tensor {
    let noise = random::uniform(seed, (count, 1, 8, 8), DType::F64, &Device::Cpu).unwrap();
    let pixels = noise.affine(320.0, -32.0).unwrap();
    pixels
        .clamp(0.0, 255.0)
        .unwrap()
        .to_dtype(DType::U8)
        .unwrap()
}

fn normal(seed: u64, count: usize) -> Latents {
    let z = |level: u64, shape| random::normal(seed + level, shape, DType::F64, &Device::Cpu);
    Latents(vec![
        z(0, (count, 2, 4, 4)).unwrap(),
        z(100, (count, 8, 2, 2)).unwrap(),
    ])
}

/// Image `i` of the latents, as one list of numbers.
fn numbers(latents: &Latents, i: usize) -> Vec<f64> {
    let levels = latents.0.iter();
    let level = |z: &Tensor| {
        z.get(i)?
            .flatten_all()?
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()
    };
    levels.flat_map(|z| level(z).unwrap()).collect()
}

/// The mean over images, `[1, …]` in every level.
fn mean(latents: &Latents) -> Latents {
    let levels = latents.0.iter().map(|z| z.mean_keepdim(0));
    Latents(levels.collect::<candle_core::Result<_>>().unwrap())
}

fn length(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn images_come_back_to_the_pixel_at_both_ends_of_every_path() {
    let forms: [fn(u32) -> Preprocessing; 4] = [
        |_| Preprocessing::Centered,
        |_| Preprocessing::Unit,
        |_| Preprocessing::Logit { alpha: 0.01 },
        |bits| Preprocessing::equalized(&[1; 256], bits),
    ];
    for form in forms {
        for bits in [8, 5] {
            let config = GlowConfig {
                preprocessing: form(bits),
                bits,
                ..config(None)
            };
            let glow = glow(&config, DType::F32);
            // More than one run.
            let (from, to) = (images(1, 40), images(2, 40));
            let kept = |images: &Tensor| {
                let x = quantize::center(&config, images, DType::F64).unwrap();
                quantize::quantize(&config, &x).unwrap()
            };
            if bits == 8 {
                check::close(&kept(&from), &from, 0.0).unwrap();
            }
            let ends = [&from, &to].map(|images| glow.encode_images(images).unwrap());
            for path in [Path::Linear, Path::Spherical] {
                let strip = path.between(&ends[0], &ends[1], 5).unwrap();
                let strip = glow.decode_images(&strip).unwrap();
                let strip = strip.reshape((40, 5, 64)).unwrap();
                for (step, images) in [(0, &from), (4, &to)] {
                    let end = strip.narrow(1, step, 1).unwrap().reshape((40, 1, 8, 8));
                    check::close(&end.unwrap(), &kept(images), 0.0).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_line_is_straight_and_an_arc_keeps_its_distance() {
    let (a, b) = (normal(1, 3), normal(2, 3));
    let line = Path::Linear.between(&a, &b, 9).unwrap();
    let arc = Path::Spherical.between(&a, &b, 9).unwrap();
    for pair in 0..3 {
        let (start, end) = (numbers(&a, pair), numbers(&b, pair));
        let dot = start.iter().zip(&end).map(|(a, b)| a * b).sum::<f64>();
        let angle = (dot / length(&start) / length(&end)).acos();
        for step in 0..9_u8 {
            let t = f64::from(step) / 8.0;
            let mix = |from: f64, to: f64| {
                let ends = start.iter().zip(&end);
                ends.map(|(a, b)| from * a + to * b).collect::<Vec<_>>()
            };
            let arc_share = |t: f64| (t * angle).sin() / angle.sin();
            for (path, expected) in [
                (&line, mix(1.0 - t, t)),
                (&arc, mix(arc_share(1.0 - t), arc_share(t))),
            ] {
                let seen = numbers(path, pair * 9 + usize::from(step));
                assert!(
                    seen.iter()
                        .zip(expected)
                        .all(|(a, b)| (a - b).abs() < 1e-12)
                );
            }
        }
    }
    // Between latents of one length every point of the arc has it; the line cuts through.
    let unit = |latents: &Latents| {
        let length = length(&numbers(latents, 0));
        Latents(latents.0.iter().map(|z| (z / length).unwrap()).collect())
    };
    let (a, b) = (unit(&normal(5, 1)), unit(&normal(6, 1)));
    let arc = Path::Spherical.between(&a, &b, 7).unwrap();
    assert!((0..7).all(|step| (length(&numbers(&arc, step)) - 1.0).abs() < 1e-12));
    let line = Path::Linear.between(&a, &b, 7).unwrap();
    assert!(length(&numbers(&line, 3)) < 0.8);
}

#[test]
fn where_there_is_no_single_arc_the_path_is_a_line() {
    let a = normal(1, 2);
    let scaled = |by: f64| Latents(a.0.iter().map(|z| (z * by).unwrap()).collect());
    for b in [scaled(1.0), scaled(3.0), scaled(-1.0), scaled(0.0)] {
        let arc = Path::Spherical.between(&a, &b, 4).unwrap();
        let line = Path::Linear.between(&a, &b, 4).unwrap();
        for i in 0..8 {
            let (arc, line) = (numbers(&arc, i), numbers(&line, i));
            assert!(arc.iter().zip(line).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
    assert!(Path::Linear.between(&a, &a, 1).is_err());
    assert!(Path::Linear.between(&a, &normal(1, 3), 2).is_err());
}

#[test]
fn an_attribute_leads_from_one_mean_to_the_other() {
    for classes in [None, Some(3)] {
        let glow = glow(&config(classes), DType::F64);
        let (from, to) = (images(1, 35), images(2, 7));
        let label = Tensor::new(&[1_u32], &Device::Cpu).unwrap();
        let data = classes.map_or((&from).into(), |_| Data::from((&from, &label)));
        let glow = glow.conditioned_on(&data).unwrap();
        let direction = Direction::between(&glow, &from, &to).unwrap();
        let z = glow.encode_images(&from).unwrap();
        let moved = mean(&direction.applied(&z, 1.0).unwrap());
        let target = mean(&glow.encode_images(&to).unwrap());
        let (moved, target) = (numbers(&moved, 0), numbers(&target, 0));
        let difference = moved.iter().zip(&target).map(|(a, b)| a - b);
        let difference = length(&difference.collect::<Vec<_>>());
        assert!(
            difference < 1e-12 * length(&target),
            "{difference} {}",
            length(&target)
        );
        assert!(length(&numbers(direction.latents(), 0)) > 0.1);

        let same = direction.applied(&z, 0.0).unwrap();
        let same = glow.decode_images(&same).unwrap();
        check::close(&same, &from, 0.0).unwrap();

        let none = Tensor::zeros((0, 1, 8, 8), DType::U8, &Device::Cpu).unwrap();
        assert!(Direction::between(&glow, &from, &none).is_err());
    }
}

/// Between two images as of one class, the straight line is the same whichever class that is.
#[test]
fn a_straight_line_does_not_depend_on_the_class() {
    let glow = glow(&config(Some(3)), DType::F64);
    let middle = |class: u32| {
        let label = Tensor::new(&[class], &Device::Cpu).unwrap();
        let glow = glow.given(&label).unwrap();
        let [a, b] = [1, 2].map(|seed| glow.encode_images(&images(seed, 4)).unwrap());
        let path = Path::Linear.between(&a, &b, 3).unwrap();
        glow.decode_latents(&path).unwrap()
    };
    check::close(&middle(0), &middle(2), 1e-10).unwrap();
}
