//! Parquet files of a few pictures: every column, page by page.

#![no_main]

use std::io::Cursor;

use flow_data::parquet::{Table, Values};
use libfuzzer_sys::fuzz_target;

/// Memory for each byte of a file: pages unfold up to 64 times, and a row may take one byte.
const UNFOLDING: usize = 256;

/// Memory of unpacking itself.
const UNPACKING: usize = 1 << 17;

fuzz_target!(|data: &[u8]| {
    flow_testing::damage::within(UNFOLDING * data.len() + UNPACKING, || {
        let Ok(table) = Table::read(Cursor::new(data)) else {
            return;
        };
        for column in table.columns() {
            if let Ok(values) = Values::new(&table, column, Cursor::new(data)) {
                assert_eq!(values.count(), table.rows());
            }
        }
        let _ = table.metadata("huggingface");
    });
});
