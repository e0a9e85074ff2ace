//! Conditions of a model: classes, or numbers such as measured attributes or an embedding.

use crate::config::GlowConfig;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use flow_core::transfer;
use serde::{Deserialize, Serialize};

/// Numbers that a model is conditioned on. The other kind of condition is a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The numbers of a sample, in order.
    pub columns: Vec<Column>,
    /// True if the coupling networks take them too, false if only the priors do.
    pub networks: bool,
}

/// One number of a condition. The model sees (number − mean) / std.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name, as in the header of a table.
    pub name: String,
    /// Mean over the training data.
    pub mean: f64,
    /// Standard deviation over the training data.
    pub std: f64,
}

impl Condition {
    /// # Errors
    /// [`Error::Config`] that names the invalid column.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.columns.is_empty() {
            return Err(Error::Config("a condition has at least one column".into()));
        }
        for Column { name, mean, std } in &self.columns {
            let named_twice = self.columns.iter().filter(|other| other.name == *name);
            if named_twice.count() > 1 {
                return Err(Error::Config(format!("the condition names `{name}` twice")));
            }
            if !(mean.is_finite() && *std > 0.0 && std.is_finite()) {
                return Err(Error::Config(format!(
                    "column `{name}` of the condition has mean {mean} and standard deviation {std}, but must have \
                     finite ones, the latter above 0"
                )));
            }
        }
        Ok(())
    }
}

impl GlowConfig {
    /// The context that the model's flows take, from labels `[B]` in u32 or numbers `[B, K]`. One
    /// row serves any number of samples. The context lies on the condition's device: classes `[B,
    /// 1]` in u32, or standardised numbers `[B, K]` in `dtype`.
    ///
    /// # Errors
    /// If the model takes no condition, or one of another shape.
    pub fn context(&self, condition: &Tensor, dtype: DType) -> Result<Tensor> {
        let refuse = |needed: String| {
            Err(Error::Config(format!(
                "the condition is of shape {:?} in {:?}, but should be {needed}",
                condition.dims(),
                condition.dtype()
            )))
        };
        match (self.classes, &self.condition) {
            (Some(_), _) => match (condition.dims(), condition.dtype()) {
                ([_], DType::U32) => Ok(condition.unsqueeze(1)?),
                _ => refuse("a label of each image, [B] in u32".into()),
            },
            (None, Some(Condition { columns, .. })) => {
                let count = columns.len();
                if !matches!(condition.dims(), [_, found] if *found == count) {
                    return refuse(format!("{count} numbers for each image, [B, {count}]"));
                }
                // Standardised in their own type: a year is 2026.5 in f64, and loses digits in f32.
                let numbers = if condition.dtype().is_float() {
                    condition.clone()
                } else {
                    condition.to_dtype(dtype)?
                };
                let row = |of: fn(&Column) -> f64| {
                    let values = columns.iter().map(of).collect();
                    transfer::upload(values, (1, count), numbers.dtype(), numbers.device())
                };
                let numbers = numbers.broadcast_sub(&row(|column| column.mean)?)?;
                let numbers = numbers.broadcast_div(&row(|column| column.std)?)?;
                Ok(numbers.to_dtype(dtype)?)
            }
            (None, None) => Err(Error::Config(
                "the model takes no condition: leave out labels and numbers".into(),
            )),
        }
    }

    /// # Errors
    /// If the model takes a condition; the error names it.
    pub(crate) fn check_unconditional(&self) -> Result<()> {
        let reason = match (self.classes, &self.condition) {
            (None, None) => return Ok(()),
            (Some(_), _) => "the model is class-conditional: labels are needed".to_owned(),
            (None, Some(Condition { columns, .. })) => {
                let names = columns.iter().map(|column| format!("`{}`", column.name));
                let names = names.collect::<Vec<_>>().join(", ");
                format!("the model is conditional: each image needs its {names}")
            }
        };
        Err(Error::Config(reason))
    }

    /// Number of context values that the coupling networks take.
    pub(crate) fn network_context(&self) -> usize {
        match &self.condition {
            Some(condition) if condition.networks => condition.columns.len(),
            _ => 0,
        }
    }
}
