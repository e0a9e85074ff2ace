//! `flow explore`: a page to look at a model.

use anyhow::Result;

use crate::{
    cli::ExploreArgs,
    explore::{self, Session},
    output::console::Console,
};

/// Serves the page until the program is ended.
pub(crate) fn run(args: ExploreArgs, console: &Console) -> Result<()> {
    explore::serve(Session::new(args, console.clone())?)
}
