//! Sizes and colors of pictures, as they are found.

use std::{collections::BTreeMap, io::Cursor};

use image::{DynamicImage, GenericImageView};
use rayon::prelude::*;

use crate::{
    Malformed, Result,
    collection::{Collection, Stored},
    picture::{self, Color, Facts, Fitting},
};

use super::{Preparation, write::runs};

/// The largest side of pictures that keep their size without being asked.
const LARGEST_KEPT: usize = 128;

/// The largest side of images of pictures that do not.
const LARGEST_CHOSEN: usize = 64;

/// Sizes and colors of the pictures of a collection, as their headers tell them.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    /// The number of pictures of each height and width.
    pub sizes: BTreeMap<(u32, u32), usize>,
    /// The number of pictures in color.
    pub colored: usize,
    /// The number of pictures that can be transparent.
    pub with_alpha: usize,
}

impl Formats {
    /// Reads the headers of all pictures. Those that are damaged are left out.
    ///
    /// # Errors
    /// A file of the collection cannot be opened.
    pub(super) fn of(collection: &Collection) -> Result<Self> {
        let mut formats = Self::default();
        for run in runs(collection.pictures()?) {
            let all = run.into_par_iter().map(|stored| facts(stored?));
            for facts in all.collect::<Vec<_>>().into_iter().flatten() {
                formats.count(&facts);
            }
        }
        Ok(formats)
    }

    /// Counts a picture.
    pub(super) fn count(&mut self, facts: &Facts) {
        *self.sizes.entry((facts.height, facts.width)).or_default() += 1;
        self.colored += usize::from(facts.color);
        self.with_alpha += usize::from(facts.alpha);
    }

    /// The shape of images of these pictures, where `preparation` leaves it to them.
    pub(super) fn fitting(&self, preparation: &Preparation) -> Fitting {
        let (height, width) = preparation.size.unwrap_or_else(|| self.size());
        Fitting {
            height,
            width,
            fit: preparation.fit,
            color: preparation.color.unwrap_or_else(|| self.color()),
            background: preparation.background,
        }
    }

    /// Channels of images of these pictures.
    fn color(&self) -> Color {
        if self.colored > 0 {
            Color::Rgb
        } else {
            Color::Grey
        }
    }

    /// Height and width of images of these pictures: their own if they share one of moderate size,
    /// otherwise the square of a power of two that most of them reach.
    fn size(&self) -> (usize, usize) {
        let own = self
            .sizes
            .keys()
            .map(|&(h, w)| (h as usize, w as usize))
            .collect::<Vec<_>>();
        if let [(h, w)] = *own
            && h.max(w) <= LARGEST_KEPT
        {
            return (h, w);
        }
        let mut sides: Vec<_> = self
            .sizes
            .iter()
            .map(|(&(h, w), &count)| (h.min(w) as usize, count))
            .collect();
        sides.sort_unstable();
        let half = sides.iter().map(|(_, count)| count).sum::<usize>() / 2;
        let mut passed = 0;
        let median = sides.iter().find(|(_, count)| {
            passed += count;
            passed > half
        });
        let most = median
            .map_or(LARGEST_CHOSEN, |(side, _)| *side)
            .clamp(1, LARGEST_CHOSEN);
        let side = 1 << most.ilog2();
        (side, side)
    }
}

fn facts(stored: Stored) -> Result<Facts, Malformed> {
    match stored {
        Stored::File(path) => picture::facts_of_file(&path),
        Stored::Encoded(content) => picture::facts(Cursor::new(content)),
        Stored::Pixels(pixels) => Ok(facts_of_pixels(&pixels)),
    }
}

/// The facts of a picture from its pixels.
pub(super) fn facts_of_pixels(pixels: &DynamicImage) -> Facts {
    let (width, height) = pixels.dimensions();
    let color = pixels.color();
    Facts {
        width,
        height,
        color: color.has_color(),
        alpha: color.has_alpha(),
    }
}
