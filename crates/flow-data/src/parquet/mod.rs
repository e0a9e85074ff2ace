//! Parquet files: tables whose columns are read page by page.
//!
//! Reading order: [`Table`] (the footer: which columns there are, and where), [`Values`] (of a
//! column, from its pages), then `pages` (their headers, unpacking) and `data` (what they hold).
//!
//! The crate `parquet` loops and panics on damaged files. Nothing here trusts the file. Memory is
//! bounded by the size of the file, whatever it announces: the footer, a dictionary and a page are
//! held at a time.

mod codec;
mod data;
mod footer;
mod pages;
mod runs;
mod schema;
mod thrift;
mod values;

pub use data::Value;
pub use footer::Table;
pub use schema::Column;
pub use values::Values;
