//! Pixels and labels of the hub's parquet files: one row an image, as PNG, and its label.
//!
//! Nothing here trusts the file. What reads parquet elsewhere takes memory for whatever a header says,
//! and panics where headers contradict each other; of the format, this needs little. Reading takes no
//! more memory than four times the file's size and four times the pixels that the data set is known to
//! have.

mod footer;
mod pages;
mod png;
mod thrift;
mod values;

use anyhow::{Context, Result, ensure};
use flow_data::source::Part;
use indicatif::{ProgressBar, ProgressStyle};

use footer::Footer;
use values::{BYTE_ARRAY, INT64};

/// The pixels of every image (channel, row, column) and the labels, in the order of the rows.
pub(crate) fn read(content: &[u8], image_column: &str, part: &Part) -> Result<(Vec<u8>, Vec<u8>)> {
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
    let shape @ (c, h, w) = part.files.shape();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let bar = progress(part);
    for [images, classes] in &footer.groups {
        values::each(content, images, &image, part.images, &mut |png| {
            let number = pixels.len() / (c * h * w);
            ensure!(
                number < part.images,
                "it holds more images than it announces"
            );
            let interleaved = png::decode(png, shape).with_context(|| format!("image {number}"))?;
            for channel in 0..c {
                pixels.extend(interleaved.iter().skip(channel).step_by(c));
            }
            bar.inc(1);
            Ok(())
        })?;
        values::each(content, classes, &label, part.images, &mut |bytes| {
            let number = labels.len();
            ensure!(
                number < part.images,
                "it holds more labels than it announces"
            );
            let class = i64::from_le_bytes(bytes.try_into()?);
            let label = u8::try_from(class);
            labels.push(label.with_context(|| format!("image {number} has label {class}"))?);
            Ok(())
        })?;
    }
    ensure!(
        labels.len() == part.images && pixels.len() == part.images * c * h * w,
        "its rows are not the {} that it announces",
        part.images
    );
    Ok((pixels, labels))
}

fn progress(part: &Part) -> ProgressBar {
    let template = "decoding images {wide_bar} {pos}/{len}";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::new(part.images as u64).with_style(style)
}
