//! Files of safetensors: `images`, u8, `[N, C, H, W]`, `[N, H, W, C]` or `[N, H, W]`, and `labels`
//! `[N]` of an integer type.

use std::{fs::File, path::Path};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

use crate::{
    Error, Result,
    tensors::{self, IMAGES, LABELS, RECORD},
};

use super::{Array, Layout, Source, integers::Integers, layout::Order, names, source::Packing};

/// The images of a file.
pub(super) fn open(root: &Path, file: &Path) -> Result<Vec<Array>> {
    let refuse = |reason: String| Error::format(file, reason);
    let read = File::open(file).and_then(|mut content| tensors::read_header(&mut content));
    let header = read.map_err(|error| Error::io(file, error))?;
    let Some((metadata, start)) = header else {
        return Err(refuse("is no whole file of safetensors".into()));
    };
    let Some(images) = metadata.info(IMAGES) else {
        return Err(refuse(format!("holds no tensor `{IMAGES}`")));
    };
    if images.dtype != Dtype::U8 {
        let dtype = images.dtype;
        return Err(refuse(format!(
            "holds `{IMAGES}` as {dtype}, and pixels are U8"
        )));
    }
    let (count, layout) = Layout::of(&images.shape, Some(Order::First))
        .map_err(|reason| refuse(format!("(`{IMAGES}`) {reason}")))?;
    let source = |tensor: &TensorInfo| Source {
        path: file.to_owned(),
        packing: Packing::Stored {
            start: start + tensor.data_offsets.0 as u64,
            bytes: (tensor.data_offsets.1 - tensor.data_offsets.0) as u64,
            crc: None,
        },
    };
    // Where a prepared file knows no classes, all labels are 0.
    let class_names = class_names(&metadata);
    let labels = metadata.info(LABELS);
    let labels = labels.filter(|_| class_names.as_ref().is_none_or(|names| !names.is_empty()));
    let labels = labels.map(|labels| {
        let integers = integers(labels.dtype).filter(|_| labels.shape == [count]);
        let integers = integers.ok_or_else(|| {
            let TensorInfo { dtype, shape, .. } = labels;
            format!("holds `{LABELS}` as {dtype} {shape:?}, not integers [{count}]")
        });
        let content = source(labels).open();
        let content = content.map_err(|error| Error::io(file, error))?;
        let labels = integers.and_then(|integers| integers.read(content, count));
        labels.map_err(refuse)
    });
    Ok(vec![Array {
        labels: labels.transpose()?,
        source: source(images),
        key: String::new(),
        part: names::part_in(&names::below(root, file)),
        start: 0,
        lead: 0,
        layout,
        count,
        class_names: class_names.filter(|names| !names.is_empty()),
        is_rows: false,
    }])
}

/// The names of classes in a prepared file.
fn class_names(metadata: &Metadata) -> Option<Vec<String>> {
    let record = metadata.metadata().as_ref()?.get(RECORD)?;
    let record: serde_json::Value = serde_json::from_str(record).ok()?;
    serde_json::from_value(record.get("classes")?.clone()).ok()
}

fn integers(dtype: Dtype) -> Option<Integers> {
    let (bytes, is_signed) = match dtype {
        Dtype::U8 => (1, false),
        Dtype::I8 => (1, true),
        Dtype::U16 => (2, false),
        Dtype::I16 => (2, true),
        Dtype::U32 => (4, false),
        Dtype::I32 => (4, true),
        Dtype::U64 => (8, false),
        Dtype::I64 => (8, true),
        _ => return None,
    };
    Some(Integers {
        bytes,
        is_signed,
        is_big_endian: false,
    })
}
