//! Comparison of two sets of images by scores.

use anyhow::Result;
use flow_analysis::outliers::{Detection, Interval, Score, batch_typicality, bootstrap};
use image::DynamicImage;
use indicatif::HumanCount;
use serde::Serialize;

use super::{
    Drawing, html,
    observed::{ObservedImages, by_strangeness},
    picture::{self, Panel, Strip},
};
use crate::{
    cli::OutliersArgs,
    output::{picture_file, report},
};

/// Most and least likely images of each set that are shown.
const SHOWN: usize = 12;

/// In JSON, numbers that are not finite are `null`.
#[derive(Serialize)]
struct Comparison {
    normal: Side,
    strange: Side,
    /// The reference of typicality, in bits per dimension.
    entropy: Option<f64>,
    compressor: Option<&'static str>,
    bootstrap: usize,
    seed: u64,
    scores: Vec<Found>,
}

#[derive(Serialize)]
struct Side {
    images_of: String,
    images: usize,
    non_finite: usize,
    bits_per_dim: f64,
    most_likely: Vec<String>,
    least_likely: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    score: &'static str,
    /// Images that one score stands for.
    batch: usize,
    auroc: Estimate,
    aupr: Estimate,
    fpr95: Estimate,
}

/// With its 95 % confidence interval.
#[derive(Clone, Copy, Serialize)]
struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

/// One score of each image, or batch of images, of each side.
struct Scored {
    score: Score,
    batch: usize,
    normal: Vec<f64>,
    strange: Vec<f64>,
}

/// Compares normal images with those in question.
pub(super) fn run(
    args: &OutliersArgs,
    scores: &[Score],
    sides: [&ObservedImages; 2],
    entropy: Option<f64>,
    drawing: Option<Drawing>,
) -> Result<()> {
    let scored = score_all(args, scores, sides, entropy)?;
    let found = scored.iter().map(|scored| Found::of(scored, args));
    let [normal, strange] = sides.map(Side::of);
    let comparison = Comparison {
        normal,
        strange,
        entropy,
        compressor: scores
            .contains(&Score::Complexity)
            .then(|| args.compressor.as_str()),
        bootstrap: args.bootstrap,
        seed: args.seed,
        scores: found.collect::<Result<_>>()?,
    };
    match drawing {
        Some(Drawing::Picture(output)) => output.write(&picture(&comparison, &scored, sides)?)?,
        Some(Drawing::Html(output)) => {
            let picture = picture_file::png(&picture(&comparison, &scored, sides)?)?;
            output.write(page(args, &comparison, &picture).as_bytes())?;
        }
        None => {}
    }
    if args.json {
        return report::json(&comparison);
    }
    report::columns(&comparison.rows())?;
    report::bytes(format!("\n{}\n", comparison.summary()).as_bytes())
}

/// Scores of single images, and of batches by typicality.
fn score_all(
    args: &OutliersArgs,
    scores: &[Score],
    sides: [&ObservedImages; 2],
    entropy: Option<f64>,
) -> Result<Vec<Scored>> {
    let mut scored = Vec::new();
    for &score in scores {
        let [normal, strange] = sides.map(|side| side.scores(score));
        scored.push(Scored {
            score,
            batch: 1,
            normal,
            strange,
        });
        if let (Score::Typicality, Some(entropy)) = (score, entropy) {
            scored.extend(of_batches(args, sides, entropy)?);
        }
    }
    Ok(scored)
}

/// Typicality of batches, where both sides have enough images for one.
fn of_batches(
    args: &OutliersArgs,
    sides: [&ObservedImages; 2],
    entropy: f64,
) -> Result<Option<Scored>> {
    let batch = args.batch;
    if batch == 1 || sides.iter().any(|side| side.images.len() < batch) {
        return Ok(None);
    }
    let of =
        |side: &ObservedImages| batch_typicality(&side.bits_per_dim(), entropy, batch, args.seed);
    Ok(Some(Scored {
        score: Score::Typicality,
        batch,
        normal: of(sides[0])?,
        strange: of(sides[1])?,
    }))
}

