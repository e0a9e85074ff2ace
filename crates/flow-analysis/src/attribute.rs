//! Attributes of images: a [`Measure`] of a bright shape on a dark ground, and the two sets that
//! values of any attribute tell apart ([`split`]).
//!
//! With p the mean over channels, 0 to 1, m = Σ p, and μ the central moments of p (x to the right,
//! y down), each with the 1/12 that a pixel has itself:
//!
//! ```text
//! brightness  m / (H·W)
//! slant       −μ₁₁ / μ₀₂                       columns to the right for each row up
//! width       √(12·(μ₂₀ − μ₁₁² / μ₀₂))  of the bar that spreads as much, slant undone
//! thickness   (s − √(s² − 4m)) / 2,  s = Σ‖∇p‖ / 2
//! ```
//!
//! A stroke of length l and thickness t has the area l·t = m and half the outline l + t = s. The
//! last line solves both for t. All lengths are in pixels.

use std::{cmp::Ordering, fmt, str::FromStr};

use candle_core::{DType, Tensor};

use crate::{Error, Result};

/// The share of the items in each set, if there are more than two values.
const SHARE: usize = 4;

/// A pixel below this mean of its channels is dark; the noise and the seams of scans are.
const DARK: f64 = 32.0;

/// The share of dark pixels on the border of an image from which its ground is black, and of such
/// images from which that of a set is. All images of MNIST and Fashion-MNIST have a black ground
/// by this, and 3 % of those of CIFAR-10.
const BLACK_GROUND: f64 = 0.5;

/// A measure of the shape in an image, from the moments of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The thickness of strokes, in pixels.
    Thickness,
    /// The columns by which the shape leans to the right for each row up.
    Slant,
    /// The width of the shape, in pixels.
    Width,
    /// The brightness of the image, from 0 to 1.
    Brightness,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 4] = [Self::Thickness, Self::Slant, Self::Width, Self::Brightness];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thickness => "thickness",
            Self::Slant => "slant",
            Self::Width => "width",
            Self::Brightness => "brightness",
        }
    }

    /// True if it describes bright strokes on a black ground, and means nothing for other images.
    pub fn needs_black_ground(self) -> bool {
        self != Self::Brightness
    }

    /// Measures each of u8 images `[N, C, H, W]`; `None` for one that is black all over.
    ///
    /// # Errors
    /// If the tensor is not of this type and shape.
    pub fn of(self, images: &Tensor) -> Result<Vec<Option<f64>>> {
        let (n, channels, height, width) = images.dims4()?;
        let gray = images.to_dtype(DType::F64)?.mean(1)?.flatten_all()?;
        let gray = (gray / 255.0)?.to_vec1::<f64>()?;
        let size = height * width;
        if channels * size == 0 {
            return Ok(vec![None; n]);
        }
        let shapes = gray.chunks_exact(size);
        Ok(shapes.map(|p| self.of_shape(p, width)).collect())
    }

    /// Of the shape `p`, row by row.
    fn of_shape(self, p: &[f64], width: usize) -> Option<f64> {
        let mass = p.iter().sum::<f64>();
        if mass <= 0.0 {
            return None;
        }
        Some(match self {
            Self::Brightness => mass / p.len() as f64,
            Self::Thickness => {
                let half = outline(p, width) / 2.0;
                (half - (half * half - 4.0 * mass).max(0.0).sqrt()) / 2.0
            }
            Self::Slant => {
                let [_, xy, yy] = second_moments(p, width, mass);
                -xy / yy
            }
            Self::Width => {
                let [xx, xy, yy] = second_moments(p, width, mass);
                (12.0 * (xx - xy * xy / yy)).sqrt()
            }
        })
    }
}

