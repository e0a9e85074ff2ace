//! The opcodes.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::{Id, MAX_BYTES, MAX_NAME, Name, Value};

pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) values: Vec<Value>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    /// Does one opcode; whether it was the last.
    pub(super) fn step(&mut self) -> Result<bool> {
        let opcode = self.byte()?;
        match opcode {
            // PROTO
            0x80 => match self.byte()? {
                2 => {}
                other => bail!("protocol {other} is none that PyTorch writes"),
            },
            b'.' => {
                ensure!(
                    self.stack.len() == 1 && self.marks.is_empty(),
                    "it ends too early"
                );
                return Ok(true);
            }
            b'(' => self.marks.push(self.stack.len()),
            b'c' => self.name()?,
            b'R' => self.reduce()?,
            // BUILD: the attributes of a container, which none of its entries is.
            b'b' => {
                self.pop()?;
                let object = self.top()?;
                ensure!(
                    matches!(self.values[object], Value::Dict(_)),
                    "it builds an object"
                );
            }
            b'Q' => {
                let description = self.pop()?;
                self.push(Value::Storage(description));
            }
            b'q' => {
                let key = self.byte()?;
                self.memoize(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memoize(key)?;
            }
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b't' | b'a' | b'e' | b's' | b'u' | 0x85..=0x87 => self.contain(opcode)?,
            other => {
                let value = self.literal(other)?;
                self.push(value);
            }
        }
        Ok(false)
    }

    /// An opcode that moves values from the stack into a container.
    fn contain(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.insert(&items)
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
                Ok(())
            }
            // TUPLE1, TUPLE2 and TUPLE3
            _ => self.tuple(usize::from(opcode - 0x84)),
        }
    }

    /// The value of an opcode that is one.
    fn literal(&mut self, opcode: u8) -> Result<Value> {
        Ok(match opcode {
            b'N' => Value::Other,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'G' => {
                self.take(8)?;
                Value::Other
            }
            // LONG1
            0x8a => {
                let length = self.byte()?;
                long(self.take(length.into())?)
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let text = str::from_utf8(self.take(length as usize)?);
                Value::Text(text.context("a text is none")?.to_owned())
            }
            // SHORT_BINSTRING, of Python 2
            b'U' => {
                let length = self.byte()?;
                Value::Text(String::from_utf8_lossy(self.take(length.into())?).into_owned())
            }
            b')' => Value::Tuple(Vec::new()),
            b']' => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            other => bail!("opcode {other:#04x} has no place in a state dict"),
        })
    }

    fn name(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        let Some(name) = Name::parse(&module, &name) else {
            bail!(
                "it asks for `{module}.{name}`; only a state dict of tensors is read, as \
                 `torch.save(model.state_dict(), …)` writes it"
            );
        };
        self.push(Value::Name(name));
        Ok(())
    }

    /// A call of one of the functions that [`Name`] knows.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Tuple(items) = &self.values[arguments] else {
            bail!("arguments are no tuple");
        };
        match self.values[function] {
            Value::Name(Name::OrderedDict) if items.is_empty() => {
                self.push(Value::Dict(Vec::new()));
            }
            Value::Name(Name::RebuildTensor) => self.push(Value::Tensor(arguments)),
            // A parameter is its data, the first argument.
            Value::Name(Name::RebuildParameter) if !items.is_empty() => self.stack.push(items[0]),
            _ => bail!("it calls what is no function of a state dict"),
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as long as asked for"))
    }

    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let rest = &self.bytes[self.at..];
        ensure!(
            length <= rest.len(),
            "it is cut off, or longer than {} MiB",
            MAX_BYTES >> 20
        );
        self.at += length;
        Ok(&rest[..length])
    }

    /// Text up to the end of a line.
    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.context("a name does not end")? + 1)?;
        let text = line[..line.len() - 1].escape_ascii();
        Ok(text.take(MAX_NAME).map(char::from).collect())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        ensure!(self.stack.len() > floor, "its stack is empty");
        Ok(self.stack.pop().expect("it is not empty"))
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().context("its stack is empty")
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        let Value::List(list) = &mut self.values[list] else {
            bail!("it appends to what is no list");
        };
        list.extend(items);
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<()> {
        let dict = self.top()?;
        let Value::Dict(dict) = &mut self.values[dict] else {
            bail!("it puts an entry into what is no dict");
        };
        let (pairs, rest) = items.as_chunks::<2>();
        ensure!(rest.is_empty(), "a key has no value");
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn memoize(&mut self, key: u32) -> Result<()> {
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let value = self
            .memo
            .get(&key)
            .context("it recalls what it never kept")?;
        self.stack.push(*value);
        Ok(())
    }
}

/// A whole number of any length, little-endian; those beyond 64 bits mean nothing here.
fn long(bytes: &[u8]) -> Value {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut padded = [if negative { 0xff } else { 0 }; 8];
    match padded.get_mut(..bytes.len()) {
        Some(start) => {
            start.copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(padded))
        }
        None => Value::Other,
    }
}
