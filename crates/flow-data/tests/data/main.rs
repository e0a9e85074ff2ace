//! Data sets, their files and their batches, as users of the library meet them.

#![allow(clippy::unwrap_used)]

mod batches;
mod damaged;
mod files;
mod layouts;