fn picture(
    comparison: &Comparison,
    scored: &[Scored],
    sides: [&ObservedImages; 2],
) -> Result<DynamicImage> {
    let panels = comparison
        .scores
        .iter()
        .zip(scored)
        .map(|(found, scored)| Panel {
            title: format!("{}: AUROC {:.3}", found.name(), found.auroc.value),
            unit: match scored.score {
                Score::LatentNorm => "",
                _ => "bits per dimension",
            },
            normal: &scored.normal,
            strange: &scored.strange,
        });
    let mut strips = Vec::new();
    for side in sides {
        let images = &side.images;
        let mut places = by_strangeness(&side.bits_per_dim());
        for which in ["least", "most"] {
            strips.push(Strip {
                caption: format!("{which} likely of {}", images.name),
                images: images.pick(&places[..SHOWN.min(places.len())])?,
            });
            places.reverse();
        }
    }
    let names = sides.map(|side| &*side.images.name);
    Ok(picture::draw(names, &panels.collect::<Vec<_>>(), &strips)?.into())
}

fn page(args: &OutliersArgs, comparison: &Comparison, picture: &[u8]) -> String {
    let names = [&comparison.normal, &comparison.strange].map(|side| &side.images_of);
    let title = format!("{} against {}", names[0], names[1]);
    let mut page = html::Page::new(&title);
    page.paragraph(&comparison.summary());
    page.paragraph(&format!(
        "The model is {}. Scores are larger for stranger images; those of {} are what is to be found. In brackets \
         are 95 % intervals from {} bootstrap draws.",
        args.model.name(),
        names[1],
        comparison.bootstrap
    ));
    page.table(&comparison.rows());
    page.picture(
        picture,
        "histograms of the scores, and the most and least likely images",
    );
    page.finish()
}

impl Comparison {
    fn rows(&self) -> Vec<[String; 4]> {
        let mut rows = vec![["score", "AUROC", "AUPR", "false alarms at 95 %"].map(str::to_owned)];
        rows.extend(self.scores.iter().map(|found| {
            let [auroc, aupr, fpr95] =
                [found.auroc, found.aupr, found.fpr95].map(|of| of.to_string());
            [found.name(), auroc, aupr, fpr95]
        }));
        rows
    }

    fn summary(&self) -> String {
        let side = |side: &Side| {
            let images = HumanCount(side.images as u64);
            format!(
                "{images} of {}, {:.3} bits per dimension",
                side.images_of, side.bits_per_dim
            )
        };
        format!(
            "Normal: {}. In question: {}.",
            side(&self.normal),
            side(&self.strange)
        )
    }
}

impl Side {
    fn of(observed: &ObservedImages) -> Self {
        let bits = observed.bits_per_dim();
        let places = by_strangeness(&bits);
        let ids = |places: &mut dyn Iterator<Item = &usize>| {
            places
                .take(SHOWN)
                .map(|&place| observed.images.ids[place].clone())
                .collect()
        };
        Self {
            images_of: observed.images.name.clone(),
            images: bits.len(),
            non_finite: observed.non_finite(),
            bits_per_dim: bits.iter().sum::<f64>() / bits.len() as f64,
            most_likely: ids(&mut places.iter().rev()),
            least_likely: ids(&mut places.iter()),
        }
    }
}

impl Found {
    fn of(scored: &Scored, args: &OutliersArgs) -> Result<Self> {
        let (normal, strange) = (&scored.normal, &scored.strange);
        let found = bootstrap(normal, strange, args.bootstrap, args.seed)?;
        let Detection { auroc, aupr, fpr95 } = found;
        let [auroc, aupr, fpr95] = [auroc, aupr, fpr95].map(Estimate::from);
        Ok(Self {
            score: scored.score.as_str(),
            batch: scored.batch,
            auroc,
            aupr,
            fpr95,
        })
    }

    fn name(&self) -> String {
        match self.batch {
            1 => self.score.to_owned(),
            images => format!("{} of {images}", self.score),
        }
    }
}

impl From<Interval> for Estimate {
    fn from(Interval { value, low, high }: Interval) -> Self {
        Self { value, low, high }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} ({:.4}–{:.4})", self.value, self.low, self.high)
    }
}
