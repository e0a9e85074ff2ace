//! `flow._native`: models of vectors and images for the Python package `flow`, whose classes are in
//! `python/flow`.
//!
//! Arrays are checked and copied here while the interpreter is held; it is released for all work.

mod arrays;
mod convert;
mod errors;
mod glow;
mod images;
mod model;
mod recipe;
mod threads;
mod training;

#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::convert::{export_glow, import_glow};
    #[pymodule_export]
    use super::glow::Glow;
    #[pymodule_export]
    use super::images::train_glow;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::threads::{get_num_threads, set_num_threads};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::threads::remember_process();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
