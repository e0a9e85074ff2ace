//! Pixels and labels of the hub's parquet files: one row an image, as PNG, and its label.
//!
//! The crate `parquet` loops and panics on damaged files, and files of others have no known digest.
//! Nothing here trusts the file, and of the format little is needed. Reading takes no more memory
//! than four times the file's size and four times the pixels that the data set is known to have.

mod footer;
mod malformed;
mod pages;
mod png;
mod thrift;
mod values;

use super::progress::{Counter, Stage, Watch};
use crate::source::Part;

use footer::Footer;
use values::{BYTE_ARRAY, INT64};

pub use malformed::Malformed;
pub(super) use malformed::ensure;
pub use png::decode as decode_png;

/// The pixels of every image (channel, row, column) and the labels, in the order of the rows.
///
/// `image_column` holds the images, `label` the labels. Number and shape of the images must be
/// those of `part`.
///
/// # Errors
///
/// The file is damaged, or has other columns or images than expected.
pub fn read(
    content: &[u8],
    image_column: &str,
    part: &Part,
    watch: Watch<'_>,
) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    let footer = Footer::read(content, [&[image_column, "bytes"], &["label"]], part.images)?;
    ensure!(
        usize::try_from(footer.rows) == Ok(part.images),
        "the number of its images is {}, not {}",
        footer.rows,
        part.images
    );
    let [image, label] = footer.columns;
    ensure!(
        (image.kind, label.kind) == (BYTE_ARRAY, INT64),
        "its columns are not of bytes and of numbers"
    );
    let (c, h, w) = part.files.shape();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut counter = Counter::start(Stage::Decoding, part.images as u64, watch);
    for [images, classes] in &footer.groups {
        values::each(content, images, &image, part.images, &mut |png| {
            add_image(&mut pixels, png, part)?;
            counter.add(1);
            Ok(())
        })?;
        values::each(content, classes, &label, part.images, &mut |bytes| {
            add_label(&mut labels, bytes, part)
        })?;
    }
    ensure!(
        labels.len() == part.images && pixels.len() == part.images * c * h * w,
        "its rows are not the {} that it announces",
        part.images
    );
    Ok((pixels, labels))
}

fn add_image(pixels: &mut Vec<u8>, png: &[u8], part: &Part) -> Result<(), Malformed> {
    let shape @ (c, h, w) = part.files.shape();
    let number = pixels.len() / (c * h * w);
    ensure!(
        number < part.images,
        "it holds more images than it announces"
    );
    let interleaved = png::decode(png, shape);
    let interleaved = interleaved.map_err(|reason| format!("image {number}: {reason}"))?;
    for channel in 0..c {
        pixels.extend(interleaved.iter().skip(channel).step_by(c));
    }
    Ok(())
}

fn add_label(labels: &mut Vec<u8>, bytes: &[u8], part: &Part) -> Result<(), Malformed> {
    let number = labels.len();
    ensure!(
        number < part.images,
        "it holds more labels than it announces"
    );
    let class = i64::from_le_bytes(bytes.try_into().map_err(Malformed::new)?);
    let label = u8::try_from(class);
    labels.push(label.map_err(|_| format!("image {number} has label {class}"))?);
    Ok(())
}
