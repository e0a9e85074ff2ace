//! `flow-bench tables`: `flow fit` beside scikit-learn's Gaussian mixture, kernel density and
//! isolation forest, on its own tables and on a made one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{Flow, Python, json, number, statistics::mean, stdout, table};

/// The script of the same name makes the tables and fits the peers.
const SCRIPT: &str = "tables.py";

const TABLES: [&str; 6] = [
    "breast_cancer",
    "wine",
    "iris",
    "diabetes",
    "digits",
    "made",
];

/// Tables with a class that is odd.
const ODD: [&str; 4] = ["breast_cancer", "wine", "digits", "made"];

const RECIPES: [&str; 2] = ["nsf", "nsf-ar"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows`, `numpy` and `scikit-learn`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

    /// Rows of the made table
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,

    /// Tables to measure [default: all]
    #[arg(long, value_delimiter = ',', value_parser = TABLES)]
    tables: Vec<String>,

    /// Recipes of the flows
    #[arg(long, value_delimiter = ',', value_parser = RECIPES, default_values = RECIPES)]
    recipes: Vec<String>,
}

struct Bench<'a> {
    recipes: &'a [String],
    python: Python,
    flow: Flow,
    folder: TempDir,
}

/// Measures and prints two tables in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    let python = Python::at(&options.python)?;
    let missing = "has no scikit-learn; `peers/bin/pip install scikit-learn` gets it";
    python.ensure("import sklearn", missing)?;
    let bench = Bench {
        recipes: &options.recipes,
        python,
        flow: Flow::build()?,
        folder: tempfile::tempdir().context("cannot make a folder for the tables")?,
    };
    let is_chosen = |name: &&str| {
        options.tables.is_empty() || options.tables.iter().any(|chosen| chosen == name)
    };
    let chosen = TABLES.into_iter().filter(is_chosen).collect::<Vec<_>>();
    let rows = options.rows.to_string();
    let mut fits = Vec::new();
    println!("Density: mean ln p of the test rows, in nats, in the units of the table\n");
    table::head(&["table", "model", "rows", "test ln p", "seconds", "peak MB"]);
    for name in chosen {
        let data = json(bench.script("data", name).args(["--rows", &rows]))?;
        fits.push((name, bench.densities(name, &data)?));
    }
    println!("\nOutliers: area under the curve, the odd class against test rows of the others\n");
    table::head(&["table", "model", "rows", "AUROC", "seconds", "peak MB"]);
    for (name, fits) in fits.iter().filter(|(name, _)| ODD.contains(name)) {
        bench.outliers(name, fits)?;
    }
    Ok(())
}

impl Bench<'_> {
    fn script(&self, command: &str, name: &str) -> std::process::Command {
        let mut script = self.python.script(SCRIPT);
        script.arg(command).arg(self.folder.path()).arg(name);
        script
    }

    fn path(&self, name: &str, part: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{part}"))
    }

    /// Fits all models and prints their densities; returns rows, seconds and memory of the flows.
    fn densities(&self, name: &str, data: &Value) -> Result<Vec<Value>> {
        let mut fits = Vec::new();
        for recipe in self.recipes {
            let mut fitted = self.fit(name, recipe)?;
            fitted["rows"] = data["rows"].clone();
            let scores = self.score(name, recipe, "test")?;
            let log_prob = log_probs(&scores)?;
            row(name, &format!("flow, {recipe}"), mean(&log_prob), &fitted)?;
            fits.push(fitted);
        }
        for (model, title) in [
            ("mixture", "Gaussian mixture"),
            ("kernel", "kernel density"),
        ] {
            let found = json(self.script("density", name).arg(model))?;
            row(name, title, number(&found, "log_prob")?, &found)?;
        }
        Ok(fits)
    }

    /// Scores outliers by the flows that [`densities`](Self::densities) fitted, and by a forest.
    fn outliers(&self, name: &str, fits: &[Value]) -> Result<()> {
        for (recipe, fitted) in self.recipes.iter().zip(fits) {
            let [usual, odd] = ["test", "odd"].map(|part| self.score(name, recipe, part));
            let mut script = self.python.script(SCRIPT);
            let found = json(script.arg("auroc").arg(usual?).arg(odd?))?;
            let area = number(&found, "auroc")?;
            row(name, &format!("flow, {recipe}"), area, fitted)?;
        }
        let found = json(&mut self.script("outliers", name))?;
        row(name, "isolation forest", number(&found, "auroc")?, &found)
    }

    /// Fits a flow, and returns seconds and memory.
    fn fit(&self, name: &str, recipe: &str) -> Result<Value> {
        let mut script = self.python.script(SCRIPT);
        let fit = self.flow.command("fit");
        script.arg("run").arg(fit.get_program());
        script.arg("fit").arg(self.path(name, "train.csv"));
        script.args(["--recipe", recipe, "--test-share", "0.02", "--out"]);
        json(script.arg(self.path(name, recipe)))
    }

    /// The file of ln p of a part of the table.
    fn score(&self, name: &str, recipe: &str, part: &str) -> Result<PathBuf> {
        let out = self.path(name, &format!("{part}.{recipe}.csv"));
        let mut command = self.flow.command("score");
        command.arg("--checkpoint").arg(self.path(name, recipe));
        command.arg(self.path(name, &format!("{part}.csv")));
        stdout(command.arg("--out").arg(&out))?;
        Ok(out)
    }
}

fn row(name: &str, model: &str, figure: f64, costs: &Value) -> Result<()> {
    table::row(&[
        name.to_owned(),
        model.to_owned(),
        format!("{:.0}", number(costs, "rows")?),
        format!("{figure:.3}"),
        format!("{:.1}", number(costs, "seconds")?),
        format!("{:.0}", number(costs, "peak_mb")?),
    ]);
    Ok(())
}

/// The second column of a table of scores.
fn log_probs(path: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(path)?;
    let cells = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(1));
    let numbers = cells.map(|cell| cell.parse::<f64>().context("ln p is no number"));
    numbers.collect()
}
