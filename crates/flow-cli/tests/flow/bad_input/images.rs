//! Image files that are none.

use super::{TINY, transcript};
use crate::sandbox::Sandbox;

/// Commands that read the images below.
const IMAGES: &str = "
    density --checkpoint nowhere grey.png
    density --checkpoint text grey.png
    density --checkpoint run/model.safetensors nowhere.png
    density --checkpoint run/model.safetensors folder
    density --checkpoint run/model.safetensors none
    density --checkpoint run/model.safetensors small.png
    density --checkpoint run/model.safetensors clear.png
    density --checkpoint run/model.safetensors photo.jpg
    density --checkpoint run/model.safetensors empty
    density --checkpoint run/model.safetensors text
    density --checkpoint run/model.safetensors cut.png
    density --checkpoint run/model.safetensors head.png
    density --checkpoint run/model.safetensors damaged.png
    density --checkpoint run/model.safetensors huge.png
    density --checkpoint run/model.safetensors gif.png
    density --checkpoint run/model.safetensors /dev/null
    density --checkpoint run/model.safetensors /dev/zero
    density --checkpoint run/model.safetensors run/model.safetensors
    density --checkpoint run/model.safetensors grey.png --class 1
    density --checkpoint run/model.safetensors grey.png --out folder
    density --checkpoint run/model.safetensors grey.png --out nowhere/a.csv
    outliers --checkpoint nowhere --rank 3
    outliers --checkpoint run/model.safetensors --against cifar10 --data-dir cifar
    outliers --checkpoint run/model.safetensors --against fashion-mnist
    outliers --checkpoint run/model.safetensors --dataset cifar10 --data-dir cifar --rank 3
    outliers --checkpoint run/model.safetensors small.png
    outliers --checkpoint run/model.safetensors none --rank 3
    outliers --checkpoint run/model.safetensors --rank 3 --score likelihood,complexity
    outliers --checkpoint run/model.safetensors --rank 3 --score likelihood-ratio
    outliers --checkpoint run/model.safetensors --threshold-quantile 0.9 --score likelihood,typicality
    outliers --checkpoint run/model.safetensors --rank 3 --background nowhere
    outliers --checkpoint run/model.safetensors --rank 3 --background color/model.safetensors
    outliers --checkpoint run/model.safetensors --rank 3 --out a.bmp
    outliers --checkpoint run/model.safetensors --rank 3 --out folder
    outliers --checkpoint run/model.safetensors --rank 3 --out nowhere/a.png
    outliers --checkpoint run/model.safetensors --rank 3 --out text/a.html
    outliers --checkpoint run/model.safetensors --threshold-quantile 0.9 --out nowhere/a.csv
";

#[test]
fn images_that_are_none() {
    let sandbox = Sandbox::with_everything_wrong();
    let saved = |name: &str, image: image::DynamicImage| image.save(sandbox.path(name)).unwrap();
    saved("grey.png", image::GrayImage::new(28, 28).into());
    saved("small.png", image::GrayImage::new(27, 28).into());
    saved("clear.png", image::RgbaImage::new(28, 28).into());
    saved("photo.jpg", image::RgbImage::new(640, 480).into());
    let good = sandbox.read("grey.png");
    sandbox.write("cut.png", &good[..good.len() - 20]);
    sandbox.write("head.png", &good[..20]);
    sandbox.write("damaged.png", {
        let mut bytes = good.clone();
        bytes[good.len() - 20] ^= 255;
        bytes
    });
    // The header promises what no memory holds.
    sandbox.write("huge.png", {
        let mut bytes = good.clone();
        bytes[16..24].copy_from_slice(&[127, 255, 255, 255, 127, 255, 255, 255]);
        bytes[29..33].copy_from_slice(&0x31a2_54ba_u32.to_be_bytes());
        bytes
    });
    sandbox.write("gif.png", b"GIF89a\x1c\0\x1c\0\0\0\0");
    sandbox.write("none/text.txt", "no image");
    sandbox.write_cifar10("cifar", 4, |_, _, place| (place * 7 % 256) as u8);
    sandbox.ok(&format!(
        "train --out color --dataset cifar10 --data-dir cifar {TINY}"
    ));
    insta::assert_snapshot!("images", transcript(&sandbox, IMAGES));
}
