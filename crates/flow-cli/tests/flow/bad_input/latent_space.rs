//! Pictures that cannot be drawn, and latent spaces without a way.

use std::fs;

use super::{RUN, TINY, transcript};
use crate::sandbox::Sandbox;

#[test]
fn pictures_that_cannot_be_drawn() {
    let sandbox = Sandbox::with_everything_wrong();
    sandbox.write_run("classes", &format!("{TINY} --classes"));
    let rows = "
        sample --class 10
        sample --animate training
        sample --checkpoint run/model.safetensors --class 1
        sample --checkpoint classes/model.safetensors --class 10
        sample --checkpoint classes/model.safetensors --class 4294967296
        sample --checkpoint classes/model.safetensors --class seven
        sample --checkpoint run/model.safetensors --out folder
        sample --checkpoint run/model.safetensors --out nowhere/a.png
        sample --checkpoint run/model.safetensors --out text/a.png
        sample --checkpoint run/model.safetensors --out /dev/full
    ";
    insta::assert_snapshot!("sample", transcript(&sandbox, rows));
}

/// Commands about images, tables and places that do not fit.
const LATENT_SPACE: &str = "
    interpolate --checkpoint nowhere --from 1 --to 2
    interpolate --checkpoint run/model.safetensors --from 1 --to 2000
    interpolate --checkpoint run/model.safetensors --from 18446744073709551615 --to 0
    interpolate --checkpoint run/model.safetensors --from 1,2 --to 3
    interpolate --checkpoint run/model.safetensors --from 1 --to 2 --class 1
    interpolate --checkpoint classes/model.safetensors --from 1 --to 2 --class 10
    interpolate --checkpoint run/model.safetensors --from 1 --to 2 --dataset cifar10
    interpolate --checkpoint run/model.safetensors --from 1 --to 2 --out nowhere/a.png
    interpolate --checkpoint run/model.safetensors --images good.png good.png good.png
    interpolate --checkpoint run/model.safetensors --images good.png small.png
    interpolate --checkpoint run/model.safetensors --images good.png two.png
    interpolate --checkpoint run/model.safetensors --images good.png broken.png
    interpolate --checkpoint run/model.safetensors --images good.png empty
    interpolate --checkpoint run/model.safetensors --images good.png folder
    interpolate --checkpoint run/model.safetensors --images good.png nowhere.png
    edit --checkpoint run/model.safetensors --attribute smile --index 1
    edit --checkpoint run/model.safetensors --attribute 4: --index 1
    edit --checkpoint run/model.safetensors --attribute 4:4 --index 1
    edit --checkpoint run/model.safetensors --attribute 4:10 --index 1
    edit --checkpoint run/model.safetensors --attribute slant --index 2000
    edit --checkpoint run/model.safetensors --attribute slant --index 1 --examples 1
    edit --checkpoint run/model.safetensors --attribute slant --images small.png
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels nowhere.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels folder
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels empty
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels no-key.csv
    edit --checkpoint run/model.safetensors --attribute frown --index 1 --labels same.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels no-rows.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels same.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels words.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels infinite.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels far.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels negative.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels ragged.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels lost.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels large.csv
    edit --checkpoint run/model.safetensors --attribute smile --index 1 --labels bytes.csv
    edit --checkpoint run/model.safetensors --attribute slant --attribute width --strength 1 --index 1
    edit --checkpoint run/model.safetensors --redraw 9 --index 1
    inspect run/model.safetensors --plot a.png
    density --checkpoint run/model.safetensors good.png --map nowhere/a.png
    explore nowhere
    explore folder
    explore text
    explore run --dataset cifar10
    explore run --host no.such.host.example.invalid
    cluster --checkpoint run/model.safetensors --limit 2
    cluster --checkpoint run/model.safetensors --limit 20 --clusters 21
    cluster --checkpoint run/model.safetensors --dataset cifar10
    cluster --checkpoint run/model.safetensors --limit 20 --out folder
    cluster --checkpoint run/model.safetensors --data-dir black
    edit --checkpoint run/model.safetensors --attribute slant --index 1 --data-dir black
    edit --checkpoint run/model.safetensors --attribute brightness --index 1 --data-dir black
    edit --checkpoint run/model.safetensors --attribute 4:9 --index 1 --data-dir black
    sample --checkpoint run/model.safetensors --temperature 0.5,1 --animate walk
    sample --checkpoint run/model.safetensors --animate walk --count 101
    sample --checkpoint run/model.safetensors --temperature 0.5,1 --count 9999
    sample --checkpoint run/model.safetensors --out-tensor nowhere/x.safetensors
    sample --checkpoint bare/model.safetensors --animate training
    sample --checkpoint odd/model.safetensors --animate training
";

/// Images, tables and places that do not fit latent space.
#[test]
fn latent_spaces_without_a_way() {
    let sandbox = Sandbox::with_everything_wrong();
    sandbox.write_run("classes", &format!("{TINY} --classes"));
    let gray = |width, height| image::GrayImage::new(width, height);
    let save = |name: &str, picture: image::DynamicImage| {
        picture.save(sandbox.path(name)).unwrap();
    };
    save("good.png", gray(28, 28).into());
    save("small.png", gray(27, 28).into());
    save("two.png", gray(56, 28).into());
    sandbox.write("broken.png", b"\x89PNG\r\n\x1a\n and nonsense");
    fs::create_dir_all(sandbox.path("odd/samples")).unwrap();
    save("odd/samples/epoch-0001.png", gray(8, 8).into());
    save("odd/samples/epoch-0002.png", gray(9, 8).into());
    sandbox.write("odd/model.safetensors", sandbox.read(RUN));
    sandbox.write("bare/model.safetensors", sandbox.read(RUN));
    for (name, content) in [
        ("no-key.csv", "name,smile\na,1\n"),
        ("no-rows.csv", "index,smile\n"),
        ("same.csv", "index,smile\n0,1\n1,1\n"),
        ("words.csv", "index,smile\n0,yes\n1,no\n"),
        ("infinite.csv", "index,smile\n0,inf\n1,0\n"),
        ("far.csv", "index,smile\n0,0\n10000,1\n"),
        ("negative.csv", "index,smile\n0,0\n-1,1\n"),
        ("ragged.csv", "index,smile\n0,0\n1\n"),
        ("lost.csv", "file,smile\ngood.png,0\nlost.png,1\n"),
        ("large.csv", "file,smile\ngood.png,0\ntwo.png,1\n"),
    ] {
        sandbox.write(name, content);
    }
    let header = |kind| [0, 0, 8, kind, 0, 0, 0, 20];
    let black = [&header(3)[..], &[0, 0, 0, 28, 0, 0, 0, 28], &[0; 20 * 784]].concat();
    for split in ["train", "t10k"] {
        let file = |kind| format!("black/mnist/{split}-{kind}-ubyte");
        sandbox.write(&file("images-idx3"), &black);
        sandbox.write(&file("labels-idx1"), [&header(1)[..], &[4; 20]].concat());
    }
    sandbox.write("bytes.csv", b"index,smile\n0,\xff\n");
    insta::assert_snapshot!("latent_space", transcript(&sandbox, LATENT_SPACE));
}
