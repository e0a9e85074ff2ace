//! `flow sample`: new images from a trained model, as one PNG or as a GIF.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_glow::{Glow, GlowConfig};

use crate::{
    cli::{Motion, SampleArgs},
    input::{condition, tensors},
    output::{
        animation,
        draw::{self, Conditions},
        files::{self, Output},
        image_grid,
        picture_file::PictureFile,
        words,
    },
};

/// Images in a square, or in each of several rows.
const IN_SQUARE: usize = 25;
const IN_ROW: usize = 10;

/// More would make a GIF that nobody can open.
const MOST_THAT_WALK: usize = 100;

/// Draws a picture of samples.
pub(crate) fn run(args: &SampleArgs) -> Result<()> {
    let device = args.device.device.open()?;
    if args.animate == Some(Motion::Training) {
        args.model.file()?;
    }
    // Digits of a class are the better ones, also where no class is asked for.
    let checkpoint = args.model.load_conditional(true, args.class, &device)?;
    let model = &checkpoint.model;
    ensure!(
        args.animate.is_none() || args.temperature.len() == 1,
        "an animation has one `--temperature`, not {}",
        args.temperature.len()
    );
    if args.animate.is_some() {
        files::extension(args.out(), &["gif"])?;
    }
    let create = || Output::create(args.out());
    match args.animate {
        None => draw_grid(args, model),
        Some(Motion::Walk) => {
            let (conditions, count) = conditions(args, model.config(), IN_SQUARE)?;
            ensure!(
                count <= MOST_THAT_WALK,
                "{count} images are too many to walk side by side; choose a `--count` up to {MOST_THAT_WALK}"
            );
            let walk = animation::Walk {
                model: &conditions.of(model)?,
                count,
                temperature: args.temperature[0],
                seed: args.seed,
            };
            let gif = draw::at_temperature(walk.gif(args.frames), walk.temperature)?;
            create()?.write(&gif)?;
            tracing::info!(
                "{} in `{}`",
                words::count(args.frames, "picture"),
                args.out().display()
            );
            Ok(())
        }
        Some(Motion::Training) => create()?.write(&animation::of_training(args.model.file()?)?),
    }
}

fn draw_grid(args: &SampleArgs, model: &Glow) -> Result<()> {
    let output = PictureFile::create(args.out())?;
    let tensor_output = args
        .out_tensor
        .as_deref()
        .map(tensors::create)
        .transpose()?;
    let rows = args.temperature.len();
    let default = if rows == 1 { IN_SQUARE } else { IN_ROW };
    let (conditions, count) = conditions(args, model.config(), default)?;
    ensure!(
        count * rows <= 10_000,
        "{count} images at each of {rows} temperatures are more than 10000; choose a smaller `--count`"
    );
    let model = conditions.of(model)?;
    let row = |&temperature: &f64| {
        let images = draw::images(&model, count, temperature, args.seed);
        draw::at_temperature(images, temperature)
    };
    let images = args.temperature.iter().map(row);
    let images = Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 0)?;
    output.write(&if rows == 1 {
        image_grid::square(&images)?
    } else {
        image_grid::rows(&images, count)?
    })?;
    if let Some(tensor_output) = tensor_output {
        let mut content = vec![("x".to_owned(), images)];
        content.extend(conditions.named(rows)?);
        tensor_output.write(&tensors::serialize(content)?)?;
    }
    tracing::info!(
        "{} in `{}`",
        words::count(count * rows, "sample"),
        args.out().display()
    );
    Ok(())
}

/// The conditions of the images to draw, and how many these are: `default` unless it is said or
/// follows from them.
fn conditions(
    args: &SampleArgs,
    config: &GlowConfig,
    default: usize,
) -> Result<(Conditions, usize)> {
    let Some((rows, condition)) = condition::asked(args.condition.as_deref(), config)? else {
        let count = args.count.unwrap_or(default);
        return Ok((Conditions::of_classes(config, count, args.class)?, count));
    };
    let numbers = rows.numbers(condition)?;
    let found = numbers.dim(0)?;
    let count = args.count.unwrap_or(found);
    ensure!(
        count == found || found == 1,
        "`--condition` names a file of {}, one for each image, and `--count` asks for {count}; leave it out",
        words::count(found, "row")
    );
    let numbers = numbers.repeat((count / found, 1))?;
    Ok((Conditions::of_numbers(numbers), count))
}
