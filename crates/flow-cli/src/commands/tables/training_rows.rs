//! Rows of a table for a fit: to fit to, to compare epochs by, and to test.

use anyhow::Result;
use candle_core::{DType, Device};
use flow_core::{
    UniformDequantization, random,
    runs::Rows,
    train::{Data, FitSettings, Validation},
};
use flow_table::{Numbers, Survey, Table};

use super::{
    packed::PackedRows,
    rows::{self, CHUNK, select, with_noise},
};
use crate::cli::FitArgs;

/// Numbers of a table that is held in memory at most: 256 MiB.
const IN_MEMORY: usize = 1 << 26;

/// Rows of a larger table that test, or compare epochs, at most.
const HELD_OUT: usize = 1 << 17;

/// Share of the rows of a fit by which epochs are compared.
const COMPARED: f64 = 0.1;

/// Rows of a table, split.
pub(super) struct TrainingRows<'a> {
    /// Rows to fit to, or a sample of them, with noise in discrete columns.
    pub(super) sample: Data,
    /// Rows that take no part in the fit, with noise.
    pub(super) test: Data,
    /// Rows to fit to and to compare epochs by.
    pub(super) count: usize,
    /// Batches, if they are not simply those of `sample`.
    pub(super) batches: Option<Batches<'a>>,
}

/// Batches in an order, and with noise in discrete columns, that each epoch draws anew.
pub(super) struct Batches<'a> {
    rows: Kept<'a>,
    /// Rows by which epochs are compared, with noise.
    compared: Data,
    noise: UniformDequantization,
    seed: u64,
}

/// Rows without noise.
enum Kept<'a> {
    Memory(Data),
    File(PackedRows<'a>),
}

impl<'a> TrainingRows<'a> {
    pub(super) fn of(
        table: &Table,
        survey: &'a Survey,
        args: &FitArgs,
        device: &Device,
    ) -> Result<Self> {
        let width = survey.schema.columns.len() + survey.schema.context_size();
        if survey.rows as usize <= IN_MEMORY / width {
            Self::in_memory(table, survey, args, device)
        } else {
            Self::in_file(table, survey, args, device)
        }
    }

    fn in_memory(
        table: &Table,
        survey: &'a Survey,
        args: &FitArgs,
        device: &Device,
    ) -> Result<Self> {
        let (schema, seed) = (&survey.schema, args.seed);
        let all = rows::all(table, schema, args.columns.drop_missing, device)?;
        let noise = rows::dequantization(schema);
        let count = all.samples().dim(0)?;
        let [rows, test] = apart(&all, share(count, args.test_share), seed, "test rows")?;
        let count = rows.samples().dim(0)?;
        if noise.columns.is_empty() {
            return Ok(Self {
                sample: rows,
                test,
                count,
                batches: None,
            });
        }
        let [rows, compared] = apart(&rows, share(count, COMPARED), seed, "compared rows")?;
        Self::new(Kept::Memory(rows), [compared, test], noise, seed)
    }

    /// Rows that are drawn for tests and comparisons stay in memory, and others go to a file.
    fn in_file(table: &Table, survey: &'a Survey, args: &FitArgs, device: &Device) -> Result<Self> {
        let (schema, seed) = (&survey.schema, args.seed);
        let mut left = survey.rows as usize;
        let test = share(left, args.test_share).min(HELD_OUT);
        let compared = share(left - test, COMPARED).min(HELD_OUT);
        // Of those drawn for each, numbers and how many are still to come.
        let mut held_out = [compared, test].map(|count| (Vec::new(), Vec::new(), count));
        let mut packed = PackedRows::create(schema, device)?;
        let mut numbers = Numbers::of(table, schema, args.columns.drop_missing)?;
        while let Some(chunk) = numbers.next_chunk(CHUNK)? {
            let seed = random::derive(seed, &format!("held-out rows of the last {left}"));
            let drawn = random::uniform_numbers::<f64>(seed, chunk.len());
            for (index, drawn) in drawn.into_iter().enumerate() {
                // Selection sampling (Knuth, volume 2, algorithm S).
                let mut place = drawn * left as f64;
                left = left.saturating_sub(1);
                let chosen = held_out.iter_mut().find(|(_, _, count)| {
                    place -= *count as f64;
                    place < 0.0
                });
                match chosen {
                    Some((values, given, count)) => {
                        values.extend_from_slice(chunk.row(index));
                        given.extend_from_slice(chunk.context(index));
                        *count -= 1;
                    }
                    None => packed.push(chunk.row(index), chunk.context(index))?,
                }
            }
        }
        packed.finish()?;
        let [compared, test] = held_out.map(|(values, given, _)| {
            let count = values.len() / schema.columns.len();
            rows::tensors(schema, count, values, given, DType::F32, device)
        });
        let noise = rows::dequantization(schema);
        Self::new(Kept::File(packed), [compared?, test?], noise, seed)
    }

