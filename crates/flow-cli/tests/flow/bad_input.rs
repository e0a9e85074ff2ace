//! Every command with everything that can be wrong with what it is given: the real binary, one row a
//! mistake.
//!
//! A mistake in what was typed ends with status 2, any other with status 1 and exactly one line on stderr,
//! which the snapshots show. Nothing is on stdout, and no file appears, changes or goes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use tempfile::TempDir;

const RUN: &str = "run/model.safetensors";

/// Stays in every folder in which a training was tried; the system forgets who held it.
const LOCK: &str = ".lock";

/// The smallest model that trains, for one step, with a header that does not depend on the images.
/// The paper's prior does not depend on the size of the images, which is then wrong by itself where it is.
const TINY: &str = "--preset paper --levels 1 --steps 1 --width 2 --preprocessing logit --batch-size 16 --max-steps 1";

/// A folder with trained models and with everything that is not what it should be.
struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        sandbox.ok(&format!("train --out run {TINY}"));
        fs::write(sandbox.path("text"), "no checkpoint").unwrap();
        fs::write(sandbox.path("empty"), "").unwrap();
        fs::create_dir(sandbox.path("folder")).unwrap();
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
        command
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs a command that must succeed.
    fn ok(&self, args: &str) {
        let output = self.command(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args}: {stderr}");
    }

    /// What stderr says after a command that must fail with this status and change nothing.
    fn fails(&self, status: i32, command: &mut Command) -> String {
        let before = self.tree();
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{command:?}: {stderr}");
        assert_eq!(output.stdout, b"", "{command:?} prints to stdout");
        assert_eq!(before, self.tree(), "{command:?} leaves something behind");
        // Which images were opened, or which model, is said before they prove unsuitable.
        let error = match stderr.split_once('\n') {
            Some((note, rest)) if note.contains(" images; the full data set is not in ") => rest,
            Some((note, rest)) if note.contains(" images in `") => rest,
            Some((note, rest)) if note.contains(" image in `") => rest,
            Some((note, rest)) if note.starts_with("files in `") => rest,
            Some((note, rest)) if note.starts_with("no `--checkpoint`") => rest,
            _ => &stderr,
        };
        assert!(error.starts_with("error: "), "{command:?}: {stderr}");
        error.to_owned()
    }

    /// The errors of commands, one to a line of `rows`, as a reader would see them.
    fn transcript(&self, rows: &str) -> String {
        let rows = rows.lines().map(str::trim).filter(|row| !row.is_empty());
        let errors = rows.map(|row| {
            let error = self.fails(1, &mut self.command(row));
            assert_eq!(error.lines().count(), 1, "{row}: {error}");
            format!("$ flow {row}\n{error}")
        });
        errors.collect::<Vec<_>>().join("\n")
    }

    /// What clap says first about commands, one to a line of `rows`.
    fn typed(&self, rows: &str) -> String {
        let rows = rows.lines().map(str::trim).filter(|row| !row.is_empty());
        let errors = rows.map(|row| {
            let error = self.fails(2, &mut self.command(row));
            assert!(
                error.contains("For more information, try '--help'."),
                "{row}: {error}"
            );
            format!("$ flow {row}\n{}\n", error.lines().next().unwrap())
        });
        errors.collect::<Vec<_>>().join("\n")
    }

    /// Every file with its size and the time of its last change, and every folder.
    fn tree(&self) -> Vec<(PathBuf, Option<(u64, SystemTime)>)> {
        let mut found = Vec::new();
        collect(self.0.path(), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Option<(u64, SystemTime)>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.push((entry.path(), None));
            collect(&entry.path(), found);
        } else if entry.file_name() != LOCK {
            let state = (metadata.len(), metadata.modified().unwrap());
            found.push((entry.path(), Some(state)));
        }
    }
}

