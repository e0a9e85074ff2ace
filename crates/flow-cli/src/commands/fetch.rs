//! `flow fetch`: a published data set, from the hub or from files at hand.

use anyhow::{Context, Result, anyhow};
use flow_data::{
    Error,
    hub::{self, Fetched, Progress, Stage},
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
    let fetched = match &args.from {
        Some(from) => hub::take(args.dataset, from, &args.data_dir, watch),
        None => hub::fetch(args.dataset, &args.data_dir, watch),
    };
    bar.finish_and_clear();
    let dataset = args.dataset;
    let fetched = fetched
        .map_err(|error| {
            let advice = advice(&error, args);
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
fn advice(error: &Error, args: &FetchArgs) -> String {
    let fetch = format!("run `flow fetch {}`", args.dataset);
    match error {
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
        Stage::Reading => ("reading", "{bytes}/{total_bytes}"),
        Stage::Writing => ("writing", "{bytes}/{total_bytes}"),
    };
    let style = ProgressStyle::with_template(&format!("{{msg}} {{wide_bar}} {counts}"));
    ProgressBar::new(progress.total)
        .with_style(style.expect("the template is valid"))
        .with_message(message.to_owned())
}
