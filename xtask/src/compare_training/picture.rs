//! Bits per dimension against the time of training, a curve for each system.

use anyhow::Result;
use plotters::{chart::SeriesLabelPosition, prelude::*};

use super::Mark;
use crate::plot::{self, Canvas, INK, OVERSAMPLING, RULE, text};

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (1200, 700);

const COLORS: [RGBColor; 2] = [RGBColor(120, 160, 200), RGBColor(200, 80, 40)];

/// Minutes and bits per dimension.
type Point = (f64, f64);

/// Draws two courses by name as a PNG; marks that are not finite are left out.
pub(super) fn png(courses: &[(&str, &[Mark]); 2]) -> Result<Vec<u8>> {
    let courses = courses.map(|(name, marks)| (name, points(marks)));
    plot::png(SIZE, |canvas| draw(canvas, &courses))
}

fn points(marks: &[Mark]) -> Vec<Point> {
    let point = |mark: &Mark| Some((mark.seconds / 60.0, mark.bits_per_dim?));
    marks.iter().filter_map(point).collect()
}

fn draw(
    canvas: &Canvas,
    courses: &[(&str, Vec<Point>); 2],
) -> Result<(), Box<dyn std::error::Error>> {
    let unit = OVERSAMPLING as i32;
    let all = || courses.iter().flat_map(|(_, points)| points);
    let last = all().map(|point| point.0).fold(0.0, f64::max);
    let least = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = all().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    if !least.is_finite() {
        return Err("no mark is finite".into());
    }
    let margin = ((most - least) * 0.08).max(0.05);
    let mut chart = ChartBuilder::on(canvas)
        .margin(24 * unit)
        .caption("MNIST, the same time on the same machine", text(22, INK))
        .set_label_area_size(LabelAreaPosition::Left, 84 * unit)
        .set_label_area_size(LabelAreaPosition::Bottom, 60 * unit)
        .build_cartesian_2d(0.0..last * 1.02, least - margin..most + margin)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE.stroke_width(OVERSAMPLING))
        .axis_style(INK.stroke_width(OVERSAMPLING))
        .x_desc("minutes of training")
        .y_desc("bits per dimension, test images")
        .axis_desc_style(text(19, INK))
        .label_style(text(16, INK))
        .x_labels(11)
        .y_labels(8)
        .y_label_formatter(&|bits| format!("{bits:.2}"))
        .draw()?;
    for ((name, points), color) in courses.iter().zip(COLORS) {
        let line = color.stroke_width(2 * OVERSAMPLING);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), line))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24 * unit, y)], line));
        let dot = |&point: &Point| Circle::new(point, 4 * unit, color.filled());
        chart.draw_series(points.iter().map(dot))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(12 * unit)
        .legend_area_size(32 * unit)
        .background_style(WHITE)
        .border_style(RULE.stroke_width(OVERSAMPLING))
        .label_font(text(17, INK))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(bits: impl Fn(f64) -> Option<f64>) -> Vec<Mark> {
        let mark = |i| Mark {
            seconds: 120.0 * f64::from(i),
            bits_per_dim: bits(f64::from(i)),
        };
        (1..=10).map(mark).collect()
    }

    #[test]
    fn both_curves_are_seen() {
        let peer = course(|i| (i < 7.0).then_some(1.5 + 4.0 / i));
        let ours = course(|i| Some(1.1 + 0.5 / i));
        let encoded = png(&[("nflows", &peer), ("flow", &ours)]).unwrap();
        let picture = image::load_from_memory(&encoded).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        for RGBColor(red, green, blue) in COLORS {
            let near = |pixel: &&image::Rgb<u8>| {
                let channels = pixel.0.into_iter().zip([red, green, blue]);
                channels.map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>() < 20
            };
            assert!(picture.pixels().filter(near).count() > 500);
        }
    }

    #[test]
    fn nothing_finite_is_an_error() {
        let nothing = course(|_| None);
        assert!(png(&[("nflows", &nothing), ("flow", &nothing)]).is_err());
    }
}
