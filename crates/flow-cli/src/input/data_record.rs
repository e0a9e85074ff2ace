//! The description of the training data that a checkpoint holds.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use flow_data::{Dataset, Location, Preparation, picture::Fitting};
use serde::{Deserialize, Serialize};

use super::data;

/// The data that a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataRecord {
    /// The place it was read from; a path is absolute.
    pub(crate) location: String,
    /// SHA-256 of the training images and their labels, in Base64.
    pub(crate) digest: String,
    /// Names of the classes; none where they are unknown.
    pub(crate) classes: Vec<String>,
    /// The way that pictures became a data set; nothing for a published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preparation: Option<Preparation>,
    /// The shape that this gave them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fitting: Option<Fitting>,
}

impl DataRecord {
    /// The record of `train`, as it is before it is put on a canvas.
    pub(crate) fn of(
        location: &Location,
        train: &Dataset,
        prepared: Option<(Preparation, Fitting)>,
    ) -> Result<Self> {
        let (preparation, fitting) = prepared.unzip();
        Ok(Self {
            location: data::absolute(location)?.to_string(),
            digest: digest(train)?,
            classes: train.class_names().to_vec(),
            preparation,
            fitting,
        })
    }

    /// The record in a header; nothing in files of early versions and of other programs.
    pub(crate) fn read(data: &serde_json::Value) -> Result<Option<Self>> {
        if data.is_null() {
            return Ok(None);
        }
        let record = Self::deserialize(data);
        record
            .map(Some)
            .context("the record of the training data is not one of this program's")
    }

    /// The place that the data was read from.
    pub(crate) fn location(&self) -> Result<Location> {
        Ok(self.location.parse()?)
    }

    /// Checks that `train` holds the images that the model was trained on.
    pub(crate) fn check(&self, train: &Dataset) -> Result<()> {
        ensure!(
            digest(train)? == self.digest,
            "`{}` holds other images than those the model was trained on; \
             name it with `--dataset` to take it even so",
            self.location
        );
        Ok(())
    }
}

/// SHA-256 in Base64.
fn digest(data: &Dataset) -> Result<String> {
    Ok(BASE64_STANDARD.encode(data.digest()?))
}
