//! A model anywhere in a file, beside any other data: the same checkpoint.

use std::{collections::HashMap, fs};

use super::{convert, folder, known, tensors};
use crate::choice::Choice;
use crate::state_dict::{Contents, Tensors};

/// The checkpoint that a file of these bytes becomes, or the error.
fn converted(bytes: &[u8], model: &str, prefix: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let work = tempfile::tempdir().unwrap();
    let [input, output] = ["in", "out"].map(|name| work.path().join(name));
    fs::write(&input, bytes).unwrap();
    convert(&input, &output, prefix, &known(model))?;
    Ok(fs::read(output)?)
}

fn fixture(model: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{model}.pt"))).unwrap()
}

/// A legacy file: the parts before the pickle of the state dict, the body of that pickle between
/// PROTO and STOP, and the parts after it.
struct Parts {
    before: Vec<u8>,
    state: Vec<u8>,
    after: Vec<u8>,
}

const MODEL: &str = "normflows-lu";

impl Parts {
    fn new() -> Self {
        let bytes = fixture(MODEL);
        let state = bytes.windows(9).position(|part| part == b"\x80\x02ccollec");
        let keys = bytes.windows(5).position(|part| part == b".\x80\x02]q");
        let (state, keys) = (state.unwrap(), keys.unwrap());
        Self {
            before: bytes[..state].to_vec(),
            state: bytes[state + 2..keys].to_vec(),
            after: bytes[keys + 1..].to_vec(),
        }
    }

    /// With another pickle of `protocol` in the place of the state dict's.
    fn with(&self, protocol: u8, pickle: &[&[u8]]) -> Vec<u8> {
        let pickle = pickle.concat();
        let parts: [&[u8]; 5] = [&self.before, &[0x80, protocol], &pickle, b".", &self.after];
        parts.concat()
    }
}

/// Opcodes that leave one value on the stack that no state dict has.
const FOREIGN: [&[u8]; 34] = [
    b"N",
    b"G\x3f\xf0\0\0\0\0\0\0",
    b"F1.5\n",
    b"I01\n",
    b"I-7\n",
    b"L99999999999999999999L\n",
    b"\x8b\x09\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"S'text'\n",
    b"Vtext\n",
    b"T\x02\0\0\0ab",
    b"X\x03\0\0\0\xed\xa0\x80",
    b"\x8c\x02ab",
    b"\x8d\x02\0\0\0\0\0\0\0ab",
    b"C\x02\xff\0",
    b"B\x02\0\0\0\xff\0",
    b"\x8e\x02\0\0\0\0\0\0\0\xff\0",
    b"\x96\x02\0\0\0\0\0\0\0\xff\0",
    b"\x97\x98",
    b"\x95\x04\0\0\0\0\0\0\0\x8f(K\x01\x90",
    b"(K\x01\x91",
    b"(K\x01l",
    b"(K\x01K\x02d",
    b"NN0",
    b"N2\x86",
    b"N(K\x011",
    b"\x82\x01",
    b"\x8c\x02np\x8c\x06scalar\x93)R",
    b"cposix\nsystem\nX\x02\0\0\0id\x85R",
    b"c__main__\nA\n)\x81}X\x01\0\0\0aNsb",
    b"c__main__\nA\n)}\x92",
    b"(c__main__\nA\nK\x01o",
    b"(K\x01i__main__\nA\n",
    b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\x01]u",
    b"X\x03\0\0\0pidQ",
];

#[test]
fn a_foreign_object_beside_the_weights_changes_nothing() {
    let parts = Parts::new();
    let plain = converted(&fixture(MODEL), MODEL, None).unwrap();
    for foreign in FOREIGN {
        for protocol in 2..=5 {
            let key = b"X\x03\0\0\0key";
            let file = parts.with(
                protocol,
                &[
                    b"}(",
                    key,
                    foreign,
                    b"X\x05\0\0\0model",
                    &parts.state,
                    b"X\x01\0\0\0z",
                    foreign,
                    b"u",
                ],
            );
            let found = converted(&file, MODEL, None);
            let found = found.unwrap_or_else(|error| panic!("{foreign:02x?}: {error:#}"));
            assert!(found == plain, "{foreign:02x?}");
        }
    }
}

