//! Independence of the images of a batch: every function of a model, every form and precision, odd
//! and even sizes.

use candle_core::{DType, Device, Error, Result, Tensor};
use flow_core::ops::Precision;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::train::Data;
use flow_core::{Bijection, check, device, random};
use flow_glow::{Coupling, Dequantization, Glow, GlowConfig, ImageShape, ScaleMap};

/// Images in a batch; at least two share a group of the coupling network.
const BATCH: usize = 3;

fn configs() -> Vec<GlowConfig> {
    let config = |image, levels| GlowConfig {
        levels,
        steps: 1,
        width: 9,
        ..GlowConfig::small(image)
    };
    vec![
        // 14×14, then 7×7.
        GlowConfig {
            classes: Some(BATCH),
            dequantization: Dequantization::Variational { steps: 1, width: 5 },
            ..config(ImageShape::new(1, 28, 28), 2)
        },
        // 6×10, 3×5.
        GlowConfig {
            scale_map: ScaleMap::ExpTanh { bound: 2.0 },
            ..config(ImageShape::new(3, 12, 20), 2)
        },
        // 2×6, 1×3.
        GlowConfig {
            coupling: Coupling::Additive,
            ..config(ImageShape::new(2, 4, 12), 2)
        },
    ]
}

fn wrap<T>(result: flow_glow::Result<T>) -> Result<T> {
    result.map_err(Error::wrap)
}

/// All functions of images in model space, of latents and of pixels.
fn check_model(glow: &Glow) -> Result<()> {
    let config = glow.config();
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    let shape = (BATCH, channels, height, width);
    let dtype = glow.dtype();
    let x = random::normal(1, shape, dtype, &Device::Cpu)?;
    // One row serves all images, and serves one alone too.
    let label = Tensor::new(&[1_u32], &Device::Cpu)?;
    let data = config
        .classes
        .map_or(Data::from(&x), |_| Data::from((&x, &label)));
    let given = wrap(glow.conditioned_on(&data))?;
    let whole = given.bijection();
    let forward = |x: &Tensor| whole.forward(x).map(|(z, log_det)| vec![z, log_det]);
    check::independent_rows(forward, &x)?;
    check::batch_invariance(forward, &x)?;
    let z = whole.forward(&x)?.0;
    let inverse = |z: &Tensor| Ok(vec![whole.inverse(z)?]);
    check::independent_rows(inverse, &z)?;
    check::batch_invariance(inverse, &z)?;
    let log_prob = |x: &Tensor| Ok(vec![given.log_prob(x)?]);
    check::independent_rows(log_prob, &x)?;
    check::batch_invariance(log_prob, &x)?;
    if config.classes.is_some() {
        let posteriors = |x: &Tensor| Ok(vec![wrap(glow.class_log_posteriors(x))?]);
        check::independent_rows(posteriors, &x)?;
    }
    let pixels = random::uniform(2, shape, DType::F32, &Device::Cpu)?;
    let pixels = (pixels * 255.0)?.to_dtype(DType::U8)?;
    let encode = |pixels: &Tensor| Ok(wrap(given.encode_images(pixels))?.0);
    check::independent_rows(encode, &pixels)?;
    // Noise is drawn by position, so an image keeps its own.
    let bits = |pixels: &Tensor| wrap(given.bits_per_dim(pixels, 3));
    let expected = bits(&pixels)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    if config.classes.is_some() {
        let of_class = wrap(glow.class_bits_per_dim(&pixels, 3))?.narrow(1, 1, 1)?;
        let of_class = of_class.squeeze(1)?.to_dtype(DType::F64)?;
        assert_eq!(of_class.to_vec1::<f64>()?, expected);
    }
    for row in 0..BATCH {
        let mut rows =
            vec![Tensor::full(255_u8, (1, channels, height, width), &Device::Cpu)?; BATCH];
        rows[row] = pixels.narrow(0, row, 1)?;
        let found = bits(&Tensor::cat(&rows, 0)?)?.to_dtype(DType::F64)?;
        assert_eq!(
            found.to_vec1::<f64>()?[row].to_bits(),
            expected[row].to_bits()
        );
    }
    Ok(())
}

#[test]
fn images_do_not_see_each_other() {
    for config in configs() {
        for (dtype, precision) in [
            (DType::F32, Precision::F32),
            (DType::F32, Precision::Bf16),
            (DType::F64, Precision::F32),
        ] {
            let params = ParamStore::new(5);
            let build =
                |params: ParamBuilder| Glow::with_precision(&config, precision, params).unwrap();
            let trained = build(params.builder(dtype, &Device::Cpu));
            check::randomize(&params, 1, 0.1).unwrap();
            let frozen = build(params.frozen().builder(dtype, &Device::Cpu));
            for glow in [&trained, &frozen] {
                check_model(glow).unwrap();
                device::rehearse(|| check_model(glow)).unwrap();
            }
        }
    }
}
