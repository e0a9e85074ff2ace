//! From the values of a pickle to named tensors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::pickle::{Id, Kind, Name, Pickle, Value};

/// A tensor as a pickle describes it: a view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// Where in the storage it begins, and how it steps through it, in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// Numbers somewhere in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    pub(super) key: String,
    /// How many numbers it has.
    pub(super) length: usize,
}

/// The views of a state dict by name. It is the pickle's result, or stands under a key of it: `key`, or the
/// only one under which there is one.
pub(super) fn state_dict(pickle: &Pickle, key: Option<&str>) -> Result<BTreeMap<String, View>> {
    let entries = find(pickle, key)?;
    let mut views = BTreeMap::new();
    for &(name, value) in entries {
        let name = pickle.text(name).context("a tensor has no name")?;
        let view = view(pickle, value).with_context(|| format!("tensor `{name}`"))?;
        ensure!(
            views.insert(name.to_owned(), view).is_none(),
            "tensor `{name}` is there twice"
        );
    }
    Ok(views)
}

/// All storages of a pickle by key, whatever uses them.
pub(super) fn storages(pickle: &Pickle) -> Result<BTreeMap<String, Storage>> {
    let mut storages = BTreeMap::new();
    for description in pickle.storages() {
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

fn find<'a>(pickle: &'a Pickle, key: Option<&str>) -> Result<&'a [(Id, Id)]> {
    let Some(entries) = pickle.entries(pickle.result()) else {
        bail!("it holds no state dict");
    };
    if key.is_none() && is_state_dict(pickle, entries) {
        return Ok(entries);
    }
    let below = entries.iter().filter_map(|&(name, value)| {
        let inner = pickle.entries(value)?;
        Some((pickle.text(name)?, inner))
            .filter(|(name, _)| key.is_none_or(|key| key == *name) && is_state_dict(pickle, inner))
    });
    let found: Vec<_> = below.collect();
    match (&found[..], key) {
        ([(_, entries)], _) => Ok(entries),
        ([], Some(key)) => bail!("it holds no state dict under `{key}`"),
        ([], None) => bail!("it holds no state dict"),
        (several, _) => {
            let names: Vec<_> = several
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            bail!(
                "it holds several state dicts, {}: choose one by `--key`",
                names.join(", ")
            )
        }
    }
}

/// Whether there is something in it, and all of it are tensors.
fn is_state_dict(pickle: &Pickle, entries: &[(Id, Id)]) -> bool {
    !entries.is_empty()
        && entries.iter().all(|&(name, value)| {
            pickle.text(name).is_some() && matches!(pickle.get(value), Value::Tensor(_))
        })
}

/// Arguments of the function that rebuilds a tensor: storage, offset, shape, strides, and what only
/// differentiation needs.
fn view(pickle: &Pickle, id: Id) -> Result<View> {
    let &Value::Tensor(arguments) = pickle.get(id) else {
        bail!("it is no tensor");
    };
    let Some(&[storage, offset, shape, strides, ..]) = pickle.items(arguments) else {
        bail!("too little is said of it");
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
        bail!("its offset, shape and strides are no sizes");
    };
    let view = View {
        storage,
        offset,
        shape,
        strides,
    };
    view.check()?;
    Ok(view)
}

/// The tuple of a storage: `storage`, its type, its key, its device, its length, and in old files a view of
/// it: key, offset, length. Also where that view begins.
fn storage(pickle: &Pickle, id: Id) -> Result<(Storage, usize)> {
    let &Value::Storage(description) = pickle.get(id) else {
        bail!("it has no storage");
    };
    described(pickle, description)
}

/// As [`storage`], by the tuple.
fn described(pickle: &Pickle, description: Id) -> Result<(Storage, usize)> {
    let Some(&[tag, kind, key, _, length, ref view @ ..]) = pickle.items(description) else {
        bail!("too little is said of its storage");
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
    /// How many numbers it has.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// An error unless it lies in its storage and repeats nothing of it, so that it is no larger.
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

impl Kind {
    /// Bytes of a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The number that `bytes`, as many as it has, are in little-endian order.
    pub(super) fn decode(self, bytes: &[u8]) -> f64 {
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().expect("as many bytes as the number has")
        }
        match self {
            Self::F64 => f64::from_le_bytes(array(bytes)),
            Self::F32 => f32::from_le_bytes(array(bytes)).into(),
            Self::F16 => half::f16::from_le_bytes(array(bytes)).into(),
            Self::Bf16 => half::bf16::from_le_bytes(array(bytes)).into(),
            Self::I64 => i64::from_le_bytes(array(bytes)) as f64,
            Self::I32 => i32::from_le_bytes(array(bytes)).into(),
            Self::I16 => i16::from_le_bytes(array(bytes)).into(),
            Self::I8 => i8::from_le_bytes(array(bytes)).into(),
            Self::U8 | Self::Bool => bytes[0].into(),
        }
    }
}
