//! A verdict for each image.

use anyhow::{Result, ensure};
use flow_analysis::outliers::{Score, quantile, strangeness};
use serde::Serialize;

use super::observed::ObservedImages;
use crate::{
    cli::OutliersArgs,
    output::{
        files::Output,
        records::{self, Format},
        report,
        words::count,
    },
};

/// In JSON, numbers that are not finite are `null`.
#[derive(Serialize)]
struct Judged<'a> {
    image: &'a str,
    bits_per_dim: f64,
    score: f64,
    threshold: f64,
    verdict: &'static str,
}

/// Judges the images in question, or the normal ones, by the score that a `share` of the normal
/// ones does not exceed.
pub(super) fn run(
    args: &OutliersArgs,
    share: f64,
    score: Score,
    normal: &ObservedImages,
    questioned: Option<&ObservedImages>,
    file: Option<Output>,
) -> Result<()> {
    let threshold = quantile(&normal.scores(score), share)?;
    ensure!(
        threshold.is_finite(),
        "more than a share of {} of the images of {} have no finite {}; nothing can be above that",
        1.0 - share,
        normal.images.name,
        score.as_str()
    );
    let questioned = questioned.unwrap_or(normal);
    let scores = questioned.scores(score);
    let is_outlier = |score: f64| strangeness(score) > threshold;
    let verdicts = scores.iter().enumerate().map(|(i, &score)| Judged {
        image: &questioned.images.ids[i],
        bits_per_dim: questioned.evidence[i].bits_per_dim,
        score,
        threshold,
        verdict: if is_outlier(score) {
            "outlier"
        } else {
            "normal"
        },
    });
    let format = if args.json { Format::Json } else { Format::Csv };
    let content = records::lines(&verdicts.collect::<Vec<_>>(), format)?;
    match file {
        Some(file) => file.write(&content)?,
        None => report::bytes(&content)?,
    }
    let outliers = scores.iter().filter(|&&score| is_outlier(score)).count();
    tracing::info!(
        "{} among {} of {}: a {} above {threshold:.4}, which is not reached by a share of {share} of {} of {}",
        count(outliers, "outlier"),
        count(scores.len(), "image"),
        questioned.images.name,
        score.as_str(),
        count(normal.images.len(), "image"),
        normal.images.name
    );
    Ok(())
}
