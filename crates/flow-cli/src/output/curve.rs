//! The course of a training run as a picture.

use anyhow::Result;
use flow_plot::{Axis, Chart, Color, Layout};

use crate::training::Record;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (1200, 700);

/// The line of training batches has no more points than this: each is a mean, which calms the line.
const POINTS: usize = 150;

/// This share of the training lines, those with the most bits, does not stretch the scale.
const OUTLIERS: f64 = 0.1;

const TRAIN: Color = [120, 160, 200];
const TEST: Color = [200, 80, 40];

/// Draws bits per dimension against the training step as a PNG. `None` if there is nothing to draw.
pub(crate) fn png(title: &str, records: &[Record]) -> Result<Option<Vec<u8>>> {
    let train = means(&points(records, |record| Some(record.train_bits_per_dim)));
    let test = points(records, |record| record.test_bits_per_dim);
    let (Some((least, most)), Some(last)) = (range(&train, &test), records.last()) else {
        return Ok(None);
    };
    let steps = Axis::new(0.0..last.step as f64, "training step", 8);
    let steps = steps.format(|step| format!("{step:.0}"));
    let bits = Axis::new(least..most, "bits per dimension", 8);
    let bits = bits.format(|bits| format!("{bits:.2}"));
    let chart = Chart::new(title, Layout::PAGE, steps, bits);
    let encoded = flow_plot::png(SIZE, |canvas| {
        let mut plot = canvas.chart(&chart)?;
        plot.line("training batches", &visible(&train, most), TRAIN)?;
        if !test.is_empty() {
            let test = visible(&test, most);
            plot.line("test images", &test, TEST)?;
            plot.dots(test.into_iter().map(|point| (point, TEST)), 4)?;
        }
        plot.legend()
    })?;
    Ok(Some(encoded))
}

type Point = (f64, f64);

/// The steps at which `value` is known and finite, with the value.
fn points(records: &[Record], value: impl Fn(&Record) -> Option<f64>) -> Vec<Point> {
    records
        .iter()
        .filter_map(|record| Some((record.step as f64, value(record)?)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// The means of as many neighbors as it takes to have at most `POINTS`.
fn means(points: &[Point]) -> Vec<Point> {
    let mean = |neighbors: &[Point]| {
        let sum = neighbors
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (
            sum.0 / neighbors.len() as f64,
            sum.1 / neighbors.len() as f64,
        )
    };
    points
        .chunks(points.len().div_ceil(POINTS).max(1))
        .map(mean)
        .collect()
}

/// The bits per dimension to show, from the least to the most. The first steps of a training run
/// are far above the rest and would flatten it.
fn range(train: &[Point], test: &[Point]) -> Option<(f64, f64)> {
    let mut values = train.iter().map(|point| point.1).collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let usual = values[(last as f64 * (1.0 - OUTLIERS)).ceil() as usize];
    let least = test.iter().map(|point| point.1).fold(values[0], f64::min);
    let margin = ((usual - least) * 0.08).max(0.05);
    Some((least - margin, usual + margin))
}

/// The points from where they first come below `most`, with the crossing itself; later ones above
/// it lie on the edge.
fn visible(points: &[Point], most: f64) -> Vec<Point> {
    let Some(first) = points.iter().position(|point| point.1 <= most) else {
        return Vec::new();
    };
    let crossing = first.checked_sub(1).map(|before| {
        let ((x0, y0), (x1, y1)) = (points[before], points[first]);
        (x0 + (x1 - x0) * (y0 - most) / (y0 - y1), most)
    });
    let rest = points[first..].iter().map(|&(x, y)| (x, y.min(most)));
    crossing.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: u64, train: f64, test: Option<f64>) -> Record {
        Record {
            step,
            epoch: 1 + step / 156,
            train_bits_per_dim: train,
            test_bits_per_dim: test,
            lr: 1e-3,
            grad_norm: 1.0,
            inversion_error: None,
            plain_steps: 0,
            images_per_second: 400.0,
            seconds: step as f64 / 6.0,
        }
    }

    #[test]
    fn the_first_steps_do_not_flatten_the_rest() {
        let train = (0..100).map(|i| (f64::from(i), 1.5 + 20.0 / f64::from(1 + i * i)));
        let (least, most) = range(&train.collect::<Vec<_>>(), &[]).unwrap();
        assert!(least < 1.5 && most < 2.0, "{least} to {most}");
    }

    #[test]
    fn a_long_line_is_calmed_by_means() {
        let points = (0..=2 * POINTS)
            .map(|i| (i as f64, (i % 2) as f64))
            .collect::<Vec<_>>();
        let calm = means(&points);
        assert!(calm.len() <= POINTS);
        assert_eq!(calm[..2], [(1.0, 1.0 / 3.0), (4.0, 2.0 / 3.0)]);
        assert_eq!(means(&points[..9]), points[..9]);
    }

    #[test]
    fn a_line_enters_at_the_edge() {
        let seen = visible(&[(0.0, 10.0), (10.0, 5.0), (20.0, 1.0), (30.0, 4.0)], 3.0);
        assert_eq!(seen, [(15.0, 3.0), (20.0, 1.0), (30.0, 3.0)]);
    }

    #[test]
    fn records_become_a_picture() {
        assert!(png("empty", &[]).unwrap().is_none());
        let noise = |i: u64| ((i * 7919) % 101) as f64 / 2000.0;
        let records = (1..=90)
            .map(|i| {
                let bits = 1.4 + 4.0 / (i as f64).powf(0.9) + noise(i);
                record(i * 20, bits, (i % 9 == 0).then_some(bits - 0.05))
            })
            .collect::<Vec<_>>();
        let encoded = png("mnist · 2 levels × 8 steps · width 64", &records)
            .unwrap()
            .unwrap();
        let picture = image::load_from_memory(&encoded).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        let near = |color: Color| {
            let is_near = |pixel: &&image::Rgb<u8>| {
                let channels = pixel.0.into_iter().zip(color);
                channels.map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>() < 20
            };
            picture.pixels().filter(is_near).count()
        };
        assert!(near(TRAIN) > 500 && near(TEST) > 500 && near(flow_plot::INK) > 500);
    }
}
