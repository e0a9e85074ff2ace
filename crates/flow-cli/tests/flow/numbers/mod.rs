//! What `flow eval`, `verify`, `density` and `outliers` say of a model, sound or spoiled: the real binary.

mod eval;
mod outliers;
mod sandbox;
mod verify;
