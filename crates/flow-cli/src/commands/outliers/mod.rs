//! `flow outliers`: strange images, and how well scores tell them from normal ones.

mod compare;
mod html;
mod judge;
mod observed;
mod picture;
mod rank;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_analysis::outliers::Score;
use flow_data::Split;
use flow_glow::{Checkpoint, ImageShape};

use self::observed::Observers;
use super::tables;
use crate::{
    cli::OutliersArgs,
    input::{condition, data::Choice, image_files::PictureReader, named_images::NamedImages},
    output::{
        console::Console,
        files::{self, Output},
        picture_file::{self, PictureFile},
        report,
    },
    process_group::ProcessGroup,
};

/// The work on the images in question.
#[derive(Clone, Copy)]
enum Task {
    Compare,
    Rank(usize),
    Judge(f64),
}

/// A file of pictures.
enum Drawing {
    Picture(PictureFile),
    Html(Output),
}

/// Compares, ranks or judges.
pub(crate) fn run(args: &OutliersArgs, console: &Console) -> Result<()> {
    if let Some(table) = &args.table {
        return tables::outliers(args, table);
    }
    let task = match (args.rank, args.threshold_quantile) {
        (Some(count), _) => Task::Rank(count),
        (None, Some(share)) => Task::Judge(share),
        (None, None) => Task::Compare,
    };
    let scores = scores(args, task)?;
    let (backend, device) = (args.distributed.distributed, args.device.device);
    let group = ProcessGroup::join(backend, device, Arc::default())?;
    group.end(observe_and_report(args, task, &scores, console, &group))
}

fn observe_and_report(
    args: &OutliersArgs,
    task: Task,
    scores: &[Score],
    console: &Console,
    group: &ProcessGroup,
) -> Result<()> {
    let inputs = group.agree(Inputs::of(args, task, scores, group, console))?;
    let observers = Observers {
        model: &inputs.checkpoint.model,
        background: inputs
            .background
            .as_ref()
            .map(|background| &background.model),
        compressor: args.compressor,
        scores,
        seed: args.seed,
        ranks: &*group.ranks,
        console,
    };
    let entropy = inputs
        .typical
        .map(|typical| observers.entropy(&typical))
        .transpose();
    let entropy = group.agree(entropy)?;
    let ask = |collection| observers.ask(collection, entropy);
    let normal = inputs.normal.map(ask).transpose()?;
    let questioned = inputs.questioned.map(ask).transpose()?;
    let asked = || normal.iter().chain(&questioned);
    let bad = asked().map(|observed| observed.non_finite_by(scores)).sum();
    let all = asked().map(|observed| observed.images.len()).sum();
    let (drawing, file) = (inputs.drawing, inputs.file);
    let nothing = "there are no images";
    group.lead(|| {
        let (normal, questioned) = (normal.as_ref(), questioned.as_ref());
        match task {
            Task::Compare => {
                let (normal, strange) = normal.zip(questioned).context(nothing)?;
                compare::run(args, scores, [normal, strange], entropy, drawing)?;
            }
            Task::Judge(share) => {
                let normal = normal.context(nothing)?;
                judge::run(args, share, scores[0], normal, questioned, file)?;
            }
            Task::Rank(count) => {
                let observed = questioned.or(normal).context(nothing)?;
                rank::run(args, count, scores[0], observed, drawing)?;
            }
        }
        let unlikely = "images have no finite likelihood or score; they count as the strangest";
        report::ensure_finite(bad, all, unlikely)?;
        questioned.map_or(Ok(()), |observed| observed.images.ensure_complete())
    })
}

/// Inputs, read before anything is computed, and the destination of the results.
struct Inputs {
    checkpoint: Checkpoint,
    background: Option<Checkpoint>,
    normal: Option<NamedImages>,
    questioned: Option<NamedImages>,
    typical: Option<NamedImages>,
    drawing: Option<Drawing>,
    file: Option<Output>,
}

impl Inputs {
    fn of(
        args: &OutliersArgs,
        task: Task,
        scores: &[Score],
        group: &ProcessGroup,
        console: &Console,
    ) -> Result<Self> {
        let checkpoint = args.model.load(false, &group.device)?;
        let config = checkpoint.model.config();
        let background = args.background.as_deref();
        let background = background
            .map(|path| open_background(path, &group.device, config.image))
            .transpose()?;
        let open = |choice: &Choice, option, split, limit| {
            let dirs = &args.data_dir;
            NamedImages::of_dataset((choice, option), split, limit, config, dirs, console)
        };
        let open_normal = |split, limit| {
            let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
            open(&choice, "--dataset", split, limit)
        };
        let questioned = match &args.against {
            Some(other) => {
                let choice = Choice::of(Some(other), &checkpoint.header)?;
                Some(open(&choice, "--against", args.split, args.limit)?)
            }
            None if args.images.is_empty() => None,
            None => {
                let (fit, background) = (args.fit, args.background_color);
                let reader = PictureReader::of(&checkpoint.header, fit, background)?;
                Some(NamedImages::of_files(&args.images, &reader)?)
            }
        };
        let normal = match (task, &questioned) {
            (Task::Rank(_), Some(_)) => None,
            _ => Some(open_normal(args.split, args.limit)?),
        };
        let typical = if scores.contains(&Score::Typicality) {
            Some(open_normal(Split::Train, Some(args.typical_images))?)
        } else {
            None
        };
        // The other processes write nothing.
        let out = args.out.as_deref().filter(|_| group.ranks.leads());
        let (drawing, file) = match (task, out) {
            (_, None) => (None, None),
            (Task::Judge(_), Some(path)) => (None, Some(Output::create(path)?)),
            (_, Some(path)) => (Some(Drawing::create(path)?), None),
        };
        Ok(Self {
            checkpoint,
            background,
            normal,
            questioned,
            typical,
            drawing,
            file,
        })
    }
}

/// A second model for the same images.
fn open_background(path: &Path, device: &Device, needed: ImageShape) -> Result<Checkpoint> {
    let background = Checkpoint::load(path, device)?;
    condition::refuse(&background.header.model)?;
    let image = background.model.config().image;
    ensure!(
        image == needed,
        "the model of `{}` takes images of {image}, not of {needed} as that of `--checkpoint`",
        path.display()
    );
    Ok(background)
}

/// The scores of `--score`, or the best available ones for the task.
fn scores(args: &OutliersArgs, task: Task) -> Result<Vec<Score>> {
    let has_background = args.background.is_some();
    let mut scores: Vec<Score> = Vec::new();
    for &score in &args.score {
        if !scores.contains(&score) {
            scores.push(score);
        }
    }
    if scores.is_empty() {
        match task {
            Task::Compare => scores.extend(Score::ALL),
            Task::Rank(_) | Task::Judge(_) => scores.push(Score::Complexity),
        }
        scores.retain(|&score| has_background || score != Score::LikelihoodRatio);
    }
    ensure!(
        has_background || !scores.contains(&Score::LikelihoodRatio),
        "`--score likelihood-ratio` needs a background model; name it with `--background`"
    );
    let one = matches!(task, Task::Compare) || scores.len() == 1;
    ensure!(
        one,
        "`--rank` and `--threshold-quantile` take one `--score`"
    );
    Ok(scores)
}

impl Drawing {
    fn create(path: &Path) -> Result<Self> {
        let known = [&picture_file::EXTENSIONS[..], &["html"]].concat();
        match files::extension(path, &known)? {
            Some("html") => Ok(Self::Html(Output::create(path)?)),
            _ => Ok(Self::Picture(PictureFile::create(path)?)),
        }
    }
}
