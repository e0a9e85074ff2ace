//! CSV files of labels of images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flow_analysis::attribute::split;

use super::Attribute;
use crate::input::table::{self, Table};

/// The column that names images.
#[derive(Clone, Copy)]
enum Key {
    File(usize),
    Index(usize),
}

/// The two sets that `column` of the file at `path` separates.
pub(super) fn read(path: &Path, column: &str) -> Result<Attribute> {
    parse(path, column).with_context(|| format!("cannot use `{}`", path.display()))
}

fn parse(path: &Path, column: &str) -> Result<Attribute> {
    let table = Table::read(path)?;
    let key = match (table.place("file"), table.index()) {
        (Some(at), _) => Key::File(at),
        (None, Some(at)) => Key::Index(at),
        (None, None) => bail!("its first line names neither a column `file` nor a column `index`"),
    };
    let place = table.place(column);
    let place = place.with_context(|| format!("it has no column `{column}`"))?;

    let (mut files, mut indices) = (Vec::new(), Vec::new());
    for record in table.records() {
        // Images without a value are left out.
        let Some(number) = table.number(record, place)? else {
            continue;
        };
        match key {
            Key::File(at) => files.push((beside(path, &record[at]), number)),
            Key::Index(at) => indices.push((table::image(record, at)?, number)),
        }
    }
    Ok(match key {
        Key::File(_) => {
            let (from, to) = split(&files, column)?;
            Attribute::Files(from, to)
        }
        Key::Index(_) => {
            let (from, to) = split(&indices, column)?;
            Attribute::Places(from, to)
        }
    })
}

/// A file that is named in the file at `path`.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}
