//! Chromium through its driver, with what a person does.

use std::{
    env, fs,
    future::Future,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::Element,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::explore::server::Server;

/// The folder to which tests write what they see, if it is set.
const SCREENSHOTS: &str = "FLOW_SCREENSHOTS";

/// The longest time that a page may take for something.
const PATIENCE: Duration = Duration::from_mins(2);

/// `chromedriver`, which ends with this value.
struct Driver {
    child: Child,
    url: String,
}

/// A page of a server in a browser.
pub(super) struct Page {
    pub(super) client: Client,
    driver: Driver,
    server: String,
}

/// Shows the page of `server` to `test`. Says that the test is skipped where there is no browser.
pub(super) fn browse<F: Future<Output = ()>>(server: &Server, test: impl FnOnce(Page) -> F) {
    let Some(driver) = Driver::new() else {
        eprintln!("skipped: chromium and chromedriver are not installed");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let page = Page::new(driver, server).await;
        let client = page.client.clone();
        test(page).await;
        client.close().await.unwrap();
    });
}

impl Driver {
    fn new() -> Option<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = lines.map_while(Result::ok);
        let port = lines.into_iter().find_map(|line| {
            let (_, port) = line.split_once("on port ")?;
            let port = port.trim_end_matches('.').parse::<u16>().ok()?;
            (port > 0).then_some(port)
        })?;
        Some(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page {
    async fn new(driver: Driver, server: &Server) -> Self {
        let capabilities = json!({
            "goog:chromeOptions": {
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                    "--window-size=1280,1000",
                ],
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is one");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .unwrap();
        let page = Self {
            client,
            driver,
            server: server.url("/"),
        };
        page.open("").await;
        page
    }

    /// Opens the page anew, with a view and its state.
    pub(super) async fn open(&self, fragment: &str) {
        self.client.goto("about:blank").await.unwrap();
        let url = format!("{}{fragment}", self.server);
        self.client.goto(&url).await.unwrap();
        self.until("!document.querySelector('main').textContent.startsWith('Loading')")
            .await;
    }

    /// The value of a JavaScript expression.
    pub(super) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.client.execute(&script, vec![]).await.unwrap()
    }

    pub(super) async fn text(&self, expression: &str) -> String {
        self.value(expression).await.as_str().unwrap().to_owned()
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub(super) fn until(&self, expression: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let expression = expression.to_owned();
        async move {
            let end = tokio::time::Instant::now() + PATIENCE;
            while self.value(&format!("!!({expression})")).await != true {
                let error = self
                    .value("document.getElementById('error')?.textContent")
                    .await;
                assert!(
                    tokio::time::Instant::now() < end,
                    "{place}: never {expression}; the page says {error}"
                );
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    }

    pub(super) async fn find(&self, selector: &str) -> Element {
        let found = self.client.find(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    pub(super) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Clicks a button or a link by its text.
    pub(super) async fn press(&self, text: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{text}']");
        let found = self.client.find(Locator::XPath(&path)).await;
        let found = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        found.click().await.unwrap();
    }

    /// The field of a label.
    pub(super) async fn field(&self, label: &str) -> Element {
        let path = format!("//label[normalize-space()='{label}']");
        let found = self.client.find(Locator::XPath(&path)).await;
        let found = found.unwrap_or_else(|error| panic!("{label}: {error}"));
        match found.attr("for").await.unwrap() {
            Some(id) => self.find(&format!("#{id}")).await,
            None => found.find(Locator::Css("input")).await.unwrap(),
        }
    }

    /// Drags the mouse over an element, through points from its middle.
    pub(super) async fn drag(&self, selector: &str, points: &[(f64, f64)]) {
        let place = format!(
            "(() => {{ const box = document.querySelector('{selector}'); \
             box.scrollIntoView({{ block: 'center' }}); \
             const {{ left, top, width, height }} = box.getBoundingClientRect(); \
             return [left + width / 2, top + height / 2]; }})()"
        );
        let middle = self.value(&place).await;
        let [x, y] = [0, 1].map(|i| middle[i].as_f64().unwrap());
        let mut mouse = MouseActions::new("mouse".to_owned());
        for (place, (right, down)) in points.iter().enumerate() {
            mouse = mouse.then(PointerAction::MoveTo {
                duration: Some(Duration::from_millis(20)),
                x: x + right,
                y: y + down,
            });
            if place == 0 {
                mouse = mouse.then(PointerAction::Down {
                    button: MOUSE_BUTTON_LEFT,
                });
            }
        }
        let mouse = mouse.then(PointerAction::Up {
            button: MOUSE_BUTTON_LEFT,
        });
        self.client.perform_actions(mouse).await.unwrap();
    }

    /// The address of the picture that a view shows, once it shows another than `before`.
    pub(super) async fn picture(&self, before: &str) -> String {
        let source = "document.querySelector('figure img')?.getAttribute('src')";
        let other = format!("({source} || '') !== '' && {source} !== {}", json!(before));
        self.until(&other).await;
        self.text(source).await
    }

    /// Sends a command of Chromium's own.
    fn command(&self, path: &str, body: &Value) -> impl Future<Output = Value> {
        let (url, body) = (self.driver.url.clone(), body.to_string());
        let path = path.to_owned();
        async move {
            let id = self.client.session_id().await.unwrap().unwrap();
            let url = format!("{url}/session/{id}/{path}");
            let request = ureq::post(&url).content_type("application/json");
            let answer = request.send(body).unwrap().body_mut().read_to_string();
            let mut answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
            answer["value"].take()
        }
    }

    /// Shows the page as a device of this width does, in light or dark colors.
    pub(super) async fn emulate(&self, width: u32, is_dark: bool) {
        let colors = if is_dark { "dark" } else { "light" };
        for (name, parameters) in [
            (
                "Emulation.setDeviceMetricsOverride",
                json!({
                    "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600,
                }),
            ),
            (
                "Emulation.setEmulatedMedia",
                json!({
                    "features": [{ "name": "prefers-color-scheme", "value": colors }],
                }),
            ),
        ] {
            let body = json!({ "cmd": name, "params": parameters });
            self.command("goog/cdp/execute", &body).await;
        }
    }

    /// Writes what is seen, if a folder for it is set.
    pub(super) async fn screenshot(&self, name: &str) {
        let Some(folder) = env::var_os(SCREENSHOTS) else {
            return;
        };
        let body = json!({
            "cmd": "Page.captureScreenshot",
            "params": { "captureBeyondViewport": true },
        });
        let shot = self.command("goog/cdp/execute", &body).await;
        let png = shot["data"].as_str().unwrap();
        let png = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, png).unwrap();
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        fs::write(path, png).unwrap();
    }

    /// Checks that neither the page nor the browser has complained.
    #[track_caller]
    pub(super) fn is_quiet(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let log = self.command("se/log", &json!({ "type": "browser" })).await;
            let log = log.as_array().unwrap();
            assert!(log.is_empty(), "{place}: {log:?}");
            let error = self.value("document.getElementById('error').hidden").await;
            let text = self
                .value("document.getElementById('error').textContent")
                .await;
            assert_eq!(error, true, "{place}: {text}");
        }
    }
}
