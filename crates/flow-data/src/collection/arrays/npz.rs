//! NumPy's `.npz` files: arrays in a zip archive, stored or deflated.

use std::path::Path;

use zip::CompressionMethod;

use crate::{
    Error, Result,
    collection::zip::{refused, unzip},
};

use super::{
    Array, Source,
    named::{self, Named},
    names,
    npy::Header,
    source::Packing,
};

/// The arrays of images of a file, with their labels.
pub(super) fn open(root: &Path, file: &Path) -> Result<Vec<Array>> {
    named::pair(members(file)?, names::part_in(&names::below(root, file)))
}

/// The arrays of a file, of any type.
pub(super) fn members(file: &Path) -> Result<Vec<Named>> {
    let mut archive = unzip(file)?;
    let mut group = Vec::new();
    for number in 0..archive.len() {
        let member = archive.by_index_raw(number);
        let member = member.map_err(|error| refused(file, &error))?;
        let name = member.name().map_err(|error| refused(file, &error))?;
        let Some(key) = name.strip_suffix(".npy").map(str::to_ascii_lowercase) else {
            continue;
        };
        let key = key.replace(char::is_control, "\u{fffd}");
        let (start, bytes) = (member.data_start(), member.compressed_size());
        let packing = match (start, member.compression()) {
            _ if member.encrypted() => None,
            (Some(start), CompressionMethod::Stored) => Some(Packing::Stored {
                start,
                bytes,
                crc: Some(member.crc32()),
            }),
            (Some(start), CompressionMethod::Deflated) => Some(Packing::Deflated {
                start,
                bytes,
                crc: member.crc32(),
            }),
            _ => None,
        };
        let Some(packing) = packing else {
            let reason = format!("(`{key}`) is packed in another way than NumPy does");
            return Err(Error::format(file, reason));
        };
        let source = Source {
            path: file.to_owned(),
            packing,
        };
        let mut content = source.open().map_err(|error| Error::io(file, error))?;
        let header = Header::read(&mut content);
        let header = header.map_err(|reason| Error::format(file, format!("(`{key}`) {reason}")))?;
        group.push(Named {
            source,
            key,
            header,
        });
    }
    if group.is_empty() {
        return Err(Error::format(file, "holds no arrays of NumPy"));
    }
    Ok(group)
}
