//! Pixels and labels of a published data set, from the parquet file of one of its splits: one row
//! an image, as PNG, and its label.

use std::io::{Cursor, Read, Seek};

use image::DynamicImage;

use crate::{
    malformed::{Malformed, ensure},
    parquet::{Table, Value, Values},
    picture,
    progress::{Counter, Stage, Watch},
    source::Part,
};

/// The pixels of every image (channel, row, column) and the labels, in the order of the rows.
///
/// `image_column` holds the images, `label` the labels. Number and shape of the images must be
/// those of `part`.
///
/// # Errors
///
/// The file is damaged, or has other columns or images than expected.
pub(super) fn read(
    mut file: impl Read + Seek,
    image_column: &str,
    part: &Part,
    watch: Watch<'_>,
) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    let table = Table::read(&mut file)?;
    let count = table.rows();
    ensure!(
        count == part.images,
        "the number of its images is {count}, not {}",
        part.images
    );
    let find = |path: &[&str]| {
        let column = table.column(path);
        column.ok_or_else(|| format!("it has no column `{}`", path.join(".")))
    };
    let (images, classes) = (find(&[image_column, "bytes"])?, find(&["label"])?);
    ensure!(
        images.holds_bytes() && classes.holds_numbers(),
        "its columns are not of bytes and of numbers"
    );
    let (c, h, w) = part.files.shape();
    let mut pixels = Vec::with_capacity(count * c * h * w);
    let mut counter = Counter::start(Stage::Decoding, count as u64, watch);
    for (number, value) in Values::new(&table, images, &mut file)?.enumerate() {
        let added = value.and_then(|value| add_image(&mut pixels, value, (c, h, w)));
        added.map_err(|reason| format!("image {number}: {reason}"))?;
        counter.add(1);
    }
    let mut labels = Vec::with_capacity(count);
    for (number, value) in Values::new(&table, classes, &mut file)?.enumerate() {
        let label = match value? {
            Some(Value::Number(class)) => u8::try_from(class).ok(),
            _ => None,
        };
        labels.push(label.ok_or_else(|| format!("the label of image {number} is no class"))?);
    }
    Ok((pixels, labels))
}

fn add_image(
    pixels: &mut Vec<u8>,
    value: Option<Value>,
    (c, h, w): (usize, usize, usize),
) -> Result<(), Malformed> {
    let Some(Value::Bytes(png)) = value else {
        return Err("it is missing".into());
    };
    let found = picture::facts(Cursor::new(&png))?;
    let color = |channels| if channels == 3 { "in color" } else { "grey" };
    let found = (
        found.height as usize,
        found.width as usize,
        color(if found.color { 3 } else { 1 }),
    );
    ensure!(
        found == (h, w, color(c)),
        "{}×{} {} instead of {h}×{w} {}",
        found.0,
        found.1,
        found.2,
        color(c)
    );
    let interleaved = match picture::decode(&png)? {
        DynamicImage::ImageLuma8(image) => image.into_raw(),
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        _ => return Err("it is not of 8 bits a channel".into()),
    };
    for channel in 0..c {
        pixels.extend(interleaved.iter().skip(channel).step_by(c));
    }
    Ok(())
}
