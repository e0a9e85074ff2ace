//! Measures how many images a second become a data set of 64×64.
//!
//! ```text
//! cargo run --release -p flow-data --example prepare -- FOLDER
//! ```
//!
//! `docs/performance.md` says how the folder is made, and compares the numbers with Pillow's.

#![allow(clippy::print_stdout, reason = "a program that talks to its user")]

use std::{env, error::Error, path::Path, time::Instant};

use flow_data::{Preparation, Progress, picture::Color, prepare};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("name a folder of images")?;
    let preparation = Preparation {
        size: Some((64, 64)),
        color: Some(Color::Rgb),
        ..Preparation::default()
    };
    let cache = tempfile::tempdir()?;
    let start = Instant::now();
    let (folder, mut watch) = (Path::new(&folder), |_: Progress<'_>| ());
    let prepared = prepare("images", folder, &preparation, cache.path(), &mut watch)?;
    let images = prepared.train.len() + prepared.test.len();
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} images a second", images as f64 / seconds);
    Ok(())
}
