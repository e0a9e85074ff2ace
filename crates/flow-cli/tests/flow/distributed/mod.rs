//! Several processes that train, measure and fail together: the real binary under the real
//! `mpirun`. Without the feature `mpi`, what it says instead.

#[cfg(feature = "mpi")]
mod loss;
#[cfg(feature = "mpi")]
mod mpirun;
#[cfg(feature = "mpi")]
mod same;

use crate::sandbox::{Report, Sandbox};

#[test]
fn a_launcher_that_nobody_asked_for_is_noticed() {
    let sandbox = Sandbox::new();
    let mut train = sandbox.flow("train --out run");
    train.env("OMPI_COMM_WORLD_RANK", "0");
    train.env("OMPI_COMM_WORLD_SIZE", "2");
    let error = Report::of(&mut train).failed();
    assert!(
        error.contains("a launcher has started this command 2 times")
            && error.contains("`--distributed "),
        "{error}"
    );
    assert!(!sandbox.path("run").exists());
}

#[test]
fn an_engine_that_cannot_be_had_is_refused() {
    let sandbox = Sandbox::new();
    for engine in ["mpi", "nccl"] {
        for command in [
            "train --out run",
            "eval --checkpoint none",
            "outliers --checkpoint none --rank 5",
        ] {
            let report = sandbox.run(&format!("{command} --distributed {engine}"));
            let error = report.failed();
            let built = [
                ("mpi", cfg!(feature = "mpi")),
                ("nccl", cfg!(feature = "nccl")),
            ];
            let expected = if built.contains(&(engine, true)) {
                format!("`--distributed {engine}` needs a launcher")
            } else {
                format!("build it with `--features {engine}`")
            };
            assert!(error.contains(&expected), "{error}");
        }
    }
    assert!(!sandbox.path("run").exists());
}
