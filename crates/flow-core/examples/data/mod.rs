//! The table of an example.

use candle_core::{Device, Error, Result, Tensor};

/// ln of the ten measurements of all benign and of all malignant tumours, `[N, 10]`: means of the
/// Wisconsin (Diagnostic) set of the UCI repository ([licence](README.md)).
pub(crate) fn breast_cancer() -> Result<[Tensor; 2]> {
    let rows = |malignant: &str| {
        let lines = include_str!("breast_cancer.csv").lines();
        let rows = lines.filter(|line| line.starts_with(malignant));
        let cells = rows.flat_map(|row| row.split(',').skip(1).map(str::parse::<f32>));
        let cells = cells.collect::<std::result::Result<Vec<_>, _>>();
        let x = Tensor::from_vec(cells.map_err(Error::wrap)?, ((), 10), &Device::Cpu)?;
        // Concavities are zero at times.
        (x + 1e-3)?.log()
    };
    Ok([rows("0")?, rows("1")?])
}
