//! The values of a column, from its pages, one after the other.

use std::{
    io::{Read, Seek},
    vec,
};

use crate::malformed::{Malformed, ensure};

use super::{
    data::{Data, Dictionary, Value},
    footer::{Chunk, Table},
    schema::Column,
};

/// The values of a column, one for each row of the table; nothing where a row has none. An error
/// stands for a row whose value cannot be read; those of later pages follow.
pub struct Values<R> {
    source: R,
    column: Column,
    chunks: vec::IntoIter<Chunk>,
    chunk: Option<Chunk>,
    /// Rows of the group that are still to come.
    left: usize,
    dictionary: Option<Dictionary>,
    data: Data,
    /// Rows that are lost, and the reason.
    lost: (usize, String),
}

impl<R: Read + Seek> Values<R> {
    /// The values of a column of the table in `source`.
    ///
    /// # Errors
    /// Its values are of another type, it has a codec that is not known, or is not in the file.
    pub fn new(table: &Table, column: &Column, source: R) -> Result<Self, Malformed> {
        ensure!(
            column.holds_numbers()
                || column.holds_floats()
                || column.holds_booleans()
                || column.holds_bytes(),
            "it holds neither numbers nor texts"
        );
        Ok(Self {
            source,
            column: column.clone(),
            chunks: table.chunks(column)?.into_iter(),
            chunk: None,
            left: 0,
            dictionary: None,
            data: Data::default(),
            lost: (0, String::new()),
        })
    }

    /// Reads the next page. An error comes with the number of rows that it costs.
    fn turn(&mut self) -> Result<(), (usize, Malformed)> {
        let rest = |reason| (self.left, reason);
        let end = || Malformed::from("a column ends before its last row");
        let chunk = self.chunk.as_mut().ok_or_else(|| rest(end()))?;
        let page = chunk.next_page(&mut self.source).map_err(rest)?;
        let page = page.ok_or_else(|| rest(end()))?;
        if page.is_dictionary() {
            let twice = Malformed::from("a column has two dictionaries");
            if self.dictionary.is_some() {
                return Err(rest(twice));
            }
            let dictionary = Dictionary::new(page, chunk, self.column.kind);
            self.dictionary = Some(dictionary.map_err(rest)?);
            return Ok(());
        }
        let values = page.values().map_err(rest)?;
        if values > self.left {
            let reason = format!("a page announces more than {} values", self.left);
            return Err(rest(reason.into()));
        }
        if values > 0 {
            let data = Data::of(page, chunk, &self.column);
            self.data = data.map_err(|reason| (values, reason))?;
        }
        Ok(())
    }
}

impl<R: Read + Seek> Iterator for Values<R> {
    type Item = Result<Option<Value>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.data.left() == 0 && self.lost.0 == 0 {
            if self.left == 0 {
                let chunk = self.chunks.next()?;
                (self.left, self.dictionary) = (chunk.rows, None);
                self.chunk = Some(chunk);
            } else if let Err((rows, reason)) = self.turn() {
                self.lost = (rows, reason.to_string());
            }
        }
        self.left -= 1;
        if self.lost.0 == 0 {
            let value = self.data.next(self.dictionary.as_ref(), &self.column);
            match value {
                Ok(value) => return Some(Ok(value)),
                Err(reason) => {
                    self.lost = (self.data.left() + 1, reason.to_string());
                    self.data = Data::default();
                }
            }
        }
        self.lost.0 -= 1;
        Some(Err(self.lost.1.clone().into()))
    }
}
