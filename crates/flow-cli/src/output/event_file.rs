//! The event files of TensorBoard: protocol buffers in the records of TFRecord.
//!
//! ```text
//! record = length (u64), mask(crc32c(length)), event, mask(crc32c(event))         little endian
//! mask(c) = (c rotated right by 15) + 0xa282ead8
//! ```
//!
//! The messages are the parts that are used here of `event.proto` and `summary.proto` of
//! TensorFlow.

use prost::Message;

/// The version in the first event of a file.
const VERSION: &str = "brain.Event:2";

/// An entry of the file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    /// Training steps.
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Content", tags = "2, 4")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// The number of channels.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

impl Event {
    /// The first event of a file.
    pub(crate) fn beginning(wall_time: f64) -> Self {
        Self {
            wall_time,
            step: 0,
            what: Some(What::FileVersion(VERSION.to_owned())),
        }
    }

    /// Numbers by name, after `step` steps.
    pub(crate) fn scalars(wall_time: f64, step: u64, scalars: &[(&str, f64)]) -> Self {
        let value = |&(tag, scalar): &(&str, f64)| Value {
            tag: tag.to_owned(),
            content: Some(Content::Scalar(scalar as f32)),
        };
        Self::summary(wall_time, step, scalars.iter().map(value).collect())
    }

    /// A PNG of `width` × `height` pixels with `channels` channels, after `step` steps.
    pub(crate) fn png(
        wall_time: f64,
        step: u64,
        tag: &str,
        (width, height, channels): (u32, u32, u8),
        png: Vec<u8>,
    ) -> Self {
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: i32::from(channels),
            encoded: png,
        };
        let value = Value {
            tag: tag.to_owned(),
            content: Some(Content::Image(image)),
        };
        Self::summary(wall_time, step, vec![value])
    }

    /// The event as a record of the file.
    pub(crate) fn record(&self) -> Vec<u8> {
        let event = self.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        let check = |bytes: &[u8]| mask(crc32c::crc32c(bytes)).to_le_bytes();
        [&length[..], &check(&length), &event, &check(&event)].concat()
    }

    fn summary(wall_time: f64, step: u64, values: Vec<Value>) -> Self {
        Self {
            wall_time,
            step: step as i64,
            what: Some(What::Summary(Summary { values })),
        }
    }
}

/// As checksums of checksums are weak, those in a record are masked.
fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by TensorBoard: see the README beside the file.
    const REFERENCE: &[u8] =
        include_bytes!("../../../../assets/reference/events.out.tfevents.reference");

    #[test]
    fn records_are_those_of_tensorboard() {
        let scalars = [("bits_per_dim/train", 1.25), ("lr", 1e-3)];
        let png = b"\x89PNG and more".to_vec();
        let events = [
            Event::beginning(1_700_000_000.5),
            Event::scalars(1_700_000_001.25, 20, &scalars),
            Event::scalars(1_700_000_002.0, 3_000_000_000, &[("zero", 0.0)]),
            Event::png(1_700_000_003.0, 40, "samples", (584, 300, 3), png),
        ];
        let written = events.iter().flat_map(Event::record).collect::<Vec<_>>();
        assert_eq!(written, REFERENCE);
    }
}
