//! `flow fetch`: a published data set, from the hub or from files at hand, or any of the hub's.

use anyhow::{Context, Result, anyhow, bail};
use flow_data::{
    Error, Location, Progress, Stage,
    hub::{self, ColumnNames, Fetched},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::FetchArgs,
    output::{console::Console, report},
};

/// Fetches a data set, unless it is there.
pub(crate) fn run(args: &FetchArgs, console: &Console) -> Result<()> {
    let mut bar = ProgressBar::hidden();
    let watch = &mut |progress: Progress<'_>| {
        if progress.done == 0 {
            // The bar of the stage before goes first.
            bar.finish_and_clear();
            bar = console.add(stage_bar(&progress));
        }
        bar.set_position(progress.done);
    };
    let dataset = args.location().map_err(anyhow::Error::msg)?;
    let data_dir = &args.data_dir;
    let fetched = match (&dataset, &args.from) {
        (Location::Published(name), Some(from)) => hub::take(*name, from, data_dir, watch),
        (Location::Published(name), None) => hub::fetch(*name, data_dir, watch),
        (Location::Hub(name), _) => {
            let columns = ColumnNames {
                image: args.image_column.clone(),
                label: args.label_column.clone(),
            };
            hub::fetch_repository(name, &columns, data_dir, watch)
        }
        (Location::Path(path), _) => {
            bail!("`{}` is a path, which needs no fetching", path.display())
        }
    };
    bar.finish_and_clear();
    let fetched = fetched
        .map_err(|error| {
            let advice = advice(&error, args, &dataset);
            anyhow!("{:#}{advice}", anyhow::Error::new(error))
        })
        .with_context(|| format!("cannot fetch {dataset}"))?;
    let line = match fetched {
        Fetched::Complete(folder) => format!("{dataset} is complete in `{}`\n", folder.display()),
        Fetched::Written(folder) => format!("wrote {dataset} to `{}`\n", folder.display()),
    };
    report::bytes(line.as_bytes())
}

/// Advice at the end of an error.
fn advice(error: &Error, args: &FetchArgs, dataset: &Location) -> String {
    let fetch = format!("run `flow fetch {dataset}`");
    match error {
        Error::Download { .. } if matches!(dataset, Location::Hub(_)) => format!("; {fetch} again"),
        Error::Download { .. } => {
            format!("; {fetch} again, or with `--from DIR` if you have the files")
        }
        Error::Denied { .. } => {
            format!("; set `HF_TOKEN` to a token that may read it and {fetch} again")
        }
        Error::Wrong { .. } => format!("; {fetch} again"),
        Error::Kept { .. } => format!(" and {fetch} again"),
        Error::Write { .. } | Error::Endpoint(_) => String::new(),
        _ if args.from.is_some() => format!("; {fetch} without `--from` to download it"),
        _ => String::new(),
    }
}

/// The bar of a stage that begins.
fn stage_bar(progress: &Progress<'_>) -> ProgressBar {
    let (message, counts) = match progress.stage {
        Stage::Downloading(file) => (file, "{bytes}/{total_bytes} {bytes_per_sec}"),
        Stage::Decoding => ("decoding images", "{pos}/{len}"),
        Stage::Preparing => ("preparing images", "{pos}/{len}"),
        Stage::Reading => ("reading", "{bytes}/{total_bytes}"),
        Stage::Writing => ("writing", "{bytes}/{total_bytes}"),
    };
    let style = ProgressStyle::with_template(&format!("{{msg}} {{wide_bar}} {counts}"));
    ProgressBar::new(progress.total)
        .with_style(style.expect("the template is valid"))
        .with_message(message.to_owned())
}
