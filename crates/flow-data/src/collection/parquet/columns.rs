//! The columns of pictures and of classes.

use serde_json::Value;

use crate::{
    Malformed,
    malformed::ensure,
    parquet::{Column, Table},
};

use super::Record;

/// Names of a column of pictures that is no struct with a field `bytes`.
const IMAGES: [&str; 3] = ["image", "img", "picture"];

/// Names of a column of classes that metadata do not mark.
const LABELS: [&str; 5] = ["label", "labels", "class", "fine_label", "coarse_label"];

/// Names in an error: so many, each of so many letters.
const NAMES: usize = 8;
const LETTERS: usize = 40;

/// The columns of pictures and of classes.
pub(super) struct Columns {
    pub(super) image: Column,
    pub(super) label: Option<Column>,
    /// Names of the classes that are numbers.
    pub(super) names: Option<Vec<String>>,
}

impl Columns {
    /// Finds the columns: those that `record` names, or else the only ones there are. Errors are
    /// the rest of a sentence that starts with the file.
    pub(super) fn choose(table: &Table, record: &Record) -> Result<Self, Malformed> {
        let image = image(table, record.image_column.as_deref())?;
        let features = features(table);
        let label = label(table, record.label_column.as_deref(), &features)?;
        let names = label
            .filter(|column| column.holds_numbers())
            .and_then(|column| {
                let names = features
                    .get(column.path().next()?)?
                    .get("names")?
                    .as_array()?;
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect()
            });
        Ok(Self {
            image: image.clone(),
            label: label.cloned(),
            names,
        })
    }
}

fn image<'a>(table: &'a Table, wanted: Option<&str>) -> Result<&'a Column, Malformed> {
    let all = table.columns().iter().filter(|column| column.holds_bytes());
    let (structs, plain): (Vec<_>, Vec<_>) = all.partition(|column| {
        let path = column.path().collect::<Vec<_>>();
        path.len() == 2 && path[1] == "bytes"
    });
    let plain = plain.into_iter().filter(|column| column.path().len() == 1);
    let plain = plain.collect::<Vec<_>>();
    if let Some(wanted) = wanted {
        let mut both = structs.into_iter().chain(plain);
        let found = both.find(|column| name(column) == wanted);
        return found.ok_or_else(|| missing("images", wanted, table));
    }
    let is_usual = |column: &&Column| IMAGES.contains(&name(column));
    let found = if structs.is_empty() {
        plain.into_iter().filter(is_usual).collect()
    } else {
        structs
    };
    let none = || {
        let all = quoted(table.columns());
        format!("has no column of images; it has {all}")
    };
    only(&found, "images", "image_column")?.ok_or_else(|| none().into())
}

fn label<'a>(
    table: &'a Table,
    wanted: Option<&str>,
    features: &Value,
) -> Result<Option<&'a Column>, Malformed> {
    let all = table.columns().iter();
    let usable = |column: &&Column| {
        column.path().len() == 1 && (column.holds_numbers() || column.holds_bytes())
    };
    let all = all.filter(usable).collect::<Vec<_>>();
    if let Some(wanted) = wanted {
        let found = all.into_iter().find(|column| name(column) == wanted);
        return found
            .map(Some)
            .ok_or_else(|| missing("classes", wanted, table));
    }
    let is_marked = |column: &&Column| {
        let kind = features
            .get(name(column))
            .and_then(|feature| feature.get("_type"));
        kind.is_some_and(|kind| kind == "ClassLabel")
    };
    let marked = all.iter().copied().filter(is_marked).collect::<Vec<_>>();
    let is_usual = |column: &&Column| LABELS.contains(&name(column));
    let found = if marked.is_empty() {
        all.into_iter().filter(is_usual).collect()
    } else {
        marked
    };
    only(&found, "classes", "label_column")
}

/// The features that the hub's metadata describe, by their names.
fn features(table: &Table) -> Value {
    let metadata = table.metadata("huggingface").unwrap_or_default();
    let metadata = serde_json::from_str::<Value>(&metadata).unwrap_or_default();
    metadata["info"]["features"].clone()
}

/// The only one of some columns; nothing if there is none.
fn only<'a>(
    found: &[&'a Column],
    what: &str,
    option: &str,
) -> Result<Option<&'a Column>, Malformed> {
    let flag = option.replace('_', "-");
    ensure!(
        found.len() < 2,
        "has several columns of {what}: {}; name one with `flow fetch --{flag}`, or as `{option}` in `{}` beside it",
        quoted(found.iter().copied()),
        Record::FILE
    );
    Ok(found.first().copied())
}

fn missing(what: &str, wanted: &str, table: &Table) -> Malformed {
    let all = quoted(table.columns());
    format!("has no column `{wanted}` of {what}; it has {all}").into()
}

fn name(column: &Column) -> &str {
    column.path().next().unwrap_or_default()
}

/// The names of columns as part of an error.
fn quoted<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    let mut names = columns.into_iter().map(name).collect::<Vec<_>>();
    names.dedup();
    let shown = names.iter().take(NAMES).map(|name| {
        let letters = name.chars().take(LETTERS).collect::<String>();
        format!("`{}`", letters.escape_debug())
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        others => format!("{shown} and {others} others"),
    }
}
