//! Data on a chart.

use std::ops::Range;

use plotters::{
    chart::SeriesLabelPosition,
    coord::{cartesian::Cartesian2d, types::RangedCoordf64},
    prelude::*,
    style::Color as _,
};

use crate::{
    Color, INK, Result,
    canvas::{font, rgb, scaled},
    chart::RULE,
};

type Context<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A chart that takes data; what is drawn later lies above.
pub struct Plot<'a>(Context<'a>);

impl<'a> Plot<'a> {
    pub(crate) fn new(chart: Context<'a>) -> Self {
        Self(chart)
    }

    /// Draws a line that a legend knows by `name`.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn line(&mut self, name: &str, points: &[(f64, f64)], color: Color) -> Result<()> {
        let style = rgb(color).stroke_width(scaled(2));
        let length = scaled(24) as i32;
        self.0
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + length, y)], style));
        Ok(())
    }

    /// Draws a dot at each point, in a color of its own.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn dots(
        &mut self,
        points: impl IntoIterator<Item = ((f64, f64), Color)>,
        radius: u32,
    ) -> Result<()> {
        let dots = points
            .into_iter()
            .map(|(point, color)| Circle::new(point, scaled(radius), rgb(color).filled()));
        self.0.draw_series(dots)?;
        Ok(())
    }

    /// Paints a grid of cells that fills the ranges: rows of `columns` colors, the lowest first.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn cells(
        &mut self,
        [across, up]: [Range<f64>; 2],
        columns: usize,
        colors: &[Color],
    ) -> Result<()> {
        let rows = colors.len().div_ceil(columns.max(1)).max(1);
        let width = (across.end - across.start) / columns.max(1) as f64;
        let height = (up.end - up.start) / rows as f64;
        let cell = |(i, &color): (usize, &Color)| {
            let left = across.start + (i % columns) as f64 * width;
            let low = up.start + (i / columns) as f64 * height;
            Rectangle::new(
                [(left, low), (left + width, low + height)],
                rgb(color).filled(),
            )
        };
        self.0.draw_series(colors.iter().enumerate().map(cell))?;
        Ok(())
    }

    /// Draws bars that others shine through, from 0 up to `heights`, each `width` wide, the first
    /// one from `left` on.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn bars(&mut self, left: f64, width: f64, heights: &[f64], color: Color) -> Result<()> {
        let style = rgb(color).mix(0.55).filled();
        let bar = |(i, &height): (usize, &f64)| {
            let left = left + i as f64 * width;
            Rectangle::new([(left, 0.0), (left + width, height)], style)
        };
        self.0.draw_series(heights.iter().enumerate().map(bar))?;
        Ok(())
    }

    /// Names the lines in the upper right corner.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn legend(&mut self) -> Result<()> {
        self.0
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .margin(scaled(12))
            .legend_area_size(scaled(32))
            .background_style(WHITE)
            .border_style(RULE.stroke_width(scaled(1)))
            .label_font(font(17, INK))
            .draw()?;
        Ok(())
    }
}
