//! The files of the page, which are part of the program.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file: its address, its type and its content.
type File = (&'static str, &'static str, &'static str);

/// All files.
pub(super) const FILES: &[File] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/main.js", JAVASCRIPT, include_str!("page/main.js")),
    ("/api.js", JAVASCRIPT, include_str!("page/api.js")),
    ("/state.js", JAVASCRIPT, include_str!("page/state.js")),
    ("/widgets.js", JAVASCRIPT, include_str!("page/widgets.js")),
    ("/pad.js", JAVASCRIPT, include_str!("page/pad.js")),
    ("/picker.js", JAVASCRIPT, include_str!("page/picker.js")),
    ("/mix.js", JAVASCRIPT, include_str!("page/mix.js")),
    ("/change.js", JAVASCRIPT, include_str!("page/change.js")),
    ("/chart.js", JAVASCRIPT, include_str!("page/chart.js")),
    ("/judge.js", JAVASCRIPT, include_str!("page/judge.js")),
    ("/levels.js", JAVASCRIPT, include_str!("page/levels.js")),
    ("/plane.js", JAVASCRIPT, include_str!("page/plane.js")),
    ("/watch.js", JAVASCRIPT, include_str!("page/watch.js")),
    ("/draw.js", JAVASCRIPT, include_str!("page/draw.js")),
];

/// The answer that a file is.
pub(super) fn answer(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_light_and_asks_nobody_else() {
        let bytes: usize = FILES.iter().map(|(_, _, content)| content.len()).sum();
        assert!(bytes <= 200_000, "{bytes} bytes");
        for (path, _, content) in FILES {
            // The name of SVG, from which nothing is loaded.
            let content = content.replace("http://www.w3.org/", "");
            assert!(!content.contains("http"), "{path}");
        }
    }
}
