//! The set-up of a chart: title, axes, labels and rules.

use std::ops::Range;

use plotters::{coord::Shift, prelude::*};

use crate::{
    INK, Plot, Result,
    canvas::{font, rgb, scaled},
};

/// The lines behind the data, and the frame of a legend.
pub(crate) const RULE: RGBColor = RGBColor(228, 228, 228);

/// Lengths of a chart.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    margin: u32,
    right_margin: u32,
    /// Room for labels and name of the y axis.
    left: u32,
    /// Room for labels and name of the x axis.
    bottom: u32,
    /// Sizes of text.
    title: u32,
    names: u32,
    labels: u32,
}

impl Layout {
    /// One chart that fills a page.
    pub const PAGE: Self = Self {
        margin: 24,
        right_margin: 24,
        left: 84,
        bottom: 60,
        title: 22,
        names: 19,
        labels: 16,
    };

    /// One of two charts side by side.
    pub const HALF: Self = Self {
        margin: 16,
        right_margin: 16,
        left: 60,
        bottom: 50,
        title: 20,
        names: 16,
        labels: 14,
    };

    /// One of many small charts.
    pub const PANEL: Self = Self {
        margin: 12,
        right_margin: 24,
        left: 58,
        bottom: 46,
        title: 18,
        names: 14,
        labels: 14,
    };

    /// One of very many small charts, close to each other.
    pub const CELL: Self = Self {
        margin: 3,
        right_margin: 8,
        left: 48,
        bottom: 36,
        title: 13,
        names: 12,
        labels: 11,
    };
}

/// The text of a label, from its value.
type Format<'a> = Box<dyn Fn(&f64) -> String + 'a>;

/// An axis of a chart.
pub struct Axis<'a> {
    range: Range<f64>,
    name: &'a str,
    labels: usize,
    format: Option<Format<'a>>,
    ruled: bool,
}

impl<'a> Axis<'a> {
    /// An axis over `range` with about so many labels; `name` may be empty.
    pub fn new(range: Range<f64>, name: &'a str, labels: usize) -> Self {
        Self {
            range,
            name,
            labels,
            format: None,
            ruled: true,
        }
    }

    /// Writes labels in this form.
    #[must_use]
    pub fn format(mut self, format: impl Fn(f64) -> String + 'a) -> Self {
        self.format = Some(Box::new(move |value| format(*value)));
        self
    }

    /// Draws no lines from its labels across the chart.
    #[must_use]
    pub fn without_rules(mut self) -> Self {
        self.ruled = false;
        self
    }
}

/// The set-up of a chart.
pub struct Chart<'a> {
    title: &'a str,
    layout: Layout,
    x: Axis<'a>,
    y: Axis<'a>,
}

impl<'a> Chart<'a> {
    /// A chart with this title above it, which may be empty.
    pub fn new(title: &'a str, layout: Layout, x: Axis<'a>, y: Axis<'a>) -> Self {
        Self {
            title,
            layout,
            x,
            y,
        }
    }

    pub(crate) fn draw<'b>(
        &self,
        area: &DrawingArea<BitMapBackend<'b>, Shift>,
    ) -> Result<Plot<'b>> {
        let Self {
            title,
            layout,
            x,
            y,
        } = self;
        let mut builder = ChartBuilder::on(area);
        builder
            .margin(scaled(layout.margin))
            .margin_right(scaled(layout.right_margin))
            .set_label_area_size(LabelAreaPosition::Left, scaled(layout.left))
            .set_label_area_size(LabelAreaPosition::Bottom, scaled(layout.bottom));
        if !title.is_empty() {
            builder.caption(title, font(layout.title, INK));
        }
        let mut chart = builder.build_cartesian_2d(x.range.clone(), y.range.clone())?;
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(RULE.stroke_width(scaled(1)))
            .axis_style(rgb(INK).stroke_width(scaled(1)))
            .axis_desc_style(font(layout.names, INK))
            .label_style(font(layout.labels, INK))
            .x_labels(x.labels)
            .y_labels(y.labels);
        if !x.name.is_empty() {
            mesh.x_desc(x.name);
        }
        if !y.name.is_empty() {
            mesh.y_desc(y.name);
        }
        if !x.ruled {
            mesh.disable_x_mesh();
        }
        if !y.ruled {
            mesh.disable_y_mesh();
        }
        if let Some(format) = &x.format {
            mesh.x_label_formatter(&**format);
        }
        if let Some(format) = &y.format {
            mesh.y_label_formatter(&**format);
        }
        mesh.draw()?;
        drop(mesh);
        Ok(Plot::new(chart))
    }
}
