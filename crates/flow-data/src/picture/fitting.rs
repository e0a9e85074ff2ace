//! One shape for pictures of any size and color.

use image::DynamicImage;
use serde::{Deserialize, Serialize};

use crate::{Malformed, malformed::ensure};

use super::scale::{Region, Rows, within};

/// The way a picture of another size gets to the size of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Scaled until it covers the image; what stands out is cut off on both sides.
    #[default]
    Crop,
    /// Scaled until it lies within the image, in the middle of the background.
    Pad,
    /// Scaled in both directions on their own.
    Stretch,
}

/// The channels of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel.
    Grey,
    /// Red, green and blue.
    Rgb,
}

/// The shape of images, and the way that pictures get to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitting {
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// Scaling of pictures of another size.
    pub fit: Fit,
    /// Channels of an image.
    pub color: Color,
    /// The color behind transparent pictures, and beside those that [`Fit::Pad`] scales; without
    /// one, transparent pictures are refused, and black lies beside the others.
    pub background: Option<[u8; 3]>,
}

impl Fitting {
    /// Channels, height and width of an image.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.color.channels(), self.height, self.width)
    }

    /// The pixels `[C, H, W]` of a picture, channel by channel.
    ///
    /// Values of more than 8 bits are rounded to 8. Transparent pixels are laid on the background,
    /// colors become grey by the weights of ITU-R BT.601, and only then the picture is scaled, by
    /// Lanczos's filter of three lobes. A picture of the right size is not scaled at all.
    ///
    /// # Errors
    /// It has no pixels, or is transparent and there is no background.
    pub fn apply(&self, picture: DynamicImage) -> Result<Vec<u8>, Malformed> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let sides = [width, height, self.width, self.height];
        ensure!(!sides.contains(&0), "it has no pixels");
        let rows = Rows {
            width,
            height,
            values: self.values(picture)?,
        };
        let image = (self.width, self.height);
        let (region, size) = match self.fit {
            Fit::Crop => (Region::in_the_middle(&rows, image), image),
            Fit::Pad => (Region::whole(&rows), within((width, height), image)),
            Fit::Stretch => (Region::whole(&rows), image),
        };
        Ok(self.lay(&rows.scale(self.color, &region, size)?))
    }

    /// The values of a picture in the channels of images, without transparency.
    fn values(&self, picture: DynamicImage) -> Result<Vec<u8>, Malformed> {
        let found = picture.color();
        if self.color == Color::Grey && !found.has_color() && !found.has_alpha() {
            return Ok(picture.into_luma8().into_raw());
        }
        let colors = if found.has_alpha() {
            self.opaque(&picture.into_rgba8().into_raw())?
        } else {
            picture.into_rgb8().into_raw()
        };
        Ok(match self.color {
            Color::Rgb => colors,
            Color::Grey => colors.as_chunks().0.iter().copied().map(luma).collect(),
        })
    }

    /// Red, green and blue of pixels with alpha over the background.
    fn opaque(&self, pixels: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut colors = Vec::with_capacity(pixels.len() / 4 * 3);
        for &[red, green, blue, alpha] in pixels.as_chunks().0 {
            let color = [red, green, blue];
            colors.extend(match (alpha, self.background) {
                (u8::MAX, _) => color,
                (_, Some(background)) => {
                    std::array::from_fn(|i| over(color[i], alpha, background[i]))
                }
                (_, None) => return Err("parts of it are transparent; give a background".into()),
            });
        }
        Ok(colors)
    }

    /// A picture in the middle of an image, channel by channel.
    fn lay(&self, picture: &Rows) -> Vec<u8> {
        let background = self.background.unwrap_or_default();
        let background = match self.color {
            Color::Grey => [luma(background); 3],
            Color::Rgb => background,
        };
        let (channels, height, width) = self.shape();
        let left = (width - picture.width) / 2;
        let top = (height - picture.height) / 2;
        let mut image = Vec::with_capacity(channels * height * width);
        for (channel, &behind) in background[..channels].iter().enumerate() {
            let rows = picture.values.chunks(channels * picture.width);
            image.resize(image.len() + top * width, behind);
            for row in rows {
                image.resize(image.len() + left, behind);
                image.extend(row[channel..].iter().step_by(channels));
                image.resize(image.len() + (width - left - picture.width), behind);
            }
            image.resize((channel + 1) * height * width, behind);
        }
        image
    }
}

/// Grey of red, green and blue by the weights 0.299, 0.587 and 0.114 (ITU-R BT.601), in the
/// arithmetic of Pillow's `convert("L")`, and so of torchvision's `Grayscale`.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7471 * u32::from(blue);
    ((weighted + 0x8000) >> 16) as u8
}

/// A value over that of the background, rounded.
fn over(value: u8, alpha: u8, background: u8) -> u8 {
    let [value, alpha, background] = [value, alpha, background].map(u32::from);
    ((value * alpha + background * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey as Pillow 13 gives it: `Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0))`.
    #[test]
    fn grey_is_that_of_pillow() {
        let known = [
            ([0, 0, 0], 0),
            ([255, 255, 255], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([1, 2, 3], 2),
            ([128, 128, 128], 128),
            ([200, 100, 50], 124),
            ([12, 250, 99], 162),
            ([254, 255, 254], 255),
            ([2, 0, 0], 1),
            ([0, 1, 0], 1),
            ([0, 0, 4], 0),
            ([0, 0, 5], 1),
            ([68, 32, 130], 54),
            ([60, 253, 230], 193),
            ([241, 194, 107], 198),
            ([199, 221, 1], 189),
            ([228, 136, 117], 161),
            ([11, 13, 4], 11),
            ([195, 110, 216], 147),
        ];
        for (color, grey) in known {
            assert_eq!(luma(color), grey, "{color:?}");
        }
        // Grey saved as color keeps its value.
        for value in 0..=255 {
            assert_eq!(luma([value; 3]), value);
        }
    }
}
