//! Helpers that tests of several crates share. They panic where a test would.
//!
//! [`damage`] damages files and watches what reading them costs, [`hub_server`] is a hub on the
//! loopback address, [`parquet_file`] writes files as a hub keeps them, [`turned`] holds pictures on
//! their side. The example `seeds` writes the files from which the fuzzers begin.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod damage;
pub mod hub_server;
pub mod parquet_file;
pub mod turned;
