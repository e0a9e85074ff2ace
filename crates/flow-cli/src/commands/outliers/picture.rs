//! Histograms of scores above rows of images.

use anyhow::{Result, bail};
use candle_core::Tensor;
use flow_analysis::outliers::{quantile, strangeness};
use flow_plot::{Axis, Canvas, Chart, Color, INK, Layout};
use image::{RgbImage, imageops};

/// The scores of two sets of images.
pub(super) struct Panel<'a> {
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) normal: &'a [f64],
    pub(super) strange: &'a [f64],
}

/// A row of images.
pub(super) struct Strip {
    pub(super) caption: String,
    /// u8 `[N, C, H, W]`, C is 1 or 3.
    pub(super) images: Tensor,
}

const WIDTH: u32 = 1200;
const HEAD_HEIGHT: u32 = 50;
const PANEL_HEIGHT: u32 = 270;
const CAPTION_HEIGHT: u32 = 42;
/// Images are enlarged by whole numbers to at most this many pixels a side, or shrunk.
const TILE: u32 = 84;
const GAP: u32 = 8;
const MARGIN: u32 = 24;

/// Panels side by side.
const COLUMNS: usize = 2;

const BINS: usize = 80;

/// Scores beyond these shares are in the first and the last bin.
const SHOWN: [f64; 2] = [0.002, 0.998];

const NORMAL: Color = [90, 140, 190];
const STRANGE: Color = [200, 80, 40];

/// Draws panels, then strips; `names` are those of normal and strange images.
pub(super) fn draw(names: [&str; 2], panels: &[Panel], strips: &[Strip]) -> Result<RgbImage> {
    let rows = panels.len().div_ceil(COLUMNS);
    let strip_height = CAPTION_HEIGHT + TILE;
    let height =
        HEAD_HEIGHT + rows as u32 * PANEL_HEIGHT + strips.len() as u32 * strip_height + MARGIN;
    let tiles = strips
        .iter()
        .map(|strip| tiles(&strip.images))
        .collect::<Result<Vec<_>>>()?;
    let histograms = panels
        .iter()
        .map(Histogram::of)
        .collect::<Result<Vec<_>>>()?;
    let picture = flow_plot::picture((WIDTH, height), |canvas| {
        let (head, rest) = canvas.split_vertically(HEAD_HEIGHT);
        draw_legend(&head, names)?;
        let (plots, rest) = rest.split_vertically(rows as u32 * PANEL_HEIGHT);
        let areas = plots.split_evenly(rows, COLUMNS);
        for ((area, panel), histogram) in areas.iter().zip(panels).zip(&histograms) {
            histogram.draw(area, panel)?;
        }
        for (i, (strip, tiles)) in strips.iter().zip(tiles).enumerate() {
            draw_strip(&rest, i as u32 * strip_height, &strip.caption, tiles)?;
        }
        Ok(())
    });
    Ok(picture?)
}

fn draw_legend(area: &Canvas, names: [&str; 2]) -> flow_plot::Result<()> {
    for (i, (name, color)) in names.into_iter().zip([NORMAL, STRANGE]).enumerate() {
        let left = MARGIN + i as u32 * 420;
        area.rectangle((left, 20), (22, 18), color)?;
        area.text((left + 32, 21), name, 18, INK)?;
    }
    Ok(())
}

/// The shares of normal and strange scores in bins of one range.
struct Histogram {
    low: f64,
    high: f64,
    shares: [Vec<f64>; 2],
}

impl Histogram {
    fn of(panel: &Panel) -> Result<Self> {
        let [low, high] = range(&[panel.normal, panel.strange].concat())?;
        let width = (high - low) / BINS as f64;
        let shares = [panel.normal, panel.strange].map(|scores| histogram(scores, low, width));
        Ok(Self { low, high, shares })
    }

    fn draw(&self, area: &Canvas, panel: &Panel) -> flow_plot::Result<()> {
        let Self { low, high, shares } = self;
        let length = high - low;
        let most = shares.iter().flatten().copied().fold(0.0, f64::max);
        let scores = Axis::new(*low..*high, panel.unit, 6)
            .format(|score| label(score, length))
            .without_rules();
        let percent =
            Axis::new(0.0..most * 1.05, "", 5).format(|share| format!("{:.0} %", share * 100.0));
        let chart = Chart::new(&panel.title, Layout::PANEL, scores, percent);
        let mut plot = area.chart(&chart)?;
        for (shares, color) in shares.iter().zip([NORMAL, STRANGE]) {
            plot.bars(*low, length / BINS as f64, shares, color)?;
        }
        Ok(())
    }
}

