//! Bijections, distributions, flows and their training, as users of the library meet them.

// Infinities are equal, and so are numbers that must not depend on the code path; others are
// compared within bounds.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod angles;
mod autoregressive;
mod batches;
mod bijections;
mod calibration;
mod dequantization;
mod distributions;
mod doors;
mod dropout;
mod fitting;
mod flows;
mod going_on;
#[cfg(feature = "file")]
mod models;
mod multi_scale;
mod ops;
mod precision;
mod recipes;
mod refusals;
mod sinh_arcsinh;
mod transfers;
mod variational;
mod vectors;
