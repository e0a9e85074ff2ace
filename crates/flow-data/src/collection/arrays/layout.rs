//! The axes of an image in an array.

use image::{DynamicImage, GrayAlphaImage, GrayImage, RgbImage, RgbaImage};

use crate::Malformed;

/// Bytes of an image.
const MOST: usize = 1 << 29;

/// The axes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) order: Order,
}

/// The place of the axis of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `[C, H, W]`, as in PyTorch.
    First,
    /// `[H, W, C]`, as in files of pictures.
    Last,
}

impl Layout {
    /// The layout and the number of the images of an array: `[N, H, W]`, `[N, C, H, W]` or
    /// `[N, H, W, C]` with 1 to 4 channels. Where sizes fit both orders, `order` decides.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the array.
    pub(super) fn of(shape: &[usize], order: Option<Order>) -> Result<(usize, Self), String> {
        let are_channels = |size: usize| (1..=4).contains(&size);
        let (count, channels, height, width, order) = match *shape {
            [count, height, width] => (count, 1, height, width, Order::First),
            [count, first, second, last] => {
                let order = match (are_channels(first), are_channels(last)) {
                    (true, false) => Order::First,
                    (false, true) => Order::Last,
                    (false, false) => {
                        return Err(format!(
                            "is of shape {shape:?}, of which neither the second nor the last axis \
                             is 1 to 4 channels"
                        ));
                    }
                    (true, true) => order.ok_or_else(|| {
                        format!(
                            "is of shape {shape:?}, of which the second or the last axis may be \
                             channels; save it as [N, H, W] or as safetensors, [N, C, H, W]"
                        )
                    })?,
                };
                match order {
                    Order::First => (count, first, second, last, order),
                    Order::Last => (count, last, first, second, order),
                }
            }
            _ => {
                return Err(format!(
                    "is of {} axes, and images are [N, H, W], [N, H, W, C] or [N, C, H, W]",
                    shape.len()
                ));
            }
        };
        let layout = Self {
            channels,
            height,
            width,
            order,
        };
        layout.check(count).map(|()| (count, layout))
    }

    /// The layout and the number of the images of a matrix `[N, 3·S·S]`, as in the files of the
    /// downsampled ImageNet.
    pub(super) fn of_rows(shape: [usize; 2]) -> Result<(usize, Self), String> {
        let [count, row] = shape;
        let side = (row / 3).isqrt();
        if Some(row) != side.checked_mul(side * 3) {
            return Err(format!(
                "is of shape {shape:?}, and rows of colored squares hold 3·S·S values"
            ));
        }
        let layout = Self {
            channels: 3,
            height: side,
            width: side,
            order: Order::First,
        };
        layout.check(count).map(|()| (count, layout))
    }

    fn check(&self, count: usize) -> Result<(), String> {
        let sizes = [self.channels, self.height, self.width];
        let bytes = sizes
            .iter()
            .try_fold(1_usize, |all, &size| all.checked_mul(size));
        match bytes {
            _ if count == 0 => Err("holds no images".to_owned()),
            Some(1..=MOST) => Ok(()),
            _ => Err(format!(
                "holds images of {}×{} pixels",
                self.height, self.width
            )),
        }
    }

    /// Bytes of an image.
    pub(super) fn bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The image of such bytes.
    pub(super) fn picture(&self, bytes: Vec<u8>) -> Result<DynamicImage, Malformed> {
        let bytes = match self.order {
            Order::First if self.channels > 1 => self.interleaved(&bytes),
            _ => bytes,
        };
        let sides = (self.width.try_into(), self.height.try_into());
        let (Ok(width), Ok(height)) = sides else {
            return Err("it is too large a picture".into());
        };
        let picture = match self.channels {
            1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
            2 => GrayAlphaImage::from_raw(width, height, bytes).map(DynamicImage::from),
            3 => RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
            _ => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::from),
        };
        picture.ok_or_else(|| "it is cut off".into())
    }

    /// The channels of a pixel side by side.
    fn interleaved(&self, planes: &[u8]) -> Vec<u8> {
        let pixels = self.height * self.width;
        let mut bytes = vec![0; planes.len()];
        for (channel, plane) in planes.chunks_exact(pixels).enumerate() {
            let values = bytes.iter_mut().skip(channel).step_by(self.channels);
            values.zip(plane).for_each(|(to, &from)| *to = from);
        }
        bytes
    }
}