/// From where to where the bins go: over all finite scores but the furthest.
fn range(scores: &[f64]) -> Result<[f64; 2]> {
    let finite: Vec<_> = scores
        .iter()
        .copied()
        .filter(|score| score.is_finite())
        .collect();
    if finite.is_empty() {
        return Ok([0.0, 1.0]);
    }
    let [low, high] = SHOWN.map(|share| quantile(&finite, share));
    let (low, high) = (low?, high?);
    let margin = ((high - low) * 0.02).max(1e-6 * (1.0 + low.abs()));
    Ok([low - margin, high + margin])
}

/// A number on an axis over `length`, with as many digits as tell its labels apart.
fn label(score: f64, length: f64) -> String {
    let digits = (1.0 - length.log10()).ceil().clamp(0.0, 9.0) as usize;
    let text = format!("{score:.digits$}");
    match text.trim_matches(['-', '0', '.']) {
        // Without the sign that rounding leaves to what was just below it.
        "" => text.trim_start_matches('-').to_owned(),
        _ => text,
    }
}

/// The share of the scores in each bin.
fn histogram(scores: &[f64], low: f64, width: f64) -> Vec<f64> {
    let mut shares = vec![0.0; BINS];
    for &score in scores {
        let bin = (strangeness(score) - low) / width;
        shares[bin.clamp(0.0, (BINS - 1) as f64) as usize] += 1.0 / scores.len() as f64;
    }
    shares
}

fn draw_strip(
    area: &Canvas,
    top: u32,
    caption: &str,
    tiles: Vec<RgbImage>,
) -> flow_plot::Result<()> {
    area.text((MARGIN, top + 19), caption, 15, INK)?;
    let mut left = MARGIN;
    for tile in tiles {
        if left + tile.width() > WIDTH - MARGIN {
            break;
        }
        area.image((left, top + CAPTION_HEIGHT), &tile)?;
        left += tile.width() + GAP;
    }
    Ok(())
}

/// Images `[N, C, H, W]` as they are shown.
fn tiles(images: &Tensor) -> Result<Vec<RgbImage>> {
    let (n, c, h, w) = images.dims4()?;
    let images = match c {
        1 => images.broadcast_as((n, 3, h, w))?,
        3 => images.clone(),
        _ => bail!("images of {c} channels cannot be shown; leave out `--out`"),
    };
    let pixels = images
        .permute((0, 2, 3, 1))?
        .flatten_all()?
        .to_vec1::<u8>()?;
    let (h, w) = (h as u32, w as u32);
    let tile = |pixels: &[u8]| {
        let image =
            RgbImage::from_raw(w, h, pixels.to_vec()).expect("it has the size of the tensor");
        match TILE / h.max(w) {
            0 => {
                let shrink = |side: u32| (side * TILE / h.max(w)).max(1);
                imageops::thumbnail(&image, shrink(w), shrink(h))
            }
            scale => imageops::resize(&image, w * scale, h * scale, imageops::FilterType::Nearest),
        }
    };
    Ok(pixels
        .chunks_exact((h * w * 3) as usize)
        .map(tile)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_score_falls_out_of_the_histogram() {
        let scores = [
            -1e9,
            0.0,
            0.5,
            1.0,
            1e9,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let shares = histogram(&scores, 0.0, 1.0 / BINS as f64);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((shares[0] - 0.25).abs() < 1e-12, "the two lowest");
        assert!(
            (shares[BINS - 1] - 0.625).abs() < 1e-12,
            "what is not finite, too"
        );
    }

    #[test]
    fn every_set_of_scores_has_a_range() {
        for scores in [
            &[][..],
            &[2.0],
            &[f64::NAN],
            &[0.0, 0.0],
            &[-1e300, 1e300],
            &[1e-300, 2e-300],
        ] {
            let [low, high] = range(scores).unwrap();
            assert!(low < high && (high - low).is_finite(), "{scores:?}");
        }
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label(-1e-17, 0.5), "0.00");
        assert_eq!(label(-0.25, 2.0), "-0.2");
        assert_eq!(label(30.0, 100.0), "30");
    }
}
