//! Opcodes that are a value, and how their bytes are read.

use anyhow::{Context, Result, bail, ensure};

use super::Value;
use super::machine::Machine;

impl<'a> Machine<'a> {
    /// The value of an opcode that is one.
    pub(super) fn literal(&mut self, opcode: u8) -> Result<Value<'a>> {
        Ok(match opcode {
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            // INT and LONG, in digits
            b'I' | b'L' => digits(self.line()?),
            // LONG1 and LONG4
            0x8a | 0x8b => long(self.counted(if opcode == 0x8a { 1 } else { 4 })?),
            // UNICODE, STRING, and SHORT_BINUNICODE, BINUNICODE, BINUNICODE8; the two that Python 2
            // writes, SHORT_BINSTRING and BINSTRING
            b'V' => text(self.line()?),
            b'S' => text(self.line()?.trim_ascii().trim_quotes()),
            0x8c | b'U' => text(self.counted(1)?),
            b'X' | b'T' => text(self.counted(4)?),
            0x8d => text(self.counted(8)?),
            // Empty containers, of which a set is a list here.
            b')' => Value::Tuple(Vec::new()),
            b']' | 0x8f => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            _ => {
                self.opaque(opcode)?;
                Value::Opaque
            }
        })
    }

    /// Passes over a value that nothing here needs.
    fn opaque(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // NONE, and a buffer beside the pickle
            b'N' | 0x97 => {}
            // FLOAT, in digits, and PERSID
            b'F' | b'P' => drop(self.line()?),
            b'G' => drop(self.take(8)?),
            // EXT1, EXT2 and EXT4, numbers of registered classes
            0x82 => drop(self.take(1)?),
            0x83 => drop(self.take(2)?),
            0x84 => drop(self.take(4)?),
            // SHORT_BINBYTES, BINBYTES, BINBYTES8 and BYTEARRAY8
            b'C' => drop(self.counted(1)?),
            b'B' => drop(self.counted(4)?),
            0x8e | 0x96 => drop(self.counted(8)?),
            other => bail!("{other:#04x} is not an opcode"),
        }
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as long as asked for"))
    }

    /// Bytes after their count, which is a number of `width` bytes.
    fn counted(&mut self, width: usize) -> Result<&'a [u8]> {
        let mut count = [0; 8];
        count[..width].copy_from_slice(self.take(width)?);
        let count = usize::try_from(u64::from_le_bytes(count));
        self.take(count.context("it is longer than any file")?)
    }

    /// The bytes up to the end of a line.
    pub(super) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.context("a line does not end")? + 1)?;
        Ok(&line[..line.len() - 1])
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = self.rest();
        ensure!(length <= rest.len(), "it is cut off");
        self.skip(length);
        Ok(&rest[..length])
    }
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &Self;
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &Self {
        match self {
            [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
            other => other,
        }
    }
}

/// Text, or an opaque value if the bytes are not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Value<'_> {
    str::from_utf8(bytes).map_or(Value::Opaque, Value::Text)
}

/// A number in digits, where `00` and `01` are flags.
fn digits(line: &[u8]) -> Value<'static> {
    match line.trim_ascii() {
        b"00" => Value::Bool(false),
        b"01" => Value::Bool(true),
        line => {
            let digits = str::from_utf8(line.strip_suffix(b"L").unwrap_or(line));
            let number = digits.ok().and_then(|digits| digits.parse().ok());
            number.map_or(Value::Opaque, Value::Int)
        }
    }
}

/// A whole number of any length, little-endian; those beyond 64 bits become opaque.
fn long(bytes: &[u8]) -> Value<'static> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut padded = [if negative { 0xff } else { 0 }; 8];
    match padded.get_mut(..bytes.len()) {
        Some(start) => {
            start.copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(padded))
        }
        None => Value::Opaque,
    }
}
