//! Latents far from 0: their images are finite, and NaN never becomes a pixel.

use candle_core::{DType, Device, Tensor};
use flow_core::finite_rows;
use flow_core::params::ParamStore;
use flow_core::{Order, check};
use flow_glow::{
    Conv1x1Form, Coupling, Glow, GlowConfig, ImageShape, Latents, LevelEnd, Preprocessing,
    ScaleMap, quantize::quantize,
};

/// A small model of every kind of coupling, prior and form.
fn kinds() -> Vec<GlowConfig> {
    let small = GlowConfig {
        steps: 3,
        width: 6,
        ..GlowConfig::small(ImageShape::new(1, 8, 8))
    };
    let paper = GlowConfig {
        levels: 2,
        steps: 3,
        width: 6,
        ..GlowConfig::paper(ImageShape::new(1, 8, 8))
    };
    let maps = [
        ScaleMap::Sigmoid,
        ScaleMap::SigmoidOffset,
        ScaleMap::SigmoidInverse,
        ScaleMap::Softplus,
        ScaleMap::Exp,
        ScaleMap::ExpTanh { bound: 8.0 },
        ScaleMap::ExpTanhLearned,
    ];
    let of_map = |scale_map| {
        [&small, &paper].map(|config| GlowConfig {
            scale_map,
            ..config.clone()
        })
    };
    let mut kinds = maps.into_iter().flat_map(of_map).collect::<Vec<_>>();
    kinds.push(GlowConfig {
        coupling: Coupling::Additive,
        ..small.clone()
    });
    let mut nflows = small;
    nflows.conventions.affine_order = Order::ScaleFirst;
    nflows.conventions.conv1x1 = Conv1x1Form::LowerUpperRotation;
    nflows.conventions.level_end = LevelEnd::Conv1x1;
    kinds.push(nflows);
    kinds
}

/// A model with random parameters, large enough to expand.
fn model(config: &GlowConfig, dtype: DType) -> Glow {
    let store = ParamStore::new(1);
    let glow = Glow::new(config, store.builder(dtype, &Device::Cpu)).unwrap();
    check::randomize(&store, 1, 0.2).unwrap();
    drop(glow);
    Glow::new(config, store.frozen().builder(dtype, &Device::Cpu)).unwrap()
}

fn bits(x: &Tensor) -> Vec<u64> {
    let x = x.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    x.to_vec1::<f64>()
        .unwrap()
        .into_iter()
        .map(f64::to_bits)
        .collect()
}

/// `z` of five images with three of them moved `far`: the second in one number, the fourth in all
/// of one sign, the last in all, with their own signs.
fn move_far(z: &Tensor, far: f64) -> candle_core::Result<Tensor> {
    let row = |i| z.narrow(0, i, 1);
    let ones = row(1)?.ones_like()?;
    let all = (&ones * far)?;
    let place = Tensor::arange(0_u32, ones.elem_count() as u32, &Device::Cpu)?;
    let is_first = place.eq(0_u32)?.reshape(ones.shape())?;
    let one = is_first.where_cond(&all, &ones.zeros_like()?)?;
    let signed = row(4)?.gt(0.0)?.where_cond(&all, &all.neg()?)?;
    Tensor::cat(&[row(0)?, one, row(2)?, all, signed], 0)
}

#[test]
fn far_latents_decode_to_finite_images_and_leave_others_alone() {
    for (config, dtype) in kinds()
        .into_iter()
        .flat_map(|config| [(config.clone(), DType::F32), (config, DType::F64)])
    {
        let glow = model(&config, dtype);
        let near = glow
            .at_temperature(0.7)
            .unwrap()
            .draw_latents(5, 3)
            .unwrap();
        let alone = glow.decode_latents(&near).unwrap();
        assert_eq!(finite_rows(&alone).unwrap(), [true; 5], "{config:?}");
        let largest = if dtype == DType::F64 {
            f64::MAX
        } else {
            f32::MAX.into()
        };
        for far in [1e10, 1e30, -1e30, largest, f64::INFINITY] {
            let latents = Latents(near.0.iter().map(|z| move_far(z, far).unwrap()).collect());
            let decoded = glow.decode_latents(&latents).unwrap();
            assert_eq!(
                finite_rows(&decoded).unwrap(),
                [true; 5],
                "{far}: {config:?}"
            );
            for i in [0, 2] {
                let row = |x: &Tensor| bits(&x.narrow(0, i, 1).unwrap());
                assert_eq!(row(&decoded), row(&alone), "{far}: {config:?}");
            }
            glow.decode_images(&latents).unwrap();
        }
        for temperature in [0.0, 5.0, 1e6, 1e300] {
            let x = glow
                .at_temperature(temperature)
                .unwrap()
                .sample(7, 4)
                .unwrap();
            assert_eq!(
                finite_rows(&x).unwrap(),
                [true; 7],
                "{temperature}: {config:?}"
            );
        }
    }
}

#[test]
fn a_latent_that_is_none_is_no_image() {
    let config = &kinds()[0];
    let glow = model(config, DType::F32);
    let mut latents = glow
        .at_temperature(0.7)
        .unwrap()
        .draw_latents(3, 3)
        .unwrap();
    let mask = Tensor::new(&[0_f32, f32::NAN, 0.0], &Device::Cpu).unwrap();
    let mask = mask.reshape((3, 1, 1, 1)).unwrap();
    latents.0[0] = latents.0[0].broadcast_add(&mask).unwrap();
    let rows = finite_rows(&glow.decode_latents(&latents).unwrap()).unwrap();
    assert_eq!(rows, [true, false, true]);
    let error = glow.decode_images(&latents).unwrap_err();
    assert_eq!(error.to_string(), "1 of 3 images are not finite");
}

#[test]
fn temperatures_that_are_none_are_refused() {
    let glow = model(&kinds()[0], DType::F32);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        let error = glow.at_temperature(bad).err().unwrap();
        let expected = format!("a temperature must be 0 or more and finite, not {bad}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn pixels_are_made_of_finite_numbers_alone() {
    let preprocessings = [
        Preprocessing::Centered,
        Preprocessing::Unit,
        Preprocessing::Logit { alpha: 0.05 },
        Preprocessing::equalized(&[1; 256], 8),
    ];
    for preprocessing in preprocessings {
        let config = GlowConfig {
            preprocessing,
            ..kinds()[0].clone()
        };
        let image = |value: f32| Tensor::full(value, (1, 1, 8, 8), &Device::Cpu).unwrap();
        for (far, pixel) in [(f32::MAX, 255), (f32::MIN, 0), (1e30, 255), (-1e30, 0)] {
            let pixels = quantize(&config, &image(far)).unwrap();
            let pixels = pixels.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            assert_eq!(pixels, [pixel; 64], "{far}: {config:?}");
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![0.25; 3 * 64];
            (x[70], x[71], x[191]) = (bad, bad, bad);
            let x = Tensor::from_vec(x, (3, 1, 8, 8), &Device::Cpu).unwrap();
            let error = quantize(&config, &x).unwrap_err();
            assert_eq!(
                error.to_string(),
                "2 of 3 images are not finite",
                "{bad}: {config:?}"
            );
        }
    }
}
