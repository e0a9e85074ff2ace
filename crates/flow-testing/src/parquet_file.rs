//! Parquet files of a few images, as the hub keeps them.

use std::sync::Arc;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

/// Pixels (channel, row, column) and labels.
#[derive(Clone)]
pub struct Images {
    /// The bytes of all images.
    pub pixels: Vec<u8>,
    /// A class for each image.
    pub labels: Vec<u8>,
}

/// Layout of a file's pages.
#[derive(Clone, Copy)]
pub enum Pages {
    /// Snappy and dictionaries, as on the hub.
    Compressed,
    /// Neither.
    Plain,
}

/// Writes a parquet file of these images, as PNG of the shape (channels, height, width).
pub fn encode(
    images: &Images,
    image_column: &str,
    (c, h, w): (usize, usize, usize),
    pages: Pages,
) -> Vec<u8> {
    let schema = format!(
        "message schema {{
            optional group {image_column} {{ optional binary bytes; optional binary path (utf8); }}
            optional int64 label;
        }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let pngs = images.pixels.chunks(c * h * w);
    let pngs: Vec<ByteArray> = pngs.map(|image| png(image, (c, h, w)).into()).collect();
    let labels: Vec<i64> = images.labels.iter().map(|&label| label.into()).collect();
    let rows = labels.len();

    let mut file = Vec::new();
    let properties = Arc::new(pages.properties());
    let mut writer = SerializedFileWriter::new(&mut file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    column::<ByteArrayType>(&mut group, &pngs, &vec![2; rows]);
    column::<ByteArrayType>(&mut group, &[], &vec![1; rows]);
    column::<Int64Type>(&mut group, &labels, &vec![1; rows]);
    group.close().unwrap();
    writer.close().unwrap();
    file
}

/// Writes an image of the shape (channels, height, width) as PNG.
pub fn png(planes: &[u8], (c, h, w): (usize, usize, usize)) -> Vec<u8> {
    let interleaved: Vec<u8> = (0..h * w)
        .flat_map(|i| (0..c).map(move |channel| planes[channel * h * w + i]))
        .collect();
    let color = if c == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&interleaved, w as u32, h as u32, color)
        .unwrap();
    png
}

/// Writes the next column; a level of a row says how much of it is there.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[T::T],
    levels: &[i16],
) {
    let mut column = group.next_column().unwrap().unwrap();
    let written = column.typed::<T>().write_batch(values, Some(levels), None);
    written.unwrap();
    column.close().unwrap();
}

impl Pages {
    fn properties(self) -> WriterProperties {
        let (codec, dictionary) = match self {
            Self::Compressed => (Compression::SNAPPY, true),
            Self::Plain => (Compression::UNCOMPRESSED, false),
        };
        WriterProperties::builder()
            .set_compression(codec)
            .set_dictionary_enabled(dictionary)
            .build()
    }
}
