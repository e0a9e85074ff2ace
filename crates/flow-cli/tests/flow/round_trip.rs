//! On real digits and in the precision of training, decoding undoes encoding.

use candle_core::{DType, Device};
use flow_data::{Batches, Dataset, Split};
use flow_glow::{GlowConfig, ImageShape, TrainSettings, Trainer, quantize};

#[test]
fn decoding_gives_back_test_images() {
    let (train, test) = (
        Dataset::bundled(Split::Train).unwrap(),
        Dataset::bundled(Split::Test).unwrap(),
    );
    let (channels, height, width) = train.shape();
    let config = GlowConfig::small(ImageShape::new(channels, height, width));
    // The least rate of the presets: at the default one the loss jumps on some processors, whose
    // rounding differs, and the step is refused.
    let settings = TrainSettings::paper();
    let mut trainer = Trainer::new(&config, settings, "mnist", &Device::Cpu).unwrap();
    let batches: Vec<_> = Batches::new(&train, 32, 0, 0)
        .take(60)
        .map(Result::unwrap)
        .collect();
    trainer.initialize(&batches[0].images).unwrap();
    for batch in &batches {
        trainer.step(&batch.images, 0.0).unwrap();
    }

    let images = test.batch(&(0..100).collect::<Vec<_>>()).unwrap().images;
    let (x, _) = trainer.model().unwrap().dequantize(&images, 0).unwrap();
    let (latents, _) = trainer.model().unwrap().encode(&x).unwrap();
    let decoded = trainer.model().unwrap().decode(&latents).unwrap();
    let difference = (&decoded - &x).unwrap().abs().unwrap().max_all().unwrap();
    assert!(
        difference.to_scalar::<f32>().unwrap() < 1e-3,
        "{difference}"
    );

    // And so to the pixel.
    let pixels = quantize::quantize(&config, &decoded).unwrap();
    let same = pixels.eq(&images).unwrap().to_dtype(DType::F32).unwrap();
    assert!(same.mean_all().unwrap().to_scalar::<f32>().unwrap() > 0.999);
}
