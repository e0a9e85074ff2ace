//! Options of `flow score`.

use std::path::PathBuf;

use clap::Args;

use super::{DeviceArgs, values};

/// Options of `flow score`.
#[derive(Debug, Args)]
#[command(after_help = "\
The result has the columns `row`, counted from 1, and `log_prob`: ln p of the row in nats, in the
units of the columns, under the values of the given columns if there are any. The table may have
other columns, in any order, and more rows than memory.

Rows without a finite ln p are counted on stderr, and the exit status is 1.")]
pub(crate) struct ScoreArgs {
    /// The table: a .csv or .parquet file, or `-` for CSV on stdin, which is scored as it comes
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,

    #[command(flatten)]
    pub(crate) rows: TableModelArgs,

    /// The table to write, .csv or .parquet [default: CSV on stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print the mean of ln p and its standard error alone
    #[arg(long, conflicts_with = "out")]
    pub(crate) mean: bool,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// A model of a table, and the way in which it scores rows.
#[derive(Debug, Args)]
pub(crate) struct TableModelArgs {
    /// The model that `flow fit` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: PathBuf,

    /// Leave out rows in which a value is missing
    #[arg(long)]
    pub(crate) drop_missing: bool,

    /// Seed of the noise of integers and categories
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,
}
