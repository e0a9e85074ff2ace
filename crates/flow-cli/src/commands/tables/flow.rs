//! The flow of a table: a map of each column to the real line, then a recipe.

use anyhow::{Result, ensure};
use flow_core::{
    Architecture, Bijection, ColumnMap, Columnwise, Layer,
    recipes::{self, Recipe},
    train::Data,
};
use flow_table::{Column, Kind, Schema};

use super::circles;
use crate::cli::{FlowArgs, RecipeChoice};

/// Bounds lie so much further apart, as a share of their distance, that numbers on them are finite.
const MARGIN: f64 = 1e-4;

/// The recipe that was asked for, or the default one.
pub(super) fn choice(args: &FlowArgs, schema: &Schema) -> Result<RecipeChoice> {
    let (columns, has_angles) = (schema.columns.len(), circles::has_angles(schema));
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
    ensure!(
        !has_angles || matches!(choice, RecipeChoice::Nsf | RecipeChoice::NsfAr),
        "angles need circular splines; choose `--recipe nsf` or `--recipe nsf-ar`"
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
    let maps = schema.columns.iter().map(map).collect::<Vec<_>>();
    let (mapped, _) = Columnwise::new(&maps)?.forward(data.samples())?;
    let recipe = recipe.standardize(data.with_samples(&mapped))?;
    let mut architecture = recipe.architecture()?;
    if circles::has_angles(schema) {
        architecture = circles::close(architecture, schema);
    }
    let columns = Layer::Columnwise { maps };
    architecture
        .layers
        .insert(0, ("columns".to_owned(), columns));
    Ok(architecture)
}

/// The map from the values of a column to the real line.
fn map(column: &Column) -> ColumnMap {
    match &column.kind {
        Kind::Real | Kind::Integer | Kind::Angle { .. } => ColumnMap::Identity,
        Kind::Positive => ColumnMap::Log,
        Kind::Bounded { low, high } => {
            let margin = MARGIN * (high - low);
            let (low, high) = (low - margin, high + margin);
            ColumnMap::Logit { low, high }
        }
        Kind::Category { levels } => {
            let high = levels.len() as f64;
            ColumnMap::Logit { low: 0.0, high }
        }
    }
}
