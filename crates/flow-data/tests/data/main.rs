//! Data sets, their files and their batches, as users of the library meet them.

#![allow(clippy::unwrap_used)]

mod batches;
mod broken_pictures;
mod collections;
mod damaged;
mod files;
mod fitting;
mod layouts;
mod numpy;
mod orientation;
mod parquet;
mod pictures;
