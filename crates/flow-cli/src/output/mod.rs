//! Output of commands: files that appear whole, tables, pictures, log lines.

pub(crate) mod animation;
pub(crate) mod calibration_plot;
pub(crate) mod console;
pub(crate) mod curve;
pub(crate) mod draw;
pub(crate) mod event_file;
pub(crate) mod files;
pub(crate) mod image_folder;
pub(crate) mod image_grid;
pub(crate) mod memory;
pub(crate) mod pair_plot;
pub(crate) mod picture_file;
pub(crate) mod pixel_map;
pub(crate) mod plane;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod scatter;
pub(crate) mod table_file;
pub(crate) mod tensor_file;
pub(crate) mod tiles;
pub(crate) mod words;
