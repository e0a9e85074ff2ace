//! Labels of any integer type.

use std::io::Read;

/// A type of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integers {
    /// Bytes of a number: 1 to 8.
    pub(super) bytes: usize,
    pub(super) is_signed: bool,
    pub(super) is_big_endian: bool,
}

impl Integers {
    /// Bytes.
    pub(super) const U8: Self = Self {
        bytes: 1,
        is_signed: false,
        is_big_endian: false,
    };

    /// Reads so many classes.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the file.
    pub(super) fn read(self, mut content: impl Read, count: usize) -> Result<Vec<u32>, String> {
        let mut labels = Vec::new();
        for place in 0..count {
            let mut number = [0; 8];
            let number = &mut number[..self.bytes];
            let read = content.read_exact(number);
            read.map_err(|_| format!("holds {place} labels rather than {count}"))?;
            if self.is_big_endian {
                number.reverse();
            }
            let label = self.value(number);
            let class = label.try_into();
            labels.push(class.map_err(|_| format!("labels image {place} as {label}"))?);
        }
        Ok(labels)
    }

    /// A number from its bytes, the lowest first.
    fn value(self, number: &[u8]) -> i128 {
        let is_negative = self.is_signed && number.last().is_some_and(|&byte| byte >= 0x80);
        let value = number
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | i128::from(byte));
        if is_negative {
            value - (1 << (8 * self.bytes))
        } else {
            value
        }
    }
}
