//! Models that are kept on the way.

use std::{fs, path::PathBuf};

use super::TINY;
use crate::sandbox::{Sandbox, header};

fn kept(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = fs::read_dir(sandbox.path("run/models")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn kept_models_work_and_go_with_their_training() {
    let sandbox = Sandbox::with_digits();
    let train = format!("train --out run {TINY} --max-steps 6");
    sandbox.ok(&format!("{train} --keep-interval 1ns"));
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
    sandbox.ok(&format!("{train} --overwrite"));
    assert!(kept(&sandbox).is_empty());
}
