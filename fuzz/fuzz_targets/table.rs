//! Text files of tables: what columns they have, and their numbers.

#![no_main]

use std::{fs, sync::LazyLock};

use flow_table::{Choice, Numbers, Survey, Table};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Memory for each byte of a file: a column has a name and statistics, and takes two bytes.
const UNFOLDING: usize = 512;

/// Buffers of readers.
const BUFFERS: usize = 1 << 18;

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("table.csv");
    fs::write(&path, data).unwrap();
    let table = Table::at(&path);
    let choice = Choice { drop_missing: true, ..Choice::default() };
    flow_testing::damage::within(UNFOLDING * data.len() + BUFFERS, || {
        let survey = match Survey::of(&table, &choice) {
            Ok(survey) => survey,
            Err(error) => return flow_testing::damage::check_text(&error, "table.csv"),
        };
        let mut numbers = Numbers::of(&table, &survey.schema, true).unwrap();
        let mut rows = 0;
        while let Some(chunk) = numbers.next_chunk(16).unwrap() {
            rows += chunk.len() as u64;
        }
        assert_eq!(rows, survey.rows);
    });
});
