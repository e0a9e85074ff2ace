//! The real binary, and training on real digits: what comes out, what is said, and what is refused.

// Numbers are written and read without loss, so they are compared exactly.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::print_stderr)]

mod bad_input;
mod by_inversion;
mod cli;
mod conditions;
mod convert;
mod data;
mod distributed;
mod explore;
mod finite;
mod image_files;
mod latent_space;
mod latents;
mod numbers;
mod numpy_files;
mod out_folder;
mod outputs;
mod own_images;
mod pretrained;
mod round_trip;
mod sandbox;
mod survival;
mod tables;
