//! Calibration of a conditional flow: ranks of the truth of each column, and coverage.

use anyhow::Result;
use flow_core::calibration::Calibration;
use flow_plot::{Axis, Canvas, Chart, Color, Layout};
use image::RgbImage;

/// Width and height of a panel, and panels of a row, at most.
const PANEL: (u32, u32) = (400, 320);
const ACROSS: usize = 3;

/// Bars of a histogram, and points of the curve of coverage.
const BARS: usize = 20;
const POINTS: usize = 50;

const FOUND: Color = [31, 119, 180];
const EXPECTED: Color = [120, 120, 120];

/// Draws a histogram of ranks for each column, and a curve of coverage: flat, and on the diagonal,
/// if the flow is right.
pub(crate) fn picture(columns: &[&str], calibration: &Calibration) -> Result<RgbImage> {
    let count = columns.len() + 1;
    let across = count.min(ACROSS);
    let down = count.div_ceil(across);
    let size = (PANEL.0 * across as u32, PANEL.1 * down as u32);
    let picture = flow_plot::picture(size, |canvas| {
        let cells = canvas.split_evenly(down, across);
        for ((cell, column), ranks) in cells.iter().zip(columns).zip(&calibration.ranks) {
            histogram(cell, column, ranks, calibration.draws)?;
        }
        coverage(&cells[columns.len()], calibration)
    });
    Ok(picture?)
}

fn histogram(cell: &Canvas, column: &str, ranks: &[usize], draws: usize) -> flow_plot::Result<()> {
    let mut heights = vec![0.0; BARS];
    for rank in ranks {
        heights[rank * BARS / (draws + 1)] += BARS as f64 / ranks.len() as f64;
    }
    let most = heights
        .iter()
        .fold(1.5_f64, |most, &height| most.max(height));
    let title = format!("rank of the true {column}");
    let (x, y) = (
        Axis::new(0.0..1.0, "share of draws below it", 5),
        Axis::new(0.0..1.1 * most, "density", 5),
    );
    let mut plot = cell.chart(&Chart::new(&title, Layout::PANEL, x, y))?;
    plot.bars(0.0, 1.0 / BARS as f64, &heights, FOUND)?;
    plot.line("", &[(0.0, 1.0), (1.0, 1.0)], EXPECTED)
}

fn coverage(cell: &Canvas, calibration: &Calibration) -> flow_plot::Result<()> {
    let axis = |name| Axis::new(0.0..1.0, name, 5);
    let (x, y) = (axis("credibility of a region"), axis("truths in it"));
    let mut plot = cell.chart(&Chart::new("coverage", Layout::PANEL, x, y))?;
    plot.line("", &[(0.0, 0.0), (1.0, 1.0)], EXPECTED)?;
    let point = |i: usize| {
        let credibility = i as f64 / POINTS as f64;
        (credibility, calibration.coverage(credibility))
    };
    plot.line("", &(0..=POINTS).map(point).collect::<Vec<_>>(), FOUND)
}
