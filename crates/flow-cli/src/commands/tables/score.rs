//! `flow score`: ln p of the rows of a table.

use anyhow::Result;
use flow_table::Series;

use super::{TableModel, record::mean, rows::Scores};
use crate::{
    cli::ScoreArgs,
    output::{report, table_file::TableFile},
};

/// Scores a table.
pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let device = args.device.device.open()?;
    let model = TableModel::load(&args.rows.checkpoint, &device)?;
    let mut scores = Scores::of(&model, &args.table, &args.rows, &device)?;
    if args.mean {
        print_mean(&mut scores)?;
    } else {
        let columns = [
            ("row", Series::Integer(Vec::new())),
            ("log_prob", Series::Float(Vec::new())),
        ];
        let mut file = TableFile::create(args.out.as_deref(), &columns)?;
        while let Some((rows, log_prob)) = scores.next()? {
            file.write(&[
                Series::Integer(rows.iter().map(|&row| row as i64).collect()),
                Series::Float(log_prob.iter().map(|&log_prob| log_prob as f32).collect()),
            ])?;
        }
        file.finish()?;
    }
    report::ensure_finite(scores.non_finite, scores.rows, "rows have no finite ln p")
}

fn print_mean(scores: &mut Scores) -> Result<()> {
    let mut all = Vec::new();
    while let Some((_, log_prob)) = scores.next()? {
        all.extend(log_prob);
    }
    let (mean, standard_error) = mean(&all);
    report::table(&[(
        "ln p a row",
        format!(
            "{mean:.4} ± {standard_error:.4} nats, mean of {} rows",
            all.len()
        ),
    )])
}