/// Each row is refused with what it is and what it should be, in clap's words.
#[test]
fn what_is_typed_wrong() {
    let sandbox = Sandbox::new();
    let rows = "
        paint
        --paint
        train now
        train --steps
        train --steps 0
        train --steps 257
        train --steps 1.5
        train --steps -1
        train --steps one
        train --levels 0
        train --levels 17
        train --width 0
        train --width 8193
        train --width 99999999999999999999
        train --bits 0
        train --bits 9
        train --lr 0
        train --lr -1
        train --lr nan
        train --lr inf
        train --lr fast
        train --clip-norm 0
        train --average-decay 1
        train --average-decay -0.1
        train --warmup-steps -1
        train --batch-size 0
        train --batch-size 65537
        train --epochs 0
        train --epochs -1
        train --max-steps 0
        train --max-steps 1e3
        train --time-limit 15
        train --time-limit 0s
        train --time-limit soon
        train --preset huge
        train --coupling cubic
        train --scale-map linear
        train --preprocessing none
        train --optimizer sgd
        train --dataset imagenet
        train --device gpu
        train --device cuda:x
        train --seed -1
        train --seed 18446744073709551616
        train --resume --overwrite
        train --resume --from run/model.safetensors
        train --resume --from
        train --from a --from b
        train --eval-images 0
        train --classes 3
        train --threads 0
        train --threads 1025
        train --out a --out b
        eval run/model.safetensors
        eval --checkpoint
        eval --checkpoint run/model.safetensors --limit 0
        eval --checkpoint run/model.safetensors --limit -5
        eval --checkpoint run/model.safetensors --split all
        eval --checkpoint run/model.safetensors --dataset letters
        eval --checkpoint run/model.safetensors --seed x
        eval --checkpoint run/model.safetensors --temperature 1
        eval --checkpoint run/model.safetensors --importance-samples 0
        eval --checkpoint run/model.safetensors --importance-samples 10001
        sample --checkpoint run/model.safetensors --count 0
        sample --checkpoint run/model.safetensors --count 10001
        sample --checkpoint run/model.safetensors --count -3
        sample --checkpoint run/model.safetensors --temperature -0.5
        sample --checkpoint run/model.safetensors --temperature nan
        sample --checkpoint run/model.safetensors --temperature warm
        sample --checkpoint run/model.safetensors --class -1
        sample --checkpoint run/model.safetensors --class seven
        sample --checkpoint run/model.safetensors --class 4294967296
        sample --checkpoint run/model.safetensors --temperature 0.5,
        sample --checkpoint run/model.safetensors --temperature 0.5,-1
        sample --checkpoint run/model.safetensors --animate dance
        sample --checkpoint run/model.safetensors --animate walk --out-tensor a.safetensors
        sample --checkpoint run/model.safetensors --animate walk --frames 0
        inspect
        inspect run/model.safetensors run/model.safetensors
        inspect --checkpoint run/model.safetensors
        verify
        verify run/model.safetensors --limit 0
        verify run/model.safetensors --dataset letters
        bench run
        bench --iters 0
        bench --iters 10001
        bench --batch-size 0
        bench --batch-size 65537
        bench --size 0
        bench --channels 0
        bench --channels -1
    ";
    insta::assert_snapshot!("typed", sandbox.typed(rows));
}

#[test]
fn what_is_typed_wrong_about_outliers() {
    let sandbox = Sandbox::new();
    let rows = "
        train --mutate 1
        train --mutate -0.1
        train --mutate nan
        density
        density --checkpoint run/model.safetensors
        density --checkpoint run/model.safetensors grey.png --class -1
        density --checkpoint run/model.safetensors grey.png --importance-samples 0
        density --checkpoint run/model.safetensors grey.png --seed x
        density --checkpoint run/model.safetensors grey.png --dataset mnist
        outliers
        outliers --checkpoint run/model.safetensors
        outliers --checkpoint run/model.safetensors --against letters
        outliers --checkpoint run/model.safetensors --against mnist grey.png
        outliers --checkpoint run/model.safetensors --against mnist --score beauty
        outliers --checkpoint run/model.safetensors --against mnist --score likelihood,
        outliers --checkpoint run/model.safetensors --against mnist --compressor rar
        outliers --checkpoint run/model.safetensors --against mnist --bootstrap 0
        outliers --checkpoint run/model.safetensors --against mnist --batch 0
        outliers --checkpoint run/model.safetensors --against mnist --typical-images 0
        outliers --checkpoint run/model.safetensors --against mnist --limit 0
        outliers --checkpoint run/model.safetensors --rank 0
        outliers --checkpoint run/model.safetensors --rank 10001
        outliers --checkpoint run/model.safetensors --rank 5 --threshold-quantile 0.9
        outliers --checkpoint run/model.safetensors --threshold-quantile 1
        outliers --checkpoint run/model.safetensors --threshold-quantile -0.1
        outliers --checkpoint run/model.safetensors --threshold-quantile nan
    ";
    insta::assert_snapshot!("typed_outliers", sandbox.typed(rows));
}

