//! Points in the plane in the colors of their groups.

use anyhow::Result;
use flow_plot::{Axis, Canvas, Chart, Color, Layout};
use image::RgbImage;

/// Width and height of the picture, in pixels: two squares side by side.
const SIZE: (u32, u32) = (1200, 640);

/// As many colors as can be told apart; more groups begin again.
const COLORS: [Color; 10] = [
    [31, 119, 180],
    [255, 127, 14],
    [44, 160, 44],
    [214, 39, 40],
    [148, 103, 189],
    [140, 86, 75],
    [227, 119, 194],
    [127, 127, 127],
    [188, 189, 34],
    [23, 190, 207],
];

/// This share of the points on each side does not stretch the scale.
const OUTLIERS: f64 = 0.002;

/// Names listed at most.
const MOST_NAMED: usize = 20;

/// A grouping of points.
pub(crate) struct Panel<'a> {
    pub(crate) title: &'a str,
    /// The group of each point.
    pub(crate) groups: &'a [usize],
    /// Names of the groups, where they have some.
    pub(crate) names: &'a [String],
}

/// Draws the same points twice, once for each grouping.
pub(crate) fn picture(points: &[(f64, f64)], panels: [Panel; 2]) -> Result<RgbImage> {
    let picture = flow_plot::picture(SIZE, |canvas| {
        for (area, panel) in canvas.split_evenly(1, 2).iter().zip(&panels) {
            draw(area, points, panel)?;
        }
        Ok(())
    });
    Ok(picture?)
}

fn draw(area: &Canvas, points: &[(f64, f64)], panel: &Panel) -> flow_plot::Result<()> {
    let Panel {
        title,
        groups,
        names,
    } = *panel;
    let across = range(points.iter().map(|point| point.0));
    let up = range(points.iter().map(|point| point.1));
    let x = Axis::new(across.clone(), "first component", 6);
    let y = Axis::new(up.clone(), "second component", 6);
    let mut plot = area.chart(&Chart::new(title, Layout::HALF, x, y))?;
    let seen = points.iter().zip(groups);
    let seen = seen.filter(|((x, y), _)| across.contains(x) && up.contains(y));
    plot.dots(seen.map(|(&point, group)| (point, color(*group))), 1)?;

    // A row of numbers in the colors of the groups, or a column of names.
    let used = groups.iter().max().map_or(0, |most| most + 1);
    let most = if names.is_empty() { 30 } else { MOST_NAMED };
    for group in 0..used.min(most) {
        let (corner, text) = match names.get(group) {
            Some(name) => ((84, 52 + group as u32 * 16), name.clone()),
            None => ((80 + group as u32 * 15, 52), group.to_string()),
        };
        area.text(corner, &text, 15, color(group))?;
    }
    Ok(())
}

fn color(group: usize) -> Color {
    COLORS[group % COLORS.len()]
}

/// From the lowest to the highest, but for outliers, with a margin.
pub(super) fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
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
        let panels = [("by column", &by_column), ("one", &one)].map(|(title, groups)| Panel {
            title,
            groups,
            names: &[],
        });
        let picture = picture(&points, panels).unwrap();
        assert_eq!(picture.dimensions(), SIZE);
        let count = |color: Color, right: bool| {
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
