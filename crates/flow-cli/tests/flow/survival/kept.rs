//! Models that are kept on the way.

use super::sandbox::{Sandbox, TINY, header, succeeded};
use std::{fs, path::PathBuf};

fn kept(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = fs::read_dir(sandbox.path("run/models")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn kept_models_work_and_go_with_their_training() {
    let sandbox = Sandbox::new();
    let options = [TINY, &["--max-steps", "6"]].concat();
    let keeping = [&options[..], &["--keep-interval", "1ns"]].concat();
    succeeded(&sandbox.train("run", &keeping).output().unwrap());
    let models = kept(&sandbox);
    assert!(!models.is_empty());
    for model in models {
        let progress = &header(&fs::read(&model).unwrap())["training"]["progress"];
        assert!((1..=5).contains(&progress["step"].as_u64().unwrap()));
        let name = model.file_stem().unwrap().to_str().unwrap();
        let seconds = progress["seconds"].as_f64().unwrap();
        assert_eq!(name, format!("{:06}s", seconds.floor()));
        sandbox.assert_usable(model.to_str().unwrap());
    }
    let again = [&options[..], &["--overwrite"]].concat();
    succeeded(&sandbox.train("run", &again).output().unwrap());
    assert!(kept(&sandbox).is_empty());
}
