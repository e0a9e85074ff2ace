//! Fits to batches that are not in memory together.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::train::{Data, FitSettings, Validation};
use flow_core::{Model, random, recipes};
use std::ops::ControlFlow;

const ROWS: usize = 256;

fn normal(seed: u64, columns: usize) -> Tensor {
    random::normal(seed, (ROWS, columns), DType::F32, &Device::Cpu).unwrap()
}

fn data(seed: u64) -> Data {
    (&normal(seed, 2), &normal(!seed, 1)).into()
}

fn model() -> Model {
    let recipe = recipes::realnvp(2).layers(2).width(8).context(1);
    recipe.build(0, DType::F32, &Device::Cpu).unwrap()
}

fn settings() -> FitSettings {
    FitSettings {
        batch_size: ROWS,
        max_steps: 12,
        validation: Validation::Samples(data(9)),
        ..FitSettings::default()
    }
}

fn weights(model: &Model) -> Vec<Vec<f32>> {
    let vars = model.params().vars().into_iter();
    let values = vars.map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap());
    values.collect()
}

/// The data in the order that a fit in memory gives them in an epoch.
fn shuffled(data: &Data, epoch: usize) -> Data {
    let order = random::order(random::derive(0, &format!("epoch {epoch}")), ROWS);
    let order = Tensor::new(order, &Device::Cpu).unwrap();
    let rows = |tensor: &Tensor| tensor.index_select(&order, 0).unwrap();
    (&rows(data.samples()), &rows(data.context().unwrap())).into()
}

#[test]
fn the_same_batches_give_the_same_bits_as_in_memory() {
    let (data, mut asked) = (data(0), 0);
    let batches = |epoch| {
        asked += 1;
        // The first of all initialises, in the order of the data.
        let batch = match asked {
            1 => data.clone(),
            _ => shuffled(&data, epoch),
        };
        [Ok(batch)].into_iter()
    };
    let (streamed, held) = (model(), model());
    let fit = streamed.fit_batches(batches, &settings(), |_| ControlFlow::Continue(()));
    let expected = held.fit(&data, &settings(), |_| ControlFlow::Continue(()));
    assert_eq!(fit.unwrap(), expected.unwrap());
    assert_eq!(weights(&streamed), weights(&held));
    assert_ne!(weights(&held), weights(&model()));
}

fn message(batches: Vec<Result<Data>>, settings: &FitSettings) -> String {
    let mut batches = Some(batches);
    let batches = |_| batches.take().unwrap_or_default().into_iter();
    let fitted = model().fit_batches(batches, settings, |_| ControlFlow::Continue(()));
    fitted.unwrap_err().to_string()
}

#[test]
fn what_is_missing_is_named() {
    let default = FitSettings::default();
    assert!(message(Vec::new(), &default).contains("give `Validation::Samples`"));
    let open = FitSettings {
        max_steps: usize::MAX,
        ..settings()
    };
    assert!(message(Vec::new(), &open).contains("give `max_steps`"));
    assert!(message(Vec::new(), &settings()).contains("there are no batches"));
    assert!(message(vec![Ok(data(0))], &settings()).contains("epoch 1 has no batches"));
}

#[test]
fn numbers_that_are_not_finite_are_named_with_their_batch() {
    let strange = (&normal(0, 2) * f64::NAN).unwrap();
    let strange = || Ok((&strange, &normal(1, 1)).into());
    let found = message(vec![strange()], &settings());
    let expected = "batch 0 of epoch 1: training: row 0, column 0";
    assert!(found.contains(expected), "{found}");
    let mut asked = 0;
    let batches = |_| {
        asked += 1;
        let second = if asked < 3 { Ok(data(1)) } else { strange() };
        [Ok(data(0)), second].into_iter()
    };
    let settings = FitSettings {
        max_steps: 100,
        ..settings()
    };
    let fitted = model().fit_batches(batches, &settings, |_| ControlFlow::Continue(()));
    let found = fitted.unwrap_err().to_string();
    assert!(found.contains("batch 1 of epoch 2"), "{found}");
}
