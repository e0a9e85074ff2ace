//! A flow of two-dimensional vectors: its density, and the way of samples through its layers.

use std::ops::Range;

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use flow_core::{Bijection, Model, transfer};
use flow_plot::{Axis, Canvas, Chart, Color, Layout};
use image::RgbImage;

use super::scatter;

/// Width and height of the picture, in pixels: two squares side by side.
const SIZE: (u32, u32) = (1200, 640);

/// Cells of the density on a side, and samples that decide where they lie.
const CELLS: usize = 120;
const SEEN: usize = 2000;

/// Lines of the grid in each direction, and points of a line.
const LINES: usize = 13;
const POINTS: usize = 121;

/// Colors of the density, from none to the highest.
const LIGHT: [f64; 3] = [255.0, 255.0, 255.0];
const DARK: [f64; 3] = [22.0, 62.0, 110.0];

const GRID: Color = [150, 160, 175];
const SAMPLES: Color = [200, 80, 40];

type Point = (f64, f64);

/// The picture that is wanted.
pub(crate) struct Plane {
    /// Layers that samples and grid have passed, counted from the base distribution; all without a
    /// number.
    pub(crate) layers: Option<usize>,
    pub(crate) samples: usize,
    pub(crate) seed: u64,
}

impl Plane {
    /// Draws it.
    ///
    /// # Errors
    /// If the flow is not of two unconditional numbers, or has fewer layers.
    pub(crate) fn picture(&self, model: &Model) -> Result<RgbImage> {
        check(model)?;
        let all = layers(model).len();
        let passed = self.layers.unwrap_or(all);
        ensure!(passed <= all, "the flow has {all} layers, not {passed}");
        let data = points(&model.sample(SEEN, self.seed)?)?;
        let ranges = ranges(&data);
        let density = density(model, &ranges)?;

        let base = model.base().sample(self.samples, self.seed)?;
        let lines = grid(&points(&base)?)
            .iter()
            .map(|line| carried(model, passed, &tensor(model, line)?))
            .collect::<Result<Vec<_>>>()?;
        let samples = carried(model, passed, &base)?;
        let picture = flow_plot::picture(SIZE, |canvas| {
            let halves = canvas.split_evenly(1, 2);
            let [across, up] = ranges.clone();
            let mut plot = halves[0].chart(&chart("density", &across, &up))?;
            plot.cells(ranges, CELLS, &density)?;
            draw_way(&halves[1], (passed, all), &samples, &lines)
        });
        Ok(picture?)
    }
}

/// # Errors
/// If the flow is not of two unconditional numbers.
pub(crate) fn check(model: &Model) -> Result<()> {
    let (features, context) = (
        model.architecture().features,
        model.architecture().context_size(),
    );
    ensure!(
        features == 2,
        "a flow of 2 numbers can be drawn, and this one is of {features}"
    );
    ensure!(
        context == 0,
        "the flow is conditional on {context} numbers, so it has no one density to draw"
    );
    Ok(())
}

/// The layers of a flow, from data to the base distribution.
pub(crate) fn layers(model: &Model) -> Vec<&dyn Bijection> {
    let whole: &dyn Bijection = model.bijection();
    match whole.parts() {
        parts if parts.is_empty() => vec![whole],
        parts => parts,
    }
}

/// Rows `[N, 2]` of the base after some layers on their way to data.
fn carried(model: &Model, passed: usize, base: &Tensor) -> Result<Vec<Point>> {
    let layers = layers(model).into_iter().rev().take(passed);
    let mut rows = base.clone();
    for layer in layers {
        rows = layer.inverse(&rows)?;
    }
    points(&rows)
}

/// The lines of a grid over most of the base's samples.
fn grid(base: &[Point]) -> Vec<Vec<Point>> {
    let [across, up] = ranges(base);
    let at = |range: &Range<f64>, place: usize, count: usize| {
        range.start + (range.end - range.start) * place as f64 / (count - 1) as f64
    };
    let line = |number: usize, is_upright: bool| {
        let point = |place: usize| {
            if is_upright {
                (at(&across, number, LINES), at(&up, place, POINTS))
            } else {
                (at(&across, place, POINTS), at(&up, number, LINES))
            }
        };
        (0..POINTS).map(point).collect()
    };
    let lines = [true, false].into_iter();
    lines
        .flat_map(|is_upright| (0..LINES).map(move |number| (number, is_upright)))
        .map(|(number, is_upright)| line(number, is_upright))
        .collect()
}

