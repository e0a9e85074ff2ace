//! Data sets and checkpoints that are none.

use std::fs;

use flow_testing::damage::without_digest;

use super::{RUN, transcript};
use crate::sandbox::Sandbox;

/// Commands that read the data sets below.
const DATA_SETS: &str = "
    eval --checkpoint run/model.safetensors --data-dir empty-files-data
    eval --checkpoint run/model.safetensors --data-dir text-data
    eval --checkpoint run/model.safetensors --data-dir swapped-data
    eval --checkpoint run/model.safetensors --data-dir cut-data
    eval --checkpoint run/model.safetensors --data-dir extended-data
    eval --checkpoint run/model.safetensors --data-dir size-data
    eval --checkpoint run/model.safetensors --data-dir count-data
    eval --checkpoint run/model.safetensors --data-dir class-data
    eval --checkpoint run/model.safetensors --data-dir more-labels-data
    eval --checkpoint run/model.safetensors --data-dir gzip-data
    eval --checkpoint run/model.safetensors --data-dir folder-data
    eval --checkpoint run/model.safetensors --data-dir half-data
    eval --checkpoint run/model.safetensors --data-dir text
    eval --checkpoint run/model.safetensors --dataset cifar10
    eval --checkpoint run/model.safetensors --dataset cifar10 --data-dir cut-data
    eval --checkpoint run/model.safetensors --dataset cifar10 --data-dir class-data
    eval --checkpoint run/model.safetensors --dataset cifar10 --data-dir good-data
    verify run/model.safetensors --dataset cifar10
    verify run/model.safetensors --dataset cifar10 --data-dir good-data
    verify run/model.safetensors --data-dir cut-data
    train --out new --data-dir half-data
";

#[test]
fn data_sets_that_are_none() {
    let sandbox = Sandbox::with_everything_wrong();
    write_data_sets(&sandbox);
    insta::assert_snapshot!("data", transcript(&sandbox, DATA_SETS));
}

/// Folders `NAME-data`, each wrong in one way.
fn write_data_sets(sandbox: &Sandbox) {
    let labels = [0, 0, 8, 1, 0, 0, 0, 1, 7];
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..],
        &[0; 784],
    ]
    .concat();
    let damage = |from: &[u8], at: usize, value: u8| {
        let mut bytes = from.to_vec();
        bytes[at] = value;
        bytes
    };
    for (folder, images, labels) in [
        ("empty-files", vec![], labels.to_vec()),
        ("text", b"images".to_vec(), labels.to_vec()),
        ("swapped", labels.to_vec(), images.clone()),
        ("cut", images[..500].to_vec(), labels.to_vec()),
        (
            "extended",
            [&images[..], &images[..]].concat(),
            labels.to_vec(),
        ),
        ("size", damage(&images, 15, 29), labels.to_vec()),
        ("count", damage(&images, 4, 255), labels.to_vec()),
        ("class", images.clone(), damage(&labels, 8, 10)),
        (
            "more-labels",
            images.clone(),
            [&damage(&labels, 7, 2)[..], &[3]].concat(),
        ),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0], labels.to_vec()),
    ] {
        sandbox.write(
            &format!("{folder}-data/mnist/t10k-images-idx3-ubyte"),
            images,
        );
        sandbox.write(
            &format!("{folder}-data/mnist/t10k-labels-idx1-ubyte"),
            labels,
        );
    }
    fs::create_dir_all(sandbox.path("folder-data/mnist/t10k-images-idx3-ubyte")).unwrap();
    sandbox.write("folder-data/mnist/t10k-labels-idx1-ubyte", labels);
    sandbox.write("half-data/mnist/t10k-images-idx3-ubyte", &images);
    sandbox.write("cut-data/cifar10/test_batch.bin", vec![1; 3072]);
    sandbox.write("class-data/cifar10/test_batch.bin", vec![10; 3073]);
    sandbox.write("good-data/cifar10/test_batch.bin", vec![1; 3073]);
}

