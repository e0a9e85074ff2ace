//! Columns of a table beside samples of a flow, each against each.

use std::ops::Range;

use anyhow::Result;
use flow_plot::{Axis, Canvas, Chart, Color, Layout};
use flow_table::{Column, Kind};
use image::RgbImage;

use super::scatter;

/// Columns shown at most.
pub(crate) const MOST: usize = 8;

/// Dots of a panel at most.
const DOTS: usize = 2000;

/// Bars of a histogram at most.
const BARS: usize = 24;

/// Width and height of the picture without its heading, and of a panel at most, in pixels.
const SIDE: u32 = 1320;
const LARGEST_PANEL: u32 = 360;
const HEADING: u32 = 40;

/// The colors of data and of samples.
const DATA: Color = [31, 119, 180];
const SAMPLES: Color = [255, 127, 14];

/// Letters of a label, and labels of an axis.
const LETTERS: usize = 7;
const LABELS: usize = 4;

/// A column of numbers of the table and of samples.
pub(crate) struct Pair<'a> {
    pub(crate) column: &'a Column,
    pub(crate) data: Vec<f64>,
    pub(crate) samples: Vec<f64>,
}

/// Draws the first columns: histograms on the diagonal, data below and samples above it.
pub(crate) fn picture(pairs: &[Pair]) -> Result<RgbImage> {
    let shown = &pairs[..pairs.len().min(MOST)];
    let count = shown.len().max(1);
    let side = LARGEST_PANEL.min(SIDE / count as u32) * count as u32;
    let picture = flow_plot::picture((side, side + HEADING), |canvas| {
        let (heading, grid) = canvas.split_vertically(HEADING);
        heading.text((12, 12), "data, below the diagonal", 16, DATA)?;
        heading.text((212, 12), "samples, above", 16, SAMPLES)?;
        for (index, cell) in grid.split_evenly(count, count).iter().enumerate() {
            let (row, column) = (index / count, index % count);
            if row == column {
                histogram(cell, &shown[row], row + 1 == count)?;
            } else {
                dots(cell, shown, row, column)?;
            }
        }
        Ok(())
    });
    Ok(picture?)
}

fn histogram(cell: &Canvas, pair: &Pair, is_last: bool) -> flow_plot::Result<()> {
    let range = pair.range();
    let is_discrete = pair.column.kind.is_discrete();
    let span = range.end - range.start;
    let bars = if is_discrete {
        (span as usize).clamp(1, BARS)
    } else {
        BARS
    };
    let width = span / bars as f64;
    let shares = |numbers: &[f64]| {
        let mut shares = vec![0.0; bars];
        for number in numbers.iter().filter(|number| range.contains(number)) {
            shares[(((number - range.start) / width) as usize).min(bars - 1)] += 1.0;
        }
        let share = 1.0 / numbers.len().max(1) as f64;
        shares
            .into_iter()
            .map(|count| count * share)
            .collect::<Vec<_>>()
    };
    let (data, samples) = (shares(&pair.data), shares(&pair.samples));
    let most = data
        .iter()
        .chain(&samples)
        .fold(0.0_f64, |most, &share| most.max(share));
    let y = Axis::new(0.0..1.05 * most.max(1e-9), "", LABELS);
    let x = pair.axis(is_last);
    let mut plot = cell.chart(&Chart::new("", Layout::CELL, x, y))?;
    plot.bars(range.start, width, &data, DATA)?;
    plot.bars(range.start, width, &samples, SAMPLES)
}

fn dots(cell: &Canvas, pairs: &[Pair], row: usize, column: usize) -> flow_plot::Result<()> {
    let (across, up) = (&pairs[column], &pairs[row]);
    let x = across.axis(row + 1 == pairs.len());
    let y = up.axis(column == 0);
    let mut plot = cell.chart(&Chart::new("", Layout::CELL, x, y))?;
    let (xs, ys, color) = if row > column {
        (&across.data, &up.data, DATA)
    } else {
        (&across.samples, &up.samples, SAMPLES)
    };
    let (x_range, y_range) = (across.range(), up.range());
    let step = xs.len().div_ceil(DOTS).max(1);
    let points = xs.iter().copied().zip(ys.iter().copied()).step_by(step);
    let points = points.filter(|(x, y)| x_range.contains(x) && y_range.contains(y));
    plot.dots(points.map(|point| (point, color)), 1)
}

impl Pair<'_> {
    /// The range of the data, but for outliers.
    fn range(&self) -> Range<f64> {
        match &self.column.kind {
            Kind::Integer | Kind::Category { .. } => self.column.low..self.column.high + 1.0,
            Kind::Bounded { low, high } => *low..*high,
            Kind::Angle { low, period } => *low..low + period,
            Kind::Real | Kind::Positive => scatter::range(self.data.iter().copied()),
        }
    }

    /// An axis of this column, with its name where panels end.
    fn axis(&self, is_named: bool) -> Axis<'_> {
        let name = if is_named {
            self.column.name.as_str()
        } else {
            ""
        };
        let axis = Axis::new(self.range(), name, LABELS);
        match &self.column.kind {
            Kind::Category { levels } => axis.format(move |index| {
                let level = levels
                    .get(index.floor() as usize)
                    .filter(|_| index.fract() == 0.0);
                level.map_or(String::new(), |level| level.chars().take(LETTERS).collect())
            }),
            _ => axis.format(label),
        }
    }
}

/// A number in few digits.
fn label(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{number:.0e}"),
        size if size < 10.0 => format!("{number:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Kind) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            low: 0.0,
            high: 2.0,
            mean: 1.0,
            std: 1.0,
        }
    }

    #[test]
    fn data_are_below_the_diagonal_and_samples_above() {
        let levels = ["one", "two", "three"].map(str::to_owned).to_vec();
        let columns = [
            column("length", Kind::Real),
            column(
                "heading",
                Kind::Angle {
                    low: 0.0,
                    period: 360.0,
                },
            ),
            column("species", Kind::Category { levels }),
        ];
        let number = |column: usize, i: usize| match column {
            0 => (i as f64 * 0.37).sin() * 40.0,
            1 => (i as f64 * 7.7) % 360.0,
            _ => (i % 3) as f64 + (i as f64 * 0.61).fract(),
        };
        let pairs = columns.iter().enumerate().map(|(index, column)| Pair {
            column,
            data: (0..500).map(|i| number(index, i)).collect(),
            samples: (0..400).map(|i| number(index, i + 17)).collect(),
        });
        let pairs = pairs.collect::<Vec<_>>();
        let picture = picture(&pairs).unwrap();
        if let Ok(path) = std::env::var("FLOW_PAIR_PLOT") {
            picture.save(path).unwrap();
        }
        assert_eq!(picture.dimensions(), (1080, 1120));
        let count = |color: Color, (row, column): (u32, u32)| {
            let panel = |x, y| (x / 360, (y - HEADING) / 360) == (column, row);
            let pixels = picture.enumerate_pixels();
            let pixels =
                pixels.filter(|(x, y, pixel)| *y >= HEADING && panel(*x, *y) && pixel.0 == color);
            pixels.count()
        };
        assert!(count(DATA, (1, 0)) > 300 && count(SAMPLES, (1, 0)) == 0);
        assert!(count(SAMPLES, (0, 2)) > 300 && count(DATA, (0, 2)) == 0);
    }
}
