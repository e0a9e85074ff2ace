//! Settings of [`Fitting`](super::Fitting) as they are typed.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

use super::{Color, Fit};

/// The longest side of images that can be asked for.
const LONGEST_SIDE: usize = 4096;

impl Color {
    /// Channels of an image.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Rgb => "rgb",
        }
    }
}

impl Fit {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Pad => "pad",
            Self::Stretch => "stretch",
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Color {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Grey, Self::Rgb];
        let named = known.into_iter().find(|known| known.as_str() == name);
        named.ok_or_else(|| unknown("color", name, "`grey` or `rgb`"))
    }
}

impl FromStr for Fit {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Crop, Self::Pad, Self::Stretch];
        let named = known.into_iter().find(|known| known.as_str() == name);
        named.ok_or_else(|| unknown("fit", name, "`crop`, `pad` or `stretch`"))
    }
}

fn unknown(kind: &'static str, name: &str, expected: &'static str) -> Error {
    Error::Unknown {
        kind,
        name: name.to_owned(),
        expected,
    }
}

/// Height and width of images from `48`, a square, or from width and height as in `64x48`, as image
/// tools write them.
///
/// # Errors
/// It is written in another way, or a side is not from 1 to 4096 pixels long.
pub fn parse_size(text: &str) -> Result<(usize, usize)> {
    let side = |text: &str| {
        let side = text.parse().ok()?;
        (1..=LONGEST_SIDE).contains(&side).then_some(side)
    };
    let size = match text.split_once(['x', '×']) {
        Some((width, height)) => side(height).zip(side(width)),
        None => side(text).map(|side| (side, side)),
    };
    let expected = "a side such as `32`, or width and height as in `64x48`, up to 4096 pixels each";
    size.ok_or_else(|| unknown("size", text, expected))
}

/// Red, green and blue of a background from `white`, `black` or `#rrggbb`.
///
/// # Errors
/// It is written in another way.
pub fn parse_background(text: &str) -> Result<[u8; 3]> {
    let digits = match text {
        "white" => "ffffff",
        "black" => "000000",
        _ => text.strip_prefix('#').unwrap_or_default(),
    };
    let is_whole = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let color = u32::from_str_radix(digits, 16).ok().filter(|_| is_whole);
    let color = color.map(|color| {
        let [_, rgb @ ..] = color.to_be_bytes();
        rgb
    });
    color.ok_or_else(|| unknown("background", text, "`white`, `black` or `#rrggbb`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            assert_eq!(fit.to_string().parse::<Fit>().unwrap(), fit);
        }
        for color in [Color::Grey, Color::Rgb] {
            assert_eq!(color.to_string().parse::<Color>().unwrap(), color);
        }
        assert_eq!(parse_size("32").unwrap(), (32, 32));
        assert_eq!(parse_size("64x48").unwrap(), (48, 64));
        for wrong in [
            "",
            "0",
            "x",
            "3x",
            "4097",
            "-1",
            "3x4x5",
            "1e3",
            "99999999999999999999",
        ] {
            let error = parse_size(wrong).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "unknown size `{wrong}`; expected a side such as `32`, or width and height as \
                         in `64x48`, up to 4096 pixels each"
                )
            );
        }
        let known = [
            ("white", [255; 3]),
            ("black", [0; 3]),
            ("#0aFf80", [10, 255, 128]),
        ];
        for (text, color) in known {
            assert_eq!(parse_background(text).unwrap(), color);
        }
        for wrong in [
            "", "#", "#fff", "#+12345", "0aff80", "#0aff800", "grey", "#ä2345",
        ] {
            let error = parse_background(wrong).unwrap_err().to_string();
            let expected = "expected `white`, `black` or `#rrggbb`";
            assert_eq!(error, format!("unknown background `{wrong}`; {expected}"));
        }
        let error = "center".parse::<Fit>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown fit `center`; expected `crop`, `pad` or `stretch`"
        );
    }
}
