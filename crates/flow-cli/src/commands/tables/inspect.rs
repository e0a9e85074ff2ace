//! `flow inspect` of a model of a table.

use anyhow::Result;
use candle_core::Device;
use flow_core::Model;
use indicatif::HumanCount;
use serde_json::json;

use super::{describe, record::TableRecord};
use crate::{
    cli::InspectArgs,
    output::{picture_file::PictureFile, plane::Plane, report, words::count},
};

/// Shows a flow of vectors, and the columns of its table if it has some.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let model = Model::load(&args.file, &Device::Cpu)?;
    if let Some(path) = &args.plot {
        let output = PictureFile::create(path)?;
        let plane = Plane {
            layers: args.layers,
            samples: args.samples,
            seed: args.seed,
        };
        output.write(&plane.picture(&model)?.into())?;
    }
    let architecture = model.architecture();
    let vars = model.params().vars();
    let parameters = vars.iter().map(|(_, var)| var.elem_count()).sum::<usize>();
    if args.json {
        let value = json!({
            "parameters": parameters,
            "architecture": architecture,
            "notes": model.notes,
        });
        return report::json(&value);
    }
    let context = architecture
        .context
        .as_ref()
        .map_or(0, |context| context.size);
    let mut lines = vec![
        ("features", architecture.features.to_string()),
        ("context", context.to_string()),
        ("layers", architecture.layers.len().to_string()),
        ("parameters", HumanCount(parameters as u64).to_string()),
    ];
    let record = TableRecord::of(&model).ok();
    if let Some(record) = &record {
        lines.extend(of_table(record));
    }
    let columns = record
        .iter()
        .flat_map(|record| describe::schema(&record.schema));
    lines.extend(columns);
    report::table(&lines)
}

fn of_table(record: &TableRecord) -> Vec<(&'static str, String)> {
    let fitted = format!(
        "{} of {}, {}, the best {}",
        count(record.rows, "row"),
        record.table,
        count(record.epochs, "epoch"),
        record.best_epoch
    );
    let mut lines = vec![("recipe", record.recipe.clone()), ("fitted to", fitted)];
    lines.extend(
        record
            .test
            .iter()
            .map(|test| ("ln p a row", test.summary())),
    );
    lines
}
