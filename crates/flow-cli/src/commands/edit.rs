//! `flow edit`: images with more or less of an attribute.

use anyhow::{Error, Result};
use candle_core::Tensor;
use flow_analysis::attribute::Measure;
use flow_data::{Dataset, Split};
use flow_glow::Checkpoint;

use crate::{
    cli::EditArgs,
    input::{
        attribute::Attribute,
        classes,
        data::{self, Choice},
        exact,
        image_files::PictureReader,
        select,
    },
    output::{console::Console, image_grid, picture_file::PictureFile, words},
};

/// Draws a grid: a row for each image, a column for each strength.
pub(crate) fn run(args: &EditArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(args.class.is_some(), &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    if !args.redraw.is_empty() {
        return redraw(args, &checkpoint, class, console);
    }
    let (strengths, steps) = args.strengths().map_err(Error::msg)?;
    let named = |name: &String| Attribute::named(name, args.labels.as_deref());
    let attributes = args.attribute.iter().map(named);
    let attributes = attributes.collect::<Result<Vec<_>>>()?;
    let needs_examples = attributes.iter().any(Attribute::needs_examples);
    let (images, examples) = images(args, &checkpoint, needs_examples, console)?;
    let output = PictureFile::create(&args.out)?;

    let directions = args.attribute.iter().zip(&attributes);
    let directions = directions.map(|(name, attribute)| {
        let examples = examples.as_ref().map(|all| (all, args.examples));
        let contrast = attribute.contrast(examples, || reader(args, &checkpoint))?;
        tracing::info!(
            "{name}: from {} to {}",
            words::count(contrast.from.dim(0)?, "image"),
            words::count(contrast.to.dim(0)?, "image")
        );
        contrast.direction(&checkpoint.model, class, name, |_| {})
    });
    let directions = directions.collect::<Result<Vec<_>>>()?;
    let images = select::of_common_class(&images, checkpoint.model.config(), class)?;
    let images = exact::encode(&checkpoint, &images)?;
    let strengths = strengths.into_iter().map(|of| of.spread(steps));
    let strengths = strengths.collect::<Vec<_>>();
    let mut columns = Vec::with_capacity(steps);
    for column in 0..steps {
        let amounts = strengths.iter().map(|of| of[column]);
        let changes = directions.iter().zip(amounts.clone());
        let edited = images.changed(changes)?;
        for (attribute, amount) in attributes.iter().zip(amounts) {
            if let Attribute::Measured(measure) = attribute {
                tell(*measure, amount, &edited)?;
            }
        }
        columns.push(edited);
    }
    let rows = Tensor::stack(&columns, 1)?.flatten(0, 1)?;
    write(args, output, &rows, steps)
}

/// Draws a grid: a row for each image, a column for each draw of some of its levels.
fn redraw(
    args: &EditArgs,
    checkpoint: &Checkpoint,
    class: Option<u32>,
    console: &Console,
) -> Result<()> {
    let (_, steps) = args.strengths().map_err(Error::msg)?;
    let (images, _) = images(args, checkpoint, false, console)?;
    let output = PictureFile::create(&args.out)?;
    let images = select::of_common_class(&images, checkpoint.model.config(), class)?;
    let images = exact::encode(checkpoint, &images)?;
    let rows = images.redrawn(&args.redraw, steps, args.temperature, args.seed)?;
    write(args, output, &rows, steps)
}

fn write(args: &EditArgs, output: PictureFile, rows: &Tensor, steps: usize) -> Result<()> {
    output.write(&image_grid::rows(rows, steps)?)?;
    tracing::info!(
        "{} of {} in `{}`",
        words::count(rows.dim(0)? / steps, "row"),
        words::count(steps, "image"),
        args.out.display()
    );
    Ok(())
}

/// The u8 images to change, and the training images if attributes are found among them.
fn images(
    args: &EditArgs,
    checkpoint: &Checkpoint,
    needs_examples: bool,
    console: &Console,
) -> Result<(Tensor, Option<Dataset>)> {
    let choice = || Choice::of(args.dataset.as_ref(), &checkpoint.header);
    if args.index.is_empty() {
        let images = reader(args, checkpoint)?.read(&args.images)?;
        if !needs_examples {
            return Ok((images, None));
        }
        let [examples] = data::open(&choice()?, [Split::Train], &args.data_dir, console)?;
        data::check_fit(&checkpoint.header, &examples)?;
        return Ok((images, Some(examples)));
    }
    let (shown, examples) = if needs_examples {
        let splits = [Split::Train, args.split];
        let [examples, shown] = data::open(&choice()?, splits, &args.data_dir, console)?;
        (shown, Some(examples))
    } else {
        let [shown] = data::open(&choice()?, [args.split], &args.data_dir, console)?;
        (shown, None)
    };
    data::check_fit(&checkpoint.header, &shown)?;
    Ok((select::by_index(&shown, &args.index)?, examples))
}

fn reader(args: &EditArgs, checkpoint: &Checkpoint) -> Result<PictureReader> {
    PictureReader::of(
        &checkpoint.header,
        args.fitting.fit,
        args.fitting.background,
    )
}

/// Reports the measured attribute of the edited images.
fn tell(measure: Measure, strength: f64, images: &Tensor) -> Result<()> {
    let values = measure.of(images)?.into_iter().flatten();
    let values = values.collect::<Vec<_>>();
    if values.is_empty() {
        tracing::info!("strength {strength:>6.2}: all images are black");
        return Ok(());
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    tracing::info!(
        "strength {strength:>6.2}: mean {measure} {mean:.3} of {}, without black ones",
        words::count(values.len(), "image")
    );
    Ok(())
}
