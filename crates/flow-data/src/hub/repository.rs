//! A data set of the hub that this crate does not know by name: its parquet files, in a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Client, Fetched, check_transfer, discard, listing};
use crate::{
    Error, HubName, Malformed, Result, Watch,
    collection::{Record, Sources, common_folders},
};

/// The columns of a data set of the hub. Those that are not named are found by themselves where
/// there is one only.
#[derive(Clone, Debug, Default)]
pub struct ColumnNames {
    /// The column of pictures.
    pub image: Option<String>,
    /// The column of classes.
    pub label: Option<String>,
}

/// A file in the cache, and its path in the folder of the data set.
type Download = (PathBuf, String);

/// Downloads the parquet files of a data set of the hub into [`HubName::folder`], unless they are
/// there. The folder is written in full or not at all; hub, token and cache are those of
/// [`fetch`](super::fetch).
///
/// # Errors
///
/// [`Error::Endpoint`], [`Error::Denied`] and [`Error::Download`] of the hub;
/// [`Error::Repository`] if it has no parquet files of pictures, or several configurations or
/// columns and none is named; [`Error::Wrong`] if a file differs from what was announced, which
/// removes it from the cache; [`Error::Write`].
pub fn fetch_repository(
    name: &HubName,
    columns: &ColumnNames,
    data_dir: &Path,
    watch: Watch<'_>,
) -> Result<Fetched> {
    fetch_from(&Client::from_env()?, name, columns, data_dir, watch)
}

/// The same from a given hub.
pub(super) fn fetch_from(
    client: &Client,
    name: &HubName,
    columns: &ColumnNames,
    data_dir: &Path,
    watch: Watch<'_>,
) -> Result<Fetched> {
    let folder = name.folder(data_dir);
    let present = Record::read(&folder)?;
    if let Some(record) = &present
        && is_complete(record, columns, &folder)
    {
        return Ok(Fetched::Complete(folder));
    }
    if present.is_none() && folder.exists() {
        let reason = "is in the way: it was not fetched from the hub; move it";
        return Err(Error::format(&folder, reason));
    }
    let listing = listing::list(client, name)?;
    let downloads = download(client, name, &listing, watch)?;
    let record = Record {
        repository: Some(format!("{}/{}", name.owner, name.name)),
        revision: Some(listing.revision),
        config: name.config.clone(),
        image_column: columns.image.clone(),
        label_column: columns.label.clone(),
        files: BTreeMap::new(),
    };
    place(&downloads, record, &folder)?;
    Ok(Fetched::Written(folder))
}

/// True if the columns are those that are wanted and every file is there as it was fetched.
fn is_complete(record: &Record, columns: &ColumnNames, folder: &Path) -> bool {
    let is_same =
        |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let is_there = |(file, bytes): (&String, &u64)| {
        let facts = fs::metadata(folder.join(file));
        facts.is_ok_and(|facts| facts.len() == *bytes)
    };
    is_same(&columns.image, &record.image_column)
        && is_same(&columns.label, &record.label_column)
        && !record.files.is_empty()
        && record.files.iter().all(is_there)
}

/// Downloads files, and names them without the folders that all of them share.
fn download(
    client: &Client,
    name: &HubName,
    listing: &listing::Listing,
    watch: Watch<'_>,
) -> Result<Vec<Download>> {
    let repository = (&*name.owner, &*name.name);
    let skipped = common_folders(&listing.files);
    let mut downloads = Vec::with_capacity(listing.files.len());
    for file in &listing.files {
        let blob = client.get(repository, &listing.revision, file, watch)?;
        check_transfer(&blob, watch).map_err(|Malformed(reason)| discard(&blob, file, reason))?;
        let below = file.split('/').skip(skipped).collect::<Vec<_>>();
        downloads.push((blob, below.join("/")));
    }
    Ok(downloads)
}

/// Puts files and their record into `folder`, in place of one that was fetched before.
fn place(downloads: &[Download], record: Record, folder: &Path) -> Result<()> {
    let cannot_write = |source| Error::Write {
        path: folder.to_owned(),
        source,
    };
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(cannot_write)?;
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(parent)
        .map_err(cannot_write)?;
    let new = staging.path().join("new");
    let repository = record.repository.clone().unwrap_or_default();
    stage(downloads, record, &new).map_err(cannot_write)?;
    check(&new).map_err(|reason| Error::Repository { repository, reason })?;
    let old = staging.path().join("old");
    let replace = || -> io::Result<()> {
        if folder.exists() {
            fs::rename(folder, &old)?;
        }
        fs::rename(&new, folder).inspect_err(|_| drop(fs::rename(&old, folder)))
    };
    replace().map_err(cannot_write)
}

fn stage(downloads: &[Download], mut record: Record, folder: &Path) -> io::Result<()> {
    for (blob, file) in downloads {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        if fs::hard_link(blob, &to).is_err() {
            fs::copy(blob, &to)?;
        }
        record.files.insert(file.clone(), fs::metadata(&to)?.len());
    }
    fs::write(
        folder.join(Record::FILE),
        serde_json::to_vec_pretty(&record)?,
    )
}

/// Opens the collection in a folder. An error is the rest of a sentence about the repository.
fn check(folder: &Path) -> Result<(), String> {
    let opened = Sources::find(folder).and_then(|sources| sources.open());
    match opened {
        Ok(_) => Ok(()),
        Err(Error::Format { path, reason }) => {
            let file = path.strip_prefix(folder).unwrap_or(&path);
            Err(format!("cannot be used: `{}` {reason}", file.display()))
        }
        Err(error) => Err(format!("cannot be used: {error}")),
    }
}
