//! Picture files.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
};

use super::{Facts, decode};
use crate::{Malformed, malformed::ensure};

/// The content of a picture file.
///
/// # Errors
/// It is not there, empty, or not a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Malformed> {
    let mut content = Vec::new();
    let mut file = open(path)?;
    file.read_to_end(&mut content).map_err(Malformed::new)?;
    Ok(content)
}

/// Reads the header of a picture file.
///
/// # Errors
/// As [`read`], and if the file is no picture.
pub(crate) fn facts(path: &Path) -> Result<Facts, Malformed> {
    decode::facts(BufReader::new(open(path)?))
}

fn open(path: &Path) -> Result<File, Malformed> {
    let linked = path.exists() || !path.is_symlink();
    ensure!(linked, "it is a link to a file that is not there");
    // A pipe or a device might never end.
    let metadata = fs::metadata(path).map_err(Malformed::new)?;
    ensure!(metadata.is_file(), "it is not a file");
    ensure!(metadata.len() > 0, "it is empty");
    File::open(path).map_err(Malformed::new)
}
