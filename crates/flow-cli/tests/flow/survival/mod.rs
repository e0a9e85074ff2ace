//! Trainings that are killed, interrupted, starved of disk, driven to divergence, started twice, resumed on
//! other data or begun with the weights of another: the real binary, on a small data set, again and again.

mod faults;
mod fine_tuning;
mod kept;
mod limits;
mod lock;
mod other_images;
mod refused;
mod resume;
mod rollback;
mod sandbox;
