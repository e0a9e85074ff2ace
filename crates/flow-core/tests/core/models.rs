//! Models: flows that own their parameters, and their files.

use candle_core::{DType, Device, Tensor};
use flow_core::file::{self, Floats};
use flow_core::recipes::{self, Recipe};
use flow_core::train::{FitSettings, Validation};
use flow_core::{
    Activation, Architecture, Base, Bijection, CircularShift, ColumnMap, IntervalSpline, Layer,
    MlpSize, Model, MonotonicNetwork, Passing, TransformKind, check, random, train,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All recipes, and one by plain networks.
fn all_recipes() -> impl Iterator<Item = fn(usize) -> Recipe> {
    let recipes = recipes::ALL.into_iter().map(|(_, recipe)| recipe);
    recipes.chain([plain as fn(usize) -> Recipe])
}

/// Plain networks of SiLUs.
fn plain(features: usize) -> Recipe {
    let recipe = recipes::masked_autoregressive_flow(features);
    recipe.residual(false).activation(Activation::Silu)
}

const DTYPES: [DType; 2] = [DType::F32, DType::F64];

fn normal(seed: u64, shape: (usize, usize), dtype: DType) -> Tensor {
    random::normal(seed, shape, dtype, &Device::Cpu).unwrap()
}

/// Points far from the origin, of very different scales.
fn points(seed: u64, dtype: DType) -> Tensor {
    let scales = Tensor::new(&[[1e-3, 1.0, 1e4]], &Device::Cpu).unwrap();
    let shifts = Tensor::new(&[[5.0, -3.0, 1e5]], &Device::Cpu).unwrap();
    let scaled = normal(seed, (300, 3), DType::F64).broadcast_mul(&scales);
    let points = scaled.unwrap().broadcast_add(&shifts).unwrap();
    points.to_dtype(dtype).unwrap()
}

/// A small model away from its initial state, with everything that a file must keep.
fn model(recipe: fn(usize) -> Recipe, dtype: DType) -> Model {
    let (x, context) = (points(0, dtype), normal(1, (300, 4), dtype));
    let recipe = recipe(3).layers(2).width(8).blocks(1).context(4);
    let embedding = MlpSize {
        width: 6,
        blocks: 1,
        ..MlpSize::default()
    };
    let recipe = recipe.standardize((&x, &context)).unwrap();
    let mut model = recipe
        .embedding(embedding, 2)
        .build(0, dtype, &Device::Cpu)
        .unwrap();
    check::randomize(model.params(), 2, 0.1).unwrap();
    model.notes = serde_json::json!({"columns": ["a", "b", "ü"]});
    model
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let numbers = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    let numbers = numbers.to_vec1::<f64>().unwrap().into_iter();
    numbers.map(f64::to_bits).collect()
}

fn saved(model: &Model) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.safetensors");
    model.save(&path).unwrap();
    (folder, path)
}