/// The color of each cell, row by row from the lowest.
fn density(model: &Model, [across, up]: &[Range<f64>; 2]) -> Result<Vec<Color>> {
    let middle = |range: &Range<f64>, place: usize| {
        range.start + (range.end - range.start) * (place as f64 + 0.5) / CELLS as f64
    };
    let cells = 0..CELLS * CELLS;
    let cells = cells.map(|i| (middle(across, i % CELLS), middle(up, i / CELLS)));
    let cells = tensor(model, &cells.collect::<Vec<_>>())?;
    let log_prob = transfer::numbers(&model.log_prob(&cells)?)?;
    let finite = log_prob.iter().copied().filter(|one| one.is_finite());
    let most = finite.fold(f64::NEG_INFINITY, f64::max);
    let color = |log_prob: f64| {
        // A cell outside of the support has no density.
        let share = if log_prob.is_finite() {
            (log_prob - most).exp().sqrt()
        } else {
            0.0
        };
        std::array::from_fn(|i| (LIGHT[i] + (DARK[i] - LIGHT[i]) * share).round() as u8)
    };
    Ok(log_prob.into_iter().map(color).collect())
}

fn draw_way(
    area: &Canvas,
    (passed, all): (usize, usize),
    samples: &[Point],
    lines: &[Vec<Point>],
) -> flow_plot::Result<()> {
    let [across, up] = ranges(samples);
    let title = match passed {
        0 => "samples and a grid of the base".to_owned(),
        _ => format!("after {passed} of {all} layers"),
    };
    let mut plot = area.chart(&chart(&title, &across, &up))?;
    let inside = |(x, y): &Point| across.contains(x) && up.contains(y);
    for line in lines {
        // A line is drawn where it is within the chart.
        for part in line.split(|point| !inside(point)) {
            if part.len() > 1 {
                plot.line("", part, GRID)?;
            }
        }
    }
    let seen = samples.iter().copied().filter(inside);
    plot.dots(seen.map(|point| (point, SAMPLES)), 2)
}

fn chart<'a>(title: &'a str, across: &Range<f64>, up: &Range<f64>) -> Chart<'a> {
    let (x, y) = (
        Axis::new(across.clone(), "first number", 6),
        Axis::new(up.clone(), "second number", 6),
    );
    Chart::new(title, Layout::HALF, x, y)
}

/// The ranges that hold most of some points.
fn ranges(points: &[Point]) -> [Range<f64>; 2] {
    [
        scatter::range(points.iter().map(|point| point.0)),
        scatter::range(points.iter().map(|point| point.1)),
    ]
}

/// The finite ones of rows `[N, 2]`.
fn points(rows: &Tensor) -> Result<Vec<Point>> {
    let rows = transfer::rows(rows)?.into_iter();
    let points = rows.map(|row| (row[0], row[1]));
    Ok(points
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect())
}

fn tensor(model: &Model, points: &[Point]) -> Result<Tensor> {
    let numbers = points.iter().flat_map(|&(x, y)| [x, y]);
    let rows = Tensor::from_iter(numbers, &Device::Cpu)?.reshape((points.len(), 2))?;
    let device = model
        .params()
        .vars()
        .first()
        .map(|(_, var)| var.device().clone());
    let rows = rows.to_dtype(model.dtype())?;
    Ok(transfer::to_device(&rows, &device.unwrap_or(Device::Cpu))?)
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use flow_core::recipes;

    use super::*;

    #[test]
    fn a_flow_is_drawn_at_every_layer() {
        let model = recipes::realnvp(2).layers(2).width(8);
        let model = model.build(0, DType::F32, &Device::Cpu).unwrap();
        let picture = |layers| {
            let plane = Plane {
                layers,
                samples: 200,
                seed: 0,
            };
            plane.picture(&model)
        };
        let all = layers(&model).len();
        let whole = picture(None).unwrap();
        assert_eq!(whole.dimensions(), SIZE);
        assert_eq!(whole, picture(Some(all)).unwrap());
        assert!(picture(Some(0)).is_ok() && picture(Some(all + 1)).is_err());
        let near = |color: Color| whole.pixels().filter(|pixel| pixel.0 == color).count();
        assert!(near(SAMPLES) > 200 && near(GRID) > 100);
    }

    #[test]
    fn other_flows_are_refused() {
        let model = recipes::realnvp(3).build(0, DType::F32, &Device::Cpu);
        assert!(check(&model.unwrap()).is_err());
        let model = recipes::realnvp(2).context(1);
        let model = model.build(0, DType::F32, &Device::Cpu);
        assert!(check(&model.unwrap()).is_err());
    }
}
