//! The image files in a folder and below it.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use flow_data::{collection::files_below, picture::has_extension};

/// The files below `folder` with the extensions of images, sorted by name, folder by folder. A
/// folder that cannot be read gives an error in its place. Hidden files are left out, other files
/// are counted in a message.
///
/// # Errors
/// If there is none.
pub(super) fn image_files(folder: &Path) -> Result<Vec<Result<PathBuf>>> {
    let mut files = files_below(folder);
    let all = files.len();
    files.retain(|file| file.as_ref().map_or(true, |file| has_extension(file)));
    ensure!(
        !files.is_empty(),
        "the folder `{}` holds no image files (.png, .jpg and others)",
        folder.display()
    );
    let others = all - files.len();
    if others > 0 {
        tracing::info!(
            "files in `{}` that are no images by name, and are left out: {others}",
            folder.display()
        );
    }
    Ok(files.into_iter().map(|file| Ok(file?)).collect())
}
