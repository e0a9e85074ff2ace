//! The page in headless Chromium: each view, used as a person uses it.

mod accessibility;
mod driver;

use candle_core::{DType, Device};
use flow_core::{check, recipes};
use serde_json::json;

use self::driver::browse;
use super::server::{Server, png, samples};
use crate::sandbox::{Sandbox, signal};

/// Keys of WebDriver.
const RIGHT: &str = "\u{e014}";
const END: &str = "\u{e010}";
const HOME: &str = "\u{e011}";
const ENTER: &str = "\u{e007}";
const CONTROL: &str = "\u{e009}";

/// Replaces the content of a field of numbers.
fn typed(number: u32) -> String {
    format!("{CONTROL}a{CONTROL}{number}{ENTER}")
}

#[test]
fn draw() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        let first = page.picture("").await;
        let expected = server.ok("/api/draw", &samples(25, 0.7, 0));
        assert_eq!(first, expected["picture"].as_str().unwrap());

        page.field("Temperature")
            .await
            .send_keys(&RIGHT.repeat(5))
            .await
            .unwrap();
        let warmer = page.picture(&first).await;
        page.until("location.hash.includes('temperature=0.75')")
            .await;
        page.field("Seed")
            .await
            .send_keys(&typed(12))
            .await
            .unwrap();
        page.until("location.hash.includes('seed=12')").await;
        page.picture(&warmer).await;
        page.field("Class")
            .await
            .select_by_value("7")
            .await
            .unwrap();
        page.field("Images")
            .await
            .select_by_value("9")
            .await
            .unwrap();
        page.until("document.querySelectorAll('.tiles button').length === 9")
            .await;
        let body = json!({ "count": 9, "temperature": 0.75, "seed": 12, "class": "7" });
        let expected = server.ok("/api/draw", &body);
        let source = "document.querySelector('figure img').getAttribute('src')";
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;
        let command = page
            .text("document.querySelector('figure code').textContent")
            .await;
        assert_eq!(command, expected["command"].as_str().unwrap());
        let saved = page.text("document.querySelector('figure a[download]').getAttribute('href')");
        assert_eq!(saved.await, expected["picture"].as_str().unwrap());

        // The link restores the view.
        let fragment = page.text("location.hash").await;
        page.open(&fragment).await;
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;

        page.click(".tiles button:nth-child(5)").await;
        page.until("document.querySelector('[alt=\"The chosen image\"]')")
            .await;
        page.is_accessible("draw").await;
        page.press("Mix it").await;
        page.until("location.hash.startsWith('#mix?') && location.hash.includes('first=png')")
            .await;
        page.picture("").await;
        page.is_quiet().await;
    });
}

#[test]
fn mix() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        page.press("Mix").await;
        let middle = page.picture("").await;
        let slots = "fieldset input[type=number]";
        for (slot, place) in [(1, 4), (2, 9)] {
            let input = page
                .find(&format!("fieldset:nth-of-type({slot}) input[type=number]"))
                .await;
            input.send_keys(&typed(place)).await.unwrap();
        }
        assert_eq!(
            page.value(&format!("document.querySelectorAll('{slots}').length"))
                .await,
            2
        );
        page.until("location.hash.includes('second=test%3A9')")
            .await;
        let other = page.picture(&middle).await;
        let way = page.field("From the first image to the second").await;
        way.send_keys(END).await.unwrap();
        page.until("location.hash.includes('time=1')").await;
        page.picture(&other).await;
        let class = page
            .text("new URLSearchParams(location.hash.split('?')[1]).get('class')")
            .await;
        let body = json!({
            "first": "test:4", "second": "test:9", "time": 1.0, "spherical": false, "class": class,
        });
        let expected = server.ok("/api/mix", &body);
        let source = "document.querySelector('figure img').getAttribute('src')";
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;
        // A slider that is dragged fast ends at its last value.
        way.send_keys(HOME).await.unwrap();
        way.send_keys(&RIGHT.repeat(60)).await.unwrap();
        let mut body = body;
        body["time"] = json!(0.6);
        let expected = server.ok("/api/mix", &body);
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;
        page.field("Along the arc").await.click().await.unwrap();
        page.until("location.hash.includes('spherical=true')").await;
        page.picture(expected["picture"].as_str().unwrap()).await;
        page.is_accessible("mix").await;
        page.is_quiet().await;
    });
}

#[test]
fn change() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        page.press("Change").await;
        let before = page.picture("").await;
        page.field("Thickness")
            .await
            .send_keys(&RIGHT.repeat(30))
            .await
            .unwrap();
        page.until("location.hash.includes('thickness%3D0.3')")
            .await;
        let thicker = page.picture(&before).await;
        page.press("Add a slider").await;
        page.field("From class 4 to class 9")
            .await
            .send_keys(&RIGHT.repeat(20))
            .await
            .unwrap();
        let class = page
            .text("new URLSearchParams(location.hash.split('?')[1]).get('class')")
            .await;
        let body = json!({
            "image": "test:0", "class": class, "changes": [
                { "attribute": "thickness", "amount": 0.3 },
                { "attribute": "4:9", "amount": 0.2 },
            ],
        });
        let expected = server.ok("/api/change", &body);
        page.picture(&thicker).await;
        let source = "document.querySelector('figure img').getAttribute('src')";
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;
        page.is_accessible("change").await;
        page.press("Back to the image").await;
        page.until(&format!("{source} === {}", json!(before))).await;
        page.is_quiet().await;
    });
}