#[test]
fn what_is_typed_wrong_about_latent_space() {
    let sandbox = Sandbox::new();
    let rows = "
        interpolate --checkpoint run/model.safetensors
        interpolate --checkpoint run/model.safetensors --from 1
        interpolate --checkpoint run/model.safetensors --from 1 --to x
        interpolate --checkpoint run/model.safetensors --from -1 --to 2
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --steps 1
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --steps 1001
        interpolate --checkpoint run/model.safetensors --images a.png
        interpolate --checkpoint run/model.safetensors --images a.png b.png --from 1 --to 2
        edit --checkpoint run/model.safetensors --index 1
        edit --checkpoint run/model.safetensors --attribute slant
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength 2
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength 0..nan
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength 0..1e99
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --examples 0
        cluster --checkpoint run/model.safetensors --method guess
        cluster --checkpoint run/model.safetensors --clusters 0
        cluster --checkpoint run/model.safetensors --components 129
    ";
    insta::assert_snapshot!("typed_latent_space", sandbox.typed(rows));
}

#[test]
fn trainings_that_cannot_be() {
    let sandbox = Sandbox::new();
    sandbox.write("file-as-samples/samples", "");
    // Folders of trainings, with what lies in every such folder.
    for (folder, training) in [
        ("broken", b"lost".to_vec()),
        ("model-only", sandbox.read(RUN)),
    ] {
        sandbox.write(&format!("{folder}/training.safetensors"), training);
        fs::create_dir(sandbox.path(folder).join("samples")).unwrap();
    }
    let rows = "
        train --out run
        train --out run --resume --width 16
        train --out run --resume --lr 0.1 --seed 7 --bits 5
        train --out run --resume --classes
        train --out run --resume --preset base
        train --out run --resume --dataset cifar10
        train --out new --resume
        train --out text --resume
        train --out folder --resume
        train --out broken --resume
        train --out model-only --resume
        train --out text
        train --out text/new
        train --out /dev/full
        train --out /dev/null/new
        train --out file-as-samples
        train --out new --levels 3
        train --out new --steps 256 --width 8192
        train --out new --flip
        train --out new --batch-size 20000
        train --out new --dataset cifar10
        train --out new --dataset fashion-mnist
        train --out new --from none
        train --out new --from text
        train --out new --from folder
        train --out run --from run/model.safetensors
        train --out new --from run/model.safetensors --width 16 --levels 2 --max-steps 1
        train --out new --from run/model.safetensors --preset small
        train --out new --from run/model.safetensors --bits 5 --coupling additive --scale-map exp-tanh
        train --out new --from --dequantization uniform
        train --out new --from run/model.safetensors --classification 1
        train --out new --from run/model.safetensors --batch-size 20000
    ";
    insta::assert_snapshot!("train", sandbox.transcript(rows));
}

/// What stands where a data set should.
#[test]
fn data_sets_that_are_none() {
    let sandbox = Sandbox::new();
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
    let rows = "
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
    insta::assert_snapshot!("data", sandbox.transcript(rows));
}

