//! `flow cluster`: groups of images by their latents.

use anyhow::{Error, Result, anyhow, bail, ensure};
use candle_core::Tensor;
use flow_analysis::{
    Error as AnalysisError,
    clusters::{Agreement, Components, Method},
};
use serde::Serialize;

use crate::{
    cli::ClusterArgs,
    input::{
        classes,
        data::{self, Choice},
        select,
    },
    output::{
        console::Console,
        picture_file::PictureFile,
        report,
        scatter::{self, Panel},
        words::count,
    },
};

/// Clusters and their agreement with labels.
#[derive(Serialize)]
struct Clustering<'a> {
    #[serde(flatten)]
    latents: Agreement,
    /// Share of the variance of the latents in the components.
    explained_variance: f64,
    /// The same with the pixels themselves.
    pixels: Agreement,
    clusters: usize,
    components: usize,
    method: &'static str,
    images: usize,
    dataset: &'a str,
    split: &'static str,
}

/// Finds clusters and judges them.
pub(crate) fn run(args: &ClusterArgs, console: &Console) -> Result<()> {
    let device = args.device.device.open()?;
    let checkpoint = args.model.load(false, &device)?;
    let model = &checkpoint.model;
    let config = model.config();
    let choice = Choice::of(args.dataset.as_ref(), &checkpoint.header)?;
    let [mut dataset] = data::open(&choice, [args.split], &args.data_dir, console)?;
    data::check_fit(&checkpoint.header, &dataset)?;
    dataset.thin_out(args.limit.unwrap_or(usize::MAX));
    let batch = dataset.all()?;
    let labels = batch.labels.to_vec1::<u32>()?;
    let labels = labels.into_iter().map(|label| label as usize);
    let labels = labels.collect::<Vec<_>>();
    let output = args.out.as_deref().map(PictureFile::create).transpose()?;

    let data = select::of_common_class(&batch.images, config, None)?;
    let latents = model.conditioned_on(&data)?.encode_images(&batch.images)?;
    let latents = model.latent_shapes().join(&latents.0)?;

    let clusters = match (args.clusters, dataset.classes()) {
        (Some(clusters), _) => clusters,
        (None, 0 | 1) => bail!(
            "the images of `{}` have no classes to count; give `--clusters`",
            dataset.name()
        ),
        (None, classes) => classes,
    };
    let (components, found) = group(args, clusters, &latents)?;
    let (_, found_in_pixels) = group(args, clusters, &batch.images)?;
    if let Some(output) = output {
        let panels = [
            Panel {
                title: "latents, colored by label",
                groups: &labels,
                names: classes::telling(dataset.class_names()),
            },
            Panel {
                title: "latents, colored by cluster",
                groups: &found,
                names: &[],
            },
        ];
        output.write(&scatter::picture(&components.plane(), panels)?.into())?;
    }
    let result = Clustering {
        latents: Agreement::of(&found, &labels),
        explained_variance: components.explained(),
        pixels: Agreement::of(&found_in_pixels, &labels),
        clusters,
        components: components.count(),
        method: match args.method {
            Method::KMeans => "k-means",
            Method::Gaussians => "gaussians",
        },
        images: labels.len(),
        dataset: dataset.name(),
        split: args.split.as_str(),
    };
    if args.json {
        report::json(&result)
    } else {
        print(&result)
    }
}

/// Principal components of vectors, and the cluster of each vector.
fn group(
    args: &ClusterArgs,
    clusters: usize,
    vectors: &Tensor,
) -> Result<(Components, Vec<usize>)> {
    let components = Components::of(vectors, args.components).map_err(advise)?;
    let images = vectors.dim(0)?;
    ensure!(
        clusters <= images,
        "{clusters} clusters are more than the {images} images; choose fewer by `--clusters`"
    );
    let found = components.clusters(args.method, clusters, args.seed);
    let found = found.map_err(|error| match (args.method, error) {
        (Method::Gaussians, AnalysisError::Method { action, source }) => {
            Error::from_boxed(source).context(format!("{action}; fewer `--components` may help"))
        }
        (_, error) => error.into(),
    })?;
    Ok((components, found))
}

/// Adds advice.
fn advise(error: AnalysisError) -> Error {
    match error {
        AnalysisError::NonFiniteLatents { .. } => anyhow!("{error}; `flow verify` says why"),
        error => error.into(),
    }
}

fn print(result: &Clustering<'_>) -> Result<()> {
    let agreement = |agreement: Agreement| {
        let Agreement { purity, nmi } = agreement;
        format!("purity {purity:.3}, NMI {nmi:.3}")
    };
    report::table(&[
        ("latents", agreement(result.latents)),
        ("pixels", agreement(result.pixels)),
        (
            "clusters",
            format!("{} by {}", result.clusters, result.method),
        ),
        (
            "components",
            format!(
                "{} with {:.0} % of the variance of the latents",
                result.components,
                result.explained_variance * 100.0
            ),
        ),
        (
            "data",
            format!(
                "{} of {}",
                count(result.images, &format!("{} image", result.split)),
                result.dataset
            ),
        ),
    ])
}
