//! `flow density` and `flow outliers`: numbers against those of the library and of `flow eval`,
//! pictures, reports.

use candle_core::{DType, Device, Tensor};
use flow_analysis::outliers::{batch_typicality, bootstrap, detection, quantile};
use flow_core::random;
use flow_data::{Dataset, Split};
use serde_json::Value;
use std::{f64::consts::LN_2, fs};

use super::MODEL;
use crate::sandbox::{Sandbox, pixels};

/// The rows of a table with a heading.
fn rows(text: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(Result::unwrap).collect()
}

fn numbers(rows: &[csv::StringRecord], column: usize) -> Vec<f64> {
    rows.iter()
        .map(|row| row[column].parse().unwrap())
        .collect()
}

/// Bundled test images, u8 `[count, 1, 28, 28]`.
fn digits(count: usize) -> Tensor {
    let test = Dataset::bundled(Split::Test).unwrap();
    test.batch(&(0..count).collect::<Vec<_>>()).unwrap().images
}

/// Writes each digit as a PNG into the folder `digits`; their names would upset a careless CSV or
/// HTML.
fn write_digits(sandbox: &Sandbox, images: &Tensor) {
    fs::create_dir(sandbox.path("digits")).unwrap();
    for i in 0..images.dim(0).unwrap() {
        let name = format!("digits/{i:03},\"<b>.png");
        sandbox.write_picture(&name, pixels(&images.get(i).unwrap()));
    }
}

/// Stands for Fashion-MNIST: images of noise, under labels that follow each other.
fn write_noise(sandbox: &Sandbox, count: usize) {
    let noise = random::uniform(1, count * 784, DType::F64, &Device::Cpu).unwrap();
    let noise = noise.to_vec1::<f64>().unwrap().into_iter();
    let noise = noise.map(|value| (value * 256.0) as u8).collect::<Vec<_>>();
    let labels = (0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>();
    sandbox.write_split("data/fashion-mnist/t10k", &noise, &labels);
}

#[test]
fn the_density_of_a_file_is_its_own() {
    let sandbox = Sandbox::with_learned();
    let images = digits(130);
    write_digits(&sandbox, &images);
    let command = format!("density --checkpoint {MODEL} --seed 4 digits");
    let table = rows(&sandbox.ok(&command));
    assert_eq!(table.len(), 130);

    let model = sandbox.checkpoint(MODEL).model;
    for place in [0, 1, 99, 100, 129] {
        let image = images.narrow(0, place, 1).unwrap();
        let bits = f64::from(
            model
                .bits_per_dim(&image, 4)
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()[0],
        );
        let row = &table[place];
        assert_eq!(row[0], format!("digits/{place:03},\"<b>.png"));
        assert_eq!(row[2].parse::<f64>().unwrap(), bits, "{place}");
        let nats: f64 = row[1].parse().unwrap();
        assert!((nats + bits * 784.0 * LN_2).abs() < 1e-9, "{nats}");
    }
    let lines = sandbox.ok(&format!("{command} --json"));
    assert_eq!(lines.lines().count(), 130);
    for (line, row) in lines.lines().zip(&table) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["image"], row[0]);
        assert_eq!(line["log_likelihood"], row[1].parse::<f64>().unwrap());
        assert_eq!(line["bits_per_dim"], row[2].parse::<f64>().unwrap());
    }

    // Two draws: the mean of the likelihoods of one draw each.
    let bits = |more: &str| {
        numbers(
            &rows(&sandbox.ok(&format!("density --checkpoint {MODEL} digits {more}"))),
            2,
        )
    };
    let (first, second, both) = (
        bits("--seed 4"),
        bits("--seed 5"),
        bits("--seed 4 --importance-samples 2"),
    );
    for ((first, second), both) in first.iter().zip(second).zip(both) {
        let expected =
            first - (f64::midpoint(1.0, ((first - second) * 784.0).exp2())).log2() / 784.0;
        assert!((both - expected).abs() < 1e-12, "{both}, not {expected}");
    }
}

#[test]
fn the_normal_images_are_those_that_eval_measures() {
    let sandbox = Sandbox::with_learned();
    write_noise(&sandbox, 60);
    let evaluation = sandbox.json(&format!(
        "eval --checkpoint {MODEL} --limit 250 --seed 3 --json"
    ));
    let found = sandbox.json(&format!(
            "outliers --checkpoint {MODEL} --against fashion-mnist --limit 250 --seed 3 --score likelihood --json"
        ),
    );
    assert_eq!(found["normal"]["bits_per_dim"], evaluation["bits_per_dim"]);
    assert_eq!(found["normal"]["images"], 250);
    assert_eq!(found["strange"]["images"], 60);
}

