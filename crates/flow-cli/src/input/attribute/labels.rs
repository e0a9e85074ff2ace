//! CSV files of labels of images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};
use flow_analysis::attribute::split;

use super::Attribute;

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
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_path(path)?;
    let names = reader.headers()?.clone();
    let place = |name: &str| names.iter().position(|candidate| candidate == name);
    let key = match (place("file"), place("index")) {
        (Some(at), _) => Key::File(at),
        (None, Some(at)) => Key::Index(at),
        (None, None) => bail!("its first line names neither a column `file` nor a column `index`"),
    };
    let value = place(column).with_context(|| format!("it has no column `{column}`"))?;

    let (mut files, mut indices) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record?;
        // Images without a value are left out.
        let Some(number) = number(&record, value)? else {
            continue;
        };
        match key {
            Key::File(at) => files.push((beside(path, &record[at]), number)),
            Key::Index(at) => {
                let index = record[at].parse::<usize>();
                let index = index.with_context(|| format!("`{}` is not an index", &record[at]))?;
                indices.push((index, number));
            }
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

fn number(record: &StringRecord, at: usize) -> Result<Option<f64>> {
    let text = &record[at];
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let line = record.position().map_or(0, csv::Position::line);
    ensure!(
        number.is_some(),
        "line {line} holds `{text}`, which is not a number"
    );
    Ok(number)
}

/// A file that is named in the file at `path`.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}
