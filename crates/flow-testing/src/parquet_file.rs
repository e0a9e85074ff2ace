//! Parquet files of a few images, as the hub keeps them.

use std::sync::Arc;

use anyhow::{Context, Result};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

/// The schema below has three columns.
const NO_COLUMN: &str = "a column is missing";

/// Pixels (channel, row, column) and labels.
#[derive(Clone)]
pub(crate) struct Images {
    pub(crate) pixels: Vec<u8>,
    pub(crate) labels: Vec<u8>,
}

/// A parquet file of these images, as PNG of so many channels.
pub(crate) fn encode(
    images: &Images,
    image_column: &str,
    (c, h, w): (usize, usize, usize),
    properties: WriterProperties,
) -> Result<Vec<u8>> {
    let schema = format!(
        "message schema {{
            optional group {image_column} {{ optional binary bytes; optional binary path (utf8); }}
            optional int64 label;
        }}"
    );
    let schema = Arc::new(parse_message_type(&schema)?);
    let pngs: Vec<ByteArray> = images
        .pixels
        .chunks(c * h * w)
        .map(|image| Ok(png(image, (c, h, w))?.into()))
        .collect::<Result<_>>()?;
    let labels: Vec<i64> = images.labels.iter().map(|&label| label.into()).collect();
    let rows = labels.len();

    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut bytes = group.next_column()?.context(NO_COLUMN)?;
    bytes
        .typed::<ByteArrayType>()
        .write_batch(&pngs, Some(&vec![2; rows]), None)?;
    bytes.close()?;
    let mut path = group.next_column()?.context(NO_COLUMN)?;
    path.typed::<ByteArrayType>()
        .write_batch(&[], Some(&vec![1; rows]), None)?;
    path.close()?;
    let mut label = group.next_column()?.context(NO_COLUMN)?;
    label
        .typed::<Int64Type>()
        .write_batch(&labels, Some(&vec![1; rows]), None)?;
    label.close()?;
    group.close()?;
    writer.close()?;
    Ok(file)
}

/// An image of so many channels, rows and columns.
pub(crate) fn png(planes: &[u8], (c, h, w): (usize, usize, usize)) -> Result<Vec<u8>> {
    let interleaved: Vec<u8> = (0..h * w)
        .flat_map(|i| (0..c).map(move |channel| planes[channel * h * w + i]))
        .collect();
    let color = if c == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut png = Vec::new();
    let (width, height) = (u32::try_from(w)?, u32::try_from(h)?);
    PngEncoder::new(&mut png).write_image(&interleaved, width, height, color)?;
    Ok(png)
}
