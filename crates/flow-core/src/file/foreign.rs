//! Detection of other file formats, by their first bytes.

use std::path::Path;

/// Number of bytes that suffice to detect a format.
pub(super) const PREFIX_LENGTH: u64 = 512;

/// Offsets in a zip archive of the name of the first entry, and of its length.
const ZIP_NAME: usize = 30;
const ZIP_NAME_LENGTH: std::ops::Range<usize> = 26..28;

/// Formats with magic bytes.
const FORMATS: [(&[u8], &str); 11] = [
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", GZIP),
    (b"\0\0\x08\x01", "an IDX file of labels"),
    (b"\0\0\x08\x03", "an IDX file of images"),
    (b"PAR1", "a Parquet file"),
    // PyTorch before 1.6: a pickle of the format's magic number.
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", PYTORCH),
    (b"PK\x05\x06", "an empty zip archive"),
];

const PYTORCH: &str = "a PyTorch checkpoint";
const GZIP: &str = "a file under gzip";

/// A line about a file that begins with `bytes` and is not in safetensors format: its format, and
/// what to do. `None` if the format is unknown.
pub(super) fn explain(bytes: &[u8], path: &Path) -> Option<String> {
    let format = format(bytes, path)?;
    let advice = match format {
        PYTORCH => "convert it with `flow convert`",
        GZIP => "unpack it first",
        _ => "a safetensors file that `flow` wrote is needed",
    };
    Some(format!("it looks like {format}; {advice}"))
}

/// The format, in words that follow "it looks like".
fn format(bytes: &[u8], path: &Path) -> Option<&'static str> {
    let by_magic = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic));
    let by_content = || match bytes {
        [b'P', b'K', 3, 4, ..] => Some(archive(bytes)),
        [0x80, 2..=5, ..] => Some("a Python pickle"),
        _ if is_text(bytes) => Some(text(bytes, path)),
        _ => None,
    };
    by_magic.map(|(_, name)| *name).or_else(by_content)
}

/// Content of a zip archive, by the name of its first entry.
fn archive(bytes: &[u8]) -> &'static str {
    let length = bytes.get(ZIP_NAME_LENGTH);
    let length = length.map_or(0, |bytes| {
        usize::from(bytes[0]) | usize::from(bytes[1]) << 8
    });
    let name = bytes.get(ZIP_NAME..ZIP_NAME + length).unwrap_or_default();
    if name.ends_with(b".npy") {
        "an archive of NumPy arrays (.npz)"
    } else if name.ends_with(b"/data.pkl") {
        PYTORCH
    } else {
        "a zip archive"
    }
}

/// The cut at the end may lie within a character.
fn is_text(bytes: &[u8]) -> bool {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_shown = |c: char| !c.is_control() || c.is_whitespace();
    !text.is_empty() && text.chars().all(is_shown)
}

fn text(bytes: &[u8], path: &Path) -> &'static str {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let is_csv = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    match bytes.trim_ascii_start().first() {
        Some(b'{' | b'[') => "JSON",
        _ if is_csv || first.contains(&b',') => "a table (CSV)",
        _ => "a text file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_beginning() {
        let zip = |name: &str| {
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.resize(26, 0);
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
            bytes.extend(name.as_bytes());
            bytes
        };
        let known = [
            (b"\x93NUMPY\x01\0v\0".to_vec(), Some("a NumPy array (.npy)")),
            (zip("archive/data.pkl"), Some(PYTORCH)),
            (zip("weight.npy"), Some("an archive of NumPy arrays (.npz)")),
            (zip("a/b.txt"), Some("a zip archive")),
            (b"PK\x03\x04".to_vec(), Some("a zip archive")),
            (b"\x80\x04\x95\0".to_vec(), Some("a Python pickle")),
            (b"a,b\n1,2\n".to_vec(), Some("a table (CSV)")),
            (b" {\"step\": 1}\n".to_vec(), Some("JSON")),
            (
                "no checkpoint, grün".as_bytes()[..18].to_vec(),
                Some("a table (CSV)"),
            ),
            ("grü".as_bytes()[..3].to_vec(), Some("a text file")),
            (b"\xff\xfe\0\x01".to_vec(), None),
            (Vec::new(), None),
        ];
        for (bytes, expected) in known {
            assert_eq!(format(&bytes, Path::new("file")), expected, "{bytes:?}");
        }
        assert_eq!(format(b"1;2", Path::new("a.CSV")), Some("a table (CSV)"));
    }
}
