//! Tables on disk as rows of numbers: CSV and Parquet, with the kinds of their columns.
//!
//! Reading order: a [`Table`] is a file or standard input. [`Survey`] passes over it once and finds
//! the [`Schema`]: which columns there are, and the [`Kind`] of each. [`Numbers`] passes again and
//! gives rows of numbers in chunks, so a table may have more rows than fit in memory. [`Writer`]
//! writes chunks of columns.
//!
//! ```
//! use flow_table::{Choice, Kind, Numbers, Survey, Table};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("pets.csv");
//! std::fs::write(&path, "name,weight\ncat,4.5\ndog,11\ncat,3.9\n")?;
//! let table = Table::at(&path);
//! let survey = Survey::of(&table, &Choice::default())?;
//! assert_eq!(survey.schema.columns[1].kind, Kind::Positive);
//!
//! let mut numbers = Numbers::of(&table, &survey.schema, false)?;
//! let chunk = numbers.next_chunk(1000)?.unwrap();
//! assert_eq!((chunk.len(), chunk.values.len()), (3, 6));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod choice;
mod error;
mod guess;
mod numbers;
mod read;
mod schema;
mod series;
mod survey;
mod table;
mod write;

pub use choice::{Choice, Wanted};
pub use error::{Error, Place, Result, Row};
pub use numbers::{Chunk, Numbers};
pub use read::{Cell, Head, Rows};
pub use schema::{Column, Kind, Schema};
pub use series::Series;
pub use survey::Survey;
pub use table::Table;
pub use write::{Format, Writer};
