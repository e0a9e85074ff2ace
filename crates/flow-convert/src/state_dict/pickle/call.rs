//! Opcodes that name a class or function, call it, or set an object's attributes.

use anyhow::Result;

use super::literal::text;
use super::machine::Machine;
use super::{Id, Name, Object, Value};

impl Machine<'_> {
    pub(super) fn call(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'c' => self.global(),
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.named(module, name)
            }
            // REDUCE and NEWOBJ
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(function, arguments)
            }
            // NEWOBJ_EX
            0x92 => {
                let (keywords, arguments) = (self.pop()?, self.pop()?);
                let class = self.pop()?;
                self.object(class, vec![arguments, keywords])
            }
            // OBJ and INST
            b'o' => {
                let items = self.pop_to_mark()?;
                let (class, arguments) = items.split_first().unwrap_or((&super::OPAQUE, &[]));
                self.construct(*class, arguments.to_vec())
            }
            b'i' => {
                self.global()?;
                let class = self.pop()?;
                let arguments = self.pop_to_mark()?;
                self.construct(class, arguments)
            }
            b'b' => self.build(),
            // BINPERSID
            _ => {
                let description = self.pop()?;
                self.push(Value::Storage(description))
            }
        }
    }

    fn global(&mut self) -> Result<()> {
        let [module, name] = [text(self.line()?), text(self.line()?)];
        let (module, name) = (self.keep(module)?, self.keep(name)?);
        self.named(module, name)
    }

    /// Pushes the class or function of these two texts.
    fn named(&mut self, module: Id, name: Id) -> Result<()> {
        let value = match (&self.values[module], &self.values[name]) {
            (Value::Text(of), Value::Text(text)) => {
                Name::parse(of, text).map_or(Value::Global(module, name), Value::Name)
            }
            _ => Value::Opaque,
        };
        self.push(value)
    }

    fn construct(&mut self, class: Id, arguments: Vec<Id>) -> Result<()> {
        let arguments = self.keep(Value::Tuple(arguments))?;
        self.reduce(class, arguments)
    }

    /// A call: of a function that [`Name`] knows its value, of any other an object.
    fn reduce(&mut self, function: Id, arguments: Id) -> Result<()> {
        let items = match &self.values[arguments] {
            Value::Tuple(items) => &items[..],
            _ => &[],
        };
        match (&self.values[function], items) {
            (Value::Name(Name::OrderedDict), []) => self.push(Value::Dict(Vec::new())),
            (Value::Name(Name::RebuildTensor), _) => self.push(Value::Tensor(arguments)),
            (Value::Name(Name::RebuildFirst), &[data, ..]) => self.push_id(data),
            (Value::Name(Name::RebuildFromType), &[function, _, inner, ..]) => {
                match (&self.values[function], &self.values[inner]) {
                    (Value::Name(Name::RebuildTensor), _) => self.push(Value::Tensor(inner)),
                    (Value::Name(Name::RebuildFirst), Value::Tuple(inner)) if !inner.is_empty() => {
                        self.push_id(inner[0])
                    }
                    _ => self.object(function, vec![arguments]),
                }
            }
            _ => self.object(function, vec![arguments]),
        }
    }

    fn object(&mut self, class: Id, parts: Vec<Id>) -> Result<()> {
        self.push(Value::Object(Box::new(Object {
            class,
            entries: Vec::new(),
            parts,
        })))
    }

    /// BUILD: attributes, which of a container are none of its entries.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.top()?;
        if let Value::Object(object) = &mut self.values[object] {
            object.parts.push(state);
        }
        Ok(())
    }
}
