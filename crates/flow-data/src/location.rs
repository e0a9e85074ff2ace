//! Places that data sets are read from, as they are typed.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{DatasetName, Error, Result};

/// The place of a data set: a published one by its name, one that was fetched from the hub, or the
/// path of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A published data set that this crate knows.
    Published(DatasetName),
    /// A data set of the hub.
    Hub(HubName),
    /// A folder, a file, or numbered files.
    Path(PathBuf),
}

/// The name of a data set of the hub, `OWNER/NAME`, and of its configuration, `OWNER/NAME/CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// The user or organisation.
    pub owner: String,
    /// The name of the repository.
    pub name: String,
    /// The configuration, of data sets that have several.
    pub config: Option<String>,
}

/// The prefix of the hub's data sets.
const HUB: &str = "hub:";

impl Location {
    /// The name of the data set, for tables and files.
    pub fn name(&self) -> String {
        match self {
            Self::Published(name) => name.to_string(),
            Self::Hub(name) => name.to_string(),
            Self::Path(path) => {
                let name = path
                    .file_name()
                    .unwrap_or(path.as_os_str())
                    .to_string_lossy();
                let plain = |c: char| if c.is_control() { ' ' } else { c };
                name.chars().map(plain).collect()
            }
        }
    }

    /// The path of the collection, where `data_dir` holds what was fetched; nothing for published
    /// data sets, which have layouts of their own.
    pub fn path(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Published(_) => None,
            Self::Hub(name) => Some(name.folder(data_dir)),
            Self::Path(path) => Some(path.clone()),
        }
    }
}

impl HubName {
    /// The folder below `data_dir` that holds the data set after it was fetched.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        let folder = data_dir.join("hub").join(&self.owner);
        match &self.config {
            // Beside that of the whole data set, and no other name can be.
            Some(config) => folder.join(format!("{}@{config}", self.name)),
            None => folder.join(&self.name),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(name) => name.fmt(f),
            Self::Hub(name) => write!(f, "{HUB}{name}"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        self.config
            .iter()
            .try_for_each(|config| write!(f, "/{config}"))
    }
}

/// A path is taken as it is: nothing is looked for on disk.
impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix(HUB) {
            return name.parse().map(Self::Hub);
        }
        Ok(match text.parse() {
            Ok(name) => Self::Published(name),
            Err(_) => Self::Path(text.into()),
        })
    }
}

impl FromStr for HubName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_name = |part: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(plain)
        };
        let parts = text.split('/').collect::<Vec<_>>();
        let (owner, name, config) = match *parts {
            [owner, name] => (owner, name, None),
            [owner, name, config] => (owner, name, Some(config)),
            _ => return Err(unknown(text)),
        };
        if [owner, name].iter().chain(&config).all(is_name) {
            let (owner, name) = (owner.to_owned(), name.to_owned());
            let config = config.map(str::to_owned);
            return Ok(Self {
                owner,
                name,
                config,
            });
        }
        Err(unknown(text))
    }
}

fn unknown(name: &str) -> Error {
    Error::Unknown {
        kind: "data set of the hub",
        name: name.to_owned(),
        expected: "`hub:OWNER/NAME` or `hub:OWNER/NAME/CONFIG`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let of = |text: &str| text.parse::<Location>().unwrap();
        assert_eq!(of("mnist"), Location::Published(DatasetName::Mnist));
        assert_eq!(of("./mnist"), Location::Path("./mnist".into()));
        for text in [
            "mnist",
            "hub:a/b-1",
            "hub:a/b/c.d",
            "photos/cats",
            "x-{00..12}.tar",
        ] {
            assert_eq!(of(text).to_string(), text);
        }
        assert_eq!(of("hub:a/b").path(Path::new("d")), Some("d/hub/a/b".into()));
        for text in [
            "hub:",
            "hub:a",
            "hub:a/../b",
            "hub:a//b",
            "hub:a/b/c/d",
            "hub:a/b c",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        assert_eq!(of("photos/my cats").name(), "my cats");
    }
}
