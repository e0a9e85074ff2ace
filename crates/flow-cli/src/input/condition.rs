//! Numbers that a model is conditioned on, from a CSV file with a row for each image.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use flow_glow::{Column, Condition, GlowConfig};

use super::table::{Table, image, line};
use crate::output::words::count;

/// Rows of numbers, and what their columns are called.
pub(crate) struct Rows {
    path: PathBuf,
    names: Vec<String>,
    numbers: Vec<Vec<f64>>,
    /// The image that each row is about, where the file says so.
    images: Option<Vec<usize>>,
}

impl Rows {
    /// Reads a file, all of whose columns but `file` and `index` hold numbers.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(path).with_context(|| cannot_use(path))
    }

    fn parse(path: &Path) -> Result<Self> {
        let table = Table::read(path)?;
        let names = table.columns().map(|place| table.name(place).to_owned());
        let names = names.collect::<Vec<_>>();
        ensure!(
            !names.is_empty(),
            "its first line names no column of numbers"
        );
        ensure!(!table.records().is_empty(), "it has no rows");
        let twice = |name: &&String| names.iter().filter(|other| other == name).count() > 1;
        if let Some(name) = names.iter().find(twice) {
            bail!("its first line names `{name}` twice");
        }
        let row = |record| {
            table
                .columns()
                .map(|place| number(&table, record, place))
                .collect()
        };
        let rows = table.records().iter().map(row);
        let images = table.index().map(|at| {
            let records = table.records().iter();
            records.map(|record| image(record, at)).collect()
        });
        Ok(Self {
            path: path.to_owned(),
            numbers: rows.collect::<Result<_>>()?,
            images: images.transpose()?,
            names,
        })
    }

    /// The rows of images 0 to `number`, `such` as `training image`, in their order.
    ///
    /// # Errors
    /// Unless each of them has one.
    pub(crate) fn of_images(mut self, number: usize, such: &str) -> Result<Self> {
        self.sort(number, such)
            .with_context(|| cannot_use(&self.path))?;
        Ok(self)
    }

    fn sort(&mut self, number: usize, such: &str) -> Result<()> {
        let Some(images) = &self.images else {
            let found = count(self.numbers.len(), "row");
            let needed = count(number, such);
            ensure!(
                self.numbers.len() == number,
                "it has {found}, but there are {needed}"
            );
            return Ok(());
        };
        let mut sorted = vec![None; number];
        for (&image, row) in images.iter().zip(&self.numbers) {
            let place = sorted.get_mut(image);
            let place = place.with_context(|| {
                let all = count(number, such);
                format!("it has a row of image {image}, but there are {all}, from 0")
            })?;
            ensure!(place.is_none(), "it has two rows of image {image}");
            *place = Some(row.clone());
        }
        let row = |(image, row): (usize, Option<_>)| {
            row.with_context(|| format!("it has no row of image {image}"))
        };
        self.numbers = sorted
            .into_iter()
            .enumerate()
            .map(row)
            .collect::<Result<_>>()?;
        Ok(())
    }

    /// The columns, with the mean and the standard deviation of their numbers.
    ///
    /// # Errors
    /// If the numbers of a column are all the same.
    pub(crate) fn columns(&self) -> Result<Vec<Column>> {
        let column = |(place, name): (usize, &String)| {
            let numbers = self.numbers.iter().map(|row| row[place]);
            let count = self.numbers.len() as f64;
            let mean = numbers.clone().sum::<f64>() / count;
            let squares = numbers.map(|number| (number - mean).powi(2)).sum::<f64>();
            let std = (squares / count).sqrt();
            let first = self.numbers[0][place];
            ensure!(
                std > 0.0
                    && self
                        .numbers
                        .iter()
                        .any(|row| row[place].total_cmp(&first).is_ne()),
                "{}: `{name}` is {first} in every row: images do not differ in it",
                cannot_use(&self.path)
            );
            let name = name.clone();
            Ok(Column { name, mean, std })
        };
        self.names.iter().enumerate().map(column).collect()
    }

    /// The numbers `[N, K]` in the order of a model's condition.
    ///
    /// # Errors
    /// If the columns are not those of the condition.
    pub(crate) fn numbers(&self, condition: &Condition) -> Result<Tensor> {
        let columns = &condition.columns;
        let known = |name: &&String| columns.iter().any(|column| column.name == **name);
        let unknown = self.names.iter().filter(|name| !known(name));
        let place = |name: &String| self.names.iter().position(|other| other == name);
        let missing = columns.iter().map(|column| &column.name);
        let missing = missing.filter(|name| place(name).is_none());
        for (problem, names) in [
            ("it has no", quoted(missing)),
            ("the model knows no", quoted(unknown)),
        ] {
            ensure!(
                names.is_empty(),
                "{}: {problem} {names}; the model is conditional on {}",
                cannot_use(&self.path),
                names_of(condition)
            );
        }
        let places = columns.iter().filter_map(|column| place(&column.name));
        let places = places.collect::<Vec<_>>();
        let rows = self.numbers.iter();
        let numbers = rows.flat_map(|row| places.iter().map(|&place| row[place]));
        let shape = (self.numbers.len(), columns.len());
        Ok(Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)?)
    }
}

