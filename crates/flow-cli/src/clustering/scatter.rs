//! Points in the plane in the colors of their groups.

use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;

use crate::plot::{self, Canvas, INK, OVERSAMPLING, RULE, text};

/// Width and height of the picture, in pixels: two squares side by side.
const SIZE: (u32, u32) = (1200, 640);

/// As many colors as can be told apart; more groups begin again.
const COLORS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(188, 189, 34),
    RGBColor(23, 190, 207),
];

/// This share of the points on each side does not stretch the scale.
const OUTLIERS: f64 = 0.002;

/// Draws the same points twice, once for each title and grouping.
pub(crate) fn picture(points: &[(f64, f64)], panels: [(&str, &[usize]); 2]) -> Result<RgbImage> {
    plot::picture(SIZE, |canvas| {
        for (area, (title, groups)) in canvas.split_evenly((1, 2)).iter().zip(panels) {
            draw(area, title, points, groups)?;
        }
        Ok(())
    })
}

fn draw(
    area: &Canvas,
    title: &str,
    points: &[(f64, f64)],
    groups: &[usize],
) -> Result<(), Box<dyn std::error::Error>> {
    let unit = OVERSAMPLING as i32;
    let (across, up) = (
        range(points.iter().map(|point| point.0)),
        range(points.iter().map(|point| point.1)),
    );
    let mut chart = ChartBuilder::on(area)
        .margin(16 * unit)
        .caption(title, text(20, INK))
        .set_label_area_size(LabelAreaPosition::Left, 60 * unit)
        .set_label_area_size(LabelAreaPosition::Bottom, 50 * unit)
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE.stroke_width(OVERSAMPLING))
        .axis_style(INK.stroke_width(OVERSAMPLING))
        .x_desc("first component")
        .y_desc("second component")
        .axis_desc_style(text(16, INK))
        .label_style(text(14, INK))
        .x_labels(6)
        .y_labels(6)
        .draw()?;
    let seen = points.iter().zip(groups);
    let seen = seen.filter(|((x, y), _)| across.contains(x) && up.contains(y));
    chart.draw_series(seen.map(|(&point, group)| {
        let color = COLORS[group % COLORS.len()];
        Circle::new(point, unit, color.filled())
    }))?;

    // A row of numbers in the colors of the groups.
    for group in 0..groups.iter().max().map_or(0, |most| most + 1).min(30) {
        let place = (80 * unit + group as i32 * 15 * unit, 52 * unit);
        let style = text(15, COLORS[group % COLORS.len()]);
        area.draw(&Text::new(group.to_string(), place, style))?;
    }
    Ok(())
}

/// From the lowest to the highest, but for outliers, with a margin.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let skipped = (last as f64 * OUTLIERS) as usize;
    let (Some(low), Some(high)) = (values.get(skipped), values.get(last - skipped)) else {
        return 0.0..1.0;
    };
    let margin = ((high - low) * 0.05).max(1e-9);
    low - margin..high + margin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_panels_show_their_groups() {
        let points = (0..200).map(|i| (f64::from(i % 20), f64::from(i / 20)));
        let points = points.collect::<Vec<_>>();
        let by_column = (0..200).map(|i| i % 20 / 10).collect::<Vec<_>>();
        let one = vec![3; 200];
        let picture = picture(&points, [("by column", &by_column), ("one", &one)]).unwrap();
        assert_eq!(picture.dimensions(), SIZE);
        let count = |color: RGBColor, right: bool| {
            let color = [color.0, color.1, color.2];
            let is = |(x, y, pixel): &(u32, u32, &image::Rgb<u8>)| {
                (*x >= SIZE.0 / 2) == right && *y > 100 && pixel.0 == color
            };
            picture.enumerate_pixels().filter(is).count()
        };
        assert!(count(COLORS[0], false) > 50 && count(COLORS[1], false) > 50);
        assert_eq!(count(COLORS[3], false), 0);
        assert!(count(COLORS[3], true) > 100);
        assert_eq!(count(COLORS[0], true), 0);
    }
}
