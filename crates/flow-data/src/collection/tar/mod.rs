//! Tar archives, also under gzip: WebDataset's shards, and archives of folders.
//!
//! In WebDataset's layout the files of a sample share a key: the path up to the first dot of the
//! file's name. A sample is a picture and its class: `key.png` and `key.cls` (a number or a name)
//! or `key.json` (its `label`, `class`, `cls` or `class_name`). An archive without classes is one
//! of a folder. Links, sparse files and hidden files are left out.

mod headers;
mod samples;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use tar::Archive;

use crate::{
    Error, Malformed, Result,
    content::{self, skip},
    picture,
};

use super::{Collection, Container, Pictures, Stored, archive};

use samples::ClassFiles;

/// Bytes of a file that tells a class, and of the headers of one member.
const MAX_TEXT: u64 = 1 << 20;

/// Image files in tar archives.
struct Archives {
    files: Vec<PathBuf>,
    members: Vec<Member>,
}

/// Place of an image file.
struct Member {
    archive: usize,
    /// Its first byte in the uncompressed archive.
    start: u64,
    size: u64,
}

/// Picture and class files of archives.
#[derive(Default)]
struct Listing {
    /// The archive of each picture, and its path therein.
    pictures: Vec<(usize, String)>,
    members: Vec<Member>,
    classes: ClassFiles,
}

/// Lists the image files of archives, in their order.
pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Collection> {
    let mut listing = Listing::default();
    for (place, file) in files.iter().enumerate() {
        listing.add(place, file)?;
    }
    let classes = listing.classes.of(files, &listing.pictures)?;
    let mut entries = archive::entries(root, files, listing.pictures)?;
    for (entry, class) in entries.iter_mut().zip(classes.into_iter().flatten()) {
        entry.class = class;
    }
    Ok(Collection {
        entries,
        class_names: None,
        container: Box::new(Archives {
            files: files.to_vec(),
            members: listing.members,
        }),
    })
}

impl Listing {
    /// Reads the headers of an archive.
    fn add(&mut self, place: usize, file: &Path) -> Result<()> {
        let io = |error| refused(file, error);
        let mut archive = Archive::new(headers::open(file).map_err(io)?);
        for entry in archive.entries_with_seek().map_err(io)? {
            let mut entry = entry.map_err(io)?;
            let is_file = entry.header().entry_type().is_file();
            let path = archive::shown_path(&entry.path_bytes());
            let Some(path) = path.filter(|_| is_file) else {
                continue;
            };
            if picture::has_extension(Path::new(&path)) {
                self.members.push(Member {
                    archive: place,
                    start: entry.raw_file_position(),
                    size: entry.size(),
                });
                self.pictures.push((place, path));
            } else if ClassFiles::is_one(&path) {
                let mut text = Vec::new();
                let read = (&mut entry).take(MAX_TEXT).read_to_end(&mut text);
                read.map_err(io)?;
                let added = self.classes.add(place, &path, &text);
                added.map_err(|reason| Error::format(file, format!("holds `{path}`, {reason}")))?;
            }
        }
        Ok(())
    }
}

/// An archive that cannot be read. Errors of the archive itself hold bytes of it.
fn refused(file: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Other => Error::format(file, "is no tar archive, or a damaged one"),
        _ => Error::io(file, error),
    }
}

impl Container for Archives {
    fn pictures(&self) -> Result<Pictures<'_>> {
        let mut open: Option<(usize, Counted)> = None;
        Ok(Box::new(self.members.iter().map(move |member| {
            let content = match &mut open {
                Some((opened, content)) if *opened == member.archive => content,
                _ => {
                    let content = content::open(&self.files[member.archive]);
                    let content = content.map_err(Malformed::new)?;
                    let content = Counted {
                        content,
                        position: 0,
                    };
                    &mut open.insert((member.archive, content)).1
                }
            };
            let before = member.start.saturating_sub(content.position);
            skip(content, before).map_err(|_| Malformed::from("it is cut off"))?;
            archive::read(content.take(member.size), member.size).map(Stored::Encoded)
        })))
    }
}

/// A reader that counts the bytes.
struct Counted {
    content: Box<dyn Read>,
    position: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}
