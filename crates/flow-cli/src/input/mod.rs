//! Input of commands: data sets, image files, models, tensors, labels.

pub(crate) mod attribute;
pub(crate) mod classes;
pub(crate) mod data;
pub(crate) mod exact;
pub(crate) mod image_files;
pub(crate) mod named_images;
pub(crate) mod pretrained;
pub(crate) mod select;
pub(crate) mod tensors;
