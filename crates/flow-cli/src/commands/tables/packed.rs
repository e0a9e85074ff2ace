//! Rows of numbers in a temporary file, for tables larger than memory.

use std::{
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
};

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use flow_core::{random, train::Data};
use flow_table::Schema;

use super::rows;

/// Neighbours in the table that are read together.
const BLOCK: usize = 256;

/// Numbers of a pool: 64 MiB.
const POOL: usize = 1 << 24;

/// Rows as f32, each with its context behind it.
pub(super) struct PackedRows<'a> {
    schema: &'a Schema,
    writer: BufWriter<File>,
    rows: usize,
    /// Blocks that are shuffled together.
    blocks: usize,
    device: Device,
}

impl<'a> PackedRows<'a> {
    pub(super) fn create(schema: &'a Schema, device: &Device) -> Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file for the rows")?;
        let width = schema.columns.len() + schema.context_size();
        Ok(Self {
            schema,
            writer: BufWriter::new(file),
            rows: 0,
            blocks: (POOL / width / BLOCK).max(1),
            device: device.clone(),
        })
    }

    /// Adds a row and its context.
    pub(super) fn push(&mut self, values: &[f64], given: &[f64]) -> Result<()> {
        for &number in values.iter().chain(given) {
            let written = self.writer.write_all(&(number as f32).to_le_bytes());
            written.context("cannot write the rows to a temporary file")?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes what is still in memory.
    pub(super) fn finish(&mut self) -> Result<()> {
        let flushed = self.writer.flush();
        flushed.context("cannot write the rows to a temporary file")
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Rows of each pool.
    pub(super) fn pool_sizes(&self) -> impl Iterator<Item = usize> {
        let (rows, pool) = (self.rows, self.blocks * BLOCK);
        (0..rows.div_ceil(pool)).map(move |index| pool.min(rows - index * pool))
    }

    /// All rows, in pools of blocks that `seed` draws.
    pub(super) fn pools(&self, seed: u64) -> impl Iterator<Item = Result<Data>> + '_ {
        let mut order = random::order(seed, self.rows.div_ceil(BLOCK));
        let pools = order.len().div_ceil(self.blocks);
        (0..pools).map(move |_| {
            let count = self.blocks.min(order.len());
            let drawn = order.drain(..count).collect::<Vec<_>>();
            self.pool(&drawn)
        })
    }

    fn pool(&self, blocks: &[u32]) -> Result<Data> {
        let (columns, size) = (self.schema.columns.len(), self.schema.context_size());
        let (mut values, mut given) = (Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        let mut file = self.writer.get_ref();
        for &block in blocks {
            let start = block as usize * BLOCK;
            let rows = BLOCK.min(self.rows - start);
            let row = (columns + size) * size_of::<f32>();
            bytes.resize(rows * row, 0);
            let read = file.seek(SeekFrom::Start((start * row) as u64));
            let read = read.and_then(|_| file.read_exact(&mut bytes));
            read.context("cannot read the rows from a temporary file")?;
            let mut numbers = bytes
                .as_chunks()
                .0
                .iter()
                .map(|&number| f32::from_le_bytes(number));
            for _ in 0..rows {
                values.extend(numbers.by_ref().take(columns));
                given.extend(numbers.by_ref().take(size));
            }
        }
        let rows = values.len() / columns;
        rows::tensors(self.schema, rows, values, given, DType::F32, &self.device)
    }
}

#[cfg(test)]
mod tests {
    use flow_core::transfer;
    use flow_table::{Column, Kind};

    use super::*;

    #[test]
    fn pools_hold_every_row_once_in_blocks_of_an_order_that_the_seed_draws() {
        let column = Column {
            name: "x".to_owned(),
            kind: Kind::Real,
            low: 0.0,
            high: 799.0,
            mean: 399.5,
            std: 231.0,
        };
        let schema = Schema {
            columns: vec![column.clone()],
            given: vec![column],
        };
        let mut packed = PackedRows::create(&schema, &Device::Cpu).unwrap();
        for row in 0..800 {
            packed.push(&[f64::from(row)], &[f64::from(-row)]).unwrap();
        }
        packed.finish().unwrap();
        packed.blocks = 2;
        assert_eq!(packed.pool_sizes().collect::<Vec<_>>(), [512, 288]);
        let rows = |seed| {
            let pools = packed.pools(seed).map(Result::unwrap);
            let rows = pools.flat_map(|pool| {
                let x = transfer::numbers(pool.samples()).unwrap();
                let given = transfer::numbers(pool.context().unwrap()).unwrap();
                assert!(
                    x.iter()
                        .zip(&given)
                        .all(|(x, given)| (x + given).abs() < 1e-9)
                );
                x
            });
            rows.map(|row| row as usize).collect::<Vec<_>>()
        };
        let orders = (0..8).map(rows).collect::<Vec<_>>();
        assert!(orders.iter().any(|order| order != &orders[0]));
        for mut order in orders {
            order.sort_unstable();
            assert_eq!(order, (0..800).collect::<Vec<_>>());
        }
    }
}
