//! State dicts of other programs, read from untrusted files.
//!
//! [`Contents::read`] takes a file in, [`Contents::parse`] finds its containers: dicts, lists and
//! objects, any number of keys deep. [`File::named`] has the tensors of one of them, [`File::load`]
//! reads their numbers. Memory is bounded by a multiple of the file's size.
//!
//! candle reads PyTorch's zip archives, but not the older format. It skips storages of bool and
//! int, and cannot read views that are not dense or files with foreign objects.

mod archive;
mod flat;
mod legacy;
mod pickle;
mod torch;
pub(crate) mod tree;

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};

use crate::Error;

use archive::Archive;
use flat::Flat;
use legacy::Legacy;
use pickle::Pickle;
use torch::{Storage, View};
use tree::{Entry, Node};

pub use pickle::Id;

/// Tensors in f64 by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// A file of PyTorch, old or new, or of safetensors, whose tensors are read when asked for.
pub struct Contents {
    size: u64,
    format: Format,
}

enum Format {
    Archive(Archive, Vec<u8>),
    Legacy(Vec<u8>),
    Flat(Vec<u8>, Vec<String>),
}

/// The containers of a file, and where its numbers are.
pub struct File<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    size: u64,
    numbers: Numbers<'a>,
}

enum Numbers<'a> {
    Archive(Pickle<'a>, &'a mut Archive),
    Legacy(Pickle<'a>, BTreeMap<&'a str, &'a [u8]>),
    Flat(Flat<'a>),
}

impl Contents {
    /// Opens a file and tells its format by how it begins.
    ///
    /// # Errors
    /// If it cannot be read, is of none of these formats, or is a checkpoint of this project.
    pub fn read(path: &Path) -> crate::Result<Self> {
        Self::open(path).map_err(Error)
    }

    /// The containers of the file, its whole result first.
    ///
    /// # Errors
    /// If its structure is damaged, or its numbers are big-endian.
    pub fn parse(&mut self) -> crate::Result<File<'_>> {
        self.containers().map_err(Error)
    }

    fn open(path: &Path) -> Result<Self> {
        ensure!(!path.exists() || path.is_file(), "it is not a file");
        let mut start = Vec::new();
        let file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        file.take(legacy::START as u64).read_to_end(&mut start)?;
        let format = if start.starts_with(b"PK\x03\x04") {
            let (archive, pickle) = Archive::open(path)?;
            Format::Archive(archive, pickle)
        } else if legacy::is_start(&start) {
            Format::Legacy(fs::read(path)?)
        } else {
            let bytes = fs::read(path)?;
            let names = flat::names(&bytes)?;
            Format::Flat(bytes, names)
        };
        Ok(Self { size, format })
    }

    fn containers(&mut self) -> Result<File<'_>> {
        let (nodes, numbers) = match &mut self.format {
            Format::Archive(archive, pickle) => {
                let (pickle, _) = Pickle::read(pickle, 0).context("`data.pkl`")?;
                (tree::nodes(&pickle), Numbers::Archive(pickle, archive))
            }
            Format::Legacy(bytes) => {
                let (file, pickle) = Legacy::parse(bytes)?;
                let storages = file.storages(&torch::storages(&pickle)?)?;
                (tree::nodes(&pickle), Numbers::Legacy(pickle, storages))
            }
            Format::Flat(bytes, names) => {
                let flat = Flat::parse(bytes, names)?;
                (tree::flat(names), Numbers::Flat(flat))
            }
        };
        Ok(File {
            nodes,
            size: self.size,
            numbers,
        })
    }
}

/// Numbers that any file may hold, such as flags of one byte each.
const FREE_NUMBERS: u64 = 4096;

