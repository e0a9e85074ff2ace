//! The footer of a Parquet file: which columns there are, and where.
//!
//! ```text
//! "PAR1", pages, footer (a Thrift struct), its length in 4 bytes, little-endian, "PAR1"
//! ```

use std::io::{Read, Seek, SeekFrom};

use crate::malformed::{Malformed, ensure};

use super::{
    codec::Codec,
    schema::{self, Column},
    thrift::{self, Value},
};

/// The columns of a Parquet file.
pub struct Table {
    footer: Vec<u8>,
    columns: Vec<Column>,
    rows: usize,
    /// Bytes of the file.
    length: u64,
}

/// The pages of a column in one group of rows.
pub(super) struct Chunk {
    pub(super) codec: Codec,
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) rows: usize,
}

/// A column chunk as in the footer; −1 marks an absent field.
#[derive(Clone, Copy)]
struct Place {
    codec: i64,
    length: i64,
    data: i64,
    dictionary: i64,
}

impl Table {
    /// Reads the footer of a file.
    ///
    /// # Errors
    /// It is no Parquet file, its footer is damaged, or it announces more rows than it has bytes.
    pub fn read(mut source: impl Read + Seek) -> Result<Self, Malformed> {
        let length = source.seek(SeekFrom::End(0)).map_err(Malformed::new)?;
        let footer = footer(&mut source, length)?;
        let columns = schema::read(&footer);
        let columns = columns.ok_or("its schema is broken")?;
        let (rows, grouped) = rows(&footer).ok_or("its footer is broken")?;
        ensure!(
            rows == grouped,
            "its rows are not the {rows} that it announces"
        );
        ensure!(
            rows <= length,
            "it announces {rows} rows, more than it has bytes"
        );
        let rows = usize::try_from(rows).map_err(Malformed::new)?;
        Ok(Self {
            footer,
            columns,
            rows,
            length,
        })
    }

    /// Its columns, in their order in the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column at a path: its name, or the names of a struct and of a field in it.
    pub fn column(&self, path: &[&str]) -> Option<&Column> {
        let is_it = |column: &&Column| column.path().eq(path.to_vec());
        self.columns.iter().find(is_it)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The text that the metadata have under a key.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let (mut name, mut text, mut found) = (&b""[..], &b""[..], None);
        thrift::read(
            &mut &self.footer[..],
            &mut |path, value| match (path, value) {
                ([5, 1], Value::Bytes(bytes)) => name = bytes,
                ([5, 2], Value::Bytes(bytes)) => text = bytes,
                ([5], Value::End) if name == key.as_bytes() => found = Some(text),
                _ => {}
            },
        )?;
        found.map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// The parts of a column, group by group.
    pub(super) fn chunks(&self, column: &Column) -> Result<Vec<Chunk>, Malformed> {
        let groups = groups(&self.footer, column).ok_or("its footer is broken")?;
        // A damaged group can give its number of rows twice.
        let rows = groups.iter().map(|(_, rows)| rows).sum::<usize>();
        ensure!(rows == self.rows, "its footer is broken");
        let groups = groups.into_iter().filter(|(_, rows)| *rows > 0);
        let chunk = |(place, rows): (Option<Place>, usize)| {
            let place = place.ok_or("a group of rows lacks a column")?;
            // A dictionary comes before the data.
            let first = match place.dictionary {
                ..=0 => place.data,
                dictionary => dictionary,
            };
            let range = u64::try_from(first)
                .ok()
                .zip(u64::try_from(place.length).ok());
            let within = |(start, length): &(u64, u64)| {
                start
                    .checked_add(*length)
                    .is_some_and(|end| end <= self.length)
            };
            let range = range.filter(within);
            let (start, length) = range.ok_or("a column does not lie within the file")?;
            let codec = Codec::of(place.codec)?;
            Ok(Chunk {
                codec,
                start,
                length,
                rows,
            })
        };
        groups.map(chunk).collect()
    }
}

fn footer(source: &mut (impl Read + Seek), length: u64) -> Result<Vec<u8>, Malformed> {
    let none = "it is not a parquet file";
    let end = length.checked_sub(8).ok_or(none)?;
    let mut tail = [0; 8];
    source.seek(SeekFrom::Start(end)).map_err(Malformed::new)?;
    source.read_exact(&mut tail).map_err(Malformed::new)?;
    let [a, b, c, d, magic @ ..] = tail;
    let size = u32::from_le_bytes([a, b, c, d]);
    let start = end.checked_sub(size.into()).filter(|_| &magic == b"PAR1");
    let start = start.ok_or(none)?;
    let mut footer = vec![0; size as usize];
    source
        .seek(SeekFrom::Start(start))
        .map_err(Malformed::new)?;
    source.read_exact(&mut footer).map_err(Malformed::new)?;
    Ok(footer)
}

/// Number of rows as announced, and of those in groups.
fn rows(mut footer: &[u8]) -> Option<(u64, u64)> {
    let (mut rows, mut grouped) = (None, Some(0_u64));
    thrift::read(&mut footer, &mut |path, value| match (path, value) {
        ([3], Value::Number(count)) => rows = u64::try_from(count).ok(),
        ([4, 3], Value::Number(count)) => {
            let count = u64::try_from(count).ok();
            grouped = grouped
                .zip(count)
                .and_then(|(sum, count)| sum.checked_add(count));
        }
        _ => {}
    })?;
    rows.zip(grouped)
}

/// A column's place in each group of rows, and the number of these.
fn groups(mut footer: &[u8], column: &Column) -> Option<Vec<(Option<Place>, usize)>> {
    const NONE: Place = Place {
        codec: -1,
        length: -1,
        data: -1,
        dictionary: -1,
    };
    let mut groups = Vec::new();
    let (mut place, mut found, mut index, mut rows) = (NONE, None, 0, 0);
    thrift::read(&mut footer, &mut |path, value| match (path, value) {
        ([4, 1, 3, 4], Value::Number(codec)) => place.codec = codec,
        ([4, 1, 3, 7], Value::Number(length)) => place.length = length,
        ([4, 1, 3, 9], Value::Number(start)) => place.data = start,
        ([4, 1, 3, 11], Value::Number(start)) => place.dictionary = start,
        ([4, 1], Value::End) => {
            if column.index == index {
                found = Some(place);
            }
            (place, index) = (NONE, index + 1);
        }
        ([4, 3], Value::Number(count)) => rows = usize::try_from(count).unwrap_or(0),
        ([4], Value::End) => {
            groups.push((found.take(), rows));
            (index, rows) = (0, 0);
        }
        _ => {}
    })?;
    Some(groups)
}
