//! The footer of a Parquet file: which columns there are, and where.
//!
//! ```text
//! "PAR1", pages, footer (a Thrift struct), its length in 4 bytes, little-endian, "PAR1"
//! ```

use super::{
    Malformed,
    thrift::{self, Value},
};

/// Nodes of the schema; the hub's have five or six.
const MAX_NODES: usize = 64;

/// Repetition of a node of the schema.
const REQUIRED: i64 = 0;
const OPTIONAL: i64 = 1;

/// The parts of a footer that the reader needs.
pub(super) struct Footer {
    pub(super) rows: i64,
    /// The columns that were asked for, in that order, of each group of rows.
    pub(super) groups: Vec<[Chunk; 2]>,
    pub(super) columns: [Column; 2],
}

/// A column of the schema.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// Its position among the columns.
    index: usize,
    /// The type of its values.
    pub(super) kind: i64,
    /// Nodes on the way to it that may be null: the level of a value that is there.
    pub(super) level: u8,
}

/// A column chunk of a row group, as in the footer; −1 marks an absent field.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    pub(super) length: i64,
    data: i64,
    dictionary: i64,
}

/// A node of the schema.
struct Node<'a> {
    name: &'a [u8],
    kind: i64,
    repetition: i64,
    children: i64,
}

impl Footer {
    /// Reads the footer of a file with two columns at these paths and at most `most` groups of
    /// rows.
    pub(super) fn read(
        content: &[u8],
        paths: [&[&str]; 2],
        most: usize,
    ) -> Result<Self, Malformed> {
        let bytes = footer(content).ok_or("it is not a parquet file")?;
        let nodes = schema(bytes).ok_or("its schema is broken")?;
        let columns = columns(&nodes).ok_or("its schema is broken")?;
        let find = |path: &[&str]| {
            let path_bytes: Vec<&[u8]> = path.iter().map(|name| name.as_bytes()).collect();
            let column = columns.iter().find(|(found, _)| *found == path_bytes);
            let column = column.map(|(_, column)| *column);
            column.ok_or_else(|| format!("it has no column `{}`", path.join(".")))
        };
        let columns = [find(paths[0])?, find(paths[1])?];
        let (rows, groups) = groups(bytes, columns, most).ok_or("its footer is broken")?;
        Ok(Self {
            rows,
            groups,
            columns,
        })
    }
}

impl Chunk {
    const NONE: Self = Self {
        codec: -1,
        length: -1,
        data: -1,
        dictionary: -1,
    };

    /// Its pages.
    pub(super) fn pages<'a>(&self, content: &'a [u8]) -> Result<&'a [u8], Malformed> {
        // A dictionary comes before the data.
        let start = if self.dictionary > 0 {
            self.dictionary
        } else {
            self.data
        };
        let range = usize::try_from(start)
            .ok()
            .zip(usize::try_from(self.length).ok());
        let pages = range.and_then(|(start, length)| content.get(start..)?.get(..length));
        Ok(pages.ok_or("a column does not lie within the file")?)
    }
}

fn footer(content: &[u8]) -> Option<&[u8]> {
    let (rest, magic) = content.split_last_chunk::<4>()?;
    let (rest, length) = rest.split_last_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    rest.get(rest.len().checked_sub(length)?..)
        .filter(|_| magic == b"PAR1")
}

/// The nodes of the schema, each before its children.
fn schema(mut footer: &[u8]) -> Option<Vec<Node<'_>>> {
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

/// Names from the root to a column.
type Path<'a> = Vec<&'a [u8]>;

/// The columns with their paths, in their order in the groups.
fn columns<'a>(nodes: &[Node<'a>]) -> Option<Vec<(Path<'a>, Column)>> {
    let (root, nodes) = nodes.split_first()?;
    let mut columns: Vec<(Path<'_>, Column)> = Vec::new();
    // Nodes on the way, with their children that are still to come and their level.
    let mut open = vec![(root.name, root.children, Some(0))];
    for node in nodes {
        let (_, left, level) = open.last_mut()?;
        *left -= 1;
        // No column below a repeated node can be read.
        let level = level.and_then(|level| match node.repetition {
            REQUIRED => Some(level),
            OPTIONAL => Some(level + 1),
            _ => None,
        });
        open.push((node.name, node.children, level));
        if node.children == 0 {
            let path = open[1..].iter().map(|(name, ..)| *name).collect();
            let index = columns.len();
            let kind = if level.is_some() { node.kind } else { -1 };
            columns.push((
                path,
                Column {
                    index,
                    kind,
                    level: level.unwrap_or(0),
                },
            ));
        }
        while open.last().is_some_and(|(_, left, _)| *left <= 0) {
            open.pop();
        }
    }
    open.is_empty().then_some(columns)
}

/// Number of rows, and the two columns in each group of them.
fn groups(mut footer: &[u8], columns: [Column; 2], most: usize) -> Option<(i64, Vec<[Chunk; 2]>)> {
    let (mut rows, mut groups, mut whole) = (-1, Vec::new(), true);
    let (mut chunk, mut index) = (Chunk::NONE, 0);
    let mut group = [None; 2];
    thrift::read(&mut footer, &mut |path, value| match (path, value) {
        ([3], Value::Number(count)) => rows = count,
        ([4, 1, 3, 4], Value::Number(codec)) => chunk.codec = codec,
        ([4, 1, 3, 7], Value::Number(length)) => chunk.length = length,
        ([4, 1, 3, 9], Value::Number(start)) => chunk.data = start,
        ([4, 1, 3, 11], Value::Number(start)) => chunk.dictionary = start,
        ([4, 1], Value::End) => {
            for (place, column) in group.iter_mut().zip(columns) {
                if column.index == index {
                    *place = Some(chunk);
                }
            }
            (chunk, index) = (Chunk::NONE, index + 1);
        }
        ([4], Value::End) => {
            match group {
                [Some(first), Some(second)] if groups.len() < most => groups.push([first, second]),
                _ => whole = false,
            }
            (group, index) = ([None; 2], 0);
        }
        _ => {}
    })?;
    whole.then_some((rows, groups))
}
