//! The parquet files of a repository, and its configurations.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Client;
use crate::{Error, HubName, Result, collection::part_of};

/// The branch on which the hub keeps the parquet files that it makes of other formats.
const CONVERTED: &str = "refs/convert/parquet";

/// The folder of files without a configuration.
const DATA: &str = "data";

/// The name of the configuration without a folder.
const DEFAULT: &str = "default";

/// Parquet files of a repository.
pub(super) struct Listing {
    /// The commit.
    pub(super) revision: String,
    /// Their paths in the repository.
    pub(super) files: Vec<String>,
}

/// The hub's answer, of which these fields matter.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// The parquet files of a data set's configuration: its own, or else those that the hub makes of
/// it.
pub(super) fn list(client: &Client, name: &HubName) -> Result<Listing> {
    let refuse = |reason: String| {
        let repository = format!("{}/{}", name.owner, name.name);
        Error::Repository { repository, reason }
    };
    let own = on(client, name, "main")?.ok_or_else(|| refuse("is not on the hub".into()))?;
    let mut listing = own;
    if listing.files.is_empty() {
        let converted = on(client, name, CONVERTED)?.filter(|found| !found.files.is_empty());
        let none = "has no parquet files, and the hub has made none of its files";
        listing = converted.ok_or_else(|| refuse(none.into()))?;
    }
    listing.choose(name.config.as_deref()).map_err(refuse)?;
    Ok(listing)
}

/// The parquet files of a revision; nothing if there is no such revision.
fn on(client: &Client, name: &HubName, revision: &str) -> Result<Option<Listing>> {
    let repository = (&*name.owner, &*name.name);
    let Some(json) = client.describe(repository, revision)? else {
        return Ok(None);
    };
    let answer = serde_json::from_slice::<Answer>(&json).ok();
    let answer =
        answer.filter(|answer| answer.sha.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let malformed = || Error::Download {
        repository: format!("{}/{}", name.owner, name.name),
        file: None,
        reason: "the hub's answer is malformed".into(),
    };
    let answer = answer.ok_or_else(malformed)?;
    let files = answer.siblings.into_iter().map(|file| file.rfilename);
    let files = files.filter(|file| file.ends_with(".parquet") && is_safe(file));
    Ok(Some(Listing {
        revision: answer.sha,
        files: files.collect(),
    }))
}

/// True if a path leads to a place below the folder that it is joined to.
fn is_safe(path: &str) -> bool {
    let strange = |c: char| c.is_control() || matches!(c, '\\' | ':');
    let is_name =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(strange);
    path.split('/').all(is_name)
}

impl Listing {
    /// Keeps the files of one configuration. An error is the rest of a sentence.
    fn choose(&mut self, wanted: Option<&str>) -> Result<(), String> {
        let all = self.files.iter().map(|file| config_of(file));
        let all = all.collect::<BTreeSet<_>>();
        let listed = all.iter().map(|config| format!("`{config}`"));
        let listed = listed.collect::<Vec<_>>().join(", ");
        let wanted = match (wanted, all.first()) {
            (Some(wanted), _) if all.contains(wanted) => wanted.to_owned(),
            (Some(wanted), _) => {
                return Err(format!("has no configuration `{wanted}`; it has {listed}"));
            }
            (None, Some(only)) if all.len() == 1 => (*only).to_owned(),
            (None, _) => {
                return Err(format!(
                    "has several configurations: {listed}; name one with `--config`"
                ));
            }
        };
        self.files.retain(|file| config_of(file) == wanted);
        Ok(())
    }
}

/// The configuration of a file: the first of its folders that neither names a part of the data nor
/// is the usual one.
fn config_of(file: &str) -> &str {
    let folders = file.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut folders = folders.split('/').filter(|folder| !folder.is_empty());
    let found = folders.find(|folder| *folder != DATA && part_of(folder).is_none());
    found.unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_folders() {
        for (file, config) in [
            ("train.parquet", "default"),
            ("data/train-00000-of-00001.parquet", "default"),
            ("data/en/test.parquet", "en"),
            ("cifar100/train-00000-of-00001.parquet", "cifar100"),
            ("default/partial-train/0000.parquet", "default"),
            ("train/0000.parquet", "default"),
        ] {
            assert_eq!(config_of(file), config, "{file}");
        }
    }

    #[test]
    fn paths_stay_in_the_folder() {
        for path in ["a.parquet", "data/train-0.parquet", "zwei Wörter/a.parquet"] {
            assert!(is_safe(path), "{path}");
        }
        for path in [
            "", "/a", "../a", "a/../b", "a//b", "a\\b", "c:a", "./a", "a\nb",
        ] {
            assert!(!is_safe(path), "{path}");
        }
    }
}
