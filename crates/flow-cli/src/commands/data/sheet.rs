//! A contact sheet: some of the images in one picture.

use std::collections::BTreeSet;

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_data::{Survey, picture::Fitting};
use image::DynamicImage;

use crate::output::image_grid::{self, GAP_VALUE};

/// Images in a row, and rows at most.
const COLUMNS: usize = 10;
const ROWS: usize = 20;

/// The longest side of an image.
const SIDE: usize = 128;

/// A row of images of each class, or ten rows of all.
pub(super) fn draw(survey: &Survey, seed: u64) -> Result<DynamicImage> {
    let classes = survey.classes.len();
    let rows = match classes {
        0 | 1 => {
            let places = survey.spread(None, COLUMNS * COLUMNS, seed);
            places.chunks(COLUMNS).map(<[usize]>::to_vec).collect()
        }
        _ => (0..classes.min(ROWS))
            .map(|class| survey.spread(Some(class), COLUMNS, seed))
            .collect::<Vec<_>>(),
    };
    let fitting = small(survey.fitting);
    let (c, h, w) = fitting.shape();
    let chosen = rows.iter().flatten().copied().collect::<BTreeSet<_>>();
    let images = survey.images(&chosen, &fitting)?;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let empty = vec![GAP_VALUE; c * h * w];
    let mut pixels = Vec::new();
    for row in &rows {
        for column in 0..columns {
            let image = row.get(column).and_then(|place| images.get(place));
            pixels.extend_from_slice(image.unwrap_or(&empty));
        }
    }
    let shape = (rows.len() * columns, c, h, w);
    image_grid::rows(&Tensor::from_vec(pixels, shape, &Device::Cpu)?, columns)
}

/// The same shape, or one of smaller sides in this proportion.
fn small(fitting: Fitting) -> Fitting {
    let shrink = fitting.height.max(fitting.width).div_ceil(SIDE).max(1);
    Fitting {
        height: fitting.height.div_ceil(shrink),
        width: fitting.width.div_ceil(shrink),
        ..fitting
    }
}