/// Commands that read the checkpoints below.
const CHECKPOINTS: &str = "
    inspect nowhere
    inspect folder
    inspect empty
    inspect text
    inspect /dev/null
    inspect /dev/zero
    inspect text/model.safetensors
    inspect run
    inspect cut-length.safetensors
    inspect cut-header.safetensors
    inspect cut-numbers.safetensors
    inspect extended.safetensors
    inspect long-header.safetensors
    inspect no-json.safetensors
    inspect other-steps.safetensors
    inspect other-width.safetensors
    inspect no-steps.safetensors
    inspect no-image.safetensors
    inspect bits.safetensors
    inspect field.safetensors
    inspect dataset.safetensors
    inspect type.safetensors
    inspect nan.safetensors
    inspect foreign.safetensors
    eval --checkpoint nowhere
    eval --checkpoint folder
    eval --checkpoint empty
    eval --checkpoint text
    eval --checkpoint run
    eval --checkpoint other-steps.safetensors
    eval --checkpoint other-image.safetensors
    eval --checkpoint dataset.safetensors
    sample --checkpoint nowhere
    sample --checkpoint folder
    sample --checkpoint empty
    sample --checkpoint text
    sample --checkpoint cut-numbers.safetensors
    sample --checkpoint foreign.safetensors
    verify nowhere
    verify folder
    verify empty
    verify text
    verify cut-numbers.safetensors
    verify other-image.safetensors
    verify foreign.safetensors
";

/// The same wrong files for every command that takes a checkpoint.
#[test]
fn checkpoints_that_are_none() {
    let sandbox = Sandbox::with_everything_wrong();
    for (name, content) in damaged(&sandbox.read(RUN)) {
        sandbox.write(&format!("{name}.safetensors"), content);
    }
    // A header holds times, of more or fewer digits.
    let sizes = [
        (r"header of \d{4} bytes", "header of [SIZE] bytes"),
        (
            r"header of (\S+) bytes but holds \d+",
            "header of $1 bytes but holds [SIZE]",
        ),
    ];
    insta::with_settings!({ filters => sizes }, {
        insta::assert_snapshot!("checkpoints", transcript(&sandbox, CHECKPOINTS));
    });
}

/// Variants of a checkpoint by name, each wrong in one way. They have no digest: it would find them
/// all.
fn damaged(good: &[u8]) -> [(&'static str, Vec<u8>); 17] {
    let good = &without_digest(good);
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    // Replaces text in the header by text of the same length.
    let edited = |from: &str, to: &str| {
        let at = good
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        with(at.unwrap_or_else(|| panic!("no {from}")), to.as_bytes())
    };
    [
        ("cut-length", good[..7].to_vec()),
        ("cut-header", good[..header - 1].to_vec()),
        ("cut-numbers", good[..good.len() - 1].to_vec()),
        ("extended", [good, &[0][..]].concat()),
        ("long-header", with(0, &[255; 8])),
        ("no-json", with(8, b"[")),
        ("other-steps", edited(r#"\"steps\":1"#, r#"\"steps\":2"#)),
        ("other-width", edited(r#"\"width\":2,"#, r#"\"width\":3,"#)),
        ("no-steps", edited(r#"\"steps\":1"#, r#"\"steps\":0"#)),
        (
            "other-image",
            edited(r#"\"height\":28"#, r#"\"height\":26"#),
        ),
        ("no-image", edited(r#"\"height\":28"#, r#"\"height\":27"#)),
        ("bits", edited(r#"\"bits\":8"#, r#"\"bits\":9"#)),
        ("field", edited(r#"\"bits\":8"#, r#"\"bytes\":"#)),
        ("dataset", edited(r#"\"mnist\""#, r#"\"m\\nt\""#)),
        ("type", edited("F32", "F64")),
        ("nan", with(good.len() - 4, &f32::NAN.to_le_bytes())),
        ("foreign", foreign()),
    ]
}

/// A safetensors file of another program.
fn foreign() -> Vec<u8> {
    let header = br#"{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat()
}
