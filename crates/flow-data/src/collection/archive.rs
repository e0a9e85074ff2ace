//! Pictures in archives: paths of members, and the limit of one that unfolds.

use std::{
    collections::HashSet,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{Error, Malformed, Result, malformed::ensure};

use super::{Entry, names};

/// Bytes of an unpacked picture.
const MOST: u64 = 1 << 30;

/// The path of a member without `.` and empty parts; nothing for hidden files, such as those that
/// macOS adds.
pub(super) fn shown_path(path: &[u8]) -> Option<String> {
    let path = String::from_utf8_lossy(path).replace(char::is_control, "\u{fffd}");
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts = parts.collect::<Vec<_>>();
    let is_hidden = |part: &&str| part.starts_with('.') || *part == "__MACOSX";
    let is_shown = !parts.is_empty() && !parts.iter().any(is_hidden);
    is_shown.then(|| parts.join("/"))
}

/// Entries of pictures inside archives, as those of a folder. Each picture is given by the number
/// of its archive and its path therein. With several archives, a name begins with that of the
/// archive, which may also tell the part.
///
/// # Errors
/// There are no pictures, or an archive holds a path twice.
pub(super) fn entries(
    root: &Path,
    archives: &[PathBuf],
    pictures: Vec<(usize, String)>,
) -> Result<Vec<Entry>> {
    let (places, paths): (Vec<_>, Vec<_>) = pictures.into_iter().unzip();
    let mut seen = HashSet::new();
    if let Some((place, path)) = places.iter().zip(&paths).find(|found| !seen.insert(*found)) {
        return Err(Error::format(
            &archives[*place],
            format!("holds `{path}` twice"),
        ));
    }
    if let (true, Some(first)) = (paths.is_empty(), archives.first()) {
        return Err(Error::format(first, "holds no image files"));
    }
    let archives = archives.iter().map(|archive| names::below(root, archive));
    let archives = archives.collect::<Vec<_>>();
    let parts = archives.iter().map(|archive| names::part_in(archive));
    let parts = names::unless_same(parts.collect());
    let mut entries = names::entries(paths);
    let are_told = entries.iter().any(|entry| entry.part.is_some());
    for (entry, place) in entries.iter_mut().zip(places) {
        if !are_told {
            entry.part = parts[place];
        }
        if archives.len() > 1 {
            entry.name = format!("{}/{}", archives[place], entry.name);
        }
    }
    Ok(entries)
}

/// A member of `size` bytes.
///
/// # Errors
/// It has others, or more than a gibibyte, or cannot be read.
pub(super) fn read(content: impl Read, size: u64) -> Result<Vec<u8>, Malformed> {
    ensure!(size <= MOST, "it is larger than 1 GiB");
    let mut bytes = Vec::new();
    // One byte more, so that the reader of a member looks at its end and its checksum.
    let read = content.take(size + 1).read_to_end(&mut bytes);
    let read = read.map_err(Malformed::new)? as u64;
    ensure!(read == size, "it is cut off");
    Ok(bytes)
}
