//! Reports as one file of HTML, pictures included.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};

const STYLE: &str = "\
body { font: 16px/1.5 sans-serif; color: #323232; max-width: 1200px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #e4e4e4; text-align: right }
th:first-child, td:first-child { text-align: left }
figure { display: inline-block; width: 130px; margin: 0 8px 16px 0; vertical-align: top }
figure img { width: 112px; image-rendering: pixelated }
figcaption { font-size: 12px; overflow-wrap: anywhere }
.wide { max-width: 100% }
";

/// A page, from top to bottom.
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n<h1>{title}</h1>\n"
        ))
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.add(&format!("<p>{}</p>", escape(text)));
    }

    /// Rows of cells, of which the first holds the headings.
    pub(super) fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        self.add("<table>");
        for (i, row) in rows.iter().enumerate() {
            let tag = if i == 0 { "th" } else { "td" };
            let cells = row.iter().fold(String::new(), |mut cells, cell| {
                let _ = write!(cells, "<{tag}>{}</{tag}>", escape(cell));
                cells
            });
            self.add(&format!("<tr>{cells}</tr>"));
        }
        self.add("</table>");
    }

    /// A PNG as wide as the page.
    pub(super) fn picture(&mut self, png: &[u8], description: &str) {
        let (data, description) = (BASE64_STANDARD.encode(png), escape(description));
        self.add(&format!(
            "<img class=\"wide\" alt=\"{description}\" src=\"data:image/png;base64,{data}\">"
        ));
    }

    /// A small PNG with a caption, beside others.
    pub(super) fn tile(&mut self, png: &[u8], caption: &str) {
        let (data, caption) = (BASE64_STANDARD.encode(png), escape(caption));
        self.add(&format!(
            "<figure><img alt=\"\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
        ));
    }

    pub(super) fn finish(self) -> String {
        self.0 + "</html>\n"
    }

    fn add(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// Names of files can hold anything.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
