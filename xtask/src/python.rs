//! The Python package: its wheel, and its tests against the wheel in a fresh environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::ci;

const CRATE: &str = "crates/flow-python";

/// Packages that the tests import beside this one.
const TESTED_WITH: [&str; 6] = [
    "joblib",
    "mypy",
    "numpy",
    "pandas",
    "pytest",
    "scikit-learn",
];

/// Options of `cargo xtask wheel`.
#[derive(Parser)]
pub(crate) struct Options {
    /// The folder of the wheel
    #[arg(long, value_name = "FOLDER", default_value = "target/wheels")]
    out: PathBuf,
    /// The interpreter whose `venv` makes the environment that builds
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    python: PathBuf,
}

/// Builds the wheel for everyone: optimised, for every CPython from 3.9.
pub(crate) fn wheel(options: &Options) -> Result<()> {
    let environment = Environment::fresh(&options.python)?;
    let wheel = environment.wheel("release", &options.out)?;
    println!("{}", wheel.display());
    Ok(())
}

/// True if a Python that can make environments is here.
pub(crate) fn is_installed() -> bool {
    let output = Command::new("python3")
        .args(["-c", "import venv, ensurepip"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Builds the wheel as the other checks build, installs it into a fresh environment, and runs its
/// tests, the examples of its documentation, mypy and its stubtest there.
pub(crate) fn check() -> Result<()> {
    run(&mut ci::cargo(
        "build --package flow-cli --package flow-python --bins --examples",
    ))?;
    let environment = Environment::fresh(Path::new("python3"))?;
    let wheel = environment.wheel("dev", Path::new("target/wheels/check"))?;
    environment.install(&TESTED_WITH)?;
    environment.install(&[wheel.to_str().context("a path that is not UTF-8")?])?;
    let root = root().canonicalize()?;
    let debug = root.join("target/debug");
    run(environment
        .python(&["-m", "pytest", "--doctest-glob=*.md"])
        .env("FLOW_PROGRAM", debug.join("flow"))
        .env("FLOW_REFERENCE", debug.join("examples/reference"))
        .current_dir(root.join(CRATE)))?;
    run(environment
        .python(&["-m", "pytest", "--doctest-modules", "--pyargs", "flow"])
        .current_dir(root.join(CRATE)))?;
    let typed = ["-m", "mypy", "--strict", "--package", "flow"];
    run(environment.python(&typed).current_dir(root.join(CRATE)))?;
    // The stub of the compiled module, beside the module.
    let stub = ["-m", "mypy.stubtest", "flow._native"];
    run(environment.python(&stub).current_dir(root.join(CRATE)))
}

/// A virtual environment with maturin.
struct Environment(PathBuf);

impl Environment {
    /// A new one, in the place of the last.
    fn fresh(python: &Path) -> Result<Self> {
        let folder = root().join("target/python");
        run(Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&folder))?;
        let environment = Self(folder);
        environment.install(&["maturin>=1.9,<2"])?;
        Ok(environment)
    }

    fn python(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program("python"));
        command.args(arguments).current_dir(root());
        command
    }

    /// A program of the environment.
    fn program(&self, name: &str) -> PathBuf {
        let folder = if cfg!(windows) { "Scripts" } else { "bin" };
        self.0.join(folder).join(name)
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        run(self.python(&pip).args(packages))
    }

    /// Builds the wheel into a folder, which holds nothing else of the package afterwards.
    fn wheel(&self, profile: &str, out: &Path) -> Result<PathBuf> {
        let out = root().join(out);
        for old in wheels(&out)? {
            fs::remove_file(&old).with_context(|| format!("cannot remove `{}`", old.display()))?;
        }
        let manifest = root().join(CRATE).join("Cargo.toml");
        run(Command::new(self.program("maturin"))
            .args(["build", "--locked", "--profile", profile, "--manifest-path"])
            .arg(&manifest)
            .arg("--interpreter")
            .arg(self.program("python"))
            .arg("--out")
            .arg(&out)
            .current_dir(root()))?;
        let built = wheels(&out)?.pop();
        built.with_context(|| format!("maturin left no wheel in `{}`", out.display()))
    }
}

/// The wheels of this package in a folder; those of others are not touched.
fn wheels(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths = paths.collect::<Result<Vec<_>>>()?;
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let is_wheel = path.extension().is_some_and(|kind| kind == "whl");
        is_wheel && name.is_some_and(|name| name.starts_with("flow_density-"))
    };
    Ok(paths.into_iter().filter(is_ours).collect())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
