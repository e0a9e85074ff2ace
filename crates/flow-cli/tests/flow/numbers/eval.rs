//! `flow eval`: what several draws of noise give, and what an image without a likelihood does.

use candle_core::{Device, Tensor};
use flow_data::{Dataset, Split};
use serde_json::Value;

use super::MODEL;
use crate::sandbox::Sandbox;

/// `flow eval --json` with these options, which must succeed.
fn evaluate(sandbox: &Sandbox, options: &str) -> Value {
    sandbox.json(&format!("eval --checkpoint {MODEL} --json {options}"))
}

fn bits(sandbox: &Sandbox, options: &str) -> f64 {
    evaluate(sandbox, options)["bits_per_dim"].as_f64().unwrap()
}

#[test]
fn several_draws_give_the_mean_of_their_likelihoods() {
    let sandbox = Sandbox::with_learned();
    let one = evaluate(&sandbox, "--limit 150");
    assert_eq!(
        one,
        evaluate(&sandbox, "--limit 150 --importance-samples 1")
    );
    assert_eq!(one["importance_samples"], 1);
    assert_eq!(one["non_finite"], 0);

    let draws = [5, 6, 7].map(|seed| bits(&sandbox, &format!("--limit 1 --seed {seed}")));
    let relative = draws.map(|draw| ((draws[0] - draw) * 784.0).exp2());
    let by_hand = draws[0] - (relative.iter().sum::<f64>() / 3.0).log2() / 784.0;
    let found = bits(&sandbox, "--limit 1 --seed 5 --importance-samples 3");
    assert!(
        (found - by_hand).abs() < 1e-13,
        "{found}, by hand {by_hand}"
    );
    assert!(draws[0] != draws[1] && draws[1] != draws[2]);

    // In expectation each step tightens the bound: here by far more than the spread of the means.
    let mean = |samples: u32| {
        let options = |seed| format!("--limit 150 --seed {seed} --importance-samples {samples}");
        [0, 1000, 2000].map(|seed| bits(&sandbox, &options(seed)))
    };
    let bounds = [1, 4, 16].map(mean);
    let largest = |of: [f64; 3]| of.into_iter().fold(f64::MIN, f64::max);
    let smallest = |of: [f64; 3]| of.into_iter().fold(f64::MAX, f64::min);
    assert!(largest(bounds[1]) < smallest(bounds[0]), "{bounds:?}");
    assert!(largest(bounds[2]) < smallest(bounds[1]), "{bounds:?}");
}

#[test]
fn an_image_is_recognized_where_its_own_class_makes_it_likeliest() {
    let sandbox = Sandbox::with_learned_classes();
    let model = sandbox.checkpoint(MODEL);
    let mut test = Dataset::bundled(Split::Test).unwrap();
    test.thin_out(100);
    let batch = test.batch(&(0..100).collect::<Vec<_>>()).unwrap();
    let bits = |class: u32| {
        let labels = Tensor::full(class, 100, &Device::Cpu).unwrap();
        let bits = model
            .model
            .given(&labels)
            .unwrap()
            .bits_per_dim(&batch.images, 0);
        bits.unwrap().to_vec1::<f32>().unwrap()
    };
    let of_classes: Vec<_> = (0..10).map(bits).collect();
    let labels = batch.labels.to_vec1::<u32>().unwrap();
    let is_recognized = |&image: &usize| {
        let own = of_classes[labels[image] as usize][image];
        of_classes.iter().all(|of_class| own <= of_class[image])
    };
    let recognized = (0..100).filter(is_recognized).count();
    let found = evaluate(&sandbox, "--limit 100 --seed 0");
    // Two classes can be as likely but for rounding.
    let accuracy = found["accuracy"].as_f64().unwrap();
    assert!((accuracy - recognized as f64 / 100.0).abs() < 0.011);
    assert!(recognized > 20, "{recognized} by chance");

    // p(image) is the mean of p(image | class), and the image's own is what the result is of.
    let of_image = |image: usize| {
        let own = f64::from(of_classes[labels[image] as usize][image]);
        let others = of_classes.iter().map(|of_class| f64::from(of_class[image]));
        let relative = others.map(|bits| ((own - bits) * 784.0).exp2());
        (own, own - (relative.sum::<f64>() / 10.0).log2() / 784.0)
    };
    let (given, marginal): (Vec<_>, Vec<_>) = (0..100).map(of_image).unzip();
    let mean = |bits: Vec<f64>| bits.iter().sum::<f64>() / 100.0;
    for (name, expected) in [
        ("bits_per_dim", mean(given)),
        ("marginal_bits_per_dim", mean(marginal)),
    ] {
        let found = found[name].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-12,
            "{name}: {found}, by hand {expected}"
        );
    }
}

#[test]
fn images_without_a_likelihood_are_counted() {
    let sandbox = Sandbox::with_learned_classes();
    sandbox.spoil("spoiled", "prior.class_gaussian", |values| {
        // As many means and ln std for each of the ten classes; a mean whose square is too large
        // for f32.
        values[3 * values.len() / 10] = 1e30;
    });
    sandbox.write_digits("data", 1, 200);
    let test = Dataset::bundled(Split::Test).unwrap();
    let test = test.batch(&(0..200).collect::<Vec<_>>()).unwrap();
    let labels = test.labels.to_vec1::<u32>().unwrap();
    let threes = labels.iter().filter(|&&label| label == 3).count();

    let (evaluation, error) = sandbox.json_and_error("eval --checkpoint spoiled --json");
    assert_eq!(evaluation["non_finite"], threes);
    assert_eq!(evaluation["images"], 200);
    assert!(evaluation["bits_per_dim"].is_null());
    assert!(evaluation["standard_error"].is_null());
    assert!(evaluation["accuracy"].as_f64().unwrap() <= 1.0 - threes as f64 / 200.0);
    let count = format!("{threes} of 200 images have no finite likelihood");
    assert!(error.unwrap().contains(&count));

    let report = sandbox.run("eval --checkpoint spoiled");
    assert_eq!(report.status, Some(1));
    let text = report.stdout;
    assert!(text.contains(&format!("not finite: {count}")), "{text}");
}
