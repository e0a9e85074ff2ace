//! Trainings that stop and go on.

use candle_core::{DType, Device, Tensor};
use flow_core::train::{FitSettings, Optimization, Training};
use flow_core::{Model, random, recipes};
use std::ops::ControlFlow::{Break, Continue};

fn points() -> Tensor {
    random::normal(0, (300, 2), DType::F32, &Device::Cpu).unwrap()
}

fn model() -> Model {
    let recipe = recipes::realnvp(2).layers(2).width(8);
    recipe.build(0, DType::F32, &Device::Cpu).unwrap()
}

/// With averages, whose weights differ from the last ones.
fn settings() -> FitSettings {
    FitSettings {
        batch_size: 50,
        epochs: 6,
        optimization: Optimization {
            learning_rate: 1e-2,
            average_decay: 0.9,
            ..Optimization::default()
        },
        ..FitSettings::default()
    }
}

fn weights(model: &Model) -> Vec<Vec<f32>> {
    let vars = model.params().vars().into_iter();
    let values = vars.map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap());
    values.collect()
}

#[test]
fn going_on_gives_the_bits_of_a_fit_that_never_stopped() {
    let (x, settings) = (points(), settings());
    let whole = model();
    let expected = whole.fit(&x, &settings, |_| Continue(())).unwrap();
    let stopping = model();
    let mut training = Training::new(stopping.params()).unwrap();
    for epoch in 1..=6 {
        let fit = stopping.resume(&mut training, &x, &settings, |_| Break(()));
        assert_eq!(fit.unwrap().epochs, epoch);
        assert_eq!(training.epochs(), epoch);
    }
    let again = stopping.resume(&mut training, &x, &settings, |_| Continue(()));
    assert_eq!(again.unwrap(), expected);
    assert_eq!(weights(&stopping), weights(&whole));
}

#[cfg(feature = "file")]
#[test]
fn a_training_goes_on_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let [of_training, of_model] = ["training", "model"].map(|name| folder.path().join(name));
    let (x, settings) = (points(), settings());
    let whole = model();
    whole.fit(&x, &settings, |_| Continue(())).unwrap();

    let first = model();
    let mut training = Training::new(first.params()).unwrap();
    let stop = |epoch: &flow_core::train::Epoch| {
        if epoch.epoch == 3 {
            Break(())
        } else {
            Continue(())
        }
    };
    training
        .fit(&first, first.params(), &x, &settings, stop)
        .unwrap();
    training.save(&of_training).unwrap();
    first.save(&of_model).unwrap();

    let second = Model::load(&of_model, &Device::Cpu).unwrap();
    let params = second.params();
    let mut training = Training::load(&of_training, params).unwrap();
    training
        .fit(&second, params, &x, &settings, |_| Continue(()))
        .unwrap();
    assert_eq!(weights(&second), weights(&whole));

    let refusal = |path, params| Training::load(path, params).err().unwrap().to_string();
    let message = refusal(&of_model, params);
    assert!(
        message.contains("it holds a flow of vectors, not a training of vectors"),
        "{message}"
    );
    let larger = recipes::realnvp(2).layers(2).width(9);
    let larger = larger.build(0, DType::F32, &Device::Cpu).unwrap();
    let message = refusal(&of_training, larger.params());
    assert!(message.contains("the parameter"), "{message}");
    let deeper = recipes::realnvp(2).layers(3).width(8);
    let deeper = deeper.build(0, DType::F32, &Device::Cpu).unwrap();
    let message = refusal(&of_training, deeper.params());
    assert!(message.contains("is missing"), "{message}");
}
