//! The strangest images of a set.

use anyhow::Result;
use flow_analysis::outliers::Score;
use serde::Serialize;

use super::{
    Drawing, html,
    observed::{ObservedImages, by_strangeness},
};
use crate::{
    cli::OutliersArgs,
    output::{image_grid, report, tiles, words::count},
};

#[derive(Serialize)]
struct Ranking<'a> {
    images_of: &'a str,
    images: usize,
    non_finite: usize,
    score: &'static str,
    strangest: Vec<Ranked<'a>>,
}

/// Numbers that are not finite are `null`.
#[derive(Serialize)]
struct Ranked<'a> {
    image: &'a str,
    label: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    score: f64,
    bits_per_dim: f64,
}

/// Shows the `count` strangest images.
pub(super) fn run(
    args: &OutliersArgs,
    count: usize,
    score: Score,
    observed: &ObservedImages,
    drawing: Option<Drawing>,
) -> Result<()> {
    let scores = observed.scores(score);
    let mut places = by_strangeness(&scores);
    places.truncate(count);
    let images = &observed.images;
    let ranked = |&place: &usize| {
        let label = images.labels.as_ref().map(|labels| labels[place]);
        let class = label.and_then(|label| images.classes.get(label as usize));
        Ranked {
            image: &images.ids[place],
            label,
            class: class.map(String::as_str),
            score: scores[place],
            bits_per_dim: observed.evidence[place].bits_per_dim,
        }
    };
    let ranking = Ranking {
        images_of: &images.name,
        images: images.len(),
        non_finite: observed.non_finite(),
        score: score.as_str(),
        strangest: places.iter().map(ranked).collect(),
    };
    match drawing {
        Some(Drawing::Picture(output)) => {
            output.write(&image_grid::square(&images.pick(&places)?)?)?;
        }
        Some(Drawing::Html(output)) => {
            output.write(report(&ranking, observed, &places)?.as_bytes())?;
        }
        None => {}
    }
    if args.json {
        return report::json(&ranking);
    }
    let mut rows =
        vec![["image", "label", score.as_str(), "bits per dimension"].map(str::to_owned)];
    rows.extend(ranking.strangest.iter().map(Ranked::cells));
    report::columns(&rows)
}

fn report(ranking: &Ranking, observed: &ObservedImages, places: &[usize]) -> Result<String> {
    let title = format!("The strangest of {}", ranking.images_of);
    let mut page = html::Page::new(&title);
    page.paragraph(&format!(
        "{} of {}, the strangest first, by {}; without a finite likelihood: {}.",
        places.len(),
        count(ranking.images, "image"),
        ranking.score,
        ranking.non_finite
    ));
    for (ranked, &place) in ranking.strangest.iter().zip(places) {
        let [image, label, score, _] = ranked.cells();
        let caption = match &*label {
            "" => format!("{image} · {score}"),
            _ => format!("{image} · label {label} · {score}"),
        };
        page.tile(&tiles::png(&observed.images.pick(&[place])?)?, &caption);
    }
    Ok(page.finish())
}

impl Ranked<'_> {
    fn cells(&self) -> [String; 4] {
        [
            self.image.to_owned(),
            match (self.label, self.class) {
                (Some(label), Some(class)) => format!("{label} {class}"),
                (label, _) => label.map(|label| label.to_string()).unwrap_or_default(),
            },
            format!("{:.4}", self.score),
            format!("{:.4}", self.bits_per_dim),
        ]
    }
}
