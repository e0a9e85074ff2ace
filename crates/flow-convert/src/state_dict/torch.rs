//! From the values of a pickle to named tensors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::pickle::{Id, Kind, Name, Pickle, Value};

/// A tensor as a pickle describes it: a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// Its start in the storage and its strides through it, in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// Numbers somewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    pub(super) key: String,
    /// Count of its numbers.
    pub(super) length: usize,
}

/// All storages of a pickle by key, used or not.
pub(super) fn storages(pickle: &Pickle) -> Result<BTreeMap<String, Storage>> {
    let mut storages = BTreeMap::new();
    for description in pickle.storages().filter(|&id| is_storage(pickle, id)) {
        let (storage, _) = described(pickle, description)?;
        let key = storage.key.clone();
        if let Some(other) = storages.insert(key, storage.clone()) {
            ensure!(
                other == storage,
                "the storage `{}` is described in two ways",
                storage.key
            );
        }
    }
    Ok(storages)
}

/// The view of a tensor, from the arguments of the function that rebuilds it: storage, offset,
/// shape and strides.
pub(super) fn view(pickle: &Pickle, id: Id) -> Result<View> {
    let &Value::Tensor(arguments) = pickle.get(id) else {
        let class = pickle.class(id).unwrap_or_default();
        bail!("it is made by `{class}`, not a plain tensor");
    };
    let Some(&[storage, offset, shape, strides, ..]) = pickle.items(arguments) else {
        bail!("it has too few arguments");
    };
    let (storage, start) = self::storage(pickle, storage)?;
    let sizes = |id| {
        let items = pickle.items(id)?.iter();
        items
            .map(|&item| pickle.size(item))
            .collect::<Option<Vec<_>>>()
    };
    let offset = pickle
        .size(offset)
        .and_then(|offset| offset.checked_add(start));
    let (Some(offset), Some(shape), Some(strides)) = (offset, sizes(shape), sizes(strides)) else {
        bail!("its offset, shape and strides must be sizes");
    };
    ensure!(
        !matches!(storage.kind, Kind::Other(_)),
        "its numbers are complex, quantised or of a type that no weight has"
    );
    let view = View {
        storage,
        offset,
        shape,
        strides,
    };
    view.check()?;
    Ok(view)
}

/// Tells whether a storage is described; others describe the source of a module's class.
fn is_storage(pickle: &Pickle, description: Id) -> bool {
    let tag = pickle.items(description).and_then(|items| items.first());
    tag.and_then(|&tag| pickle.text(tag)) == Some("storage")
}

/// The tuple of a storage: `storage`, its type, its key, its device, its length, and in old files a
/// view of it: key, offset, length. Also where that view begins.
fn storage(pickle: &Pickle, id: Id) -> Result<(Storage, usize)> {
    let &Value::Storage(description) = pickle.get(id) else {
        bail!("it has no storage");
    };
    described(pickle, description)
}

/// As [`storage`], by the tuple.
fn described(pickle: &Pickle, description: Id) -> Result<(Storage, usize)> {
    let Some(&[tag, kind, key, _, length, ref view @ ..]) = pickle.items(description) else {
        bail!("its storage has too few arguments");
    };
    let (Some("storage"), Some(key), Some(length)) =
        (pickle.text(tag), pickle.text(key), pickle.size(length))
    else {
        bail!("its storage is not described as PyTorch does it");
    };
    let &Value::Name(Name::Storage(kind)) = pickle.get(kind) else {
        bail!("the type of its storage is unknown");
    };
    let start = match view.first().and_then(|&view| pickle.items(view)) {
        Some(&[_, offset, _]) => pickle.size(offset).context("its view begins nowhere")?,
        Some(_) => bail!("the view of its storage is not described as PyTorch does it"),
        None => 0,
    };
    let storage = Storage {
        kind,
        key: key.to_owned(),
        length,
    };
    Ok((storage, start))
}

impl View {
    /// Count of its numbers.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// An error unless the view lies in its storage and repeats none of it, so that it is no
    /// larger.
    fn check(&self) -> Result<()> {
        ensure!(
            self.shape.len() == self.strides.len(),
            "its shape and strides differ in length"
        );
        let length = self.storage.length;
        let count = self
            .shape
            .iter()
            .try_fold(1_usize, |count, &size| count.checked_mul(size));
        ensure!(
            count.is_some_and(|count| count <= length),
            "its shape {:?} is larger than its storage of {length} numbers",
            self.shape
        );
        if self.shape.contains(&0) {
            return Ok(());
        }
        let steps = self.shape.iter().zip(&self.strides);
        let mut steps = steps.map(|(size, stride)| (size - 1).checked_mul(*stride));
        let last = steps.try_fold(self.offset, |sum, step| sum.checked_add(step?));
        ensure!(
            last.is_some_and(|last| last < length),
            "it reaches beyond its storage of {length} numbers"
        );
        Ok(())
    }

    /// The places of its numbers in the storage, in the order of a dense tensor.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).map(|index| {
            let dims = self.shape.iter().zip(&self.strides).rev();
            let start = (index, self.offset);
            dims.fold(start, |(rest, place), (size, stride)| {
                (rest / size, place + rest % size * stride)
            })
            .1
        })
    }
}
