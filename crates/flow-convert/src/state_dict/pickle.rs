//! A machine for the pickles that PyTorch writes. It builds plain data and runs nothing.
//!
//! A pickle is a program that may call any function of Python by name. The few in [`Name`] build
//! containers and describe tensors. A call of any other becomes a [`Value::Object`], which keeps
//! only its parts. Opcodes are those of protocols 0 to 5:
//! <https://docs.python.org/3/library/pickletools.html>.
//!
//! Values refer to each other by their place in a list: one that is used many times is kept once,
//! and nesting, however deep, takes no stack.

mod call;
mod literal;
mod machine;
mod name;

use anyhow::{Context, Result};

use machine::Machine;
pub(super) use name::{Kind, Name};

/// A value of a file, by its place among all.
pub type Id = usize;

/// The shared value of `None`, floats, bytes and everything else that is not needed.
const OPAQUE: Id = 0;

/// A value that a pickle builds.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Opaque,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    /// Another class or function, by the texts that are its module and its name.
    Global(Id, Id),
    Object(Box<Object>),
    /// A storage, by the tuple that describes it.
    Storage(Id),
    /// A tensor, by the arguments of the function that rebuilds it.
    Tensor(Id),
}

/// The result of a call that was not run.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// The class or function that was to be called.
    class: Id,
    /// Entries that were put into it, if it is a dict of its own kind.
    entries: Vec<(Id, Id)>,
    /// The tuple of its arguments, and its attributes.
    parts: Vec<Id>,
}

/// A pickle that was read: its values, of which one is the result.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    result: Id,
}

/// Largest number of values of a pickle and its stack, which bounds the memory beyond the file's
/// size.
const MAX_VALUES: usize = 4 << 20;

/// Characters of a class that messages show.
const MAX_NAME: usize = 100;

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`; also its length. `start` is the place of
    /// `bytes` in their file, for messages.
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Result<(Self, usize)> {
        let mut machine = Machine::new(bytes);
        loop {
            let at = machine.at();
            let step = machine.step();
            let result =
                step.with_context(|| format!("its pickle is broken at byte {}", start + at))?;
            if let Some(result) = result {
                let length = machine.at();
                let values = machine.into_values();
                return Ok((Self { values, result }, length));
            }
        }
    }

    pub(super) fn result(&self) -> Id {
        self.result
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The descriptions of all storages, used or not.
    pub(super) fn storages(&self) -> impl Iterator<Item = Id> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(description) => Some(*description),
            _ => None,
        })
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
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

    /// Tells whether a value is a tensor, be it one that is not read: quantised, sparse.
    pub(super) fn is_tensor(&self, id: Id) -> bool {
        match self.get(id) {
            Value::Tensor(_) => true,
            Value::Object(object) => match self.get(object.class) {
                Value::Global(module, _) => self.text(*module) == Some("torch._utils"),
                _ => false,
            },
            _ => false,
        }
    }

    /// The class of an object, as `module.name`.
    pub(super) fn class(&self, id: Id) -> Option<String> {
        let Value::Object(object) = self.get(id) else {
            return None;
        };
        let &Value::Global(module, name) = self.get(object.class) else {
            return Some("object".into());
        };
        let parts = [module, name].map(|part| self.text(part).unwrap_or("?").escape_debug());
        let [module, name] = parts.map(|part| part.take(MAX_NAME).collect::<String>());
        Some(format!("{module}.{name}"))
    }
}

impl Object {
    pub(super) fn entries(&self) -> &[(Id, Id)] {
        &self.entries
    }

    pub(super) fn parts(&self) -> &[Id] {
        &self.parts
    }

    /// The class or function that was to be called.
    pub(super) fn class(&self) -> Id {
        self.class
    }
}
