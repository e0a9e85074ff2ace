//! All sums of small integers are exact in f32, and so are the halves at two points.
#![allow(clippy::float_cmp)]

use super::*;
use crate::ops::product::tests::{architectures, integers};
use candle_core::{CpuStorage, Layout};
use proptest::prelude::*;

/// The three layers in plain loops.
fn specified(sizes: Sizes, x: &[f32], parameters: &[f32]) -> Vec<f32> {
    let [w1, b1, w2, b2, w3, b3] = cut(parameters, sizes.parameters());
    let (height, width) = (sizes.height, sizes.width);
    let convolve = |planes: &[f32], weight: &[f32], bias: &[f32]| {
        let mut result = Vec::new();
        for (weight, bias) in weight
            .chunks_exact(planes.len() / sizes.pixels() * 9)
            .zip(bias)
        {
            for (row, column) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
                let mut sum = *bias;
                for (plane, weight) in planes
                    .chunks_exact(sizes.pixels())
                    .zip(weight.chunks_exact(9))
                {
                    for (tap, weight) in weight.iter().enumerate() {
                        let (i, j) = (row + tap / 3, column + tap % 3);
                        if (1..=height).contains(&i) && (1..=width).contains(&j) {
                            sum += weight * plane[(i - 1) * width + j - 1];
                        }
                    }
                }
                result.push(sum);
            }
        }
        result
    };
    let relu = |numbers: Vec<f32>| numbers.into_iter().map(|x| x.max(0.0)).collect::<Vec<_>>();
    let image = |x: &[f32]| {
        let h1 = relu(convolve(x, w1, b1));
        let mut h2 = Vec::new();
        for (weight, bias) in w2.chunks_exact(sizes.hidden).zip(b2) {
            for pixel in 0..sizes.pixels() {
                let column = h1[pixel..].iter().step_by(sizes.pixels());
                h2.push(weight.iter().zip(column).map(|(w, h)| w * h).sum::<f32>() + bias);
            }
        }
        convolve(&relu(h2), w3, b3)
    };
    x.chunks_exact(sizes.inputs * sizes.pixels())
        .flat_map(image)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_instruction_set_computes_the_network(
        images in 1_usize..6, inputs in 1_usize..4, hidden in 1_usize..20, outputs in 1_usize..5,
        height in 1_usize..9, width in 1_usize..9, seed: u64,
    ) {
        let sizes = Sizes { inputs, hidden, outputs, height, width };
        let x = integers(seed, images * inputs * sizes.pixels());
        let parameters = integers(!seed, sizes.parameters().iter().sum());
        let storage = CpuStorage::F32(x.clone());
        let layout = Layout::contiguous((images, inputs, height, width));
        let samples = Samples::new(&storage, &layout).unwrap();
        let expected = specified(sizes, &x, &parameters);
        let image = outputs * sizes.pixels();
        for arch in architectures() {
            let panels = Panels::new(arch, sizes, samples, &parameters);
            let mut y = vec![f32::NAN; images * image];
            panels.run(0, &mut y);
            prop_assert_eq!(&y, &expected, "{:?}", arch);
            // The batch cut in another way.
            panels.run(images - 1, &mut y[..image]);
            prop_assert_eq!(&y[..image], &expected[expected.len() - image..]);
        }
    }
}
