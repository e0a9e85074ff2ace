//! `flow outliers --table`: how rare the rows of a table are.

use anyhow::{Context, Result};
use flow_table::Series;

use super::{TableModel, record::TestRows, rows::Scores};
use crate::{
    cli::{OutliersArgs, TableModelArgs},
    output::{report, table_file::TableFile, words::count},
};

use std::path::Path;

/// Rows with ln p and the share of test rows that are less likely.
#[derive(Default)]
struct Found {
    rows: Vec<u64>,
    log_prob: Vec<f64>,
    rarity: Vec<f64>,
}

/// Ranks or judges the rows of a table, or says how rare each is.
pub(crate) fn run(args: &OutliersArgs, table: &Path) -> Result<()> {
    let device = args.device.device.open()?;
    let path = args.model.checkpoint.clone();
    let rows = TableModelArgs {
        checkpoint: path
            .context("`--table` needs the model of a table; name it with `--checkpoint`")?,
        drop_missing: args.drop_missing,
        seed: args.seed,
    };
    let model = TableModel::load(&rows.checkpoint, &device)?;
    let test = model.record.test.as_ref().with_context(|| {
        format!(
            "`{}` has no test rows to compare with, since `flow fit` did not make it; `flow score` gives ln p",
            rows.checkpoint.display()
        )
    })?;
    let mut scores = Scores::of(&model, table, &rows, &device)?;
    let mut columns = vec![
        ("row", Series::Integer(Vec::new())),
        ("log_prob", Series::Float(Vec::new())),
        ("less_likely", Series::Float(Vec::new())),
    ];
    if args.threshold_quantile.is_some() {
        columns.push(("verdict", Series::Text(Vec::new())));
    }
    let mut file = TableFile::create(args.out.as_deref(), &columns)?;
    let (mut ranked, mut outliers) = (Vec::new(), 0);
    while let Some((rows, log_prob)) = scores.next()? {
        if let Some(count) = args.rank {
            ranked.extend(rows.into_iter().zip(log_prob));
            strangest(&mut ranked, count);
            continue;
        }
        let found = Found::of(test, rows, log_prob);
        outliers += found.write(args.threshold_quantile, &mut file)?;
    }
    if args.rank.is_some() {
        let (rows, log_prob) = ranked.into_iter().unzip();
        Found::of(test, rows, log_prob).write(None, &mut file)?;
    }
    file.finish()?;
    if let Some(share) = args.threshold_quantile {
        let test = count(test.rows, "test row");
        tracing::info!(
            "{} among {}: less likely than a share of {share} of {test} of the fit",
            count(outliers, "outlier"),
            count(scores.rows, "row"),
        );
    }
    let bad = "rows have no finite ln p; they count as the strangest";
    report::ensure_finite(scores.non_finite, scores.rows, bad)
}

/// Keeps the least likely rows, in this order.
fn strangest(rows: &mut Vec<(u64, f64)>, count: usize) {
    let key = |log_prob: f64| {
        if log_prob.is_nan() {
            f64::NEG_INFINITY
        } else {
            log_prob
        }
    };
    rows.sort_by(|a, b| key(a.1).total_cmp(&key(b.1)));
    rows.truncate(count);
}

impl Found {
    fn of(test: &TestRows, rows: Vec<u64>, log_prob: Vec<f64>) -> Self {
        let rarity = log_prob.iter().map(|&log_prob| test.share_below(log_prob));
        Self {
            rarity: rarity.collect(),
            rows,
            log_prob,
        }
    }

    /// Writes the rows, and returns the number of outliers.
    fn write(self, threshold: Option<f64>, file: &mut TableFile) -> Result<usize> {
        let float = |numbers: &[f64]| Series::Float(numbers.iter().map(|&x| x as f32).collect());
        let mut columns = vec![
            Series::Integer(self.rows.iter().map(|&row| row as i64).collect()),
            float(&self.log_prob),
            float(&self.rarity),
        ];
        let mut outliers = 0;
        if let Some(share) = threshold {
            let verdict = |&rarity: &f64| {
                let is_outlier = rarity < 1.0 - share;
                outliers += usize::from(is_outlier);
                if is_outlier { "outlier" } else { "normal" }.to_owned()
            };
            columns.push(Series::Text(self.rarity.iter().map(verdict).collect()));
        }
        file.write(&columns)?;
        Ok(outliers)
    }
}