/// The number in a field that must hold one.
fn number(table: &Table, record: &csv::StringRecord, place: usize) -> Result<f64> {
    let (line, name) = (line(record), table.name(place));
    let number = table.number(record, place)?;
    let number =
        number.with_context(|| format!("line {line} has nothing in the column `{name}`"))?;
    ensure!(
        (number as f32).is_finite(),
        "line {line} holds {number} in the column `{name}`, which is too large"
    );
    Ok(number)
}

/// The condition of a model, which a file `--condition` gives if there is one.
///
/// # Errors
/// If there is only one of both.
pub(crate) fn expected<'a>(
    file: Option<&Path>,
    config: &'a GlowConfig,
) -> Result<Option<&'a Condition>> {
    match (file, &config.condition) {
        (None, Some(condition)) => bail!(
            "the model is conditional on {}; give them by `--condition`",
            names_of(condition)
        ),
        (Some(_), None) => {
            bail!("the model is not conditional on numbers; leave out `--condition`")
        }
        (_, condition) => Ok(condition.as_ref()),
    }
}

/// The rows in that file, and the condition of the model.
///
/// # Errors
/// As those of [`expected`], and if the file cannot be used.
pub(crate) fn asked<'a>(
    file: Option<&Path>,
    config: &'a GlowConfig,
) -> Result<Option<(Rows, &'a Condition)>> {
    let condition = expected(file, config)?;
    let rows = file.map(Rows::read).transpose()?;
    Ok(rows.zip(condition))
}

/// # Errors
/// If the model is conditional on numbers: for a command that takes none.
pub(crate) fn refuse(config: &GlowConfig) -> Result<()> {
    match &config.condition {
        None => Ok(()),
        Some(condition) => bail!(
            "the model is conditional on {}, which this command does not take; `flow sample` and `flow eval` do",
            names_of(condition)
        ),
    }
}

/// The means of a model's condition for each of so many images, `[count, K]`, if it has any.
pub(crate) fn means(config: &GlowConfig, count: usize) -> Result<Option<Tensor>> {
    let row = |condition: &Condition| {
        let means = condition.columns.iter().map(|column| column.mean);
        Tensor::from_iter(means, &Device::Cpu)?
            .unsqueeze(0)?
            .repeat((count, 1))
    };
    Ok(config.condition.as_ref().map(row).transpose()?)
}

/// The names of a condition's columns.
pub(crate) fn names_of(condition: &Condition) -> String {
    quoted(condition.columns.iter().map(|column| &column.name))
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names = names.map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use `{}`", path.display())
}
