//! State dicts of other programs, as files that nobody should trust.
//!
//! candle reads PyTorch's zip archives too, but neither the older format nor storages of bool and
//! int, which it skips, nor views that are not dense, nor a file with a foreign object in it.

mod archive;
mod flat;
mod legacy;
mod pickle;
mod torch;
pub(super) mod tree;

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};

use archive::Archive;
use flat::Flat;
use legacy::Legacy;
use pickle::{Id, Pickle};
use torch::{Storage, View};
use tree::Node;

/// Tensors in f64 by name.
pub(super) type Tensors = BTreeMap<String, Tensor>;

/// A file of PyTorch, old or new, or of safetensors, whose tensors are read when asked for.
pub(super) struct Contents {
    size: u64,
    format: Format,
}

enum Format {
    Archive(Archive, Vec<u8>),
    Legacy(Vec<u8>),
    Flat(Vec<u8>, Vec<String>),
}

/// The containers of a file, and where its numbers are.
pub(super) struct File<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    size: u64,
    numbers: Numbers<'a>,
}

enum Numbers<'a> {
    Archive(Pickle<'a>, &'a mut Archive),
    Legacy(Pickle<'a>, BTreeMap<&'a str, &'a [u8]>),
    Flat(Flat<'a>),
}

impl Contents {
    pub(super) fn read(path: &Path) -> Result<Self> {
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

    pub(super) fn parse(&mut self) -> Result<File<'_>> {
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
    /// The class of the object that the whole file is, if it is one.
    pub(super) fn class(&self) -> Option<String> {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => {
                pickle.class(pickle.result())
            }
            Numbers::Flat(_) => None,
        }
    }

    /// Whether two tensors are the same numbers of the file.
    pub(super) fn is_same(&self, a: Id, b: Id) -> bool {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => {
                let [a, b] = [a, b].map(|id| torch::view(pickle, id).ok());
                a.is_some() && a == b
            }
            Numbers::Flat(_) => a == b,
        }
    }

    /// Whether a tensor is one whole number or flag, as counters are.
    pub(super) fn is_counter(&self, id: Id) -> bool {
        match &self.numbers {
            Numbers::Archive(pickle, _) | Numbers::Legacy(pickle, _) => torch::view(pickle, id)
                .is_ok_and(|view| view.count() == 1 && view.storage.kind.is_whole()),
            Numbers::Flat(flat) => flat.is_counter(id),
        }
    }

    /// Reads tensors.
    pub(super) fn load(&mut self, tensors: &BTreeMap<String, Id>) -> Result<Tensors> {
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
