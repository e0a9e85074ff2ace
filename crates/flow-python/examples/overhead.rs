//! Microseconds of `log_prob` in Rust, which `flow-bench/peers/package.py` compares with Python's.
//!
//! `overhead MODEL DATA CALLS` prints, for every line of its input, the median of so many calls on the
//! rows of an `.npy`.

#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use flow_core::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, data, calls] = arguments.as_slice() else {
        return Err("overhead MODEL DATA CALLS".into());
    };
    let model = Model::load(Path::new(model), &Device::Cpu)?;
    let x = Tensor::read_npy(data)?;
    let calls = calls.parse::<usize>()?.max(1);
    for line in io::stdin().lines() {
        line?;
        let mut seconds = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            model.log_prob(&x)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        println!("{}", 1e6 * seconds[calls / 2]);
    }
    Ok(())
}
