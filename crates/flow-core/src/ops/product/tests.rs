//! Every kernel of this machine, against products in f64 of the same numbers.

#![allow(clippy::float_cmp)] // These results are exact.

use super::{Finish, Kernel, Precision, padded};
use half::bf16;
use proptest::prelude::*;
use pulp::Arch;
use pulp::bytemuck::{cast_slice, cast_slice_mut};

/// Plain Rust, and each instruction set of this machine.
pub(in crate::ops) fn architectures() -> Vec<Arch> {
    let mut architectures = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    {
        architectures.extend(pulp::x86::V3::try_new().map(Arch::V3));
        architectures.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    architectures
}

/// All kernels; bf16 only if the machine has it.
fn kernels() -> Vec<Kernel> {
    let single = architectures().into_iter().map(Kernel::Single);
    single.chain([Kernel::new(Precision::Bf16)]).collect()
}

/// Small integers: exact in bf16, as are their products in f32, so that every kernel is exact.
pub(in crate::ops) fn integers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let draw = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 60) as f32 - 8.0
    };
    (0..count).map(draw).collect()
}

/// `rows` of `columns` numbers, each padded, as a left factor.
fn left_factor(kernel: Kernel, numbers: &[f32], columns: usize) -> Vec<f32> {
    let rows = numbers.len() / columns;
    let mut words = vec![0.0; kernel.row(columns) * rows];
    for (row, numbers) in numbers.chunks_exact(columns).enumerate() {
        let words = &mut words[row * kernel.row(columns)..];
        for (column, number) in numbers.iter().enumerate() {
            if kernel.depth() == 1 {
                words[column] = *number;
            } else {
                cast_slice_mut::<f32, bf16>(words)[column] = bf16::from_f32(*number);
            }
        }
    }
    words
}

/// The inverse of [`left_factor`].
fn numbers(kernel: Kernel, words: &[f32], columns: usize) -> Vec<f32> {
    let row = |words: &[f32]| -> Vec<f32> {
        if kernel.depth() == 1 {
            words[..columns].to_vec()
        } else {
            let halves = cast_slice::<f32, bf16>(words)[..columns].iter();
            halves.map(|half| half.to_f32()).collect()
        }
    };
    words
        .chunks_exact(kernel.row(columns))
        .flat_map(row)
        .collect()
}

fn expected(a: &[f32], b: &[f32], inner: usize, columns: usize) -> Vec<f32> {
    let entry = |a: &[f32], column: usize| {
        let products = a.iter().zip(b[column..].iter().step_by(columns));
        products.map(|(a, b)| a * b).sum::<f32>()
    };
    a.chunks_exact(inner)
        .flat_map(|a| (0..columns).map(move |column| entry(a, column)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn products_are_exact(rows in 1_usize..40, inner in 1_usize..40, columns in 1_usize..150, seed: u64) {
        let (a, b) = (integers(seed, rows * inner), integers(!seed, inner * columns));
        let product = expected(&a, &b, inner, columns);
        for kernel in kernels() {
            let left = left_factor(kernel, &a, inner);
            let right = kernel.pack(inner, columns, |row, column| b[row * columns + column]);

            let mut out = vec![f32::NAN; rows * padded(columns)];
            kernel.multiply(&left, &right, &mut out, Finish::Plain);
            let plain = out.chunks_exact(padded(columns)).flat_map(|row| &row[..columns]);
            prop_assert!(plain.eq(&product), "{kernel:?}");

            // Biases that keep sums below 256, so that bf16 holds them.
            let mut bias = integers(seed / 3, columns);
            bias.resize(padded(columns), 0.0);
            let mut out = vec![f32::NAN; rows * kernel.row(columns)];
            kernel.multiply(&left, &right, &mut out, Finish::BiasRelu(&bias));
            let round = |x: f32| if kernel.depth() == 1 { x } else { bf16::from_f32(x).to_f32() };
            let relu = product.iter().zip(bias[..columns].iter().cycle()).map(|(x, b)| round((x + b).max(0.0)));
            let activations = numbers(kernel, &out, columns);
            prop_assert!(activations.iter().copied().eq(relu), "{kernel:?}");

            let mut masked = vec![f32::NAN; rows * kernel.row(columns)];
            let mut sums = vec![1.0; padded(columns)];
            let mask = Finish::MaskAndSum { activations: &out, sums: &mut sums };
            kernel.multiply(&left, &right, &mut masked, mask);
            let kept = product.iter().zip(&activations).map(|(x, h)| if *h > 0.0 { *x } else { 0.0 });
            let kept = kept.collect::<Vec<_>>();
            prop_assert!(numbers(kernel, &masked, columns).into_iter().eq(kept.iter().map(|x| round(*x))), "{kernel:?}");
            for (column, sum) in sums[..columns].iter().enumerate() {
                prop_assert_eq!(*sum, 1.0 + kept[column..].iter().step_by(columns).sum::<f32>());
            }
        }
    }

    #[test]
    fn outer_products_are_exact(
        rows in 1_usize..40,
        // Narrow factors are read in place, wide ones are copied.
        m in prop_oneof![1_usize..40, 180_usize..210],
        n in 1_usize..150,
        seed: u64,
    ) {
        let (a, b) = (integers(seed, rows * m), integers(!seed, rows * n));
        for kernel in kernels() {
            let [left, right] = [(&a, m), (&b, n)].map(|(x, columns)| left_factor(kernel, x, columns));
            let mut sums = vec![2.0; m * padded(n)];
            kernel.add_outer(&kernel.stack(&left, m), m, &kernel.stack(&right, n), &mut sums);
            for i in 0..m {
                for j in 0..n {
                    let sum = (0..rows).map(|row| a[row * m + i] * b[row * n + j]).sum::<f32>();
                    prop_assert_eq!(sums[i * padded(n) + j], 2.0 + sum);
                }
            }
        }
    }
}
