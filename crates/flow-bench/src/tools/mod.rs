//! Shared by all measurements: the programs that are measured, their output, numbers, and tables.

mod flow;
mod output;
mod process_memory;
mod python;
pub(crate) mod statistics;
pub(crate) mod table;

pub(crate) use flow::{Flow, under_mpi};
pub(crate) use output::{json, number, numbers, stdout};
pub(crate) use process_memory::process_memory;
pub(crate) use python::Python;
