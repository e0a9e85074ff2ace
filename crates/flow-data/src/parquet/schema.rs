//! The schema of a Parquet file: a tree whose leaves are columns.

use std::sync::Arc;

use super::thrift::{self, Value};

/// Nodes of the schema, and those within each other.
const MAX_NODES: usize = 4096;
const MAX_DEPTH: usize = 32;

/// Repetition of a node of the schema.
const REQUIRED: i64 = 0;
const OPTIONAL: i64 = 1;

/// Types of columns.
pub(super) const BOOLEAN: i64 = 0;
pub(super) const INT32: i64 = 1;
pub(super) const INT64: i64 = 2;
pub(super) const FLOAT: i64 = 4;
pub(super) const DOUBLE: i64 = 5;
pub(super) const BYTE_ARRAY: i64 = 6;

/// The converted type of numbers that a power of ten divides.
const DECIMAL: i64 = 5;

/// A column of a table.
#[derive(Clone)]
pub struct Column {
    path: Vec<Arc<str>>,
    /// Its position among the columns.
    pub(super) index: usize,
    /// The type of its values; −1 if none of those above, or if a row may have several values.
    pub(super) kind: i64,
    /// Nodes on the way to it that may be null: the level of a value that is there.
    pub(super) level: u8,
}

/// A node of the schema.
struct Node<'a> {
    name: &'a [u8],
    kind: i64,
    repetition: i64,
    children: i64,
}

impl Column {
    /// The names on the way to it: its own, after that of the struct which it is a field of.
    pub fn path(&self) -> impl ExactSizeIterator<Item = &str> {
        self.path.iter().map(|name| &**name)
    }

    /// True if its values are integers.
    pub fn holds_numbers(&self) -> bool {
        matches!(self.kind, INT32 | INT64)
    }

    /// True if its values are floating-point numbers.
    pub fn holds_floats(&self) -> bool {
        matches!(self.kind, FLOAT | DOUBLE)
    }

    /// True if its values are true or false, read as 1 and 0.
    pub fn holds_booleans(&self) -> bool {
        self.kind == BOOLEAN
    }

    /// True if its values are texts or other bytes.
    pub fn holds_bytes(&self) -> bool {
        self.kind == BYTE_ARRAY
    }
}

/// The columns that a footer tells of, in their order in the groups; `None` if it is malformed.
pub(super) fn read(footer: &[u8]) -> Option<Vec<Column>> {
    columns(&nodes(footer)?)
}

/// The nodes of the schema, each before its children.
fn nodes(mut footer: &[u8]) -> Option<Vec<Node<'_>>> {
    let (mut nodes, mut count) = (Vec::new(), 0);
    let none = || Node {
        name: b"",
        kind: -1,
        repetition: REQUIRED,
        children: 0,
    };
    let mut node = none();
    thrift::read(&mut footer, &mut |path, value| match (path, value) {
        ([2, 1], Value::Number(kind)) => node.kind = kind,
        ([2, 3], Value::Number(repetition)) => node.repetition = repetition,
        ([2, 4], Value::Bytes(name)) => node.name = name,
        ([2, 5], Value::Number(children)) => node.children = children.clamp(0, MAX_NODES as i64),
        ([2, 6], Value::Number(DECIMAL)) => node.kind = -1,
        ([2], Value::End) => {
            count += 1;
            let node = std::mem::replace(&mut node, none());
            if count <= MAX_NODES {
                nodes.push(node);
            }
        }
        _ => {}
    })?;
    (count <= MAX_NODES).then_some(nodes)
}

fn columns(nodes: &[Node<'_>]) -> Option<Vec<Column>> {
    let (root, nodes) = nodes.split_first()?;
    let mut columns: Vec<Column> = Vec::new();
    // Nodes on the way, with their children that are still to come and their level.
    let mut open = vec![(Arc::from(""), root.children, Some(0))];
    for node in nodes {
        let (_, left, level) = open.last_mut()?;
        *left -= 1;
        // No column below a repeated node can be read.
        let level = level.and_then(|level| match node.repetition {
            REQUIRED => Some(level),
            OPTIONAL => Some(level + 1),
            _ => None,
        });
        let name = Arc::from(String::from_utf8_lossy(node.name));
        open.push((name, node.children, level));
        if open.len() > MAX_DEPTH {
            return None;
        }
        if node.children == 0 {
            columns.push(Column {
                path: open[1..]
                    .iter()
                    .map(|(name, ..)| Arc::clone(name))
                    .collect(),
                index: columns.len(),
                kind: level.map_or(-1, |_| node.kind),
                level: level.unwrap_or(0),
            });
        }
        while open.last().is_some_and(|(_, left, _)| *left <= 0) {
            open.pop();
        }
    }
    open.is_empty().then_some(columns)
}
