//! `flow convert` on checkpoints as trainings keep them, written by PyTorch, and for other
//! programs.

use std::{fs, path::Path};

use candle_core::Device;
use flow_glow::{Checkpoint, Preprocessing};

use crate::sandbox::Sandbox;

impl Sandbox {
    /// A folder with files of `assets`.
    fn with_assets(names: &[&str]) -> Self {
        let sandbox = Self::new();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
        for name in names {
            let from = assets.join(name);
            sandbox.write(name, fs::read(from).unwrap());
        }
        sandbox
    }
}

/// The checkpoint, or nothing, and what stderr says.
fn convert(name: &str, more: &str) -> (Option<Vec<u8>>, String) {
    let facts = "reference/normflows-additive.json";
    let name = format!("reference/{name}.pt");
    let sandbox = Sandbox::with_assets(&[&name, facts]);
    let ran = sandbox.run(&format!("convert {name} out --config {facts} {more}"));
    let written = fs::read(sandbox.path("out")).ok();
    assert_eq!(ran.status, Some(i32::from(written.is_none())));
    (written, ran.stderr)
}

#[test]
fn wrapped_weights_are_the_same_checkpoint() {
    let (plain, silence) = convert("normflows-additive", "");
    assert_eq!(silence, "");
    for (name, said) in [
        ("lightning", "the model below `state_dict.model.`; ignored"),
        (
            "averaged",
            "the model below `module._orig_mod.`; ignored beside it: `n_averaged`\n",
        ),
        (
            "deep",
            "the model below `run.best.0.weights.`; ignored beside it:",
        ),
        (
            "foreign",
            "the model below `model_state_dict.`; ignored beside it: `activation`, `args`",
        ),
    ] {
        let (found, stderr) = convert(&format!("wrapped-{name}"), "");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(said), "{stderr}");
        assert!(found == plain, "{name}");
    }
}

#[test]
fn of_a_model_and_its_average_one_is_asked_for() {
    let (none, asked) = convert("wrapped-ema", "");
    assert!(none.is_none());
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(
        asked.ends_with("choose one by `--prefix`, from `ema_model.`, `model.`\n")
            || asked.ends_with("choose one by `--prefix`, from `model.`, `ema_model.`\n"),
        "{asked}"
    );
    let (plain, _) = convert("normflows-additive", "");
    let (model, said) = convert("wrapped-ema", "--prefix model.");
    assert!(model == plain);
    assert_eq!(
        said,
        "the model below `model.`; ignored beside it: `ema_model.`, `initted`\n"
    );
    let (average, _) = convert("wrapped-ema", "--prefix ema_model");
    assert!(average.is_some() && average != plain);
}

#[test]
fn options_say_what_a_file_of_facts_says() {
    let sandbox = Sandbox::with_assets(&[
        "reference/nflows-softplus.pt",
        "reference/normflows-plain.pt",
        "reference/wrapped-ema.pt",
    ]);
    let said = [
        (
            "nflows-softplus.pt a --from nflows --size 8 --scale-map softplus --padding zeros",
            "nflows: images of 1×8×8, 1 levels of 2 steps, 4 hidden channels -> `a`\n",
        ),
        (
            "normflows-plain.pt b --size 8x8 --scale-map exp --passing first-half \
             --preprocessing logit:0.05 --bits 5 --channels 1 --dataset faces",
            "normflows: images of 1×8×8, 2 levels of 2 steps, 4 hidden channels -> `b`\n",
        ),
        (
            "wrapped-ema.pt c --key model --size 8",
            "normflows: images of 1×8×8, 1 levels of 2 steps, 4 hidden channels -> `c`\n",
        ),
    ];
    for (arguments, expected) in said {
        assert_eq!(
            sandbox.ok(&format!("convert reference/{arguments}")),
            expected
        );
    }
    let load = |name| Checkpoint::load(&sandbox.path(name), &Device::Cpu).unwrap();
    let header = load("b").header;
    assert_eq!((&*header.dataset, header.model.bits), ("faces", 5));
    let logit = Preprocessing::Logit { alpha: 0.05 };
    assert_eq!(header.model.preprocessing, logit);
    assert_eq!(load("a").header.dataset, "unknown");
}

#[test]
fn of_an_exported_model_it_is_said_what_it_needs() {
    let sandbox = Sandbox::with_assets(&["models/mnist.safetensors"]);
    let said = sandbox.ok("convert models/mnist.safetensors out --to nflows");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "nflows -> `out`");
    let pixels = "the model sees of a pixel p in [0, 1), of 8 bits: its logit after equalization";
    assert!(lines[1].starts_with(pixels), "{said}");
    let parts = "parts of nflows beside its own Glow make up for `scale_map`";
    assert!(lines.last().unwrap().starts_with(parts), "{said}");
    assert!(sandbox.path("out").is_file());
}

/// Arguments, the exit status, and a part of the error.
const MISTAKES: [(&str, i32, &str); 12] = [
    ("", 2, "required arguments were not provided"),
    (
        "IN out --from torch",
        2,
        "expected auto, nflows, rosinality, normflows, y0ast, chrischute",
    ),
    (
        "IN out --to y0ast",
        2,
        "[possible values: nflows, normflows, rosinality]",
    ),
    ("IN out --to nflows --size 8", 2, "cannot be used with"),
    (
        "IN out --size 8x",
        2,
        "expected a number of pixels, or two as in 32x64",
    ),
    ("IN out --bits 9", 2, "9 is not in 1..=8"),
    ("IN out --scale-map linear", 2, "unknown variant `linear`"),
    (
        "none out",
        1,
        "`none` is not a usable state dict: No such file",
    ),
    (
        "IN out",
        1,
        "it is a checkpoint of this project already; `--to` converts it",
    ),
    ("IN out --config none", 1, "cannot read `none`"),
    (
        "IN models --to nflows",
        1,
        "cannot write `models`: it is a folder",
    ),
    (
        "IN out --to rosinality",
        1,
        "rosinality has no models with these settings",
    ),
];

#[test]
fn mistakes_are_one_line_and_leave_nothing() {
    let model = "models/mnist.safetensors";
    let sandbox = Sandbox::with_assets(&[model]);
    for (arguments, status, expected) in MISTAKES {
        let ran = sandbox.run(&format!("convert {}", arguments.replace("IN", model)));
        ran.refused(status);
        let error = ran.stderr;
        assert!(error.contains(expected), "{arguments}: {error}");
        assert!(status == 2 || error.lines().count() == 1, "{error}");
        for folder in ["", "models"] {
            assert_eq!(fs::read_dir(sandbox.path(folder)).unwrap().count(), 1);
        }
    }
}
