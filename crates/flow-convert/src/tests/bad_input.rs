//! Unusable files: one clear error, and nothing is written.

use std::fs;

use candle_core::{Device, Tensor};
use flow_glow::Peer;
use serde_json::{Value, json};

use super::{convert, expected, facts, fixtures, folder, known, tensors, values};
use crate::state_dict::{Contents, Tensors};
use crate::{Facts, Program};

/// The error of converting these bytes, in one line.
fn refusal(bytes: &[u8], said: Value) -> String {
    refusal_below(bytes, None, &facts(said))
}

fn refusal_below(bytes: &[u8], prefix: Option<&str>, facts: &Facts) -> String {
    let work = tempfile::tempdir().unwrap();
    let [input, output] = ["in", "out.safetensors"].map(|name| work.path().join(name));
    fs::write(&input, bytes).unwrap();
    let error = format!("{:#}", convert(&input, &output, prefix, facts).unwrap_err());
    assert!(!error.contains('\n'), "{error}");
    let left: Vec<_> = fs::read_dir(work.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["in"], "something was left behind");
    error
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

#[test]
fn every_storage_and_every_view_is_read() {
    let expected = expected_storages();
    for file in ["storages.pt", "storages-legacy.pt"] {
        let mut contents = Contents::read(&folder().join(file)).unwrap();
        let mut read = contents.parse().unwrap();
        let named = read.named(0);
        let found = read.load(&named).unwrap();
        assert!(found.keys().eq(expected.keys()), "{file}");
        for (name, tensor) in &found {
            assert_eq!(tensor.dims(), expected[name].dims(), "{file}: `{name}`");
            assert_eq!(values(tensor), values(&expected[name]), "{file}: `{name}`");
        }
    }
}

fn expected_storages() -> std::collections::BTreeMap<String, Tensor> {
    expected("storages")
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    for name in ["rosinality-lu.pt", "rosinality-plain.pt", "y0ast-lu.pt"] {
        let whole = fixture(name);
        let ends = (0..60)
            .map(|part| whole.len() * part / 60)
            .chain([whole.len() - 1]);
        for end in ends {
            let error = refusal(&whole[..end], json!({ "size": 8 }));
            assert!(
                error.contains("is not a usable state dict"),
                "{name} of {end} bytes: {error}"
            );
        }
    }
}

/// After any change of a byte, the file is refused or is another model; nothing panics.
#[test]
fn a_damaged_file_is_refused_or_another_model() {
    for name in [
        "rosinality-lu.pt",
        "nflows-nsf.pt",
        "y0ast-plain.pt",
        "storages-legacy.pt",
    ] {
        let whole = fixture(name);
        let work = tempfile::tempdir().unwrap();
        let [input, output] = ["in", "out.safetensors"].map(|name| work.path().join(name));
        let mut refused = 0;
        for change in 0..300_usize {
            let mut bytes = whole.clone();
            // The first half of the damage hits the pickle, which is where structure is.
            let place = if change % 2 == 0 {
                change * 7919 % 6000
            } else {
                change * 104_729
            };
            let place = place % bytes.len();
            bytes[place] = bytes[place].wrapping_add(1 + (change % 255) as u8);
            fs::write(&input, &bytes).unwrap();
            let said = facts(json!({ "size": 8 }));
            refused += usize::from(convert(&input, &output, None, &said).is_err());
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}

#[test]
fn a_pickle_without_a_state_dict_is_refused() {
    let legacy = fixture("rosinality-plain.pt");
    // After the three pickles before it, the state dict's.
    let start = legacy
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| *pair == [0x80, 2])
        .nth(3)
        .unwrap()
        .0;
    let with = |pickle: &[u8]| [&legacy[..start], pickle].concat();
    let broken: [(&[u8], &str); 7] = [
        (b"\x80\x06}.", "protocol 6 is unknown"),
        (b"\x80\x02\xff.", "0xff is not an opcode"),
        (b"\x80\x02X\xff\xff\xff\xff.", "it is cut off"),
        (
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
            "it is cut off",
        ),
        (b"\x80\x02h\x05.", "reads a memo that it never wrote"),
        (b"\x80\x02}}.", "it ends too early"),
        (b"\x80\x02R.", "its stack is empty"),
    ];
    for (pickle, reason) in broken {
        let error = refusal(&with(pickle), json!({ "size": 8 }));
        assert!(
            error.contains(reason) && error.contains("broken at byte"),
            "{error}"
        );
    }
    // Calls are not run, and their results are not inspected.
    let objects: [(&[u8], &str); 4] = [
        (b"cposix\nsystem\nX\x02\0\0\0id\x85R.", "posix.system"),
        (b"cbuiltins\neval\n)R.", "builtins.eval"),
        (b"c__main__\nGlow\n)\x81}b.", "__main__.Glow"),
        (b"(i__main__\nGlow\n.", "__main__.Glow"),
    ];
    for (pickle, class) in objects {
        let error = refusal(&with(&[pickle, b"\x80\x02]."].concat()), json!({}));
        let reason = format!("it is a `{class}`, without a state dict");
        assert!(error.contains(&reason), "{error}");
    }
    let none = refusal(&with(b"\x80\x02}.\x80\x02]."), json!({}));
    assert!(none.contains("holds no state dict"), "{none}");
}

#[test]
fn what_is_no_file_of_tensors_is_named() {
    assert!(refusal(b"", json!({})).contains("neither a file of PyTorch nor one of safetensors"));
    assert!(refusal(b"hello world, this is text", json!({})).contains("neither a file of PyTorch"));
    let own = refusal(&fixture("nflows-gain.expected.safetensors"), json!({}));
    assert!(
        own.contains("no program that is known names its tensors like `log_prob`"),
        "{own}"
    );
    let work = tempfile::tempdir().unwrap();
    let [none, out] = ["none", "out"].map(|name| work.path().join(name));
    let missing = convert(&none, &out, None, &Facts::default());
    assert!(format!("{:#}", missing.unwrap_err()).contains("none"));
}

/// A state dict of a fixture after a change, as a safetensors file.
fn changed(name: &str, change: impl FnOnce(&mut Tensors)) -> Vec<u8> {
    let mut tensors = tensors(&folder().join(name));
    change(&mut tensors);
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn a_state_dict_that_does_not_fit_names_the_tensor() {
    let zeros =
        |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F64, &Device::Cpu).unwrap();
    let name = "blocks.1.flows.1.coupling.net.2.bias";
    let said = || json!({ "size": 8 });
    let missing = changed("rosinality-lu.pt", |tensors| drop(tensors.remove(name)));
    assert!(refusal(&missing, said()).contains(&format!("tensor `{name}` is missing")));
    let shape = changed("rosinality-lu.pt", |tensors| {
        drop(tensors.insert(name.into(), zeros(&[5])));
    });
    assert!(refusal(&shape, said()).contains(&format!(
        "tensor `{name}` has shape [5], but should have [4]"
    )));
    let extra = changed("rosinality-lu.pt", |tensors| {
        drop(tensors.insert("ema.decay".into(), zeros(&[1])));
    });
    assert!(
        refusal(&extra, said())
            .contains("tensor `ema.decay` of shape [1] does not belong to such a model")
    );
    let singular = changed("rosinality-lu.pt", |tensors| {
        drop(tensors.insert(
            "blocks.0.flows.0.actnorm.scale".into(),
            zeros(&[1, 4, 1, 1]),
        ));
    });
    assert!(refusal(&singular, said()).contains("`blocks.0.flows.0.actnorm.scale` holds a zero"));
    let fresh = changed("normflows-lu.pt", |tensors| {
        let name = "flows.1.0.flows.2.data_dep_init_done";
        drop(tensors.insert(name.into(), zeros(&[])));
    });
    assert!(
        refusal(&fresh, json!({}))
            .contains("data_dep_init_done` is 0: the model has never seen an image")
    );
    let large = changed("rosinality-lu.pt", |tensors| {
        drop(tensors.insert(name.into(), (zeros(&[4]) + 1e300).unwrap()));
    });
    assert!(refusal(&large, said()).contains("too large for f32"));
    let permutation = changed("nflows-gain.pt", |tensors| {
        let name = "_transform._transforms.0._transforms.1._transforms.1.permutation._permutation";
        drop(tensors.insert(name.into(), zeros(&[4])));
    });
    assert!(refusal(&permutation, said()).contains("_permutation` is not a permutation"));
    let mask = changed("nflows-gain.pt", |tensors| {
        let name = "_transform._transforms.0._transforms.1._transforms.2.identity_features";
        drop(tensors.insert(name.into(), Tensor::new(&[0.0, 3.0], &Device::Cpu).unwrap()));
    });
    assert!(refusal(&mask, said()).contains("identity_features` is [0, 3]"));
}

#[test]
fn a_weight_that_is_not_finite_is_named() {
    for (name, tensor) in [
        ("rosinality-lu.pt", "blocks.1.flows.1.coupling.net.2.bias"),
        (
            "nflows-nsf.pt",
            "_transform._transforms.1._transforms.0._transforms.1._transforms.1.bias",
        ),
        ("chrischute.pt", "flows.steps.0.coup.scale"),
    ] {
        for (bad, text) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (-f64::INFINITY, "-inf"),
        ] {
            let file = changed(name, |tensors| {
                let value = &tensors[tensor];
                let mut numbers = values(value);
                *numbers.last_mut().unwrap() = bad;
                let value = Tensor::from_vec(numbers, value.shape(), &Device::Cpu).unwrap();
                tensors.insert(tensor.into(), value);
            });
            let error = refusal(&file, json!({ "size": 8 }));
            let reason = format!("tensor `{tensor}` holds {text} at [");
            assert!(error.contains(&reason), "{error}");
        }
    }
}

/// Names that are skipped if missing: flags of initialisation, constants, counters, and heads
/// outside the density.
const OPTIONAL: [&str; 12] = [
    "initialized",
    "is_initialized",
    "data_dep_init_done",
    "num_batches_tracked",
    "u_mask",
    "l_mask",
    "l_eye",
    "eye",
    "prior_h",
    "project_class.linear.weight",
    "project_class.linear.bias",
    "project_class.logs",
];

#[test]
fn every_tensor_of_every_fixture_is_needed_in_its_shape() {
    let work = tempfile::tempdir().unwrap();
    let [input, output] = ["in.safetensors", "out.safetensors"].map(|name| work.path().join(name));
    for name in fixtures() {
        let facts = known(&name);
        let whole = tensors(&folder().join(format!("{name}.pt")));
        for (tensor, value) in &whole {
            if OPTIONAL.iter().any(|end| tensor.ends_with(end)) {
                continue;
            }
            let (mut missing, mut other) = (whole.clone(), whole.clone());
            missing.remove(tensor);
            other.insert(tensor.clone(), value.unsqueeze(0).unwrap());
            for tensors in [missing, other] {
                fs::write(&input, safetensors::serialize(tensors, None).unwrap()).unwrap();
                let error = convert(&input, &output, None, &facts)
                    .map(|()| tensor)
                    .unwrap_err();
                assert!(!format!("{error:#}").contains('\n'), "{error:#}");
                assert!(!output.exists(), "{name}: `{tensor}`");
            }
        }
    }
}

#[test]
fn what_is_said_has_to_agree_with_the_file() {
    let file = fixture("rosinality-lu.pt");
    assert!(
        refusal(&file, json!({}))
            .contains("does not tell the size of the images: give it by `--size`")
    );
    assert!(
        refusal(&file, json!({ "size": 8, "channels": 3 }))
            .contains("channels are said to be 3, but the file's are 1")
    );
    assert!(refusal(&file, json!({ "size": 6 })).contains("2 levels do not fit"));
    assert!(
        refusal(&file, json!({ "size": 8, "kind": "nflows" }))
            .contains("unconstrained_upper_diag` is missing")
    );
    assert!(
        refusal_below(&file, Some("ema"), &Facts::default())
            .contains("no model below `ema`, but below `\"\"`")
    );
    let sized = fixture("normflows-lu.pt");
    assert!(
        refusal(&sized, json!({ "size": 16 })).contains("said to be 16×16, but the file's are 8×8")
    );
    assert!(refusal(&sized, json!({ "scale_map": "softplus" })).contains("has no such scale map"));
    let other = Facts {
        program: Some(Program::Peer(Peer::Rosinality)),
        ..known("nflows-gain")
    };
    let steps = refusal_below(&fixture("rosinality-plain.pt"), None, &other);
    assert!(
        steps.contains("steps are said to be 2, but the file's are 1"),
        "{steps}"
    );
}
