//! Many results of one kind, one a line.

use anyhow::Result;
use serde::Serialize;

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Comma-separated values (RFC 4180), below a line of names.
    Csv,
    /// A JSON object.
    Json,
}

/// The lines of `records`.
pub(crate) fn lines(records: &[impl Serialize], format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for record in records {
                writer.serialize(record)?;
            }
            Ok(writer.into_inner()?)
        }
        Format::Json => {
            let mut lines = Vec::new();
            for record in records {
                serde_json::to_writer(&mut lines, record)?;
                lines.push(b'\n');
            }
            Ok(lines)
        }
    }
}
