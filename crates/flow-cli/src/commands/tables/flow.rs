//! The flow of a table: a map of each column to the real line, then a recipe.

use anyhow::{Result, ensure};
use flow_core::{
    Architecture,
    recipes::{self, Recipe},
    train::Data,
};
use flow_table::Schema;

use crate::cli::{FlowArgs, RecipeChoice};

/// The recipe that was asked for, or the default one.
pub(super) fn choice(args: &FlowArgs, columns: usize) -> Result<RecipeChoice> {
    let default = if columns == 1 {
        RecipeChoice::NsfAr
    } else {
        RecipeChoice::Nsf
    };
    let choice = args.recipe.unwrap_or(default);
    let couples = matches!(choice, RecipeChoice::Nsf | RecipeChoice::Realnvp);
    ensure!(
        columns > 1 || !couples,
        "couplings need two columns or more; for one, choose `--recipe nsf-ar` or `--recipe maf`"
    );
    Ok(choice)
}

/// The flow of samples with the statistics of `data`.
pub(super) fn architecture(
    choice: RecipeChoice,
    args: &FlowArgs,
    schema: &Schema,
    data: &Data,
) -> Result<Architecture> {
    let recipe: fn(usize) -> Recipe = match choice {
        RecipeChoice::Nsf => recipes::neural_spline_flow,
        RecipeChoice::NsfAr => recipes::autoregressive_spline_flow,
        RecipeChoice::Realnvp => recipes::realnvp,
        RecipeChoice::Maf => recipes::masked_autoregressive_flow,
    };
    let recipe = recipe(schema.columns.len())
        .layers(args.layers)
        .width(args.width)
        .context(schema.context_size());
    Ok(recipe.standardize(data)?.architecture()?)
}
