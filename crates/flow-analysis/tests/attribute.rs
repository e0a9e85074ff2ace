//! Measures of shapes that are drawn here, whose sizes are known.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use flow_analysis::attribute::{Measure, mostly, on_black_ground};

const SIDE: usize = 64;

/// A bright shape on a dark ground: the share of each pixel that lies in it, by 16 × 16 points.
fn draw(inside: impl Fn(f64, f64) -> bool) -> Tensor {
    let points = |at: usize| (0..16).map(move |i| at as f64 + (f64::from(i) + 0.5) / 16.0);
    let pixel = |i: usize| {
        let seen = points(i / SIDE).flat_map(|y| points(i % SIDE).map(move |x| (x, y)));
        let count = seen.filter(|&(x, y)| inside(x, y)).count();
        (count as f64 * 255.0 / 256.0).round() as u8
    };
    let pixels: Vec<u8> = (0..SIDE * SIDE).map(pixel).collect();
    Tensor::from_vec(pixels, (1, 1, SIDE, SIDE), &Device::Cpu).unwrap()
}

fn bar(width: f64, height: f64) -> Tensor {
    draw(|x, y| (x - 32.0).abs() < width / 2.0 && (y - 32.0).abs() < height / 2.0)
}

/// A bar of whole pixels, sheared by `slope` columns to the right for each row up.
fn sheared(width: f64, height: f64, slope: f64) -> Tensor {
    draw(|x, y| {
        (x - 32.0 - slope * (32.0 - y)).abs() < width / 2.0 && (y - 32.0).abs() < height / 2.0
    })
}

fn of(measure: Measure, image: &Tensor) -> f64 {
    measure.of(image).unwrap()[0].unwrap()
}

#[track_caller]
fn near(seen: f64, expected: f64, relative: f64) {
    let error = (seen / expected - 1.0).abs();
    assert!(error < relative, "{seen} is not {expected}");
}

#[test]
fn a_bar_has_its_own_width_and_brightness() {
    for (width, height) in [(2.0, 40.0), (10.0, 40.0), (30.0, 6.0), (7.0, 7.0)] {
        let whole =
            draw(|x, y| (10.0..10.0 + width).contains(&x) && (12.0..12.0 + height).contains(&y));
        near(of(Measure::Width, &whole), width, 1e-9);
        let share = width * height / (SIDE * SIDE) as f64;
        near(of(Measure::Brightness, &whole), share, 1e-12);
        assert!(of(Measure::Slant, &whole).abs() < 1e-9);
    }
}

#[test]
fn a_shear_is_the_slant_and_leaves_the_width() {
    for slope in [-0.8, -0.25, 0.1, 0.5, 1.0] {
        let image = sheared(8.0, 40.0, slope);
        near(of(Measure::Slant, &image), slope, 0.01);
        // Pixels blur a slanted edge, in x by 1/12 and in y by 1/12, beside the 1/12 of their own;
        // intensities are rounded.
        let most = (64.0 + 2.0 * (1.0 + slope * slope)).sqrt() * 1.001;
        let seen = of(Measure::Width, &image);
        assert!((7.99..most).contains(&seen), "{seen} at {slope}");
    }
}

#[test]
fn strokes_have_their_thickness() {
    for thickness in [2.0, 3.0, 4.0, 6.0] {
        // Upright, lying, and shorter.
        near(
            of(Measure::Thickness, &bar(thickness, 40.0)),
            thickness,
            0.03,
        );
        near(
            of(Measure::Thickness, &bar(40.0, thickness)),
            thickness,
            0.03,
        );
        near(
            of(Measure::Thickness, &bar(thickness, 16.0)),
            thickness,
            0.06,
        );
        // A ring, which has no ends, and a slanted stroke.
        let ring = draw(|x, y| ((x - 32.0).hypot(y - 32.0) - 20.0).abs() < thickness / 2.0);
        near(of(Measure::Thickness, &ring), thickness, 0.12);
        let slanted = draw(|x, y| {
            let (x, y) = ((x - 32.0 + y - 32.0) / 2f64.sqrt(), (y - x) / 2f64.sqrt());
            x.abs() < thickness / 2.0 && y.abs() < 20.0
        });
        near(of(Measure::Thickness, &slanted), thickness, 0.12);
    }
}

#[test]
fn every_image_is_measured_for_itself_and_darkness_has_no_shape() {
    let black = draw(|_, _| false);
    let images = Tensor::cat(&[bar(4.0, 20.0), black, bar(8.0, 20.0)], 0).unwrap();
    for measure in Measure::ALL {
        let seen = measure.of(&images).unwrap();
        assert_eq!(seen[0], Some(of(measure, &bar(4.0, 20.0))));
        assert_eq!(seen[1], None);
        assert!(seen[2].unwrap().is_finite());
        assert_eq!(measure.as_str().parse::<Measure>().unwrap(), measure);
    }
    // The channels of a picture count as their mean.
    let colored = Tensor::cat(&[bar(4.0, 20.0), bar(4.0, 20.0), bar(4.0, 20.0)], 1).unwrap();
    near(
        of(Measure::Thickness, &colored),
        of(Measure::Thickness, &bar(4.0, 20.0)),
        1e-12,
    );
    assert!("color".parse::<Measure>().is_err());
}

#[test]
fn a_ground_is_black_where_half_of_the_border_is() {
    let shape = draw(|x, y| (x - 32.0).hypot(y - 32.0) < 20.0);
    let touching = draw(|x, _| x < 30.0);
    let filled = draw(|x, _| x < 60.0);
    let negative = shape.affine(-1.0, 255.0).unwrap();
    let images = Tensor::cat(&[shape, touching, filled, negative], 0).unwrap();
    let grounds = on_black_ground(&images).unwrap();
    assert_eq!(grounds, [true, true, false, false]);
    assert!(mostly(&grounds) && !mostly(&grounds[1..]) && mostly(&[]));
}