#[test]
fn a_state_dict_lies_in_any_container() {
    let parts = Parts::new();
    let plain = converted(&fixture(MODEL), MODEL, None).unwrap();
    let around: [[&[u8]; 2]; 9] = [
        [b"]", b"a"],
        [b"N", b"N\x87"],
        [b"}K\x05", b"s"],
        [b"}X\x01\0\0\0a}X\x01\0\0\0b}X\x01\0\0\0c", b"sss"],
        [b"cargparse\nNamespace\n)R}X\x05\0\0\0model", b"sb"],
        [b"c__main__\nPair\nK\x01", b"\x86\x81"],
        [b"c__main__\nDict\n)\x81X\x05\0\0\0model", b"s"],
        [b"]2a", b"a"],
        // As Python 2 writes it: a list of pairs.
        [b"ccollections\nOrderedDict\n(](](X\x05\0\0\0model", b"eetR"],
    ];
    for [before, after] in around {
        let found = converted(&parts.with(2, &[before, &parts.state, after]), MODEL, None);
        assert!(found.unwrap() == plain, "{before:02x?}");
    }
}

/// The tensors of a fixture under other names, as a safetensors file.
fn renamed(model: &str, prefixes: &[&str]) -> Vec<u8> {
    let own = tensors(&folder().join(format!("{model}.pt")));
    let all = prefixes.iter().enumerate().flat_map(|(place, prefix)| {
        // The biases of all but the first differ from it.
        own.iter().map(move |(name, tensor)| {
            let factor = 1.0 - 0.5 * f64::from(place > 0 && name.ends_with("bias"));
            (format!("{prefix}{name}"), (tensor * factor).unwrap())
        })
    });
    let all: Tensors = all.collect();
    safetensors::serialize(all, None::<HashMap<String, String>>).unwrap()
}

const PREFIXES: [&str; 10] = [
    "",
    "_orig_mod.",
    "module.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "model.",
    "flow.",
    "net.",
    "ema_model.module.",
    "system.models.0.generator.",
];

#[test]
fn names_below_any_prefix_are_those_of_the_model() {
    for model in [
        "nflows-gain",
        "nflows-nsf",
        "normflows-lu",
        "rosinality-lu",
        "y0ast-lu",
        "chrischute",
    ] {
        let plain = converted(&fixture(model), model, None).unwrap();
        for prefix in PREFIXES {
            let found = converted(&renamed(model, &[prefix]), model, None);
            let found = found.unwrap_or_else(|error| panic!("{model}, `{prefix}`: {error:#}"));
            assert!(found == plain, "{model}, `{prefix}`");
        }
    }
}

#[test]
fn wrappers_of_parts_are_passed_over() {
    let plain = converted(&fixture("rosinality-lu"), "rosinality-lu", None).unwrap();
    let own = tensors(&folder().join("rosinality-lu.pt"));
    let wrapped = own.into_iter().map(|(name, tensor)| {
        let name = name.replace("blocks.0.", "blocks.0._orig_mod.");
        (name.replace("coupling.", "coupling.module."), tensor)
    });
    let bytes = safetensors::serialize(wrapped.collect::<Tensors>(), None).unwrap();
    assert!(converted(&bytes, "rosinality-lu", None).unwrap() == plain);
}

#[test]
fn of_several_models_one_is_asked_for() {
    let model = "normflows-additive";
    for prefixes in [["", "ema."], ["model.", "ema_model."], ["a.b.", "a.c."]] {
        let file = renamed(model, &prefixes);
        let error = format!("{:#}", converted(&file, model, None).unwrap_err());
        assert!(error.contains("choose one by `--prefix`"), "{error}");
        for (place, prefix) in prefixes.iter().enumerate() {
            let shown = if prefix.is_empty() { "\"\"" } else { prefix };
            assert!(error.contains(&format!("`{shown}`")), "{error}");
            let alone = if place == 0 {
                renamed(model, &[prefix])
            } else {
                renamed(model, &["other.", prefix])
            };
            let expected = converted(&alone, model, Some(prefix)).unwrap();
            for form in [prefix, prefix.trim_end_matches('.')] {
                let found = converted(&file, model, Some(form)).unwrap();
                assert!(found == expected, "`{form}`");
            }
        }
    }
    let error = converted(&renamed(model, &["a."]), model, Some("b")).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("no model below `b`, but below `a.`"),
        "{error}"
    );
}

