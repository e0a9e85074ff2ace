//! `flow interpolate`: rows of images that lead from one to another.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_analysis::latent_space::Path;
use flow_glow::Checkpoint;

use crate::{
    cli::InterpolateArgs,
    input::{
        classes,
        data::{self, Choice},
        exact,
        image_files::PictureReader,
        select,
    },
    output::{console::Console, image_grid, picture_file::PictureFile, words::count},
};

/// Draws rows.
pub(crate) fn run(args: &InterpolateArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(args.class.is_some(), &device)?;
    let class = classes::asked(&checkpoint.header, args.class.as_deref())?;
    let config = checkpoint.model.config();
    let ends = select::of_common_class(&ends(args, &checkpoint, console)?, config, class)?;
    let output = PictureFile::create(&args.out)?;

    let ends = exact::encode(&checkpoint, &ends)?;
    let path = if args.spherical {
        Path::Spherical
    } else {
        Path::Linear
    };
    let times = args.times();
    let rows = ends.mixed(path, &times)?;
    output.write(&image_grid::rows(&rows, times.len())?)?;
    let pairs = rows.dim(0)? / times.len();
    tracing::info!(
        "{} of {} in `{}`",
        count(pairs, "row"),
        count(times.len(), "image"),
        args.out.display()
    );
    Ok(())
}

/// u8 images: the first of every row, then the last of every row.
fn ends(args: &InterpolateArgs, checkpoint: &Checkpoint, console: &Console) -> Result<Tensor> {
    if !args.images.is_empty() {
        let fitting = &args.fitting;
        let reader = PictureReader::of(&checkpoint.header, fitting.fit, fitting.background)?;
        let images = reader.read(&args.images)?;
        let ends = images.dim(0)?;
        ensure!(
            ends.is_multiple_of(2),
            "`--images` names {}, but a row has two ends",
            count(ends, "file")
        );
        let ends = ends as u32;
        let order = (0..ends).step_by(2).chain((1..ends).step_by(2));
        return Ok(images.index_select(&Tensor::from_iter(order, images.device())?, 0)?);
    }
    ensure!(
        args.from.len() == args.to.len(),
        "`--from` names {} and `--to` {}, but a row has two ends",
        count(args.from.len(), "image"),
        args.to.len()
    );
    let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
    let [dataset] = data::open(&choice, [args.split], &args.data_dir, console)?;
    data::check_fit(&checkpoint.header, &dataset)?;
    select::by_index(&dataset, &[&args.from[..], &args.to].concat())
}
