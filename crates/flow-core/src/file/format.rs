//! The header of this workspace's files: JSON with the name and the version of a format.

use super::one_line;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A format of files, as headers name it in the fields `format` and `version`.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Value of `format`; `None` for models of images, whose headers lack the field.
    pub name: Option<&'static str>,
    /// Value of `version`, the only one that is read.
    pub version: u32,
    /// Largest size of a header, in bytes.
    pub max_header: usize,
}

impl Format {
    /// The header `text` of a file, whose fields are those of `T`. Format and version are read
    /// first, because a header of another one may not parse.
    ///
    /// # Errors
    /// With the reason, as [`read`](super::read) takes it.
    pub fn parse<T: DeserializeOwned>(&self, text: Option<&str>) -> Result<T, String> {
        #[derive(Deserialize)]
        struct Start {
            #[serde(default)]
            format: Option<String>,
            version: u32,
        }
        let broken =
            |error: serde_json::Error| format!("its header cannot be read ({})", one_line(error));
        let text = text.ok_or("it has no `flow` header, so another program wrote it")?;
        self.check_length(text)?;
        let Start { format, version } = serde_json::from_str(text).map_err(broken)?;
        if format.as_deref() != self.name {
            let (found, needed) = (content(format.as_deref()), content(self.name));
            return Err(format!("it holds {found}, not {needed}"));
        }
        if version != self.version {
            return Err(format!(
                "its format is version {version}, and this program reads version {}",
                self.version
            ));
        }
        serde_json::from_str(text).map_err(broken)
    }

    /// # Errors
    /// If the header is too long to be read again.
    pub fn check_length(&self, header: &str) -> Result<(), String> {
        if header.len() > self.max_header {
            return Err(format!("its header is too long for {}", content(self.name)));
        }
        Ok(())
    }
}

fn content(format: Option<&str>) -> String {
    match format {
        None => "a model of images".to_owned(),
        Some("vectors") => "a flow of vectors".to_owned(),
        Some("training of vectors") => "a training of vectors".to_owned(),
        Some(other) => format!("the format `{}`", one_line(other)),
    }
}
