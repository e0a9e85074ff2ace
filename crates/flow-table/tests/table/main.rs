//! Tables on disk: what is read, what is guessed, what is refused, and what is written.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod damaged;
mod kinds;
mod parquet;
mod refused;
mod writing;

use std::{fs, path::PathBuf};

use flow_table::{Choice, Chunk, Numbers, Survey, Table};
use tempfile::TempDir;

/// A folder with one file.
struct File {
    folder: TempDir,
    name: &'static str,
}

impl File {
    fn new(name: &'static str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        Self { folder, name }
    }

    fn csv(content: &str) -> Self {
        Self::new("x.csv", content)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn table(&self) -> Table {
        Table::at(&self.path())
    }

    fn survey(&self, choice: &Choice) -> Survey {
        Survey::of(&self.table(), choice).unwrap()
    }

    /// The error of a survey, without the folder.
    fn refused(&self, choice: &Choice) -> String {
        let error = Survey::of(&self.table(), choice).unwrap_err();
        self.line(&error)
    }

    fn line(&self, error: &dyn std::error::Error) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let text = error.to_string().replace(&folder, "");
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }
}

/// All rows of a table, in chunks of three.
fn numbers(table: &Table, survey: &Survey, drop_missing: bool) -> Vec<Chunk> {
    let mut numbers = Numbers::of(table, &survey.schema, drop_missing).unwrap();
    std::iter::from_fn(|| numbers.next_chunk(3).unwrap()).collect()
}
