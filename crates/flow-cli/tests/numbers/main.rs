//! What `flow eval`, `verify`, `density` and `outliers` say of a model, sound or spoiled: the real binary.

// Numbers are written and read without loss, so they are compared exactly.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod eval;
mod outliers;
mod sandbox;
mod verify;
