//! Bits per dimension against the time of training, a curve for each system.

use anyhow::{Result, ensure};
use flow_plot::{Axis, Chart, Color, Layout};

use super::CurvePoint;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (1200, 700);

const COLORS: [Color; 2] = [[120, 160, 200], [200, 80, 40]];

/// Minutes and bits per dimension.
type Point = (f64, f64);

/// Draws two courses by name as a PNG; marks that are not finite are left out.
pub(super) fn png(dataset: &str, courses: &[(&str, &[CurvePoint]); 2]) -> Result<Vec<u8>> {
    let courses = courses.map(|(name, marks)| (name, points(marks)));
    let all = || courses.iter().flat_map(|(_, points)| points);
    let last = all().map(|point| point.0).fold(0.0, f64::max);
    let least = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = all().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    ensure!(least.is_finite(), "no mark is finite");
    let margin = ((most - least) * 0.08).max(0.05);
    let minutes = Axis::new(0.0..last * 1.02, "minutes of training", 11);
    let bits = least - margin..most + margin;
    let bits = Axis::new(bits, "bits per dimension, test images", 8);
    let bits = bits.format(|bits| format!("{bits:.2}"));
    let title = format!("{dataset}, the same time on the same machine");
    let chart = Chart::new(&title, Layout::PAGE, minutes, bits);
    let encoded = flow_plot::png(SIZE, |canvas| {
        let mut plot = canvas.chart(&chart)?;
        for ((name, points), color) in courses.iter().zip(COLORS) {
            plot.line(name, points, color)?;
            plot.dots(points.iter().map(|&point| (point, color)), 4)?;
        }
        plot.legend()
    });
    Ok(encoded?)
}

fn points(marks: &[CurvePoint]) -> Vec<Point> {
    let point = |mark: &CurvePoint| Some((mark.seconds / 60.0, mark.bits_per_dim?));
    marks.iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(bits: impl Fn(f64) -> Option<f64>) -> Vec<CurvePoint> {
        let mark = |i| CurvePoint {
            seconds: 120.0 * f64::from(i),
            bits_per_dim: bits(f64::from(i)),
        };
        (1..=10).map(mark).collect()
    }

    #[test]
    fn both_curves_are_seen() {
        let peer = course(|i| (i < 7.0).then_some(1.5 + 4.0 / i));
        let ours = course(|i| Some(1.1 + 0.5 / i));
        let encoded = png("mnist", &[("nflows", &peer), ("flow", &ours)]).unwrap();
        let picture = image::load_from_memory(&encoded).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        for color in COLORS {
            let near = |pixel: &&image::Rgb<u8>| {
                let channels = pixel.0.into_iter().zip(color);
                channels.map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>() < 20
            };
            assert!(picture.pixels().filter(near).count() > 500);
        }
    }

    #[test]
    fn nothing_finite_is_an_error() {
        let nothing = course(|_| None);
        assert!(png("mnist", &[("nflows", &nothing), ("flow", &nothing)]).is_err());
    }
}
