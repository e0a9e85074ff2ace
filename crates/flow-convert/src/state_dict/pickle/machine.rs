//! The opcodes, the stack and the memo.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::{Id, MAX_VALUES, OPAQUE, Value};

/// The newest protocol, of Python 3.8.
const NEWEST: u8 = 5;

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: vec![Value::Opaque],
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Bytes that were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn skip(&mut self, length: usize) {
        self.at += length;
    }

    pub(super) fn into_values(self) -> Vec<Value<'a>> {
        self.values
    }

    /// Does one opcode; the result if it was the last.
    pub(super) fn step(&mut self) -> Result<Option<Id>> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => {
                let [result] = self.stack[..] else {
                    bail!("it ends too early");
                };
                ensure!(self.marks.is_empty(), "it ends too early");
                return Ok(Some(result));
            }
            // PROTO
            0x80 => {
                let protocol = self.byte()?;
                ensure!(protocol <= NEWEST, "protocol {protocol} is unknown");
            }
            // FRAME, and READONLY_BUFFER
            0x95 => drop(self.take(8)?),
            0x98 => {}
            b'(' => self.marks.push(self.stack.len()),
            // POP, POP_MARK and DUP
            b'0' => self.discard()?,
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            b'q' | b'r' | b'p' | 0x94 => self.memoize(opcode)?,
            b'h' | b'j' | b'g' => self.recall(opcode)?,
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'o' | b'i' | b'b' | b'Q' => self.call(opcode)?,
            b't' | b'l' | b'd' | b'a' | b'e' | b's' | b'u' | 0x85..=0x87 | 0x90 | 0x91 => {
                self.contain(opcode)?;
            }
            other => {
                let value = self.literal(other)?;
                self.push(value)?;
            }
        }
        Ok(None)
    }

    /// An opcode that moves values from the stack into a container.
    fn contain(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            // APPENDS and ADDITEMS
            b'e' | 0x90 => {
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
                self.push(Value::Tuple(items))
            }
            // LIST and FROZENSET
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items))
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.insert(&items)
            }
            // TUPLE1, TUPLE2 and TUPLE3
            _ => self.tuple(usize::from(opcode - 0x84)),
        }
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Result<()> {
        let id = self.keep(value)?;
        self.push_id(id)
    }

    /// The place of a value that nothing else refers to.
    pub(super) fn keep(&mut self, value: Value<'a>) -> Result<Id> {
        if matches!(value, Value::Opaque) {
            return Ok(OPAQUE);
        }
        let id = self.values.len();
        ensure!(id < MAX_VALUES, "it has more than {MAX_VALUES} values");
        self.values.push(value);
        Ok(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<()> {
        ensure!(self.stack.len() < MAX_VALUES, "its stack is too high");
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        ensure!(self.stack.len() > floor, "its stack is empty");
        Ok(self.stack.pop().expect("it is not empty"))
    }

    pub(super) fn top(&self) -> Result<Id> {
        self.stack.last().copied().context("its stack is empty")
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    /// Takes away a value, or a mark that nothing stands on.
    fn discard(&mut self) -> Result<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Tuple(items))
    }

    /// Appends to a list; objects that are appended to are not lists that matter.
    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            Value::Object(_) | Value::Opaque => {}
            _ => bail!("it appends to a value that is not a list"),
        }
        Ok(())
    }

    /// Puts entries into a dict, or into an object, which is one of its own kind then.
    fn insert(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        ensure!(rest.is_empty(), "a key has no value");
        let dict = self.top()?;
        let entries = match &mut self.values[dict] {
            Value::Dict(entries) => entries,
            Value::Object(object) => &mut object.entries,
            Value::Opaque => return Ok(()),
            _ => bail!("it puts an entry into a value that is not a dict"),
        };
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    /// PUT, BINPUT, LONG_BINPUT and MEMOIZE.
    fn memoize(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            0x94 => u32::try_from(self.memo.len())?,
            other => self.memo_key(other == b'p', other == b'r')?,
        };
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    /// GET, BINGET and LONG_BINGET.
    fn recall(&mut self, opcode: u8) -> Result<()> {
        let key = self.memo_key(opcode == b'g', opcode == b'j')?;
        let value = self.memo.get(&key);
        self.push_id(*value.context("it reads a memo that it never wrote")?)
    }

    fn memo_key(&mut self, digits: bool, long: bool) -> Result<u32> {
        if digits {
            return Ok(str::from_utf8(self.line()?)?.trim().parse()?);
        }
        if long {
            return Ok(u32::from_le_bytes(self.array()?));
        }
        Ok(self.byte()?.into())
    }
}
