//! Flows of tables: what comes out, what is said, and what is refused.

mod fitted;
mod streams;
mod wrong;

use std::{fmt::Write as _, sync::OnceLock};

use crate::sandbox::Sandbox;

/// The model of `pets.csv`.
const MODEL: &str = "pets.safetensors";

/// The smallest flow that fits.
const TINY: &str = "--layers 1 --width 8 --epochs 2";

/// A table with a column of each kind: the species decides about the others.
fn pets(rows: usize) -> String {
    let mut text = "species,weight,legs,heading,share,mood\n".to_owned();
    for i in 0..rows {
        let noise = |factor: f64| (i as f64 * factor).sin();
        let (species, weight, legs) = [("cat", 4.0, 4), ("dog", 12.0, 4), ("bird", 0.3, 2)][i % 3];
        let weight = weight * (0.2 * noise(1.3)).exp();
        let heading = (i * 37 % 360) as f64;
        let share = 0.5 + 0.5 * noise(2.7);
        writeln!(
            text,
            "{species},{weight:.4},{legs},{heading},{share:.3},{:.3}",
            noise(0.7)
        )
        .unwrap();
    }
    text
}

impl Sandbox {
    /// A folder with a table and its model.
    fn with_pets() -> Self {
        static MODELS: OnceLock<Vec<u8>> = OnceLock::new();
        let sandbox = Self::new();
        sandbox.write("pets.csv", pets(300));
        let model = MODELS.get_or_init(|| {
            let elsewhere = Self::new();
            elsewhere.write("pets.csv", pets(300));
            let kinds = "--angle heading=360 --bounded share=0..1 --given mood";
            elsewhere.ok(&format!("fit pets.csv {TINY} {kinds} --out {MODEL}"));
            elsewhere.read(MODEL)
        });
        sandbox.write(MODEL, model);
        sandbox
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }
}

/// A column of a CSV text.
fn column<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').collect::<Vec<_>>();
    let place = names.iter().position(|found| *found == name).unwrap();
    lines
        .map(|line| line.split(',').nth(place).unwrap())
        .collect()
}