/// The remark on a file.
fn remark(bytes: &[u8]) -> Option<String> {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("in");
    fs::write(&path, bytes).unwrap();
    let mut contents = Contents::read(&path).unwrap();
    let file = contents.parse().unwrap();
    Choice::of(&file, None, None).unwrap().remark()
}

#[test]
fn the_prefix_and_what_is_ignored_are_said() {
    assert_eq!(remark(&fixture("rosinality-lu")), None);
    let wrapped = remark(&fixture("rosinality-plain"));
    assert_eq!(wrapped.unwrap(), "the model below `module.`");
    let net = remark(&fixture("chrischute")).unwrap();
    let ignored = "`epoch`, `optimizer`, `test_loss`";
    let below = "the model below `net.module.`; ignored beside it:";
    assert_eq!(net, format!("{below} {ignored}"));
}

#[test]
fn counters_beside_the_model_are_ignored() {
    use candle_core::{Device, Tensor};
    let plain = converted(&fixture(MODEL), MODEL, None).unwrap();
    let own = tensors(&folder().join(format!("{MODEL}.pt")));
    let counter = |name: &str| {
        let count = Tensor::new(5_i64, &Device::Cpu).unwrap();
        let all = own.clone().into_iter().chain([(name.to_owned(), count)]);
        safetensors::serialize(all.collect::<Tensors>(), None).unwrap()
    };
    assert!(converted(&counter("n_averaged"), MODEL, None).unwrap() == plain);
    assert_eq!(
        remark(&counter("n_averaged")).unwrap(),
        "ignored beside the model: `n_averaged`"
    );
    let inside = converted(&counter("flows.0.0.steps"), MODEL, None).unwrap_err();
    assert!(format!("{inside:#}").contains("tensor `flows.0.0.steps` of shape [] does not belong"));
}

#[test]
fn a_weight_that_is_not_a_plain_tensor_is_named() {
    let quantised = b"X\x0f\0\0\0flows.0.0.extractorch._utils\n_rebuild_qtensor\n)Rs";
    let file = Parts::new();
    let file = file.with(2, &[&file.state, quantised]);
    let error = format!("{:#}", converted(&file, MODEL, None).unwrap_err());
    let reason = "tensor `flows.0.0.extra`: it is made by `torch._utils._rebuild_qtensor`";
    assert!(error.contains(reason), "{error}");
}

/// Files that would take forever, or all memory or stack, if values were copied or visited again.
#[test]
fn a_tangled_pickle_takes_no_longer_than_its_size() {
    let parts = Parts::new();
    let plain = converted(&fixture(MODEL), MODEL, None).unwrap();
    // Each list holds the one before it twice: 2^10000 paths.
    let doubling = [b"]".to_vec(), b"2\x86".repeat(10_000)].concat();
    let nested = [b"]".repeat(100_000), b"a".repeat(99_999)].concat();
    let cycle = b"}r\xff\xff\0\0X\x01\0\0\0aj\xff\xff\0\0s".to_vec();
    let bytes = [b"B\0\0\x40\0".to_vec(), vec![7; 4 << 20]].concat();
    let floats = [
        b"](".to_vec(),
        b"G\0\0\0\0\0\0\0\0".repeat(1 << 20),
        b"e".to_vec(),
    ]
    .concat();
    for foreign in [doubling, nested, cycle, bytes, floats] {
        let pickle: [&[u8]; 5] = [b"}(K\x01", &foreign, b"K\x02", &parts.state, b"u"];
        let taken = allocation_counter::measure(|| {
            let found = converted(&parts.with(4, &pickle), MODEL, None).unwrap();
            assert!(found == plain);
        });
        let allowed = (8 << 20) + 12 * foreign.len() as u64;
        assert!(
            taken.bytes_max < allowed,
            "{} bytes for {}",
            taken.bytes_max,
            foreign.len()
        );
    }
}
