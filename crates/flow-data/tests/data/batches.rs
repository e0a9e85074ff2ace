//! The order of batches, and what is in them.

use std::collections::HashSet;

use flow_data::{Batch, Batches, Dataset, Error, Split};
use proptest::prelude::*;

/// Every image of a batch as its pixels.
fn images(batch: &Batch) -> Vec<Vec<u8>> {
    batch.images.flatten_from(1).unwrap().to_vec2().unwrap()
}

fn labels(batch: &Batch) -> Vec<u32> {
    batch.labels.to_vec1().unwrap()
}

/// The first `count` bundled test images, which are all different.
fn dataset(count: usize) -> Dataset {
    let mut dataset = Dataset::bundled(Split::Test).unwrap();
    dataset.thin_out(count);
    assert_eq!(dataset.len(), count);
    dataset
}

fn epoch(dataset: &Dataset, batch_size: usize, seed: u64, epoch: u64) -> Vec<Vec<u8>> {
    let batches = Batches::new(dataset, batch_size, seed, epoch);
    batches.flat_map(|batch| images(&batch.unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn an_epoch_visits_each_image_at_most_once(
        count in 1..40_usize, batch_size in 1..12_usize, seed: u64, number in 0..1000_u64,
    ) {
        let dataset = dataset(count);
        let known: HashSet<_> = images(&dataset.batch(&(0..count).collect::<Vec<_>>()).unwrap()).into_iter().collect();
        let visited = epoch(&dataset, batch_size, seed, number);
        prop_assert_eq!(visited.len(), count / batch_size * batch_size);
        let distinct: HashSet<_> = visited.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), visited.len());
        prop_assert!(distinct.is_subset(&known));
    }

    #[test]
    fn skipping_is_going_on(
        seed: u64, number: u64, skipped in 0..9_usize, flipped: bool, mutation in 0..3_u32,
    ) {
        let dataset = dataset(40);
        let rate = 0.1 * f64::from(mutation);
        let batches = || Batches::new(&dataset, 5, seed, number).flipped(flipped).mutated(rate);
        let rest = batches().skip(skipped);
        prop_assert_eq!(rest.len(), 8_usize.saturating_sub(skipped));
        let rest: Vec<_> = rest.map(|batch| images(&batch.unwrap())).collect();
        let all: Vec<_> = batches().map(|batch| images(&batch.unwrap())).collect();
        prop_assert_eq!(&rest, &all[skipped.min(8)..]);
    }
}

/// Resuming a run relies on this order: it must not change with a platform or a dependency.
#[test]
fn the_order_is_fixed() {
    let dataset = dataset(8);
    let positions = |seed, number| -> Vec<usize> {
        let all = images(&dataset.batch(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap());
        let position = |image| all.iter().position(|other| *other == image).unwrap();
        epoch(&dataset, 4, seed, number)
            .into_iter()
            .map(position)
            .collect()
    };
    assert_eq!(
        [positions(0, 0), positions(0, 1), positions(1, 0)],
        [
            [3, 1, 5, 2, 0, 6, 4, 7],
            [7, 6, 4, 2, 1, 0, 5, 3],
            [1, 7, 3, 4, 0, 6, 2, 5]
        ]
    );
}

#[test]
fn flipping_mirrors_about_half_of_the_images() {
    let dataset = dataset(400);
    let plain = epoch(&dataset, 40, 3, 0);
    let flipped = Batches::new(&dataset, 40, 3, 0).flipped(true);
    let flipped: Vec<_> = flipped.flat_map(|batch| images(&batch.unwrap())).collect();
    let mirror = |image: &[u8]| -> Vec<u8> {
        image
            .chunks(28)
            .flat_map(|row| row.iter().rev().copied())
            .collect()
    };
    let mut mirrored = 0;
    for (plain, flipped) in plain.iter().zip(&flipped) {
        if plain != flipped {
            assert_eq!(mirror(plain), *flipped);
            mirrored += 1;
        }
    }
    assert!(
        (160..=240).contains(&mirrored),
        "{mirrored} of 400 images are mirrored"
    );
}

#[test]
fn in_order_covers_everything_once() {
    let dataset = dataset(23);
    let batches = dataset.in_order(10);
    assert_eq!(batches.len(), 3);
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    assert_eq!(
        batches
            .iter()
            .map(|batch| labels(batch).len())
            .collect::<Vec<_>>(),
        [10, 10, 3]
    );
    let whole = dataset.batch(&(0..23).collect::<Vec<_>>()).unwrap();
    assert_eq!(
        batches.iter().flat_map(images).collect::<Vec<_>>(),
        images(&whole)
    );
    assert_eq!(
        batches.iter().flat_map(labels).collect::<Vec<_>>(),
        labels(&whole)
    );
}

#[test]
fn a_batch_is_in_the_order_asked_for() {
    let dataset = dataset(10);
    let batch = dataset.batch(&[7, 2, 7]).unwrap();
    for (i, index) in [7, 2, 7].into_iter().enumerate() {
        let alone = dataset.batch(&[index]).unwrap();
        assert_eq!(images(&batch)[i], images(&alone)[0]);
        assert_eq!(labels(&batch)[i], labels(&alone)[0]);
    }
    assert!(matches!(
        dataset.batch(&[10]),
        Err(Error::Index { index: 10, len: 10 })
    ));
}

#[test]
fn mutations_replace_the_share_of_values_they_should() {
    let dataset = dataset(2000);
    let values = |rate| -> Vec<u8> {
        let batches = Batches::new(&dataset, 100, 3, 0).mutated(rate);
        batches
            .flat_map(|batch| images(&batch.unwrap()).concat())
            .collect()
    };
    let plain = values(0.0);
    let count = plain.len() as f64;
    for rate in [0.1, 0.5] {
        let mutated = values(rate);
        let changed: Vec<_> = plain.iter().zip(&mutated).filter(|(a, b)| a != b).collect();
        // One draw in 256 gives the value that was there. 1.6 million values: 6 deviations are 0.24
        // %.
        let share = changed.len() as f64 / count;
        assert!(
            (share - rate * 255.0 / 256.0).abs() < 0.0024,
            "{share} of {rate}"
        );
        let black = changed.iter().filter(|(value, _)| **value == 0);
        let (sum, n) = black.fold((0.0, 0.0), |(sum, n), (_, value)| {
            (sum + f64::from(**value), n + 1.0)
        });
        // Uniform on 1 to 255: a mean of 128, with a deviation of 73.6 / √n.
        assert!(
            (sum / n - 128.0_f64).abs() < 6.0 * 73.6 / n.sqrt(),
            "{}",
            sum / n
        );
    }
    let others = |epoch| Batches::new(&dataset, 100, 3, epoch).mutated(0.5);
    let first = |epoch| images(&others(epoch).next().unwrap().unwrap());
    assert_ne!(first(0), first(1));
}
