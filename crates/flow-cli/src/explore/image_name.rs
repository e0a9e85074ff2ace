//! Names of images in requests and links: a place in the data set, or the picture itself.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flow_data::Split;
use serde::Deserialize;

/// An image of the model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum ImageName {
    /// `test:17`: a place in a split, counted from 0.
    Place(Split, usize),
    /// `png:…`: the content of a picture file, in Base64 for addresses.
    Picture(Vec<u8>),
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || "an image is named `test:PLACE`, `train:PLACE` or `png:…`".to_owned();
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        if kind == "png" {
            let content = BASE64_URL_SAFE_NO_PAD.decode(rest);
            return content
                .map(Self::Picture)
                .map_err(|_| "the picture in the request is damaged".to_owned());
        }
        let split = kind.parse::<Split>().map_err(|_| unknown())?;
        let place = rest.parse().map_err(|_| unknown())?;
        Ok(Self::Place(split, place))
    }
}

impl TryFrom<String> for ImageName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The name of a PNG.
pub(super) fn of_png(png: &[u8]) -> String {
    format!("png:{}", BASE64_URL_SAFE_NO_PAD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        let place = |text: &str| text.parse::<ImageName>().ok();
        assert_eq!(place("test:17"), Some(ImageName::Place(Split::Test, 17)));
        assert_eq!(place("train:0"), Some(ImageName::Place(Split::Train, 0)));
        let png = vec![0x89, b'P', 0xff, 0xfe];
        assert_eq!(place(&of_png(&png)), Some(ImageName::Picture(png)));
        for text in [
            "",
            "test",
            "test:",
            "test:-1",
            "valid:1",
            "png:*",
            "../a",
            "file:/etc",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
