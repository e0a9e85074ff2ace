//! `flow interpolate`: rows of images that lead from one to another.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_analysis::latent_space::Path;
use flow_glow::{Checkpoint, Latents};

use crate::{
    cli::InterpolateArgs,
    input::{
        data::{self, Choice},
        exact, image_files, select,
    },
    output::{image_grid, picture_file::PictureFile, words::count},
};

/// Draws rows.
pub(crate) fn run(args: &InterpolateArgs) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(false, args.class, &device)?;
    let config = checkpoint.model.config();
    let ends = select::of_common_class(&ends(args, &checkpoint)?, config, args.class)?;
    let output = PictureFile::create(&args.out)?;

    let ends = exact::encode(&checkpoint, &ends)?;
    let pairs = ends.latents().count()? / 2;
    let half = |start: usize| {
        let levels = ends.latents().0.iter().map(|z| z.narrow(0, start, pairs));
        levels.collect::<candle_core::Result<_>>().map(Latents)
    };
    let path = if args.spherical {
        Path::Spherical
    } else {
        Path::Linear
    };
    let latents = path.between(&half(0)?, &half(pairs)?, args.steps)?;
    let rows = ends.decode(&latents)?;
    output.write(&image_grid::rows(&rows, args.steps)?)?;
    tracing::info!(
        "{} of {} in `{}`",
        count(pairs, "row"),
        count(args.steps, "image"),
        args.out.display()
    );
    Ok(())
}

/// u8 images: the first of every row, then the last of every row.
fn ends(args: &InterpolateArgs, checkpoint: &Checkpoint) -> Result<Tensor> {
    let config = checkpoint.model.config();
    if !args.images.is_empty() {
        ensure!(
            args.images.len().is_multiple_of(2),
            "`--images` names {}, but a row has two ends",
            count(args.images.len(), "file")
        );
        let images = image_files::read(&args.images, config.image)?;
        let ends = args.images.len() as u32;
        let order = (0..ends).step_by(2).chain((1..ends).step_by(2));
        return Ok(images.index_select(&Tensor::from_iter(order, images.device())?, 0)?);
    }
    ensure!(
        args.from.len() == args.to.len(),
        "`--from` names {} and `--to` {}, but a row has two ends",
        count(args.from.len(), "image"),
        args.to.len()
    );
    let choice = Choice::of(args.dataset, &checkpoint.header.dataset)?;
    let [dataset] = data::open(choice, [args.split], &args.data_dir)?;
    data::check_fit(config, &dataset)?;
    select::by_index(&dataset, &[&args.from[..], &args.to].concat())
}