#[test]
fn levels() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        page.press("Levels").await;
        let fine = page.picture("").await;
        page.press("Keep the fine").await;
        page.until("location.hash.includes('levels=1')").await;
        let coarse = page.picture(&fine).await;
        page.press("New seed").await;
        page.picture(&coarse).await;
        page.is_accessible("levels").await;
        page.is_quiet().await;
    });
}

#[test]
fn judge() {
    let sandbox = Sandbox::with_digits();
    let picture = image::RgbImage::from_fn(90, 60, |x, y| image::Rgb([(x * 2) as u8, y as u8, 30]));
    picture.save(sandbox.path("other.png")).unwrap();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        page.press("Judge").await;
        let number = "document.querySelector('.number')?.textContent";
        page.until(number).await;
        let given = page.text(number).await;
        page.drag("canvas.pad", &[(0.0, -90.0), (5.0, 0.0), (0.0, 90.0)])
            .await;
        page.until(&format!("{number} !== {}", json!(given))).await;
        page.until("location.hash.includes('image=png')").await;
        page.until("document.querySelector('svg .mark')").await;
        page.until("document.querySelectorAll('svg + table tbody tr').length === 4")
            .await;
        let best = page.text("[...document.querySelectorAll('.note')].map((note) => note.textContent).find((text) => text.startsWith('Most likely'))").await;
        assert!(best.starts_with("Most likely: "), "{best}");
        page.is_accessible("judge").await;

        // A picture of another size, as a file.
        let drawn = page.text(number).await;
        let path = sandbox.path("other.png");
        page.find("input[type=file]")
            .await
            .send_keys(path.to_str().unwrap())
            .await
            .unwrap();
        page.until(&format!("{number} !== {}", json!(drawn))).await;
        page.is_quiet().await;

        // The link restores it.
        let (judged, fragment) = (page.text(number).await, page.text("location.hash").await);
        page.open(&fragment).await;
        page.until(&format!("{number} === {}", json!(judged))).await;
        page.is_quiet().await;
    });
}

#[test]
fn watch() {
    let sandbox = Sandbox::trained(
        "--levels 1 --steps 1 --width 8 --batch-size 16 --max-steps 60 --eval-images 20",
    );
    let server = Server::new(&sandbox, "run");
    browse(&server, async |page| {
        page.press("Watch").await;
        page.until("document.querySelector('svg.chart .train')")
            .await;
        page.until("document.querySelector('.frame img')?.naturalWidth > 0")
            .await;
        page.is_accessible("watch").await;
        // The training goes on.
        let step = "document.querySelector('tbody tr:nth-child(2) td').textContent";
        let lines = String::from_utf8(sandbox.read("run/metrics.jsonl")).unwrap();
        let mut line: serde_json::Value =
            serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        line["step"] = json!(7_654_321);
        sandbox.write("run/metrics.jsonl", format!("{lines}{line}\n"));
        page.until(&format!("{step} === '7,654,321'")).await;
        page.is_quiet().await;
    });
}

#[test]
fn plane() {
    let sandbox = Sandbox::new();
    let model = recipes::neural_spline_flow(2).layers(3).width(8);
    let model = model.build(0, DType::F32, &Device::Cpu).unwrap();
    check::randomize(model.params(), 1, 0.5).unwrap();
    model.save(&sandbox.path("plane.safetensors")).unwrap();
    let server = Server::new(&sandbox, "plane.safetensors");
    let body = json!({ "layers": 1, "samples": 1000, "seed": 0 });
    let expected = server.ok("/api/plane", &body);
    let line = expected["command"]
        .as_str()
        .unwrap()
        .strip_prefix("flow ")
        .unwrap();
    sandbox.ok(line);
    assert_eq!(sandbox.read("plane.png"), png(&expected), "{line}");
    browse(&server, async |page| {
        let all = page.picture("").await;
        page.field("Layers passed")
            .await
            .send_keys(HOME)
            .await
            .unwrap();
        page.until("location.hash.includes('layers=0')").await;
        let none = page.picture(&all).await;
        page.field("Layers passed")
            .await
            .send_keys(RIGHT)
            .await
            .unwrap();
        page.picture(&none).await;
        let source = "document.querySelector('figure img').getAttribute('src')";
        page.until(&format!("{source} === {}", expected["picture"]))
            .await;
        page.is_accessible("plane").await;
        page.is_quiet().await;
    });
}

#[test]
fn errors_show_in_the_page() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    browse(&server, async |page| {
        page.open("#judge?image=test%3A99").await;
        page.until("!document.getElementById('error').hidden").await;
        let error = page
            .text("document.getElementById('error').textContent")
            .await;
        assert!(error.starts_with("There is no image 99"), "{error}");
        assert!(signal(server.process(), "-KILL"));
        page.press("Draw").await;
        page.until(
            "document.getElementById('error').textContent.startsWith('The server does not answer')",
        )
        .await;
    });
}
