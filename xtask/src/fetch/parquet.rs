//! Pixels and labels of the hub's parquet files: one row an image, as PNG, and its label.

use std::{fs, io::Cursor, path::Path};

use anyhow::{Context, Result, ensure};
use flow_data::source::Part;
use image::{ColorType, ImageDecoder, codecs::png::PngDecoder};
use indicatif::{ProgressBar, ProgressStyle};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
    schema::types::Type,
};

/// The pixels of every image (channel, row, column) and the labels, in the order of the rows.
pub(crate) fn read(path: &Path, image_column: &str, part: &Part) -> Result<(Vec<u8>, Vec<u8>)> {
    let reader = SerializedFileReader::new(fs::File::open(path)?)?;
    let metadata = reader.metadata().file_metadata();
    let rows = metadata.num_rows();
    ensure!(
        usize::try_from(rows) == Ok(part.images),
        "it holds {rows} images, not {}",
        part.images
    );
    let image = column(metadata.schema(), image_column)?;
    let bytes = column(&metadata.schema().get_fields()[image], "bytes")?;
    let label = column(metadata.schema(), "label")?;

    let shape @ (c, h, w) = part.files.shape();
    let mut pixels = Vec::with_capacity(part.images * c * h * w);
    let mut labels = Vec::with_capacity(part.images);
    // The footer that promised so many rows is not to be trusted either.
    let rows = reader.get_row_iter(None)?.take(part.images + 1);
    for (i, row) in progress(part).wrap_iter(rows).enumerate() {
        let row = row?;
        let png = row.get_group(image)?.get_bytes(bytes)?;
        let interleaved = decode(png.data(), shape).with_context(|| format!("image {i}"))?;
        for channel in 0..c {
            pixels.extend(interleaved.iter().skip(channel).step_by(c));
        }
        let class = row.get_long(label)?;
        labels.push(u8::try_from(class).with_context(|| format!("image {i} has label {class}"))?);
    }
    ensure!(
        labels.len() == part.images,
        "its rows are not the {} that it announces",
        part.images
    );
    Ok((pixels, labels))
}

/// The position of a column in a group of them.
fn column(group: &Type, name: &str) -> Result<usize> {
    let fields = if group.is_group() {
        group.get_fields()
    } else {
        &[]
    };
    let position = fields.iter().position(|field| field.name() == name);
    position.with_context(|| format!("it has no column `{name}`"))
}

/// The bytes of an image of exactly this shape, row by row, the channels of a pixel side by side.
fn decode(png: &[u8], (c, h, w): (usize, usize, usize)) -> Result<Vec<u8>> {
    let decoder = PngDecoder::new(Cursor::new(png))?;
    let color = if c == 1 {
        ColorType::L8
    } else {
        ColorType::Rgb8
    };
    let (width, height) = decoder.dimensions();
    ensure!(
        (height as usize, width as usize, decoder.color_type()) == (h, w, color),
        "{height}×{width} {:?} instead of {h}×{w} {color:?}",
        decoder.color_type()
    );
    let mut bytes = vec![0; c * h * w];
    decoder.read_image(&mut bytes)?;
    Ok(bytes)
}

fn progress(part: &Part) -> ProgressBar {
    let template = "decoding images {wide_bar} {pos}/{len}";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::new(part.images as u64).with_style(style)
}
