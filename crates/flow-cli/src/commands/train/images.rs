//! The images of a training, and the numbers that its model is conditioned on.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_data::{DatasetName, Location};
use flow_glow::{Condition, GlowConfig};

use super::data::Chosen;
use crate::{
    cli::{DataArgs, TrainArgs},
    input::{
        condition::{self, Rows},
        examples::Examples,
    },
    output::console::Console,
    training::Images,
};

/// The images to train on and to measure, for a fresh model or the one given.
pub(super) fn open_images(
    args: &TrainArgs,
    chosen: &Chosen,
    model: Option<&GlowConfig>,
    (flip, mutate): (bool, f64),
    eval_images: Option<usize>,
    console: &Console,
) -> Result<Images> {
    let has_sides = [DatasetName::Mnist, DatasetName::FashionMnist].map(Location::Published);
    ensure!(
        !(args.data.flip || flip) || !has_sides.contains(&chosen.location),
        "`--flip` is not for `{}`: its images have a left and a right",
        chosen.location
    );
    let ([train, test], record) = chosen.open(args, model, console)?;
    let (condition, numbers) = match conditions(&args.data, model, [train.len(), test.len()])? {
        Some((condition, numbers)) => (Some(condition), numbers.map(Some)),
        None => (None, [None, None]),
    };
    let [of_train, of_test] = numbers;
    let (train, test) = (Examples::new(train, of_train), Examples::new(test, of_test));
    Images::new(
        (train, test),
        record,
        condition,
        (flip, mutate),
        eval_images,
    )
}

/// The condition of the model, and the numbers of so many training and test images.
fn conditions(
    args: &DataArgs,
    model: Option<&GlowConfig>,
    [train, test]: [usize; 2],
) -> Result<Option<(Condition, [Tensor; 2])>> {
    let known = match model {
        Some(model) => condition::expected(args.condition.as_deref(), model)?,
        None => None,
    };
    let files = args.condition.as_ref().zip(args.test_condition.as_ref());
    let Some((train_file, test_file)) = files else {
        return Ok(None);
    };
    let train = Rows::read(train_file)?.of_images(train, "training image")?;
    let test = Rows::read(test_file)?.of_images(test, "test image")?;
    let priors_only = args.condition_priors_only;
    let condition = match known {
        Some(known) => known.clone(),
        None => Condition {
            columns: train.columns()?,
            networks: !priors_only,
        },
    };
    ensure!(
        !(priors_only && condition.networks),
        "the networks of the model see its condition; leave out `--condition-priors-only`"
    );
    let numbers = [train.numbers(&condition)?, test.numbers(&condition)?];
    Ok(Some((condition, numbers)))
}