impl File<'_> {
    /// Number of containers.
    pub fn containers(&self) -> usize {
        self.nodes.len()
    }

    /// The tensors of a container that have a name, by it.
    ///
    /// # Panics
    /// If there are not so many containers.
    pub fn named(&self, container: usize) -> BTreeMap<String, Id> {
        let entries = self.nodes[container].entries.iter();
        let named = entries.filter_map(Entry::tensor);
        named.map(|(name, id)| (name.to_owned(), id)).collect()
    }

    /// The keys that lead to a container, each with a dot after it.
    ///
    /// # Panics
    /// If there are not so many containers.
    pub fn place(&self, container: usize) -> String {
        let steps = tree::path(&self.nodes, container);
        let keys = steps.into_iter().map(|(_, key)| key);
        keys.fold(String::new(), tree::below)
    }

    /// The class of the object that the whole file is, if it is one.
    pub fn class(&self) -> Option<String> {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => {
                pickle.class(pickle.result())
            }
            Numbers::Flat(_) => None,
        }
    }

    /// Tells whether two tensors are the same numbers of the file.
    pub fn is_same(&self, a: Id, b: Id) -> bool {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => {
                let [a, b] = [a, b].map(|id| torch::view(pickle, id).ok());
                a.is_some() && a == b
            }
            Numbers::Flat(_) => a == b,
        }
    }

    /// Tells whether a tensor is one whole number or flag, as counters are.
    pub fn is_counter(&self, id: Id) -> bool {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => torch::view(pickle, id)
                .is_ok_and(|view| view.count() == 1 && view.storage.kind.is_whole()),
            Numbers::Flat(flat) => flat.is_counter(id),
        }
    }

    /// Reads tensors, by the names that they are to have.
    ///
    /// # Errors
    /// If a tensor is not a plain one, or exceeds its storage, or if all of them together are much
    /// larger than the file.
    pub fn load(&mut self, tensors: &BTreeMap<String, Id>) -> crate::Result<Tensors> {
        self.tensors(tensors).map_err(Error)
    }

    fn tensors(&mut self, tensors: &BTreeMap<String, Id>) -> Result<Tensors> {
        let size = self.size;
        let views = |pickle: &Pickle| -> Result<BTreeMap<String, View>> {
            let view = |(name, id): (&String, &Id)| {
                let view = torch::view(pickle, *id).with_context(|| format!("tensor `{name}`"))?;
                Ok((name.clone(), view))
            };
            let views = tensors.iter().map(view).collect::<Result<_>>()?;
            check_size(&views, size)?;
            Ok(views)
        };
        match &mut self.numbers {
            Numbers::Archive(pickle, archive) => {
                dense(views(pickle)?, |storage| archive.storage(storage))
            }
            Numbers::Legacy(pickle, storages) => dense(views(pickle)?, |storage| {
                let bytes = storages.get(&*storage.key);
                let bytes =
                    bytes.with_context(|| format!("the storage `{}` is missing", storage.key))?;
                Ok(bytes.to_vec())
            }),
            Numbers::Flat(flat) => flat.load(tensors),
        }
    }
}

/// An error if the numbers, in f64, would take more than four times the file: views that repeat
/// storages could take any amount of memory.
fn check_size(views: &BTreeMap<String, View>, bytes: u64) -> Result<()> {
    let total = views
        .values()
        .fold(0_u64, |sum, view| sum.saturating_add(view.count() as u64));
    ensure!(
        total <= bytes / 2 + FREE_NUMBERS,
        "it announces {total} numbers but has {bytes} bytes"
    );
    Ok(())
}

/// Reads views, each storage once.
fn dense(
    views: BTreeMap<String, View>,
    mut bytes: impl FnMut(&Storage) -> Result<Vec<u8>>,
) -> Result<Tensors> {
    let mut views: Vec<_> = views.into_iter().collect();
    views.sort_by(|(_, a), (_, b)| a.storage.cmp(&b.storage));
    let mut last: Option<(Storage, Vec<u8>)> = None;
    let tensor = |(name, view): (String, View)| {
        let (storage, bytes) = match last.take() {
            Some(last) if last.0 == view.storage => last,
            _ => {
                let read = bytes(&view.storage).with_context(|| format!("tensor `{name}`"))?;
                (view.storage.clone(), read)
            }
        };
        let kind = storage.kind;
        let numbers = view
            .places()
            .map(|place| kind.decode(&bytes[place * kind.bytes()..][..kind.bytes()]));
        let tensor = Tensor::from_iter(numbers, &Device::Cpu)?.reshape(&view.shape[..])?;
        last = Some((storage, bytes));
        Ok((name, tensor))
    };
    views.into_iter().map(tensor).collect()
}