/// True for each of u8 images `[N, C, H, W]` that has a black ground: at least half of its border
/// is dark. Measures of strokes ([`Measure::needs_black_ground`]) mean something for a set of which
/// [`mostly`] is true.
///
/// # Errors
/// If the tensor is not of this type and shape.
pub fn on_black_ground(images: &Tensor) -> Result<Vec<bool>> {
    let (_, _, height, width) = images.dims4()?;
    let gray = images.to_dtype(DType::F32)?.mean(1)?.flatten_all()?;
    let gray = gray.to_vec1::<f32>()?;
    let is_border = |place: usize| {
        let (x, y) = (place % width, place / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let is_black = |image: &[f32]| {
        let border = (0..image.len()).filter(|&place| is_border(place));
        let dark = border.clone().filter(|&p| f64::from(image[p]) < DARK);
        dark.count() as f64 >= BLACK_GROUND * border.count() as f64
    };
    let images = gray.chunks((height * width).max(1));
    Ok(images.map(is_black).collect())
}

/// True if at least half of the images of a set are on a black ground ([`on_black_ground`]).
pub fn mostly(on_black: &[bool]) -> bool {
    let black = on_black.iter().filter(|&&is_black| is_black);
    black.count() as f64 >= BLACK_GROUND * on_black.len() as f64
}

/// μ₂₀, μ₁₁ and μ₀₂; the outer two are at least the 1/12 of a pixel.
fn second_moments(p: &[f64], width: usize, mass: f64) -> [f64; 3] {
    let mean = |f: &dyn Fn(f64, f64) -> f64| {
        let terms = p.iter().enumerate();
        let terms = terms.map(|(i, p)| p * f((i % width) as f64, (i / width) as f64));
        terms.sum::<f64>() / mass
    };
    let (x0, y0) = (mean(&|x, _| x), mean(&|_, y| y));
    [
        mean(&|x, _| (x - x0).powi(2)) + 1.0 / 12.0,
        mean(&|x, y| (x - x0) * (y - y0)),
        mean(&|_, y| (y - y0).powi(2)) + 1.0 / 12.0,
    ]
}

/// Σ‖∇p‖ by differences to the next pixel, with darkness around the image.
fn outline(p: &[f64], width: usize) -> f64 {
    let height = (p.len() / width) as isize;
    let width = width as isize;
    let at = |x: isize, y: isize| {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if inside {
            p[(y * width + x) as usize]
        } else {
            0.0
        }
    };
    let steps = (-1..height).flat_map(|y| (-1..width).map(move |x| (x, y)));
    steps
        .map(|(x, y)| (at(x + 1, y) - at(x, y)).hypot(at(x, y + 1) - at(x, y)))
        .sum()
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
        known.ok_or_else(|| {
            Error::Input(format!(
                "unknown measure `{name}`; expected `thickness`, `slant`, `width` or `brightness`"
            ))
        })
    }
}

/// The items with less and those with more of the attribute `name`. Two values make two sets;
/// otherwise the sets are the lowest and the highest quarter.
///
/// ```
/// let lengths = [("short", 1.0), ("long", 9.0), ("tiny", 1.0)];
/// let (less, more) = flow_analysis::attribute::split(&lengths, "length")?;
/// assert_eq!((less, more), (vec!["short", "tiny"], vec!["long"]));
/// # flow_analysis::Result::Ok(())
/// ```
///
/// # Errors
/// If there are no items, or all have the same value.
pub fn split<T: Clone>(values: &[(T, f64)], name: &str) -> Result<(Vec<T>, Vec<T>)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
        return Err(Error::Input(format!("no image has a value of `{name}`")));
    };
    let (least, most) = (least.1, most.1);
    if least.partial_cmp(&most) != Some(Ordering::Less) {
        return Err(Error::Input(format!(
            "`{name}` is {least} for every image: images do not differ in it"
        )));
    }
    let items = |values: &[(T, f64)]| values.iter().map(|(item, _)| item.clone()).collect();
    let lowest = sorted.partition_point(|(_, value)| *value <= least);
    if sorted[lowest..].iter().all(|(_, value)| *value >= most) {
        return Ok((items(&sorted[..lowest]), items(&sorted[lowest..])));
    }
    let count = sorted.len().div_ceil(SHARE);
    Ok((
        items(&sorted[..count]),
        items(&sorted[sorted.len() - count..]),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn two_values_make_two_sets_and_many_make_quarters() {
        let split = |values: &[f64]| {
            let values = values.iter().copied().enumerate().collect::<Vec<_>>();
            super::split(&values, "it")
        };
        assert_eq!(
            split(&[1.0, 0.0, 0.0, 0.0]).unwrap(),
            (vec![1, 2, 3], vec![0])
        );
        let (low, high) = split(&[5.0, 1.0, 4.0, 2.0, 3.0, 0.0, 7.0, 6.0]).unwrap();
        assert_eq!((low, high), (vec![5, 1], vec![7, 6]));
        let (low, high) = split(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((low, high), (vec![1], vec![0]));
        assert!(split(&[]).is_err() && split(&[2.0, 2.0]).is_err());
    }
}