    fn new(
        rows: Kept<'a>,
        [compared, test]: [Data; 2],
        noise: UniformDequantization,
        seed: u64,
    ) -> Result<Self> {
        let noisy = |data: &Data, name| with_noise(data, &noise, random::derive(seed, name));
        let (test, compared) = (
            noisy(&test, "noise of test rows")?,
            noisy(&compared, "noise of compared rows")?,
        );
        let sample = match &rows {
            Kept::Memory(data) => noisy(data, "noise of a sample")?,
            Kept::File(packed) => {
                let pool = packed.pools(random::derive(seed, "sample")).next();
                noisy(
                    &pool.unwrap_or_else(|| Ok(compared.clone()))?,
                    "noise of a sample",
                )?
            }
        };
        let fitted = match &rows {
            Kept::Memory(data) => data.samples().dim(0)?,
            Kept::File(packed) => packed.len(),
        };
        Ok(Self {
            count: fitted + compared.samples().dim(0)?,
            sample,
            test,
            batches: Some(Batches {
                rows,
                compared,
                noise,
                seed,
            }),
        })
    }
}

impl Batches<'_> {
    /// The settings of a fit to the batches: how many there are, and the rows to compare epochs by.
    pub(super) fn settings(&self, settings: FitSettings) -> Result<FitSettings> {
        let batches = |rows: usize| rows.div_ceil(settings.batch_size);
        let an_epoch = match &self.rows {
            Kept::Memory(data) => batches(data.samples().dim(0)?),
            Kept::File(packed) => packed.pool_sizes().map(batches).sum(),
        };
        Ok(FitSettings {
            max_steps: an_epoch.saturating_mul(settings.epochs),
            validation: Validation::Samples(self.compared.clone()),
            ..settings
        })
    }

    /// The batches of an epoch.
    pub(super) fn of_epoch(
        &self,
        epoch: usize,
        size: usize,
    ) -> impl Iterator<Item = candle_core::Result<Data>> + '_ {
        let seed = random::derive(self.seed, &format!("epoch {epoch}"));
        let pools: Box<dyn Iterator<Item = Result<Data>> + '_> = match &self.rows {
            Kept::Memory(data) => Box::new(std::iter::once(Ok(data.clone()))),
            Kept::File(packed) => Box::new(packed.pools(seed)),
        };
        let shuffled = pools.enumerate().map(move |(index, pool)| {
            self.shuffled(&pool?, random::derive(seed, &format!("pool {index}")))
        });
        shuffled.flat_map(move |pool| in_batches(pool, size))
    }

    /// The rows in another order, with noise.
    fn shuffled(&self, pool: &Data, seed: u64) -> Result<Data> {
        let order = random::order(random::derive(seed, "order"), pool.samples().dim(0)?);
        let noise = random::derive(seed, "noise");
        with_noise(&select(pool, &order)?, &self.noise, noise)
    }
}

/// Rows in runs of `size`, or the error.
fn in_batches(pool: Result<Data>, size: usize) -> Vec<candle_core::Result<Data>> {
    let batches = pool.and_then(|pool| {
        let count = pool.samples().dim(0)?;
        let starts = (0..count).step_by(size);
        let batch = |start| pool.of(&Rows::new(start..count.min(start + size), count));
        Ok(starts.map(batch).collect())
    });
    batches.unwrap_or_else(|error| vec![Err(candle_core::Error::msg(format!("{error:#}")))])
}

/// So many rows are a share of `count`, at least one and at most half.
fn share(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).clamp(1, count / 2)
}

