//! `flow edit`: images with more or less of an attribute.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_analysis::{attribute::Measure, latent_space::Direction};
use flow_data::{Dataset, Split};
use flow_glow::{Checkpoint, finite};

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
    let model = &checkpoint.model;
    let config = model.config();
    let attribute = Attribute::named(&args.attribute, args.labels.as_deref())?;
    let (images, mut examples) = images(args, &checkpoint, &attribute, console)?;
    let count = images.dim(0)?;
    if let Some(examples) = &mut examples
        && attribute.needs_dataset()
    {
        examples.thin_out(args.examples);
    }
    let contrast = attribute.contrast(examples.as_ref(), || reader(args, &checkpoint))?;
    let output = PictureFile::create(&args.out)?;

    tracing::info!(
        "{}: from {} to {}",
        args.attribute,
        words::count(contrast.from.dim(0)?, "image"),
        words::count(contrast.to.dim(0)?, "image")
    );
    let images = select::of_common_class(&images, config, class)?;
    let bound = model.conditioned_on(&images)?;
    let direction = Direction::between(&bound, &contrast.from, &contrast.to)?;
    ensure!(
        finite::bad_rows(&direction.latents().0)? == 0,
        "some of the images that show `{}` have no finite latents; `flow verify` says why",
        args.attribute
    );
    let images = exact::encode(&checkpoint, &images)?;
    let mut columns = Vec::with_capacity(args.steps);
    for strength in args.strength.spread(args.steps) {
        let edited = images.decode(&direction.applied(images.latents(), strength)?)?;
        if let Attribute::Measured(measure) = attribute {
            tell(measure, strength, &edited)?;
        }
        columns.push(edited);
    }
    let rows = Tensor::stack(&columns, 1)?.flatten(0, 1)?;
    output.write(&image_grid::rows(&rows, args.steps)?)?;
    tracing::info!(
        "{} of {} in `{}`",
        words::count(count, "row"),
        words::count(args.steps, "image"),
        args.out.display()
    );
    Ok(())
}

/// The u8 images to change, and the training images if the attribute is found among them.
fn images(
    args: &EditArgs,
    checkpoint: &Checkpoint,
    attribute: &Attribute,
    console: &Console,
) -> Result<(Tensor, Option<Dataset>)> {
    let choice = || Choice::of(args.dataset.as_ref(), &checkpoint.header);
    let needs_examples = !matches!(attribute, Attribute::Files(..));
    if args.index.is_empty() {
        let images = reader(args, checkpoint)?.read(&args.images)?;
        if !needs_examples {
            return Ok((images, None));
        }
        let [examples] = data::open(&choice()?, [Split::Train], &args.data_dir, console)?;
        data::check_fit(&checkpoint.header, &examples)?;
        return Ok((images, Some(examples)));
    }
    let splits = [Split::Train, args.split];
    let [examples, shown] = data::open(&choice()?, splits, &args.data_dir, console)?;
    data::check_fit(&checkpoint.header, &shown)?;
    let images = select::by_index(&shown, &args.index)?;
    Ok((images, needs_examples.then_some(examples)))
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
