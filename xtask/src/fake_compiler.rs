//! Scripts in the place of compilers, where code is only to be type-checked: they make empty files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result};

/// Writes an executable script, unless it is there.
pub(crate) fn write(path: &Path, script: &str) -> Result<()> {
    // Left alone if it is right: build scripts look at its time.
    if fs::read_to_string(path).is_ok_and(|present| present == script) {
        return Ok(());
    }
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::write(path, script).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}
