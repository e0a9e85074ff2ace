//! A fit from beginning to end, and the commands that take its model.

use crate::{
    sandbox::Sandbox,
    tables::{MODEL, TINY, column, pets},
};

#[test]
fn a_flow_beats_gaussians_and_is_used_by_every_command() {
    let sandbox = Sandbox::new();
    // A ring, which no Gaussian fits.
    let ring = |i: usize| {
        let (angle, radius) = (i as f64 * 2.399_963, 1.0 + 0.05 * (i as f64 * 1.7).sin());
        format!("{:.5},{:.5}\n", radius * angle.cos(), radius * angle.sin())
    };
    let rows = (0..2000).map(ring).collect::<String>();
    sandbox.write("ring.csv", format!("x,y\n{rows}"));
    let fit = "fit ring.csv --layers 3 --width 32 --epochs 30 --out ring.safetensors --json";
    let report = sandbox.json(&format!("{fit} --plot pairs.png"));
    let number = |name: &str| report["test"][name].as_f64().unwrap();
    assert!(number("log_prob") > number("gaussian") + 0.5, "{report}");
    assert!(number("mixture") >= number("gaussian"), "{report}");
    assert_eq!(
        (&report["rows"], &report["test"]["rows"]),
        (&1800.into(), &200.into())
    );
    assert!(image::open(sandbox.path("pairs.png")).unwrap().width() >= 640);

    let scores = sandbox.ok("score --checkpoint ring.safetensors ring.csv");
    assert_eq!(scores.lines().count(), 2001);
    let log_prob = column(&scores, "log_prob");
    let log_prob = log_prob.iter().map(|text| text.parse::<f64>().unwrap());
    let mean = log_prob.sum::<f64>() / 2000.0;
    assert!((mean - number("log_prob")).abs() < 0.3, "{mean} {report}");
    let again = sandbox.ok("score --checkpoint ring.safetensors ring.csv");
    assert_eq!(scores, again);
    let line = sandbox.ok("score --checkpoint ring.safetensors ring.csv --mean");
    assert!(line.contains(&format!("{mean:.4}")), "{line} {mean}");

    sandbox.ok("sample --checkpoint ring.safetensors --rows 500 --out new.csv");
    let new = sandbox.text("new.csv");
    let radii = column(&new, "x").into_iter().zip(column(&new, "y"));
    let radii = radii.map(|(x, y)| x.parse::<f64>().unwrap().hypot(y.parse().unwrap()));
    let near = radii.filter(|radius| (0.7..1.3).contains(radius)).count();
    assert!(near > 400, "{near}");

    sandbox.write("strange.csv", "y,x\n0,1\n0,0\n1,0\n9,9\n");
    let outliers = "outliers --checkpoint ring.safetensors --table strange.csv";
    let ranked = sandbox.ok(&format!("{outliers} --rank 2"));
    assert_eq!(column(&ranked, "row"), ["4", "2"]);
    let judged = sandbox.ok(&format!("{outliers} --threshold-quantile 0.95"));
    let verdicts = column(&judged, "verdict");
    assert_eq!(
        (verdicts[1], verdicts[3]),
        ("outlier", "outlier"),
        "{judged}"
    );
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let sandbox = Sandbox::new();
    sandbox.write("pets.csv", pets(60));
    for (out, seed) in [("a", 0), ("b", 0), ("c", 1)] {
        sandbox.ok(&format!(
            "fit pets.csv {TINY} --out {out}.safetensors --seed {seed}"
        ));
    }
    assert_eq!(sandbox.read("a.safetensors"), sandbox.read("b.safetensors"));
    assert_ne!(sandbox.read("a.safetensors"), sandbox.read("c.safetensors"));
}

