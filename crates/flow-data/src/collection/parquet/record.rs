//! `collection.json`: where parquet files are from, and which of their columns are meant.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The content of `collection.json`, which lies beside parquet files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Record {
    /// Owner and name of the repository on the hub.
    pub(crate) repository: Option<String>,
    /// The commit of the repository.
    pub(crate) revision: Option<String>,
    /// The configuration of the data set.
    pub(crate) config: Option<String>,
    /// The column of pictures.
    pub(crate) image_column: Option<String>,
    /// The column of classes.
    pub(crate) label_column: Option<String>,
    /// The parquet files as they were fetched, and the bytes of each.
    pub(crate) files: BTreeMap<String, u64>,
}

impl Record {
    /// The name of its file.
    pub(crate) const FILE: &str = "collection.json";

    /// Reads that of a folder, if it has one.
    ///
    /// # Errors
    /// It cannot be read, or has other fields.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(Self::FILE);
        match fs::read(&path) {
            Ok(json) => {
                let record = serde_json::from_slice(&json);
                record.map_err(|reason| Error::format(&path, format!("is malformed: {reason}")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io(&path, source)),
        }
    }
}
