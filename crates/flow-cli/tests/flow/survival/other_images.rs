//! Trainings resumed on other images than those they were begun on.

use std::fs;

use super::TINY;
use crate::sandbox::{Sandbox, header, with_header};

/// Bytes of an image, and before the first of them.
const IMAGE: usize = 784;
const HEADER: usize = 16;

#[test]
fn another_number_of_images_is_refused() {
    let sandbox = Sandbox::with_digits();
    sandbox.ok(&format!("train --out run {TINY} --max-steps 2"));
    // Without the small data set, the bundled one is there.
    fs::rename(sandbox.path("data"), sandbox.path("elsewhere")).unwrap();
    let error = sandbox.refused("train --out run --resume");
    assert!(
        error.contains("begun on 384 images of `mnist`, and here are 10000")
            && error.contains("`--data-dir`"),
        "{error}"
    );
    sandbox.ok("train --out run --resume --data-dir elsewhere --max-steps 3");
}

#[test]
fn as_many_other_images_are_refused() {
    let sandbox = Sandbox::with_digits();
    sandbox.ok(&format!("train --out run {TINY} --max-steps 2"));
    let swap = |bytes: &mut [u8], at: usize, size: usize| {
        let (first, second) = bytes[at..at + 2 * size].split_at_mut(size);
        first.swap_with_slice(second);
    };
    let change = |part: &str, file: &str, change: &dyn Fn(&mut [u8])| {
        let path = sandbox.path(&format!("data/mnist/{file}"));
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        assert_ne!(bytes, good);
        fs::write(&path, bytes).unwrap();
        let before = sandbox.read("run/training.safetensors");
        let error = sandbox.refused("train --out run --resume");
        let expected = format!(
            "error: the training to resume was begun with other {part} images of `mnist`: pixels, labels or \
             their order differ; bring those back, or name their folder with \
             `--data-dir`"
        );
        assert_eq!(error, expected);
        let after = sandbox.read("run/training.safetensors");
        assert_eq!(after, before);
        fs::write(&path, good).unwrap();
    };
    let images = "train-images-idx3-ubyte";
    // A pixel of any image, the order of two, a label.
    for image in [0, 137, 383] {
        change("training", images, &|bytes| {
            bytes[HEADER + image * IMAGE + 300] ^= 1;
        });
    }
    change("training", images, &|bytes| {
        swap(bytes, HEADER + 100 * IMAGE, IMAGE);
    });
    change("training", "train-labels-idx1-ubyte", &|bytes| {
        bytes[8 + 201] = (bytes[8 + 201] + 1) % 10;
    });
    change("test", "t10k-images-idx3-ubyte", &|bytes| {
        bytes[HEADER] ^= 1;
    });
    sandbox.ok("train --out run --resume --max-steps 3");
}

#[test]
fn training_files_without_a_digest_go_on_with_a_word() {
    let sandbox = Sandbox::with_digits();
    sandbox.ok(&format!("train --out run {TINY} --max-steps 2"));
    let bytes = sandbox.read("run/training.safetensors");
    let mut old = header(&bytes);
    let notes = old["resume"]["notes"].as_object_mut().unwrap();
    for added in ["digests", "eval_images"] {
        assert!(notes.remove(added).is_some(), "{added}");
    }
    sandbox.write("run/training.safetensors", with_header(&bytes, &old));
    let resume = |steps| {
        let resume = format!("train --out run --resume --max-steps {steps}");
        sandbox.run(&resume).succeeded().stderr
    };
    assert!(resume(3).contains("warning: the training to resume was saved without a digest"));
    assert!(!resume(4).contains("without a digest"));
}