#[test]
fn every_kind_of_column_is_shown_drawn_and_scored() {
    let sandbox = Sandbox::with_pets();
    let shown = sandbox.ok(&format!("inspect {MODEL}"));
    for line in [
        "category of 3: bird, cat, dog",
        "integer, 2 to 4",
        "angle of 360 a turn",
        "bounded by 0 and 1",
        "given, real",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let inspection = sandbox.json(&format!("inspect {MODEL} --json"));
    assert_eq!(
        inspection["notes"]["schema"]["columns"][0]["name"],
        "species"
    );

    let sample = format!("sample --checkpoint {MODEL} --rows 200 --given mood=0.5");
    let drawn = sandbox.ok(&sample);
    assert_eq!(
        drawn.lines().next(),
        Some("species,weight,legs,heading,share,mood")
    );
    assert!(
        column(&drawn, "species")
            .iter()
            .all(|name| ["cat", "dog", "bird"].contains(name))
    );
    assert!(
        column(&drawn, "legs")
            .iter()
            .all(|legs| ["2", "3", "4"].contains(legs))
    );
    assert!(column(&drawn, "mood").iter().all(|mood| *mood == "0.5"));
    for (name, low, high) in [
        ("heading", 0.0, 360.0),
        ("share", 0.0, 1.0),
        ("weight", 0.0, 1e9),
    ] {
        let numbers = column(&drawn, name);
        let mut numbers = numbers.iter().map(|text| text.parse::<f64>().unwrap());
        assert!(
            numbers.all(|number| (low..=high).contains(&number)),
            "{name}: {drawn}"
        );
    }
    // What was drawn can be scored.
    sandbox.write("new.csv", &drawn);
    let scores = sandbox.ok(&format!("score --checkpoint {MODEL} new.csv"));
    assert_eq!(scores.lines().count(), 201);
    let colder = sandbox.ok(&format!("{sample} --temperature 0.1"));
    assert_ne!(drawn, colder);
}

#[test]
fn one_column_and_every_recipe() {
    let sandbox = Sandbox::new();
    sandbox.write("pets.csv", pets(60));
    for recipe in ["nsf", "nsf-ar", "realnvp", "maf"] {
        let fit = format!("fit pets.csv {TINY} --recipe {recipe} --out {recipe}.safetensors");
        sandbox.ok(&fit);
        sandbox.ok(&format!(
            "sample --checkpoint {recipe}.safetensors --rows 3"
        ));
    }
    let printed = sandbox.ok(&format!("fit pets.csv --columns weight {TINY}"));
    assert!(printed.contains("nsf-ar"), "{printed}");
    assert!(sandbox.path("flow.safetensors").exists());
}

/// Headings around north: the density is the same on both sides of 0.
#[test]
fn angles_are_continuous_where_they_wrap() {
    let sandbox = Sandbox::new();
    let heading = |i: usize| (40.0 * (i as f64 * 1.1).sin()).rem_euclid(360.0);
    let rows = (0..600).map(|i| heading(i).to_string());
    let rows = rows.collect::<Vec<_>>().join("\n");
    sandbox.write("wind.csv", format!("heading\n{rows}\n0\n360\n"));
    let fit = "fit wind.csv --angle heading=360 --layers 2 --width 16 --epochs 40 --batch-size 64 --lr 5e-3";
    let report = sandbox.json(&format!("{fit} --json"));
    assert!(
        report["test"]["log_prob"].as_f64().unwrap() > -5.5,
        "{report}"
    );
    sandbox.write("ends.csv", "heading\n0\n0.01\n359.99\n360\n180\n");
    let scores = sandbox.ok("score --checkpoint flow.safetensors ends.csv");
    let scores = column(&scores, "log_prob");
    let scores = scores
        .iter()
        .map(|text| text.parse::<f64>().unwrap())
        .collect::<Vec<_>>();
    assert!(
        scores[..4]
            .iter()
            .all(|score| (score - scores[0]).abs() < 0.05),
        "{scores:?}"
    );
    assert!(scores[4] < scores[0] - 1.0, "{scores:?}");
    let drawn = sandbox.ok("sample --checkpoint flow.safetensors --rows 300");
    let drawn = column(&drawn, "heading");
    let north = drawn
        .iter()
        .filter(|text| !(60.0..300.0).contains(&text.parse::<f64>().unwrap()));
    assert!(north.count() > 250, "{drawn:?}");
    let error = sandbox.refused(&format!("{fit} --recipe maf"));
    assert!(error.contains("angles need circular splines"), "{error}");
}

/// The speed depends on the heading, and its density is the same on both sides of north.
#[test]
fn other_columns_are_continuous_where_an_angle_wraps() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        let heading = i as f64 * 222.492_235 % 360.0;
        let noise = 0.2 * (i as f64 * 1.73).sin();
        format!("{heading},{}\n", 2.0 * heading.to_radians().cos() + noise)
    };
    let rows = (0..1500).map(row).collect::<String>();
    sandbox.write("wind.csv", format!("heading,speed\n{rows}"));
    sandbox.write(
        "ends.csv",
        "heading,speed\n0.001,2\n359.999,2\n0.001,1.8\n359.999,1.8\n180,2\n",
    );
    for recipe in ["nsf", "nsf-ar"] {
        let fit = format!(
            "fit wind.csv --angle heading=360 --real speed --recipe {recipe} --width 32 --epochs 40 --json"
        );
        let report = sandbox.json(&fit);
        let number = |name: &str| report["test"][name].as_f64().unwrap();
        assert!(number("log_prob") > number("gaussian") + 1.0, "{report}");
        let scores = sandbox.ok("score --checkpoint flow.safetensors ends.csv");
        let scores = column(&scores, "log_prob").into_iter();
        let scores = scores.map(|text| text.parse::<f64>().unwrap());
        let scores = scores.collect::<Vec<_>>();
        for pair in scores[..4].chunks(2) {
            assert!((pair[0] - pair[1]).abs() < 0.01, "{recipe}: {scores:?}");
        }
        assert!(scores[4] < scores[0] - 5.0, "{recipe}: {scores:?}");
    }
}

#[test]
fn missing_values_are_left_out_if_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("pets.csv", format!("{}NA,1,2,3,0.5,1\n", pets(60)));
    let error = sandbox.refused(&format!("fit pets.csv {TINY}"));
    assert!(
        error.contains("`pets.csv`, line 62, column `species`: a value is missing, in 1 of 61 row"),
        "{error}"
    );
    let report = sandbox
        .run(&format!("fit pets.csv {TINY} --drop-missing"))
        .succeeded();
    assert!(
        report
            .stderr
            .contains("60 rows of `pets.csv`; 1 with a missing value left out"),
        "{report:?}"
    );
    let score = "score --checkpoint flow.safetensors pets.csv";
    assert!(
        sandbox
            .run(score)
            .failed()
            .contains("line 62, column `species`: a value is missing")
    );
    let scores = sandbox.ok(&format!("{score} --drop-missing"));
    assert_eq!(scores.lines().count(), 61);
}

#[test]
fn a_conditional_fit_draws_its_calibration() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        let given = (i as f64 * 0.37).sin();
        format!("{given:.5},{:.5}\n", given + 0.2 * (i as f64 * 1.73).cos())
    };
    sandbox.write(
        "t.csv",
        format!("given,x\n{}", (0..400).map(row).collect::<String>()),
    );
    let fit = "fit t.csv --layers 2 --width 8 --epochs 3 --calibration ranks.png";
    sandbox.ok(&format!("{fit} --given given"));
    let picture = image::open(sandbox.path("ranks.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (800, 320));
    let refused = sandbox.run(fit);
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--given <NAMES>"), "{refused:?}");
}
