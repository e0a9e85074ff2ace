//! `flow outliers`: strange images, and how well scores tell them from normal ones.

mod compare;
mod html;
mod judge;
mod picture;
mod rank;
mod suspects;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_analysis::outliers::Score;
use flow_data::Split;
use flow_glow::{Checkpoint, ImageShape};

use self::suspects::Witnesses;
use crate::{
    cli::OutliersArgs,
    input::{collection::Collection, data::Choice},
    output::{
        console::Console,
        files::{self, Output},
        picture_file::{self, PictureFile},
        report,
    },
    ranks::Team,
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
    let task = match (args.rank, args.threshold_quantile) {
        (Some(count), _) => Task::Rank(count),
        (None, Some(share)) => Task::Judge(share),
        (None, None) => Task::Compare,
    };
    let scores = scores(args, task)?;
    let (engine, device) = (args.distributed.distributed, args.device.device);
    let team = Team::join(engine, device, Arc::default())?;
    team.end(tell_apart(args, task, &scores, console, &team))
}

fn tell_apart(
    args: &OutliersArgs,
    task: Task,
    scores: &[Score],
    console: &Console,
    team: &Team,
) -> Result<()> {
    let opened = team.agree(Opened::of(args, task, scores, team))?;
    let witnesses = Witnesses {
        model: &opened.checkpoint.model,
        background: opened
            .background
            .as_ref()
            .map(|background| &background.model),
        compressor: args.compressor,
        scores,
        seed: args.seed,
        ranks: &*team.ranks,
        console,
    };
    let entropy = opened
        .typical
        .map(|typical| witnesses.entropy(&typical))
        .transpose();
    let entropy = team.agree(entropy)?;
    let ask = |collection| witnesses.ask(collection, entropy);
    let normal = opened.normal.map(ask).transpose()?;
    let questioned = opened.questioned.map(ask).transpose()?;
    let asked = || normal.iter().chain(&questioned);
    let bad = asked().map(|suspects| suspects.non_finite_by(scores)).sum();
    let all = asked().map(|suspects| suspects.images.len()).sum();
    let (drawing, file) = (opened.drawing, opened.file);
    let nothing = "there are no images";
    team.lead(|| {
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
                let suspects = questioned.or(normal).context(nothing)?;
                rank::run(args, count, scores[0], suspects, drawing)?;
            }
        }
        let unlikely = "images have no finite likelihood or score; they count as the strangest";
        report::ensure_finite(bad, all, unlikely)?;
        questioned.map_or(Ok(()), |suspects| suspects.images.ensure_complete())
    })
}

/// Inputs, read before anything is computed, and the destination of the results.
struct Opened {
    checkpoint: Checkpoint,
    background: Option<Checkpoint>,
    normal: Option<Collection>,
    questioned: Option<Collection>,
    typical: Option<Collection>,
    drawing: Option<Drawing>,
    file: Option<Output>,
}

impl Opened {
    fn of(args: &OutliersArgs, task: Task, scores: &[Score], team: &Team) -> Result<Self> {
        let checkpoint = args.model.load(false, None, &team.device)?;
        let config = checkpoint.model.config();
        let background = args.background.as_deref();
        let background = background
            .map(|path| open_background(path, &team.device, config.image))
            .transpose()?;
        let open = |choice, option, split, limit| {
            Collection::of_dataset((choice, option), split, limit, config, &args.data_dir)
        };
        let open_normal = |split, limit| {
            let choice = Choice::of(args.dataset, &checkpoint.header.dataset)?;
            open(choice, "--dataset", split, limit)
        };
        let questioned = match args.against.map(Choice::Named) {
            Some(choice) => Some(open(choice, "--against", args.split, args.limit)?),
            None if args.images.is_empty() => None,
            None => Some(Collection::of_files(&args.images, config)?),
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
        let out = args.out.as_deref().filter(|_| team.ranks.leads());
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