/// The metrics in a report are those of the scores of normal and of strange images.
fn assert_metrics(found: &Value, [normal, strange]: &[Vec<f64>; 2]) {
    let value = detection(normal, strange).unwrap();
    let interval = bootstrap(normal, strange, 40, 0).unwrap();
    for (name, value, interval) in [
        ("auroc", value.auroc, interval.auroc),
        ("aupr", value.aupr, interval.aupr),
        ("fpr95", value.fpr95, interval.fpr95),
    ] {
        let score = &found["score"];
        assert_eq!(found[name]["value"], value, "{name} of {score}");
        assert_eq!(found[name]["low"], interval.low, "{name} of {score}");
        assert_eq!(found[name]["high"], interval.high, "{name} of {score}");
    }
}

/// Images beyond the threshold, and no others, are called outliers.
fn assert_verdicts(tables @ [normal, _]: &[Vec<csv::StringRecord>; 2]) {
    let threshold = quantile(&numbers(normal, 2), 0.9).unwrap();
    for row in tables.iter().flatten() {
        assert_eq!(row[3].parse::<f64>().unwrap(), threshold);
        let is_outlier = row[2].parse::<f64>().unwrap() > threshold;
        assert_eq!(&row[4], if is_outlier { "outlier" } else { "normal" });
    }
    let flagged = normal.iter().filter(|row| &row[4] == "outlier").count();
    assert!(flagged <= 15, "{flagged} of 150 normal images");
}

#[test]
fn metrics_are_those_of_the_scores() {
    let sandbox = Sandbox::with_learned();
    write_noise(&sandbox, 60);
    let base =
        format!("outliers --checkpoint {MODEL} --limit 150 --typical-images 300 --compressor zstd");
    let judged = |of: &str, score: &str| {
        rows(&sandbox.ok(&format!(
            "{base} {of} --threshold-quantile 0.9 --score {score}"
        )))
    };
    let all = sandbox.json(&format!(
        "{base} --against fashion-mnist --background {MODEL} --bootstrap 40 --batch 7 --json"
    ));
    let entropy = all["entropy"].as_f64().unwrap();
    let ratio = format!("likelihood-ratio --background {MODEL}");
    // Scores, batch sizes, options that print the scores, and whether all scores are 0.
    let expected = [
        ("likelihood", 1, "likelihood", false),
        ("typicality", 1, "typicality", false),
        ("typicality", 7, "typicality", false),
        ("complexity", 1, "complexity", false),
        // The background model is the model itself.
        ("likelihood-ratio", 1, &ratio, true),
        ("latent-norm", 1, "latent-norm", false),
    ];
    let found = all["scores"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, (score, batch, option, is_zero)) in found.iter().zip(expected) {
        assert_eq!(
            (&found["score"], &found["batch"]),
            (&score.into(), &batch.into())
        );
        let tables = ["", "--against fashion-mnist"].map(|of| judged(of, option));
        let scores = tables.each_ref().map(|rows| match batch {
            1 => numbers(rows, 2),
            _ => batch_typicality(&numbers(rows, 1), entropy, batch, 0).unwrap(),
        });
        assert_metrics(found, &scores);
        assert_eq!(scores.concat().iter().all(|score| *score == 0.0), is_zero);
        assert_eq!(found["auroc"]["value"] == 0.5, is_zero);
        assert_verdicts(&tables);
    }
    let typical = judged("", "typicality");
    for row in typical.iter().take(5) {
        let [bits, score] = [1, 2].map(|column| row[column].parse::<f64>().unwrap());
        assert!((score - (bits - entropy).abs()).abs() < 1e-12);
    }
    // Every tenth of the 2,000 test images and more: numbers in the split, not among the 150.
    assert_eq!(&typical[149][0], "1986");
}

/// A sandbox with 30 digits, and the beginning of commands about them.
fn with_digits() -> (Sandbox, String) {
    let sandbox = Sandbox::with_learned();
    write_digits(&sandbox, &digits(30));
    let base = format!("outliers --checkpoint {MODEL} digits --typical-images 100");
    (sandbox, base)
}