/// The rows without `count` that `seed` and a name draw, and these.
fn apart(data: &Data, count: usize, seed: u64, name: &str) -> Result<[Data; 2]> {
    let order = random::order(random::derive(seed, name), data.samples().dim(0)?);
    let (chosen, others) = order.split_at(count);
    Ok([select(data, others)?, select(data, chosen)?])
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fmt::Write as _, path::Path};

    use clap::Parser;
    use flow_core::transfer;
    use flow_table::Choice;

    use super::*;

    const ROWS: usize = 1_000;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        fit: FitArgs,
    }

    /// A table whose rows are told apart by their first column, a multiple of 1/4; the given column
    /// is its half.
    fn survey(folder: &Path) -> (Table, Survey) {
        let mut text = "number,dice,half\n".to_owned();
        for row in 0..ROWS {
            let number = row as f64 + 0.25;
            writeln!(text, "{number},{},{}", row % 6, number / 2.0).unwrap();
        }
        let path = folder.join("table.csv");
        std::fs::write(&path, text).unwrap();
        let table = Table::at(&path);
        let choice = Choice {
            given: vec!["half".to_owned()],
            ..Choice::default()
        };
        let survey = Survey::of(&table, &choice).unwrap();
        (table, survey)
    }

    /// Numbers and dice of rows, whose contexts are checked.
    fn numbers(data: &Data) -> Vec<[f64; 2]> {
        let x = transfer::numbers(data.samples()).unwrap();
        let halves = transfer::numbers(data.context().unwrap()).unwrap();
        let rows = x.chunks(2).zip(halves);
        rows.map(|(row, half)| {
            assert!((row[0] - (2.0 * half.exp())).abs() < 1e-2, "{row:?} {half}");
            [row[0], row[1]]
        })
        .collect()
    }

    fn epoch(batches: &Batches<'_>, epoch: usize) -> Vec<[f64; 2]> {
        let batches = batches.of_epoch(epoch, 64).map(Result::unwrap);
        batches.flat_map(|batch| numbers(&batch)).collect()
    }

    #[test]
    fn every_row_has_one_part_and_epochs_differ_in_order_and_noise() {
        let folder = tempfile::tempdir().unwrap();
        let (table, survey) = survey(folder.path());
        let args = Typed::parse_from(["flow", "table.csv"]).fit;
        for split in [TrainingRows::in_memory, TrainingRows::in_file] {
            let rows = split(&table, &survey, &args, &Device::Cpu).unwrap();
            assert_eq!(rows.count, 900);
            let batches = rows.batches.as_ref().unwrap();
            let [first, second] = [1, 2].map(|number| epoch(batches, number));
            assert_eq!(first, epoch(batches, 1));
            let parts = [&first, &numbers(&batches.compared), &numbers(&rows.test)];
            assert_eq!(parts.map(Vec::len), [810, 90, 100]);
            let all = parts.into_iter().flatten();
            let all = all.map(|row| row[0] as usize).collect::<HashSet<_>>();
            assert_eq!(all.len(), ROWS);

            let order =
                |rows: &[[f64; 2]]| rows.iter().map(|row| row[0] as usize).collect::<Vec<_>>();
            let [mut first_order, mut second_order] = [&first, &second].map(|rows| order(rows));
            let moved = first_order
                .iter()
                .zip(&second_order)
                .filter(|(a, b)| a != b);
            assert!(moved.count() > 750);
            // No row stays near its place in the table.
            let ascending = first_order.windows(2).filter(|pair| pair[0] < pair[1]);
            assert!((300..500).contains(&ascending.count()));
            for order in [&mut first_order, &mut second_order] {
                order.sort_unstable();
            }
            assert_eq!(first_order, second_order);

            let dice = |rows: &[[f64; 2]]| {
                let mut dice = rows.to_vec();
                dice.sort_by(|a, b| a[0].total_cmp(&b[0]));
                dice.into_iter().map(|row| row[1]).collect::<Vec<_>>()
            };
            let pairs = dice(&first).into_iter().zip(dice(&second));
            assert!(
                pairs
                    .into_iter()
                    .all(|(a, b)| a.to_bits() != b.to_bits() && a as u8 == b as u8)
            );
        }
    }
}
