//! Scaling of a picture, or of the part of it that an image shows.

use fast_image_resize::{
    PixelType, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use crate::Malformed;

use super::Color;

/// A picture in rows of pixels of 8 bits a channel, the channels of a pixel side by side.
pub(super) struct Rows {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<u8>,
}

/// The part of a picture that is scaled, in its pixels.
pub(super) struct Region {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Rows {
    /// The pixels of a region in another size.
    pub(super) fn scale(
        self,
        color: Color,
        region: &Region,
        (width, height): (usize, usize),
    ) -> Result<Self, Malformed> {
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        let kind = match color {
            Color::Grey => PixelType::U8,
            Color::Rgb => PixelType::U8x3,
        };
        let from = ImageRef::new(self.width as u32, self.height as u32, &self.values, kind)
            .map_err(Malformed::new)?;
        let mut to = Image::new(width as u32, height as u32, kind);
        let options =
            ResizeOptions::new().crop(region.left, region.top, region.width, region.height);
        Resizer::new()
            .resize(&from, &mut to, &options)
            .map_err(Malformed::new)?;
        let values = to.into_vec();
        Ok(Self {
            width,
            height,
            values,
        })
    }
}

impl Region {
    pub(super) fn whole(picture: &Rows) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width: picture.width as f64,
            height: picture.height as f64,
        }
    }

    /// The largest part with the proportions of an image, in the middle of the picture.
    pub(super) fn in_the_middle(picture: &Rows, (width, height): (usize, usize)) -> Self {
        let (own_width, own_height) = (picture.width as f64, picture.height as f64);
        let (width, height) = (width as f64, height as f64);
        let is_wider = own_width * height >= width * own_height;
        let part = if is_wider {
            (width * own_height / height, own_height)
        } else {
            (own_width, own_width * height / width)
        };
        let (left, top) = ((own_width - part.0) / 2.0, (own_height - part.1) / 2.0);
        // Between two pixels, what needs no scaling would be blurred.
        let (left, top) = if part == (width, height) {
            (left.floor(), top.floor())
        } else {
            (left, top)
        };
        Self {
            left,
            top,
            width: part.0,
            height: part.1,
        }
    }
}

/// The size of a picture that is scaled until it lies within an image: width and height.
pub(super) fn within(
    (width, height): (usize, usize),
    (most_wide, most_high): (usize, usize),
) -> (usize, usize) {
    let rounded = |a: usize, b: usize, by: usize| ((a * b + by / 2) / by).max(1);
    if width * most_high >= most_wide * height {
        (most_wide, rounded(height, most_wide, width).min(most_high))
    } else {
        (rounded(width, most_high, height).min(most_wide), most_high)
    }
}
