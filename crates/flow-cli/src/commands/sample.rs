//! `flow sample`: new images from a trained model, as one picture, single files or a GIF.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_glow::{Checkpoint, GlowConfig, Header};

use super::tables;
use crate::{
    cli::{Motion, SampleArgs},
    input::{classes, condition},
    output::{
        animation,
        draw::{self, Conditions},
        files::{self, Output},
        image_folder::ImageFolder,
        image_grid,
        picture_file::PictureFile,
        tensor_file::{self, TensorFile},
        words,
    },
};

/// Images in a square, or in each of several rows.
const IN_SQUARE: usize = 25;
const IN_ROW: usize = 10;

/// More would make a GIF that nobody can open.
const MOST_THAT_WALK: usize = 100;

/// Draws samples.
pub(crate) fn run(args: &SampleArgs) -> Result<()> {
    if let Some(count) = args.rows {
        return tables::sample(args, count);
    }
    let device = args.device.device.open()?;
    if args.animate == Some(Motion::Training) {
        args.model.file()?;
    }
    // Digits of a class are the better ones, also where no class is asked for.
    let checkpoint = args.model.load_conditional(true, &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    let model = &checkpoint.model;
    ensure!(
        args.animate.is_none() || args.temperatures().len() == 1,
        "an animation has one `--temperature`, not {}",
        args.temperatures().len()
    );
    if args.animate.is_some() {
        files::extension(args.gif(), &["gif"])?;
    }
    let create = || Output::create(args.gif());
    match args.animate {
        None => draw(args, &checkpoint, class),
        Some(Motion::Walk) => {
            let (conditions, count) = conditions(args, model.config(), class, IN_SQUARE)?;
            ensure!(
                count <= MOST_THAT_WALK,
                "{count} images are too many to walk side by side; choose a `--count` up to {MOST_THAT_WALK}"
            );
            let walk = animation::Walk {
                model: &conditions.of(model)?,
                count,
                temperature: args.temperatures()[0],
                seed: args.seed,
            };
            let gif = draw::at_temperature(walk.gif(args.frames), walk.temperature)?;
            create()?.write(&gif)?;
            tracing::info!(
                "{} in `{}`",
                words::count(args.frames, "picture"),
                args.gif().display()
            );
            Ok(())
        }
        Some(Motion::Training) => create()?.write(&animation::of_training(args.model.file()?)?),
    }
}

/// The places for images.
struct Outputs {
    grid: Option<PictureFile>,
    folder: Option<ImageFolder>,
    tensor: Option<TensorFile>,
}

impl Outputs {
    fn create(args: &SampleArgs) -> Result<Self> {
        let tensor = args.out_tensor.as_deref();
        let tensor = tensor.map(|path| TensorFile::create(path, &tensor_file::SEVERAL));
        let folder = args.out_folder.as_deref().map(ImageFolder::create);
        Ok(Self {
            grid: args.grid().map(PictureFile::create).transpose()?,
            tensor: tensor.transpose()?,
            folder: folder.transpose()?,
        })
    }
}

fn draw(args: &SampleArgs, checkpoint: &Checkpoint, class: Option<u32>) -> Result<()> {
    let outputs = Outputs::create(args)?;
    let model = &checkpoint.model;
    let rows = args.temperatures().len();
    let default = if rows == 1 { IN_SQUARE } else { IN_ROW };
    let (conditions, count) = conditions(args, model.config(), class, default)?;
    ensure!(
        count * rows <= 10_000,
        "{count} images at each of {rows} temperatures are more than 10000; choose a smaller `--count`"
    );
    let model = conditions.of(model)?;
    let row = |&temperature: &f64| {
        let images = draw::images(&model, count, temperature, args.seed);
        draw::at_temperature(images, temperature)
    };
    let images = args.temperatures().iter().map(row);
    let images = Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 0)?;
    if let Some(grid) = outputs.grid {
        grid.write(&if rows == 1 {
            image_grid::square(&images)?
        } else {
            image_grid::rows(&images, count)?
        })?;
    }
    let named = conditions.named(rows)?;
    if let Some(folder) = outputs.folder {
        let classes = classes_of(&checkpoint.header, named.as_ref())?;
        folder.write(&images, classes.as_deref())?;
    }
    if let Some(tensor) = outputs.tensor {
        let mut content = vec![("x".to_owned(), images)];
        content.extend(named);
        tensor.write(content)?;
    }
    let written = args.out_folder.as_deref().into_iter().chain(args.grid());
    let written = written.map(|path| format!("`{}`", path.display()));
    tracing::info!(
        "{} in {}",
        words::count(count * rows, "sample"),
        written.collect::<Vec<_>>().join(" and ")
    );
    Ok(())
}

/// The name or the number of each image's class, if the model has classes.
fn classes_of(header: &Header, named: Option<&(String, Tensor)>) -> Result<Option<Vec<String>>> {
    let (Some(classes), Some((_, labels))) = (header.model.classes, named) else {
        return Ok(None);
    };
    let names = classes::names(header)?;
    let digits = classes.saturating_sub(1).to_string().len();
    let name = |label: u32| match names.get(label as usize) {
        Some(name) => name.clone(),
        None => format!("{label:0digits$}"),
    };
    let labels = labels.to_vec1::<u32>()?;
    Ok(Some(labels.into_iter().map(name).collect()))
}

/// The conditions of the images to draw, and how many these are: `default` unless it is said or
/// follows from them.
fn conditions(
    args: &SampleArgs,
    config: &GlowConfig,
    class: Option<u32>,
    default: usize,
) -> Result<(Conditions, usize)> {
    let Some((rows, condition)) = condition::asked(args.condition.as_deref(), config)? else {
        let count = args.count.unwrap_or(default);
        return Ok((Conditions::of_classes(config, count, class)?, count));
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