#[test]
fn the_strangest_images_are_drawn_and_reported() {
    let (sandbox, base) = with_digits();
    let scores = rows(&sandbox.ok(&format!(
        "{base} --limit 100 --threshold-quantile 0.5 --out verdicts.csv"
    )));
    assert!(scores.is_empty(), "the file is in place of stdout");
    let scores = rows(&fs::read_to_string(sandbox.path("verdicts.csv")).unwrap());

    let ranked = sandbox.json(&format!("{base} --rank 5 --json --out rank.png"));
    let strangest = ranked["strangest"].as_array().unwrap();
    let mut expected = numbers(&scores, 2);
    expected.sort_by(|a, b| b.total_cmp(a));
    let found: Vec<_> = strangest
        .iter()
        .map(|image| image["score"].as_f64().unwrap())
        .collect();
    assert_eq!(found, expected[..5]);
    assert!(
        strangest[0]["image"]
            .as_str()
            .unwrap()
            .starts_with("digits/")
    );
    let picture = image::open(sandbox.path("rank.png")).unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (3 * 116 + 4, 3 * 116 + 4)
    );

    sandbox.ok(&format!("{base} --rank 5 --out rank.html"));
    let page = fs::read_to_string(sandbox.path("rank.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 5);
    assert!(
        !page.contains("<b>") && page.contains(",&quot;&lt;b&gt;.png"),
        "names are text"
    );
}

#[test]
fn comparisons_are_drawn_and_reported() {
    let (sandbox, base) = with_digits();
    sandbox.ok(&format!(
        "{base} --limit 100 --bootstrap 20 --out compared.png"
    ));
    let picture = image::open(sandbox.path("compared.png")).unwrap().to_rgb8();
    assert_eq!(picture.width(), 1200);
    let near = |color: [u8; 3]| {
        let near =
            |pixel: &&image::Rgb<u8>| pixel.0.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 8);
        picture.pixels().filter(near).count()
    };
    // Both sets, in the legend and in panels, and images.
    assert!(near([90, 140, 190]) > 300 && near([200, 80, 40]) > 300 && near([0, 0, 0]) > 10_000);
    let table = sandbox.ok(&format!(
        "{base} --limit 100 --bootstrap 20 --out compared.html"
    ));
    let page = fs::read_to_string(sandbox.path("compared.html")).unwrap();
    let auroc = table
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    assert!(page.contains(auroc) && page.contains("data:image/png;base64,"));
}

#[test]
fn images_without_a_likelihood_are_the_strangest() {
    let sandbox = Sandbox::with_learned_classes();
    write_digits(&sandbox, &digits(12));
    sandbox.spoil("spoiled", "prior.class_gaussian", |values| {
        values[3 * values.len() / 10] = 1e30;
    });
    let run = |words: &str| {
        let report = sandbox.run(words);
        (report.status, report.stdout, report.stderr)
    };
    let (status, table, stderr) = run("density --checkpoint spoiled --class 3 digits");
    assert_eq!(status, Some(1));
    assert!(
        rows(&table)
            .iter()
            .all(|row| &row[1] == "-inf" && &row[2] == "inf"),
        "{table}"
    );
    assert!(
        stderr.contains("12 of 12 images have no finite likelihood"),
        "{stderr}"
    );
    let (status, lines, _) = run("density --checkpoint spoiled --class 3 --json digits");
    assert_eq!(status, Some(1));
    assert!(
        lines
            .lines()
            .all(|line| line.contains(r#""bits_per_dim":null"#)),
        "{lines}"
    );
    let (status, table, stderr) = run("density --checkpoint spoiled --class 4 digits");
    assert_eq!(status, Some(0));
    assert!(
        numbers(&rows(&table), 2)
            .iter()
            .all(|bits| bits.is_finite())
            && stderr.is_empty(),
        "{stderr}"
    );

    let (status, text, stderr) =
        run("outliers --checkpoint spoiled digits --limit 20 --score likelihood --json");
    assert_eq!(status, Some(1), "{stderr}");
    assert!(
        stderr.contains("of 32 images have no finite likelihood or score"),
        "{stderr}"
    );
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["strange"]["non_finite"], 12);
    assert!(found["strange"]["bits_per_dim"].is_null());
    // All are equally strange.
    assert_eq!(found["scores"][0]["auroc"]["value"], 0.5);
    let (status, text, stderr) =
        run("outliers --checkpoint spoiled digits --limit 20 --threshold-quantile 0.9");
    assert_eq!((status, text.as_str()), (Some(1), ""));
    assert!(stderr.contains("have no finite complexity"), "{stderr}");
}
