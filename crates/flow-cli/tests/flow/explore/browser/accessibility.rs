//! axe-core, which is fetched for the tests alone.

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

use super::driver::Page;

/// The package that is fetched.
const PACKAGE: &str = "axe-core@4.11.0";

/// The source of axe-core; nothing where npm cannot fetch it.
fn source() -> Option<&'static str> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    let fetch = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("axe");
        let file = folder.join("node_modules/axe-core/axe.min.js");
        if !file.is_file() {
            fs::create_dir_all(&folder).ok()?;
            let npm = Command::new("npm")
                .args([
                    "install",
                    "--no-save",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                ])
                .arg("--prefix")
                .arg(&folder)
                .arg(PACKAGE)
                .output()
                .ok()?;
            if !npm.status.success() {
                return None;
            }
        }
        fs::read_to_string(file).ok()
    };
    SOURCE.get_or_init(fetch).as_deref()
}

impl Page {
    /// Checks that axe-core finds nothing serious, in light and dark colors, on a screen and on a
    /// phone, and that nothing lies beyond the side of the phone.
    pub(super) async fn is_accessible(&self, name: &str) {
        for (width, is_dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
            self.emulate(width, is_dark).await;
            let colors = if is_dark { "dark" } else { "light" };
            let name = format!("{name}-{width}-{colors}");
            self.screenshot(&name).await;
            let beyond =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(
                self.value(beyond).await,
                0,
                "{name} is wider than the screen"
            );
            let Some(source) = source() else {
                eprintln!("skipped: npm cannot fetch {PACKAGE}");
                continue;
            };
            let loaded = self.value("!!window.axe").await;
            if loaded != true {
                self.client.execute(source, vec![]).await.unwrap();
            }
            let script = "const done = arguments[0]; axe.run().then(\
                          (found) => done(found.violations), (error) => done(String(error)))";
            let found = self.client.execute_async(script, vec![]).await.unwrap();
            let found = found.as_array().unwrap_or_else(|| panic!("{found}"));
            let serious = found
                .iter()
                .filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")));
            let shown = serious.map(|one| {
                let nodes = one["nodes"].as_array().into_iter().flatten();
                let nodes = nodes.map(|node| node["html"].clone());
                (one["id"].clone(), nodes.collect::<Vec<Value>>())
            });
            let shown = shown.collect::<Vec<_>>();
            assert!(shown.is_empty(), "{name}: {shown:#?}");
        }
        self.emulate(1280, env::var_os("FLOW_DARK").is_some()).await;
    }
}
