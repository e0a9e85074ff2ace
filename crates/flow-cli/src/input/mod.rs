//! Input of commands: data sets, image files, models, tensors, labels.

pub(crate) mod attribute;
pub(crate) mod classes;
pub(crate) mod condition;
pub(crate) mod data;
pub(crate) mod data_record;
pub(crate) mod exact;
pub(crate) mod examples;
pub(crate) mod image_files;
pub(crate) mod named_images;
mod numpy_images;
pub(crate) mod pretrained;
pub(crate) mod select;
mod table;
pub(crate) mod tensors;
