//! The header of a safetensors file.
//!
//! ```text
//! n          length of the header, 8 bytes, little-endian
//! header     JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}, and
//!            texts under the name `__metadata__`
//! numbers    of every tensor, side by side
//! ```

use super::one_line;
use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Largest rank of a tensor; a convolution's weight has four dimensions.
const MAX_RANK: usize = 4;

/// Longest name of a tensor, in bytes; those of parameters have about fifty.
const MAX_NAME: usize = 200;

/// File bytes required per tensor beyond the first [`FREE_TENSORS`]. A tensor costs about 400 bytes
/// of memory beside its numbers; this keeps the total within four times the file's size.
const BYTES_PER_TENSOR: u64 = 160;
const FREE_TENSORS: u64 = 4096;

/// The parsed header, in at most three times the memory of its text.
pub(super) struct Header<'a> {
    /// In the order of the numbers.
    pub(super) entries: Vec<Entry<'a>>,
    /// The text under `flow` in the metadata.
    pub(super) text: Option<String>,
    /// The text under `sha256`.
    pub(super) digest: Option<String>,
}

/// A tensor as the header announces it.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) dtype: Dtype,
    pub(super) shape: Shape,
    offsets: [u64; 2],
}

/// At most [`MAX_RANK`] dimensions.
#[derive(Default)]
pub(super) struct Shape {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl<'a> Header<'a> {
    /// Reads the header of a file of `size` bytes.
    pub(super) fn parse(text: &'a str, size: u64) -> Result<Self, String> {
        let most = (FREE_TENSORS + size / BYTES_PER_TENSOR) as usize;
        let mut json = serde_json::Deserializer::from_str(text);
        let header = json.deserialize_map(HeaderVisitor { most });
        header
            .and_then(|header| json.end().map(|()| header))
            .map_err(one_line)
    }

    /// An error unless the tensors lie side by side and fill exactly the `data` bytes after the
    /// header.
    pub(super) fn check(&self, data: u64) -> Result<(), String> {
        let mut names = BTreeSet::new();
        let mut end = 0;
        for entry in &self.entries {
            let name = entry.name;
            if name.len() > MAX_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                let name = one_line(name);
                return Err(format!(
                    "the tensor's name `{name}` is not a valid parameter name"
                ));
            }
            if !names.insert(name) {
                return Err(format!("the file has two tensors `{name}`"));
            }
            if !matches!(
                entry.dtype,
                Dtype::F32 | Dtype::F64 | Dtype::I64 | Dtype::U32 | Dtype::U8
            ) {
                return Err(format!(
                    "tensor `{name}` has the type {:?}, which checkpoints do not use",
                    entry.dtype
                ));
            }
            if entry.offsets[0] != end || entry.bytes() != entry.offsets[1].checked_sub(end) {
                return Err(format!(
                    "the offsets of tensor `{name}` do not fit its shape"
                ));
            }
            end = entry.offsets[1];
        }
        if end != data {
            return Err(format!(
                "it announces {end} bytes of tensors but holds {data}"
            ));
        }
        Ok(())
    }
}

impl Entry<'_> {
    /// Bytes that its numbers take in the file.
    pub(super) fn length(&self) -> u64 {
        self.offsets[1] - self.offsets[0]
    }

    /// Bytes that numbers of this shape and type take; `None` on overflow.
    fn bytes(&self) -> Option<u64> {
        let mut dims = self.shape.as_slice().iter();
        let bytes = self.dtype.bitsize() as u64 / 8;
        dims.try_fold(bytes, |product, &dim| product.checked_mul(dim as u64))
    }
}

impl Shape {
    pub(super) fn as_slice(&self) -> &[usize] {
        &self.dims[..self.rank]
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

/// Reads at most a given number of tensors.
struct HeaderVisitor {
    most: usize,
}

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
        #[derive(Deserialize)]
        struct Info {
            dtype: Dtype,
            shape: Shape,
            data_offsets: [u64; 2],
        }
        let (mut entries, mut metadata) = (Vec::new(), Metadata::default());
        // Names are taken verbatim: those of parameters need no escapes.
        while let Some(name) = map.next_key::<&str>()? {
            if name == "__metadata__" {
                metadata = map.next_value()?;
                continue;
            }
            if entries.len() == self.most {
                return Err(A::Error::custom("more tensors than the size allows"));
            }
            let Info {
                dtype,
                shape,
                data_offsets: offsets,
            } = map.next_value()?;
            entries.push(Entry {
                name,
                dtype,
                shape,
                offsets,
            });
        }
        entries.sort_unstable_by_key(|entry| entry.offsets);
        entries.shrink_to_fit();
        let Metadata { text, digest } = metadata;
        Ok(Header {
            entries,
            text,
            digest,
        })
    }
}

/// The known texts of the metadata.
#[derive(Default)]
struct Metadata {
    text: Option<String>,
    digest: Option<String>,
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let (mut metadata, mut other) = (Metadata::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "flow" => metadata.text = map.next_value()?,
                "sha256" => metadata.digest = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    other = true;
                }
            }
        }
        // Otherwise damage to a key would hide the digest.
        if other && metadata.text.is_some() {
            return Err(A::Error::custom("unknown metadata beside `flow`"));
        }
        Ok(metadata)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_RANK} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::default();
        while let Some(dim) = seq.next_element()? {
            let Some(place) = shape.dims.get_mut(shape.rank) else {
                return Err(A::Error::invalid_length(MAX_RANK + 1, &self));
            };
            *place = dim;
            shape.rank += 1;
        }
        Ok(shape)
    }
}
