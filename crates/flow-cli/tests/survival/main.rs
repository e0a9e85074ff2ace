//! Trainings that are killed, interrupted, starved of disk, driven to divergence or started twice: the
//! real binary, on a small data set, again and again.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod faults;
mod kept;
mod lock;
mod resume;
mod rollback;
mod sandbox;
