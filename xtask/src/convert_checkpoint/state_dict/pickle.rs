//! A machine for the pickles that PyTorch writes of state dicts. It builds plain data and runs nothing.
//!
//! A pickle is a program that may call any function of Python by name. Here a name either is one of the few
//! in [`Name`], which build containers and describe tensors, or ends the reading. Opcodes are those of
//! protocol 2: <https://docs.python.org/3/library/pickletools.html>.

mod machine;

use std::collections::HashMap;

use anyhow::{Context, Result};

use machine::Machine;

/// A value, by its place in [`Pickle::values`].
pub(super) type Id = usize;

/// What a pickle can build.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `None`, and numbers that nothing here needs.
    Other,
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    /// A storage, by the tuple that describes it.
    Storage(Id),
    /// A tensor, by the arguments of the function that rebuilds it.
    Tensor(Id),
}

/// The names that a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Kind),
}

/// What the numbers of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Name {
    fn parse(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(Kind::F64),
            ("torch", "FloatStorage") => Self::Storage(Kind::F32),
            ("torch", "HalfStorage") => Self::Storage(Kind::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Kind::Bf16),
            ("torch", "LongStorage") => Self::Storage(Kind::I64),
            ("torch", "IntStorage") => Self::Storage(Kind::I32),
            ("torch", "ShortStorage") => Self::Storage(Kind::I16),
            ("torch", "CharStorage") => Self::Storage(Kind::I8),
            ("torch", "ByteStorage") => Self::Storage(Kind::U8),
            ("torch", "BoolStorage") => Self::Storage(Kind::Bool),
            _ => return None,
        })
    }
}

/// A pickle that was read: its values, of which one is the result.
pub(super) struct Pickle {
    values: Vec<Value>,
    result: Id,
}

/// Each opcode makes at most one value of about forty bytes, so this bounds the memory that a file can take.
const MAX_BYTES: usize = 8 << 20;

/// Characters of a name that are read; longer ones are not among those that may be used.
const MAX_NAME: usize = 100;

impl Pickle {
    /// Reads the pickle at the beginning of `bytes`; also how long it is. `start` is where they stand in their
    /// file, for messages.
    pub(super) fn read(bytes: &[u8], start: usize) -> Result<(Self, usize)> {
        let mut machine = Machine {
            bytes: &bytes[..bytes.len().min(MAX_BYTES)],
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let at = machine.at;
            let step = machine.step();
            let done =
                step.with_context(|| format!("its pickle is broken at byte {}", start + at))?;
            if done {
                break;
            }
        }
        let result = machine.stack[0];
        let (values, length) = (machine.values, machine.at);
        Ok((Self { values, result }, length))
    }

    pub(super) fn result(&self) -> Id {
        self.result
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// The descriptions of all storages, whatever uses them.
    pub(super) fn storages(&self) -> impl Iterator<Item = Id> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(description) => Some(*description),
            _ => None,
        })
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }
}
