//! Compression of pages.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use snap::raw::{Decoder, decompress_len};

use crate::malformed::{Malformed, ensure};

/// A compression of pages.
#[derive(Clone, Copy)]
pub(super) enum Codec {
    Uncompressed,
    Snappy,
    Gzip,
    Zstd,
}

impl Codec {
    /// The codec of a number in the footer.
    pub(super) fn of(number: i64) -> Result<Self, Malformed> {
        Ok(match number {
            0 => Self::Uncompressed,
            1 => Self::Snappy,
            2 => Self::Gzip,
            6 => Self::Zstd,
            other => {
                let name = match other {
                    3 => "LZO",
                    4 => "Brotli",
                    5 | 7 => "LZ4",
                    _ => "an unknown codec",
                };
                let reason = format!("it is compressed by {name}; write it with Snappy or Zstd");
                return Err(reason.into());
            }
        })
    }

    /// The `size` bytes of a page of `values`.
    pub(super) fn unpack(
        self,
        stored: Vec<u8>,
        size: usize,
        values: usize,
    ) -> Result<Vec<u8>, Malformed> {
        let most = self.expansion().saturating_mul(stored.len() + values);
        ensure!(
            size <= most,
            "a page announces {size} bytes, more than it may hold"
        );
        let content = match self {
            Self::Uncompressed => stored,
            Self::Snappy => {
                let announced = decompress_len(&stored).map_err(Malformed::new)?;
                ensure!(
                    announced == size,
                    "a page announces {size} bytes and holds {announced}"
                );
                let content = Decoder::new().decompress_vec(&stored);
                content.map_err(Malformed::new)?
            }
            Self::Gzip => {
                let mut content = Vec::new();
                let decoder = MultiGzDecoder::new(&stored[..]);
                let read = decoder.take(size as u64 + 1).read_to_end(&mut content);
                read.map_err(Malformed::new)?;
                content
            }
            Self::Zstd => zstd::bulk::decompress(&stored, size).map_err(Malformed::new)?,
        };
        ensure!(
            content.len() == size,
            "a page announces {size} bytes and holds {}",
            content.len()
        );
        Ok(content)
    }

    /// Bytes of a page for each byte in the file and each value. Three bytes of Snappy stand for at
    /// most 64; for the others, which have no such limit, far more than pictures shrink.
    fn expansion(self) -> usize {
        match self {
            Self::Uncompressed => 1,
            Self::Snappy => 22,
            Self::Gzip | Self::Zstd => 64,
        }
    }
}
