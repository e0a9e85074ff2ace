//! The densities of two moons and of a checkerboard, learned from points; a picture of both.
//!
//! `cargo run -p flow-core --example 02_densities [PICTURE.png]`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::Model;
use flow_core::random;
use flow_core::recipes;
use flow_core::train::{FitSettings, Optimization};
use image::{Rgb, RgbImage};
use std::f32::consts::PI;
use std::ops::ControlFlow;

const COUNT: usize = 8000;
/// Side in pixels of each of the four parts of the picture, which show [−RANGE, RANGE]².
const SIDE: u32 = 300;
const RANGE: f32 = 2.3;

/// Two interlocking half circles with noise, of mean 0 and standard deviations of about 1.
fn two_moons(u: &[f32], noise: &[f32]) -> [f32; 2] {
    let (sine, cosine) = (u[0] * PI).sin_cos();
    let [x, y] = if u[1] < 0.5 {
        [cosine, sine]
    } else {
        [1.0 - cosine, 0.5 - sine]
    };
    [
        (x + 0.08 * noise[0] - 0.5) * 1.15,
        (y + 0.08 * noise[1] - 0.25) * 2.0,
    ]
}

/// Every other square of four by four.
fn checkerboard(u: &[f32], _: &[f32]) -> [f32; 2] {
    let (x, y) = (u[0] * 4.0, u[1] * 2.0);
    let (column, row) = (x.floor(), y.floor());
    let y = y + row + column.rem_euclid(2.0);
    [(x - 2.0) / 1.15, (y - 2.0) / 1.15]
}

fn points(make: fn(&[f32], &[f32]) -> [f32; 2]) -> Result<Tensor> {
    let uniform = random::uniform(1, (COUNT, 2), DType::F32, &Device::Cpu)?.to_vec2()?;
    let normal = random::normal(2, (COUNT, 2), DType::F32, &Device::Cpu)?.to_vec2()?;
    let pairs = uniform.iter().zip(&normal);
    let points = pairs.flat_map(|(u, noise)| make(u, noise));
    Tensor::from_vec(points.collect::<Vec<_>>(), (COUNT, 2), &Device::Cpu)
}

/// Paints `lights`, a number from 0 to 1 for each pixel, row by row, into a part of the picture.
fn paint(picture: &mut RgbImage, column: u32, row: u32, lights: &[f32]) {
    for (i, light) in (0..).zip(lights) {
        let (x, y, light) = (i % SIDE, i / SIDE, light.clamp(0.0, 1.0));
        // From dark violet over red to light yellow.
        let channel =
            |power: f32, least: f32| (255.0 * (least + (1.0 - least) * light.powf(power))) as u8;
        let color = Rgb([channel(0.5, 0.08), channel(1.4, 0.03), channel(3.0, 0.16)]);
        picture.put_pixel(column * SIDE + x, row * SIDE + y, color);
    }
}

/// A spline flow of `points`, whose likelihoods it prints while it learns.
fn learn(name: &str, points: &Tensor) -> Result<Model> {
    let recipe = recipes::neural_spline_flow(2).layers(4);
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let settings = FitSettings {
        max_steps: 800,
        optimization: Optimization {
            learning_rate: 3e-3,
            ..Optimization::default()
        },
        ..FitSettings::default()
    };
    let fitted = model.fit(points, &settings, |epoch| {
        if epoch.epoch % 10 == 0 {
            let loss = epoch.validation.unwrap_or(f64::NAN);
            println!(
                "{name}: epoch {}, {loss:.3} nats on held-out points",
                epoch.epoch
            );
        }
        ControlFlow::Continue(())
    })?;
    let loss = fitted.best.validation.unwrap_or(f64::NAN);
    println!("{name}: best {loss:.3} nats");
    Ok(model)
}

/// The number of points at each pixel, row by row.
fn counts(points: &Tensor) -> Result<Vec<f32>> {
    let mut counts = vec![0.0_f32; (SIDE * SIDE) as usize];
    for point in points.to_vec2::<f32>()? {
        let [x, y] = [point[0], -point[1]].map(|value| (value / RANGE + 1.0) * 0.5 * SIDE as f32);
        if (0.0..SIDE as f32).contains(&x) && (0.0..SIDE as f32).contains(&y) {
            counts[y as usize * SIDE as usize + x as usize] += 1.0;
        }
    }
    Ok(counts)
}

/// The density at each pixel, row by row, relative to that exceeded by one pixel in a hundred.
fn densities(model: &Model) -> Result<Vec<f32>> {
    let place = |pixel: u32| ((pixel as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0) * RANGE;
    let grid = (0..SIDE * SIDE).flat_map(|i| [place(i % SIDE), -place(i / SIDE)]);
    let grid = Tensor::from_vec(grid.collect::<Vec<_>>(), ((), 2), &Device::Cpu)?;
    let density = model.log_prob(&grid)?.exp()?.to_vec1::<f32>()?;
    let mut sorted = density.clone();
    sorted.sort_by(f32::total_cmp);
    let lightest = sorted[sorted.len() * 99 / 100];
    Ok(density.into_iter().map(|value| value / lightest).collect())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).map_or_else(
        || std::env::temp_dir().join("densities.png"),
        std::path::PathBuf::from,
    );
    let mut picture = RgbImage::new(2 * SIDE, 2 * SIDE);
    let sets = [
        ("two moons", two_moons as fn(&[f32], &[f32]) -> [f32; 2]),
        ("checkerboard", checkerboard),
    ];
    for (row, (name, make)) in (0..).zip(sets) {
        let points = points(make)?;
        let model = learn(name, &points)?;
        paint(&mut picture, 0, row, &counts(&points)?);
        paint(&mut picture, 1, row, &densities(&model)?);
    }
    picture.save(&path)?;
    println!("points and densities are in {}", path.display());
    Ok(())
}
