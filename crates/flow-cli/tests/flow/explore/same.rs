//! Each picture is the one that its command makes, to the bit.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flow_glow::ImageShape;
use serde_json::{Value, json};

use super::server::{Server, png, samples};
use crate::sandbox::Sandbox;

/// Runs the command of an answer, and compares what it writes to `file`.
#[track_caller]
fn same(sandbox: &Sandbox, answer: &Value, file: &str) {
    let line = answer["command"].as_str().unwrap();
    let words = line.strip_prefix("flow ").unwrap();
    assert!(!words.contains('\''), "{words} needs a shell");
    sandbox.ok(words);
    assert_eq!(sandbox.read(file), png(answer), "{line}");
}

/// Writes the picture in a name of an image, as the page saves it.
fn save(sandbox: &Sandbox, file: &str, name: &Value) {
    let name = name.as_str().unwrap().strip_prefix("png:").unwrap();
    sandbox.write(file, BASE64_URL_SAFE_NO_PAD.decode(name).unwrap());
}

#[test]
fn pictures_of_the_shipped_model() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    let about = server.get("/api/about").json;
    assert_eq!(about["images"]["test"], 20, "{about}");

    same(
        &sandbox,
        &server.ok("/api/draw", &samples(25, 0.7, 3)),
        "samples.png",
    );
    let of_class = json!({ "count": 7, "temperature": 1.0, "seed": 0, "class": "4" });
    same(&sandbox, &server.ok("/api/draw", &of_class), "samples.png");

    let of_data = json!({
        "first": "test:3", "second": "test:8", "time": 0.37, "spherical": true, "class": "4",
    });
    same(&sandbox, &server.ok("/api/mix", &of_data), "mix.png");
    let pick = json!({ "of": of_class, "place": 2 });
    let first = server.ok("/api/draw/pick", &pick);
    let second = server.ok("/api/image", &json!({ "image": "test:5" }));
    save(&sandbox, "first.png", &first["name"]);
    sandbox.write("second.png", png(&second));
    let of_both = json!({
        "first": first["name"], "second": "test:5", "time": 0.5, "spherical": false, "class": "0",
    });
    same(&sandbox, &server.ok("/api/mix", &of_both), "mix.png");

    let changes = json!([
        { "attribute": "slant", "amount": 0.2 },
        { "attribute": "width", "amount": 0.0 },
        { "attribute": "4:9", "amount": -0.35 },
    ]);
    let of_data = json!({ "image": "test:4", "changes": changes, "class": "0" });
    same(&sandbox, &server.ok("/api/change", &of_data), "change.png");
    save(&sandbox, "image.png", &first["name"]);
    let none = json!([{ "attribute": "slant", "amount": 0.0 }]);
    let of_file = json!({ "image": first["name"], "changes": none, "class": "3" });
    same(&sandbox, &server.ok("/api/change", &of_file), "change.png");

    let of_levels = json!({
        "image": "test:4", "levels": [0, 1], "draws": 5, "temperature": 0.6, "seed": 9, "class": "4",
    });
    same(
        &sandbox,
        &server.ok("/api/levels", &of_levels),
        "levels.png",
    );
}

#[test]
fn pictures_of_a_model_without_classes() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 28, 28), None);
    sandbox.write_digits("data", 384, 20);
    let server = Server::new(
        &sandbox,
        "model.safetensors --dataset mnist --data-dir data",
    );
    same(
        &sandbox,
        &server.ok("/api/draw", &samples(10, 0.3, 0)),
        "samples.png",
    );
    let mix = json!({
        "first": "test:3", "second": "test:8", "time": 0.25, "spherical": false, "class": null,
    });
    same(&sandbox, &server.ok("/api/mix", &mix), "mix.png");
    let error = server.refused(
        "/api/draw",
        &json!({
            "count": 1, "temperature": 1.0, "seed": 0, "class": "3",
        }),
    );
    assert!(error.contains("knows no classes"), "{error}");
}

#[test]
fn the_ends_of_a_path_are_the_images() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    for (time, name) in [(0.0, "test:1"), (1.0, "test:2")] {
        for spherical in [false, true] {
            let mix = json!({
                "first": "test:1", "second": "test:2", "time": time, "spherical": spherical,
                "class": "0",
            });
            let mixed = image::load_from_memory(&png(&server.ok("/api/mix", &mix))).unwrap();
            let own = png(&server.ok("/api/image", &json!({ "image": name })));
            let own = image::load_from_memory(&own).unwrap().to_luma8();
            let mixed = mixed.to_luma8();
            let same = own
                .enumerate_pixels()
                .all(|(x, y, pixel)| mixed.get_pixel(4 + 4 * x, 4 + 4 * y) == pixel);
            assert!(same, "{name} {spherical}");
        }
    }
}

#[test]
fn numbers_are_those_of_commands() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    let image = server.ok("/api/image", &json!({ "image": "test:3" }));
    sandbox.write("image.png", png(&image));
    let judged = server.ok("/api/judge", &json!({ "image": "test:3" }));
    let line = judged["command"]
        .as_str()
        .unwrap()
        .strip_prefix("flow ")
        .unwrap();
    let printed = sandbox.ok(&format!("{line} --json"));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(judged["bits_per_dim"], printed["bits_per_dim"]);
    assert_eq!(png(&judged), sandbox.read("map.png"));
    let classes = judged["classes"].as_array().unwrap();
    let sum: f64 = classes.iter().map(|log| log.as_f64().unwrap().exp()).sum();
    assert!(classes.len() == 10 && (sum - 1.0).abs() < 1e-4, "{sum}");

    let place = server.ok("/api/judge/place", &json!({ "image": "test:3" }));
    let bars = place["bars"].as_array().unwrap();
    let counted: u64 = bars.iter().map(|bar| bar.as_u64().unwrap()).sum();
    assert_eq!(counted, 384);
    for (score, scored) in ["likelihood", "typicality", "complexity", "latent-norm"]
        .iter()
        .zip(place["scores"].as_array().unwrap())
    {
        let ranked = sandbox.json(&format!(
            "outliers --checkpoint mnist-classes --rank 1 --score {score} --typical-images 2000 --json \
             image.png"
        ));
        let expected = ranked["strangest"][0]["score"].as_f64().unwrap();
        assert_eq!(scored["value"].as_f64(), Some(expected), "{score}");
    }
}
