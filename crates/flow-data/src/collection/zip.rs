//! Zip archives of folders.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use zip::{ZipArchive, result::ZipError};

use crate::{Error, Malformed, Result, picture};

use super::{Collection, Container, Pictures, Stored, archive};

/// Image files in zip archives.
struct Archives {
    files: Vec<PathBuf>,
    /// The archive of each picture, and its number therein.
    members: Vec<(usize, usize)>,
}

/// Lists the image files of archives, in the order of unpacked folders. Links and hidden files are
/// left out.
pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Collection> {
    let (mut pictures, mut members) = (Vec::new(), Vec::new());
    for (place, file) in files.iter().enumerate() {
        for (path, number) in list(file)? {
            pictures.push((place, path));
            members.push((place, number));
        }
    }
    Ok(Collection {
        entries: archive::entries(root, files, pictures)?,
        class_names: None,
        container: Box::new(Archives {
            files: files.to_vec(),
            members,
        }),
    })
}

/// Paths and numbers of the image files of one archive.
fn list(file: &Path) -> Result<Vec<(String, usize)>> {
    let archive = unzip(file)?;
    let mut members = Vec::new();
    for number in 0..archive.len() {
        let member = archive.by_index_data(number);
        let member = member.map_err(|error| refused(file, &error))?;
        let name = member.name().map_err(|error| refused(file, &error))?;
        let path = archive::shown_path(name.as_bytes());
        let Some(path) = path.filter(|path| picture::has_extension(Path::new(path))) else {
            continue;
        };
        if !member.is_file() {
            continue;
        }
        if member.encrypted() {
            let reason = "is encrypted; unpack it with its password, and name the folder";
            return Err(Error::format(file, reason));
        }
        members.push((path, number));
    }
    members.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    Ok(members)
}

/// Reads the list of members.
pub(super) fn unzip(file: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let content = File::open(file).map_err(|source| Error::io(file, source))?;
    ZipArchive::new(BufReader::new(content)).map_err(|error| refused(file, &error))
}

pub(super) fn refused(file: &Path, error: &ZipError) -> Error {
    Error::format(file, format!("is no zip archive that can be read: {error}"))
}

impl Container for Archives {
    fn pictures(&self) -> Result<Pictures<'_>> {
        let mut open: Option<(usize, ZipArchive<BufReader<File>>)> = None;
        Ok(Box::new(self.members.iter().map(
            move |&(place, number)| {
                let archive = match &mut open {
                    Some((opened, archive)) if *opened == place => archive,
                    _ => {
                        let archive = unzip(&self.files[place]).map_err(Malformed::new)?;
                        &mut open.insert((place, archive)).1
                    }
                };
                let member = archive.by_index(number).map_err(|error| reason(&error))?;
                let size = member.size();
                archive::read(member, size).map(Stored::Encoded)
            },
        )))
    }
}

fn reason(error: &ZipError) -> Malformed {
    match error {
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Malformed::from("it is packed by another method than deflate")
        }
        _ => Malformed::from("its place in the archive is damaged"),
    }
}
