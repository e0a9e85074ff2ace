//! Rows of a table as tensors, and their ln p.

use std::path::Path;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use flow_core::{Bijection, Flow, UniformDequantization, random, train::Data, transfer};
use flow_table::{Chunk, Numbers, Schema, Table};

use super::TableModel;
use crate::cli::TableModelArgs;

/// Rows that are read, scored, drawn and written at a time.
pub(super) const CHUNK: usize = 1 << 14;

/// The noise of integers and categories.
pub(super) fn dequantization(schema: &Schema) -> UniformDequantization {
    let columns = schema.columns.iter().enumerate();
    let discrete = columns.filter(|(_, column)| column.kind.is_discrete());
    UniformDequantization {
        columns: discrete.map(|(index, _)| index).collect(),
    }
}

/// All rows of a table, as samples `[N, D]` without noise and contexts `[N, K]`.
pub(super) fn all(
    table: &Table,
    schema: &Schema,
    drop_missing: bool,
    device: &Device,
) -> Result<Data> {
    let mut numbers = Numbers::of(table, schema, drop_missing)?;
    let (mut values, mut given): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
    while let Some(chunk) = numbers.next_chunk(CHUNK)? {
        values.extend(chunk.values.iter().map(|&value| value as f32));
        given.extend(chunk.given.iter().map(|&value| value as f32));
    }
    let rows = values.len() / schema.columns.len().max(1);
    tensors(schema, rows, values, given, DType::F32, device)
}

/// Samples `[N, D]` and contexts `[N, K]` of numbers row by row.
pub(super) fn tensors<T: candle_core::WithDType>(
    schema: &Schema,
    rows: usize,
    values: Vec<T>,
    given: Vec<T>,
    dtype: DType,
    device: &Device,
) -> Result<Data> {
    let x = transfer::upload(values, (rows, schema.columns.len()), dtype, device)?;
    let size = schema.context_size();
    if size == 0 {
        return Ok(Data::from(&x));
    }
    let context = transfer::upload(given, (rows, size), dtype, device)?;
    Ok(Data::from((&x, &context)))
}

/// Rows in the order `places`.
pub(super) fn select(data: &Data, places: &[u32]) -> Result<Data> {
    let x = data.samples();
    let places = Tensor::new(places, x.device())?;
    let chosen = data.with_samples(&x.index_select(&places, 0)?);
    chosen.map_context(|context| Ok(context.index_select(&places, 0)?))
}

/// The same rows with `noise` in their discrete columns.
pub(super) fn with_noise(data: &Data, noise: &UniformDequantization, seed: u64) -> Result<Data> {
    Ok(data.with_samples(&noise.forward(data.samples(), seed)?))
}

/// ln p of the rows of a table, chunk by chunk.
pub(super) struct Scores<'a> {
    model: &'a TableModel,
    numbers: Numbers<'a>,
    noise: UniformDequantization,
    seed: u64,
    device: Device,
    chunks: usize,
    /// Rows so far, and those of them without a finite ln p.
    pub(super) rows: usize,
    pub(super) non_finite: usize,
}

impl<'a> Scores<'a> {
    pub(super) fn of(
        model: &'a TableModel,
        table: &Path,
        args: &TableModelArgs,
        device: &Device,
    ) -> Result<Self> {
        let (table, schema) = (Table::at(table), &model.record.schema);
        Ok(Self {
            model,
            numbers: Numbers::of(&table, schema, args.drop_missing)?,
            noise: dequantization(schema),
            seed: args.seed,
            device: device.clone(),
            chunks: 0,
            rows: 0,
            non_finite: 0,
        })
    }

    /// Numbers of the next rows and ln p of each; nothing behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u64>, Vec<f64>)>> {
        let Some(Chunk {
            rows,
            values,
            given,
        }) = self.numbers.next_chunk(CHUNK)?
        else {
            let dropped = self.numbers.dropped();
            if dropped > 0 {
                tracing::info!("{dropped} rows with a missing value are left out");
            }
            return Ok(None);
        };
        let schema = &self.model.record.schema;
        let data = tensors(
            schema,
            rows.len(),
            values,
            given,
            self.model.model.dtype(),
            &self.device,
        )?;
        let seed = random::derive(self.seed, &format!("chunk {}", self.chunks));
        let log_prob = log_prob(&self.model.model, &data, &self.noise, seed)?;
        self.chunks += 1;
        self.rows += rows.len();
        self.non_finite += log_prob
            .iter()
            .filter(|log_prob| !log_prob.is_finite())
            .count();
        Ok(Some((rows, log_prob)))
    }
}

/// ln p of each row, a lower bound where columns are discrete.
fn log_prob(
    flow: &Flow,
    data: &Data,
    noise: &UniformDequantization,
    seed: u64,
) -> Result<Vec<f64>> {
    log_prob_of(flow, &with_noise(data, noise, seed)?)
}

/// ln p of each row under its context, if there are contexts.
pub(super) fn log_prob_of(flow: &Flow, data: &Data) -> Result<Vec<f64>> {
    let log_prob = if data.has_context() {
        of(&flow.given(data.context()?)?, data.samples())
    } else {
        of(flow, data.samples())
    };
    Ok(transfer::numbers(&log_prob?)?)
}

fn of<B: Bijection>(flow: &Flow<B>, x: &Tensor) -> candle_core::Result<Tensor> {
    flow.log_prob(x)
}
