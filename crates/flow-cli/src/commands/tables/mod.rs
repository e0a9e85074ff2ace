//! Flows of tables: `flow fit` and `flow score`, and what `sample`, `outliers` and `inspect` do
//! with a model of a table.

mod circles;
mod describe;
mod fit;
mod flow;
mod inspect;
mod outliers;
mod packed;
mod pictures;
mod record;
mod rows;
mod sample;
mod score;
mod training_rows;

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Device;
use flow_core::{
    Model,
    file::{self, Floats},
};
use serde::Deserialize;

pub(super) use fit::run as fit;
pub(super) use inspect::run as inspect;
pub(super) use outliers::run as outliers;
pub(super) use sample::run as sample;
pub(super) use score::run as score;

use record::TableRecord;

/// A model of a table, and what is known of the table.
struct TableModel {
    model: Model,
    record: TableRecord,
}

impl TableModel {
    fn load(path: &Path, device: &Device) -> Result<Self> {
        let model = Model::load(path, device)?;
        let record = TableRecord::of(&model);
        let record = record.with_context(|| {
            format!(
                "`{}` holds a flow without columns of a table",
                path.display()
            )
        })?;
        Ok(Self { model, record })
    }
}

/// True if a file holds a flow of vectors, such as a model of a table.
pub(crate) fn is_model(path: &Path) -> bool {
    #[derive(Deserialize)]
    struct Start {
        format: String,
    }
    let mut found = false;
    // The error ends the reading before the tensors.
    let _ = file::read(path, &Device::Cpu, Floats::Any, |header| {
        let start = header.map(serde_json::from_str::<Start>);
        found = matches!(start, Some(Ok(start)) if start.format == "vectors");
        Err::<(), _>(String::new())
    });
    found
}