/// The same wrong files for every command that takes a checkpoint.
#[test]
fn checkpoints_that_are_none() {
    let sandbox = Sandbox::new();
    let good = sandbox.read(RUN);
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
    for (name, content) in [
        ("cut-length", good[..7].to_vec()),
        ("cut-header", good[..header - 1].to_vec()),
        ("cut-numbers", good[..good.len() - 1].to_vec()),
        ("extended", [&good[..], &[0]].concat()),
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
    ] {
        sandbox.write(&format!("{name}.safetensors"), content);
    }
    let rows = "
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
    // A header holds times, of more or fewer digits.
    let sizes = [
        (r"header of \d{4} bytes", "header of [SIZE] bytes"),
        (
            r"header of (\S+) bytes but holds \d+",
            "header of $1 bytes but holds [SIZE]",
        ),
    ];
    insta::with_settings!({ filters => sizes }, {
        insta::assert_snapshot!("checkpoints", sandbox.transcript(rows));
    });
}

/// A safetensors file of another program.
fn foreign() -> Vec<u8> {
    let header = br#"{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat()
}

#[test]
fn pictures_that_cannot_be_drawn() {
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("train --out classes --classes {TINY}"));
    let rows = "
        sample --class 10
        sample --animate training
        sample --checkpoint run/model.safetensors --class 1
        sample --checkpoint classes/model.safetensors --class 10
        sample --checkpoint classes/model.safetensors --class 4294967295
        sample --checkpoint run/model.safetensors --out folder
        sample --checkpoint run/model.safetensors --out nowhere/a.png
        sample --checkpoint run/model.safetensors --out text/a.png
        sample --checkpoint run/model.safetensors --out /dev/full
    ";
    insta::assert_snapshot!("sample", sandbox.transcript(rows));
}

/// What latent space is asked for with images, tables and places that do not fit.
#[test]
fn latent_spaces_without_a_way() {
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("train --out classes --classes {TINY}"));
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
    let rows = "
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
    insta::assert_snapshot!("latent_space", sandbox.transcript(rows));
}

#[test]
fn images_that_are_none() {
    let sandbox = Sandbox::new();
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
    for batch in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        let four = (0..4 * 3073).map(|i| {
            if i % 3073 == 0 {
                1
            } else {
                (i * 7 % 256) as u8
            }
        });
        sandbox.write(
            &format!("cifar/cifar10/{batch}.bin"),
            four.collect::<Vec<_>>(),
        );
    }
    sandbox.ok(&format!(
        "train --out color --dataset cifar10 --data-dir cifar {TINY}"
    ));
    let rows = "
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
    insta::assert_snapshot!("images", sandbox.transcript(rows));
}

#[test]
fn benchmarks_that_cannot_be() {
    let sandbox = Sandbox::new();
    let rows = "
        bench --size 7
        bench --size 4 --levels 3
        bench --size 100000
        bench --size 18446744073709551615
        bench --channels 100000
        bench --steps 256 --width 8192 --levels 2
    ";
    insta::assert_snapshot!("bench", sandbox.transcript(rows));
}

#[test]
fn devices_that_are_not_there() {
    let sandbox = Sandbox::new();
    let mut rows = Vec::new();
    if cfg!(not(feature = "cuda")) {
        rows.push(("cuda:1", "--features cuda"));
    } else {
        rows.push(("cuda:63", "cannot open the device `cuda:63`"));
    }
    if cfg!(not(feature = "metal")) {
        rows.push(("metal", "--features metal"));
    }
    for (device, expected) in rows {
        for command in [
            format!("train --out new --device {device}"),
            format!("eval --checkpoint {RUN} --device {device}"),
            format!("sample --checkpoint {RUN} --device {device}"),
            format!("bench --device {device}"),
        ] {
            let error = sandbox.transcript(&command);
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn names_that_are_no_text() {
    let sandbox = Sandbox::new();
    for (name, shown) in [(&b"two\nlines"[..], "two lines"), (b"\xff", "\u{fffd}")] {
        let mut command = sandbox.command("inspect");
        let error = sandbox.fails(1, command.arg(OsStr::from_bytes(name)));
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(&format!("`{shown}`")), "{error}");
    }
}

#[test]
fn a_full_disk_behind_stdout() {
    let sandbox = Sandbox::new();
    for args in [
        format!("inspect {RUN}"),
        format!("inspect {RUN} --json"),
        format!("sample --checkpoint {RUN} --count 1 --out -"),
    ] {
        let mut command = sandbox.command(&args);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args}: {stderr}");
    }
}