#[test]
fn a_loaded_model_has_the_same_bits() {
    for dtype in DTYPES {
        for recipe in all_recipes() {
            let model = model(recipe, dtype);
            let (_folder, path) = saved(&model);
            let loaded = Model::load(&path, &Device::Cpu).unwrap();
            assert_eq!(loaded.architecture(), model.architecture());
            assert_eq!(loaded.notes, model.notes);
            let (x, context) = (points(3, dtype), normal(4, (300, 4), dtype));
            let scores =
                |model: &Model| bits(&model.given(&context).unwrap().log_prob(&x).unwrap());
            assert_eq!(scores(&loaded), scores(&model));
            let draws = |model: &Model| bits(&model.sample_each(5, &context, 6).unwrap());
            assert_eq!(draws(&loaded), draws(&model));
            let again = path.with_file_name("again");
            loaded.save(&again).unwrap();
            assert_eq!(std::fs::read(again).unwrap(), std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn bytes_of_a_model_are_those_of_its_file() {
    for dtype in DTYPES {
        let (_folder, path) = saved(&model(recipes::neural_spline_flow, dtype));
        let bytes = std::fs::read(&path).unwrap();
        let name = Path::new("some bytes");
        let loaded = Model::from_bytes(name, &bytes, &Device::Cpu).unwrap();
        assert!(loaded.to_bytes().unwrap() == bytes);
        let cut = Model::from_bytes(name, &bytes[..bytes.len() - 1], &Device::Cpu);
        let message = cut.err().unwrap().to_string();
        assert!(message.contains("some bytes"), "{message}");
    }
}

#[test]
fn a_loaded_model_can_be_fitted_further() {
    let x = points(0, DType::F32);
    let recipe = recipes::neural_spline_flow(3).layers(2).width(16).blocks(1);
    let model = recipe.standardize(&x).unwrap();
    let model = model.build(0, DType::F32, &Device::Cpu).unwrap();
    let settings = FitSettings {
        epochs: 5,
        validation: Validation::Share(0.0),
        initialize: false,
        ..FitSettings::default()
    };
    let fit = |model: &Model| {
        let settings = settings.clone();
        let fitted = model.fit(&x, &settings, |_| ControlFlow::Continue(()));
        fitted.unwrap().best.train
    };
    let first = fit(&model);
    let (_folder, path) = saved(&model);
    let loaded = Model::load(&path, &Device::Cpu).unwrap();
    let (here, there) = (fit(&model), fit(&loaded));
    assert_eq!(here.to_bits(), there.to_bits());
    assert!(there < first, "{there} {first}");
}

/// A shift by an offset scales a density by nothing; a unit changes it by its factor.
#[test]
fn densities_are_in_the_units_of_the_data() {
    let scale = 1024.0_f64;
    for recipe in all_recipes() {
        let x = normal(0, (200, 3), DType::F64);
        let scaled = (&x * scale).unwrap();
        let of = |x: &Tensor| {
            let recipe = recipe(3).layers(2).width(8).standardize(x).unwrap();
            let model = recipe.build(0, DType::F64, &Device::Cpu).unwrap();
            model.log_prob(x).unwrap()
        };
        let expected = (of(&x) - 3.0 * scale.ln()).unwrap();
        check::close(&of(&scaled), &expected, 1e-12).unwrap();
    }
}

#[test]
fn an_embedding_is_trained_along() {
    let model = model(recipes::realnvp, DType::F64);
    let x = points(5, DType::F64);
    let context = normal(6, (300, 4), DType::F64);
    let names = |name: &str| name.starts_with("context.embedding");
    let values = || {
        let vars = model.params().vars().into_iter();
        let vars = vars.filter(|(name, _)| names(name));
        vars.map(|(_, var)| bits(&var)).collect::<Vec<_>>()
    };
    let before = values();
    let settings = FitSettings {
        max_steps: 3,
        initialize: false,
        ..FitSettings::default()
    };
    let fitted = model.fit((&x, &context), &settings, |_| ControlFlow::Continue(()));
    fitted.unwrap();
    assert_eq!(before.len(), 8);
    for (before, after) in before.iter().zip(values()) {
        assert_ne!(*before, after);
    }
    let refused = model.log_prob(&x).unwrap_err().to_string();
    assert!(
        refused.contains("needs a context of 4 numbers"),
        "{refused}"
    );
}

#[test]
fn compositions_are_saved_as_recipes_are() {
    let network = MlpSize {
        width: 8,
        ..MlpSize::default()
    };
    let made = Layer::Autoregressive {
        transform: TransformKind::Additive,
        order: None,
        network,
    };
    let order = vec![2, 0, 1];
    let architecture = Architecture::new(3)
        .with("first", Layer::ActNorm)
        .with("order", Layer::Permutation { order })
        .with("second.inverse", Layer::Inverse { of: Box::new(made) })
        .with("scale", Layer::ElementwiseAffine);
    let model = Model::new(architecture, 0, DType::F32, &Device::Cpu).unwrap();
    check::randomize(model.params(), 1, 0.1).unwrap();
    let (_folder, path) = saved(&model);
    let loaded = Model::load(&path, &Device::Cpu).unwrap();
    let x = normal(1, (7, 3), DType::F32);
    let scores = |model: &Model| bits(&model.log_prob(&x).unwrap());
    assert_eq!(scores(&loaded), scores(&model));
    let names = model.params().vars().into_iter().map(|(name, _)| name);
    let first = names.filter(|name| name.starts_with("second.inverse."));
    assert_eq!(first.count(), 12);
}

type Change = fn(&mut serde_json::Value);

fn refusal(path: &Path) -> String {
    Model::load(path, &Device::Cpu).err().unwrap().to_string()
}

/// The text of a header, and the tensors, of a file that `change` changed.
fn changed(model: &Model, change: impl FnOnce(&mut serde_json::Value)) -> (TempDir, PathBuf) {
    let (folder, path) = saved(model);
    let read = file::read(&path, &Device::Cpu, Floats::Any, |text| {
        Ok(serde_json::from_str::<serde_json::Value>(text.unwrap()).unwrap())
    });
    let (mut header, tensors) = read.unwrap();
    change(&mut header);
    let pieces = tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.into()));
    file::write(&path, header.to_string(), pieces.collect()).unwrap();
    (folder, path)
}

#[test]
fn files_of_something_else_are_refused() {
    let model = model(recipes::realnvp, DType::F32);
    let changes: [(Change, &str); 8] = [
        (
            |header| header["version"] = 2.into(),
            "version 2, and this program reads version 1",
        ),
        (
            |header| header["format"] = "text".into(),
            "it holds the format `text`, not a flow of vectors",
        ),
        (
            |header| *header = serde_json::json!({"version": 2}),
            "it holds a model of images, not a flow of vectors",
        ),
        (|header| header["more"] = 1.into(), "unknown field `more`"),
        (
            |header| header["architecture"]["features"] = 4.into(),
            "got 3 numbers, needed 4",
        ),
        (
            |header| header["architecture"]["layers"][1][1] = serde_json::json!({"kind": "none"}),
            "unknown variant `none`",
        ),
        (
            |header| header["architecture"]["layers"] = serde_json::json!([]),
            "needs at least one",
        ),
        (
            |header| {
                let layers = header["architecture"]["layers"].as_array_mut().unwrap();
                layers.pop();
            },
            "does not belong to the model",
        ),
    ];
    for (change, expected) in changes {
        let (_folder, path) = changed(&model, change);
        let message = refusal(&path);
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("flow.safetensors"), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = refusal(&folder.path().join("missing"));
    assert!(missing.starts_with("cannot read `"), "{missing}");
    let text = folder.path().join("text.csv");
    std::fs::write(&text, "a,b\n1,2\n").unwrap();
    assert!(refusal(&text).contains("looks like a table (CSV)"));
}

/// Every bit of the file of a small model is flipped in turn.
#[test]
fn a_file_with_a_flipped_bit_is_refused() {
    let recipe = recipes::nice(2).layers(1).width(2).blocks(0);
    let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
    let (_folder, path) = saved(&model);
    let good = std::fs::read(&path).unwrap();
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bytes).unwrap();
        let message = refusal(&path);
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(refusal(&path).contains("it is damaged: its SHA-256"));
}

#[test]
fn files_without_a_digest_load() {
    let recipe = recipes::realnvp(3).layers(2).width(6);
    let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
    let (_folder, path) = saved(&model);
    let bytes = std::fs::read(&path).unwrap();
    let place = bytes
        .windows(9)
        .position(|key| key == br#""sha256":"#)
        .unwrap();
    let older = [&bytes[..place], &[b' '; 76], &bytes[place + 76..]].concat();
    std::fs::write(&path, older).unwrap();
    let loaded = Model::load(&path, &Device::Cpu).unwrap();
    let x = points(1, DType::F32);
    let scores = |model: &Model| bits(&model.log_prob(&x).unwrap());
    assert_eq!(scores(&loaded), scores(&model));
}

#[test]
fn parameters_that_are_not_finite_are_not_saved() {
    let model = model(recipes::realnvp, DType::F32);
    let (name, var) = model.params().vars().remove(0);
    var.set(&(var.as_tensor() * f64::NAN).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.safetensors");
    let message = model.save(&path).unwrap_err().to_string();
    assert!(
        message.contains(&format!("its parameter `{name}` is NaN")),
        "{message}"
    );
    assert!(!path.exists());
}

#[test]
fn recipes_refuse_what_does_not_fit() {
    let x = points(0, DType::F32);
    let context = normal(1, (300, 4), DType::F32);
    let message = |recipe: candle_core::Result<Recipe>| recipe.err().unwrap().to_string();
    let recipe = || recipes::realnvp(3);
    assert!(message(recipe().standardize((&x, &context))).contains("takes no context"));
    assert!(message(recipe().context(3).standardize((&x, &context))).contains("[B, 3]"));
    assert!(message(recipes::realnvp(2).standardize(&x)).contains("[B, 2]"));
    let embedded = recipe().embedding(MlpSize::default(), 2);
    let error = embedded.build(0, DType::F32, &Device::Cpu).err().unwrap();
    assert!(error.to_string().contains("an embedding needs a context"));
    for recipe in [recipes::nice, recipes::realnvp, recipes::neural_spline_flow] {
        let error = recipe(1).build(0, DType::F32, &Device::Cpu).err().unwrap();
        assert!(error.to_string().contains("needs at least 2 numbers"));
    }
    // One number has a density too.
    let one = recipes::autoregressive_spline_flow(1);
    let model = one.build(0, DType::F64, &Device::Cpu).unwrap();
    check::round_trip(model.bijection(), &normal(0, (9, 1), DType::F64), 1e-12).unwrap();
    assert_eq!(model.bijection().context(), None);
}

#[test]
fn epochs_are_compared_by_held_out_samples_of_ones_own() {
    let (x, other) = (points(0, DType::F64), points(7, DType::F64));
    let recipe = recipes::realnvp(3).layers(2).width(8).standardize(&x);
    let model = recipe.unwrap().build(0, DType::F64, &Device::Cpu).unwrap();
    let of = |validation| FitSettings {
        epochs: 3,
        validation,
        ..FitSettings::default()
    };
    let settings = of(Validation::Samples((&other).into()));
    let fitted = model.fit(&x, &settings, |_| ControlFlow::Continue(()));
    let best = fitted.unwrap().best.validation.unwrap();
    let expected = train::mean_loss(&model, &other).unwrap();
    assert!((best - expected).abs() < 1e-12, "{best} {expected}");
    let strange = (&other * f64::NAN).unwrap();
    let settings = of(Validation::Samples((&strange).into()));
    let error = model.fit(&x, &settings, |_| ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("row 0, column 0"));
}

/// Draws of a model, and their ln p, are those of the same model from its file.
fn survives(architecture: Architecture) {
    let kind = format!("{architecture:?}");
    let model = Model::new(architecture, 0, DType::F64, &Device::Cpu).unwrap();
    check::randomize(model.params(), 1, 0.1).unwrap();
    let (_folder, path) = saved(&model);
    let loaded = Model::load(&path, &Device::Cpu).unwrap();
    assert_eq!(loaded.architecture(), model.architecture());
    let context = normal(2, (4, 2), DType::F64);
    let draws = |model: &Model| match model.architecture().context_size() {
        0 => model.sample_with_log_prob(9, 3).unwrap(),
        _ => model.sample_each_with_log_prob(9, &context, 3).unwrap(),
    };
    let (x, log_prob) = draws(&model);
    let (again, same) = draws(&loaded);
    assert_eq!(
        (bits(&again), bits(&same)),
        (bits(&x), bits(&log_prob)),
        "{kind}"
    );
    assert!(
        numbers(&x).iter().all(|number| number.is_finite()),
        "{kind}"
    );
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    bits(tensor).into_iter().map(f64::from_bits).collect()
}

/// The numbers of y that depend on each number of x.
fn dependents(model: &Model) -> Vec<Vec<usize>> {
    check::randomize(model.params(), 1, 0.3).unwrap();
    let x = normal(5, (1, 4), DType::F64);
    let y = |x: &Tensor| numbers(&model.encode(x).unwrap().0);
    let before = y(&x);
    let of = |column: usize| {
        let step = (0..4).map(|at| f64::from(u8::from(at == column)));
        let step = Tensor::from_iter(step, &Device::Cpu).unwrap();
        let after = y(&x.broadcast_add(&step).unwrap());
        let changed = (0..4).filter(|at| after[*at] != before[*at]);
        changed.collect()
    };
    (0..4).map(of).collect()
}

#[test]
fn recipes_take_any_mask_and_any_order() {
    let build = |recipe: Recipe| recipe.build(0, DType::F64, &Device::Cpu).unwrap();
    let mask = vec![false, true, false, true];
    let order = vec![2, 0, 3, 1];
    for recipe in [recipes::nice, recipes::realnvp] {
        let masked = recipe(4).layers(1).masks([mask.clone()]);
        let expected = [vec![0], vec![0, 1, 2], vec![2], vec![0, 2, 3]];
        assert_eq!(dependents(&build(masked.clone())), expected);
        survives(masked.layers(3).architecture().unwrap());
    }
    let splines = recipes::neural_spline_flow(4).layers(3);
    survives(splines.masks([mask.clone()]).architecture().unwrap());
    for recipe in [
        recipes::autoregressive_spline_flow,
        recipes::masked_autoregressive_flow,
        recipes::inverse_autoregressive_flow,
    ] {
        let ordered = recipe(4).layers(1).orders([order.clone()]);
        let expected = [vec![0, 1, 3], vec![1], vec![0, 1, 2, 3], vec![1, 3]];
        assert_eq!(dependents(&build(ordered.clone())), expected);
        survives(ordered.layers(3).architecture().unwrap());
    }

    let refusal = |recipe: Recipe| {
        let error = recipe.build(0, DType::F64, &Device::Cpu).err().unwrap();
        error.to_string()
    };
    let maf = || recipes::masked_autoregressive_flow(4);
    let refusals = [
        (
            recipes::nice(4).orders([order.clone()]),
            "the flow has couplings",
        ),
        (maf().masks([mask.clone()]), "the flow is autoregressive"),
        (recipes::nice(3).masks([mask]), "got 4 numbers, needed 3"),
        (
            recipes::nice(2).masks([vec![true; 2]]),
            "some must pass, and some must not",
        ),
        (
            recipes::nice(2).masks([vec![false; 2]]),
            "some must pass, and some must not",
        ),
        (maf().orders([vec![0, 1]]), "got 2 numbers, needed 4"),
        (maf().orders([vec![0, 1, 1, 2]]), "is not an order of 0..4"),
    ];
    for (recipe, expected) in refusals {
        let message = refusal(recipe);
        assert!(message.contains(expected), "{message}");
    }
}

/// The headers of files of earlier versions lack what is not used.
#[test]
fn headers_hold_what_differs_from_the_defaults() {
    let header = |recipe: Recipe| {
        let model = recipe.build(0, DType::F32, &Device::Cpu).unwrap();
        let (_folder, path) = saved(&model);
        let read = file::read(&path, &Device::Cpu, Floats::Any, |text| {
            Ok(text.unwrap().to_owned())
        });
        read.unwrap().0
    };
    let maf = || recipes::masked_autoregressive_flow(3).layers(1);
    let plain = header(maf());
    assert!(
        !plain.contains("dropout") && !plain.contains("\"order\":["),
        "{plain}"
    );
    let all = header(maf().dropout(0.25).orders([vec![2, 0, 1]]));
    assert!(
        all.contains("\"dropout\":0.25") && all.contains("\"order\":[2,0,1]"),
        "{all}"
    );
    let masked = header(recipes::nice(2).layers(2));
    assert!(masked.contains("\"passing\":\"second-half\""), "{masked}");
    survives(maf().context(2).dropout(0.25).architecture().unwrap());
}

#[test]
fn every_base_is_saved() {
    let network = MlpSize {
        width: 6,
        context: 2,
        ..MlpSize::default()
    };
    let angles = || Base::VonMises {
        means: vec![0.0, 1.0, -1.0],
        concentrations: vec![0.5, 1.0, 20.0],
    };
    let bases = [
        Base::StandardNormal,
        Base::DiagonalGaussian,
        Base::GaussianMixture { components: 3 },
        Base::StudentT { freedom: 3.0 },
        Base::Laplace,
        Base::Logistic,
        angles(),
        Base::BoxUniform {
            low: vec![-1.0; 3],
            high: vec![2.0; 3],
        },
    ];
    for base in bases {
        let recipe = recipes::realnvp(3).layers(2).width(6).base(base);
        survives(recipe.architecture().unwrap());
    }
    let conditional = Base::ConditionalGaussian { network };
    let recipe = recipes::realnvp(3).layers(2).width(6).context(2);
    survives(recipe.base(conditional).architecture().unwrap());
}

#[test]
fn every_layer_is_saved() {
    let network = MlpSize {
        width: 6,
        blocks: 1,
        ..MlpSize::default()
    };
    let made = |transform| Layer::Autoregressive {
        transform,
        order: None,
        network,
    };
    let maps = vec![
        ColumnMap::Identity,
        ColumnMap::Log,
        ColumnMap::Logit {
            low: 0.0,
            high: 10.0,
        },
    ];
    let circle = TransformKind::IntervalSpline(IntervalSpline::circle());
    let mixed = TransformKind::PerChannel {
        groups: vec![(circle, vec![0, 2]), (TransformKind::Additive, vec![1])],
    };
    let coupling = Layer::Coupling {
        transform: TransformKind::IntervalSpline(IntervalSpline::circle()),
        passing: Passing::Even.into(),
        network,
    };
    let periodic = |of| Layer::Periodic {
        angles: vec![0, 1, 2],
        of: Box::new(of),
    };
    let layers = [
        Layer::Columnwise { maps },
        Layer::LuLinear,
        Layer::Planar,
        Layer::Radial,
        periodic(coupling),
        periodic(made(mixed.clone())),
        made(mixed),
        made(TransformKind::CircularShift(CircularShift::default())),
        made(TransformKind::MonotonicNetwork(MonotonicNetwork {
            units: 4,
        })),
    ];
    for layer in layers {
        survives(Architecture::new(3).with("layer", layer));
    }
    let by_mask = Layer::Coupling {
        transform: TransformKind::Additive,
        passing: vec![true, false, true].into(),
        network,
    };
    for layer in [Layer::LuLinear, by_mask] {
        let architecture = Architecture::new(3).with("layer", periodic(layer));
        let refused = Model::new(architecture, 0, DType::F32, &Device::Cpu);
        let error = refused.err().unwrap().to_string();
        let needed = "needs a coupling by a pattern, or an autoregressive layer in the order";
        assert!(error.contains(needed), "{error}");
    }
}
