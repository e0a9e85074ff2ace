//! `flow sample --rows`: new rows of a table.

use anyhow::{Context, Result, anyhow, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::{Bijection, Flow, finite_rows, random, transfer};
use flow_table::{Column, Schema, Series};

use super::{TableModel, rows::CHUNK};
use crate::{cli::SampleArgs, output::table_file::TableFile};

/// Draws `count` rows.
pub(crate) fn run(args: &SampleArgs, count: usize) -> Result<()> {
    let device = args.device.device.open()?;
    let path = args.model.checkpoint.as_deref();
    let path = path.context("`--rows` needs the model of a table; name it with `--checkpoint`")?;
    let temperature = match args.temperature[..] {
        [] => 1.0,
        [temperature] => temperature,
        _ => return Err(anyhow!("`--rows` takes one `--temperature`")),
    };
    let TableModel { model, record } = TableModel::load(path, &device)?;
    let given = given(&record.schema, &args.given)?;
    let named = record.schema.columns.iter().chain(&record.schema.given);
    let named = named.map(|column| (column.name.as_str(), Series::empty(column)));
    let mut file = TableFile::create(args.out.as_deref(), &named.collect::<Vec<_>>())?;
    let (schema, seed) = (&record.schema, args.seed);
    if given.is_empty() {
        let flow = model.at_temperature(temperature)?;
        rows(&flow, schema, &given, count, seed, &mut file)?;
    } else {
        let columns = record.schema.given.iter().zip(&given);
        let numbers = columns.flat_map(|(column, &value)| column.context(value));
        let numbers = numbers.map(|number| number as f32).collect::<Vec<_>>();
        let size = numbers.len();
        let dtype = model.dtype();
        let context = transfer::upload(numbers, (1, size), dtype, &device)?;
        let flow = model.given(&context)?;
        let flow = flow.at_temperature(temperature)?;
        rows(&flow, schema, &given, count, seed, &mut file)?;
    }
    file.finish()
}

/// The values of the given columns, in their order.
fn given(schema: &Schema, typed: &[(String, String)]) -> Result<Vec<f64>> {
    for (index, (name, _)) in typed.iter().enumerate() {
        let is_given = schema.given.iter().any(|column| column.name == *name);
        ensure!(
            is_given,
            "`--given {name}`: the model has no such given column"
        );
        let again = typed[..index].iter().any(|(other, _)| other == name);
        ensure!(!again, "`--given {name}` is there twice");
    }
    let value = |column: &Column| {
        let name = &column.name;
        let found = typed.iter().find(|(typed, _)| typed == name);
        let (_, text) = found.with_context(|| {
            format!("the model is conditioned on the column `{name}`; say `--given {name}=VALUE`")
        })?;
        column
            .parse(text)
            .map_err(|reason| anyhow!("`--given {name}`: {reason}"))
    };
    schema.given.iter().map(value).collect()
}

/// Draws and writes rows, a chunk at a time.
fn rows<B: Bijection>(
    flow: &Flow<B>,
    schema: &Schema,
    given: &[f64],
    count: usize,
    seed: u64,
    file: &mut TableFile,
) -> Result<()> {
    for start in (0..count).step_by(CHUNK) {
        let length = CHUNK.min(count - start);
        let seed = random::derive(seed, &format!("rows from {start}"));
        let x = transfer::to_host(&flow.sample(length, seed)?)?;
        let finite = finite_rows(&x)?;
        let bad = finite.iter().filter(|is_finite| !**is_finite).count();
        ensure!(
            bad == 0,
            "{bad} of {length} rows are not finite; take a lower `--temperature`"
        );
        let columns = schema.columns.iter().enumerate();
        let drawn = columns.map(|(index, column)| Ok(Series::decode(column, numbers(&x, index)?)));
        let known = schema.given.iter().zip(given);
        let known = known.map(|(column, &value)| {
            Ok(Series::decode(
                column,
                std::iter::repeat_n(value as f32, length),
            ))
        });
        file.write(&drawn.chain(known).collect::<Result<Vec<_>>>()?)?;
    }
    Ok(())
}

/// A column of rows on the host.
fn numbers(x: &Tensor, column: usize) -> Result<Vec<f32>> {
    let column = x.narrow(1, column, 1)?.to_device(&Device::Cpu)?;
    Ok(column.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}
