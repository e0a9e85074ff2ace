//! The containers of a pickle, and the tensors in them by name.
//!
//! A state dict may lie under any key, any number of keys deep, in dicts, lists and objects.
//! Containers that are reached in several ways are visited once.

use std::fmt;

use super::pickle::{Id, Name, Pickle, Value};

/// Largest depth of keys that lead to a container; deeper ones are not visited.
const MAX_DEPTH: usize = 16;

/// Largest length of a key or name in bytes; longer ones are skipped.
const MAX_KEY: usize = 512;

/// A container.
pub(crate) struct Node<'a> {
    id: Id,
    /// The container that it lies in, by its place in the list of all.
    parent: usize,
    key: Key<'a>,
    depth: usize,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// A value in a container.
pub(crate) struct Entry<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) id: Id,
    pub(crate) is_tensor: bool,
}

/// A key that leads from a container to a value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Text(&'a str),
    Number(i64),
    /// Attributes and arguments of an object.
    Part,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", text.escape_debug()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Part => Ok(()),
        }
    }
}

impl<'a> Entry<'a> {
    /// The name of a tensor.
    pub(crate) fn tensor(&self) -> Option<(&'a str, Id)> {
        match self.key {
            Key::Text(name) if self.is_tensor => Some((name, self.id)),
            _ => None,
        }
    }
}

/// The one container of a flat file of tensors, by their names.
pub(super) fn flat(names: &[String]) -> Vec<Node<'_>> {
    let named = names.iter().map(|name| Key::Text(name)).enumerate();
    let mut root = Node::new(0, 0, Key::Part, 0);
    root.entries = named
        .map(|(id, key)| Entry {
            key,
            id,
            is_tensor: true,
        })
        .collect();
    vec![root]
}

/// All containers of a pickle, its result first, each after the one it lies in.
pub(super) fn nodes<'a>(pickle: &Pickle<'a>) -> Vec<Node<'a>> {
    let mut seen = vec![false; pickle.len()];
    let mut nodes = vec![Node::new(pickle.result(), 0, Key::Part, 0)];
    seen[pickle.result()] = true;
    let mut next = 0;
    while next < nodes.len() {
        let depth = nodes[next].depth + 1;
        let mut entries = Vec::new();
        for (key, id) in children(pickle, nodes[next].id) {
            let is_tensor = pickle.is_tensor(id);
            let is_container = is_container(pickle.get(id));
            if is_container && depth <= MAX_DEPTH && !seen[id] {
                seen[id] = true;
                nodes.push(Node::new(id, next, key, depth));
            }
            if is_tensor || matches!(key, Key::Text(_)) {
                entries.push(Entry { key, id, is_tensor });
            }
        }
        nodes[next].entries = entries;
        next += 1;
    }
    nodes
}

impl<'a> Node<'a> {
    fn new(id: Id, parent: usize, key: Key<'a>, depth: usize) -> Self {
        Self {
            id,
            parent,
            key,
            depth,
            entries: Vec::new(),
        }
    }
}

/// The containers that lead to the one at `place`, from the result of the pickle on, each with the
/// key that follows.
pub(crate) fn path<'b, 'a>(nodes: &'b [Node<'a>], place: usize) -> Vec<(&'b Node<'a>, Key<'a>)> {
    let (mut steps, mut place) = (Vec::new(), place);
    while place != 0 {
        let parent = nodes[place].parent;
        steps.push((&nodes[parent], nodes[place].key));
        place = parent;
    }
    steps.reverse();
    steps
}

/// The place below `place` that a key leads to.
pub(crate) fn below(place: String, key: Key) -> String {
    match key {
        Key::Part => place,
        key => format!("{place}{key}."),
    }
}

fn is_container(value: &Value) -> bool {
    matches!(
        value,
        Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Object(_)
    )
}

/// The values in a container, with the keys that lead to them.
fn children<'a>(pickle: &Pickle<'a>, id: Id) -> Vec<(Key<'a>, Id)> {
    let numbered = |items: &[Id]| {
        let numbers = (0..).map(Key::Number);
        numbers.zip(items.iter().copied()).collect()
    };
    match pickle.get(id) {
        Value::Dict(entries) => named(pickle, entries),
        Value::List(items) | Value::Tuple(items) => numbered(items),
        Value::Object(object) => {
            let pairs = matches!(pickle.get(object.class()), Value::Name(Name::OrderedDict))
                .then(|| pairs(pickle, object.parts()))
                .flatten();
            let mut children = named(pickle, object.entries());
            match pairs {
                Some(pairs) => children.extend(named(pickle, &pairs)),
                None => children.extend(object.parts().iter().map(|&part| (Key::Part, part))),
            }
            children
        }
        _ => Vec::new(),
    }
}

/// The pairs that an `OrderedDict` of Python 2 is made of.
fn pairs(pickle: &Pickle, parts: &[Id]) -> Option<Vec<(Id, Id)>> {
    let &[items] = pickle.items(*parts.first()?)? else {
        return None;
    };
    let pair = |&item: &Id| match pickle.items(item)? {
        &[key, value] => Some((key, value)),
        _ => None,
    };
    pickle.items(items)?.iter().map(pair).collect()
}

fn named<'a>(pickle: &Pickle<'a>, entries: &[(Id, Id)]) -> Vec<(Key<'a>, Id)> {
    let child = |(place, &(key, value)): (usize, &(Id, Id))| {
        let key = match pickle.get(key) {
            Value::Text(text) if text.len() > MAX_KEY => return None,
            Value::Text(text) => Key::Text(text),
            Value::Int(number) => Key::Number(*number),
            _ => Key::Number(place as i64),
        };
        Some((key, value))
    };
    entries.iter().enumerate().filter_map(child).collect()
}
