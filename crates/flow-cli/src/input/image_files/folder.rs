//! The image files in a folder and below it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow, ensure};
use walkdir::{Error, WalkDir};

use super::has_extension;

/// The files below `folder` with the extensions of images, sorted by name, folder by folder. A
/// folder that cannot be read gives an error in its place. Files and folders whose names begin with
/// a dot are hidden and left out, other files are counted in a message.
///
/// # Errors
/// If there is none.
pub(super) fn image_files(folder: &Path) -> Result<Vec<Result<PathBuf>>> {
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let shown = entries
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path()));
    let (mut files, mut others) = (Vec::new(), 0_u64);
    for entry in shown {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if has_extension(entry.path()) => files.push(Ok(entry.into_path())),
            Ok(_) => others += 1,
            Err(error) => files.extend(unread(error)),
        }
    }
    ensure!(
        !files.is_empty(),
        "the folder `{}` holds no image files (.png, .jpg or .jpeg)",
        folder.display()
    );
    if others > 0 {
        tracing::info!(
            "files in `{}` that are no images by name, and are left out: {others}",
            folder.display()
        );
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.starts_with('.'))
}

/// The result for an entry that cannot be followed. Links to a folder above are skipped, and so are
/// broken links, unless their name is that of an image.
fn unread(error: Error) -> Option<Result<PathBuf>> {
    let path = error.path().map(Path::to_owned)?;
    if error.loop_ancestor().is_some() || is_hidden(&path) {
        return None;
    }
    if path.is_symlink() {
        return has_extension(&path).then_some(Ok(path));
    }
    let cause = error.into_io_error()?;
    let cannot = format!("cannot read the folder `{}`", path.display());
    Some(Err(anyhow!(cause).context(cannot)))
}
