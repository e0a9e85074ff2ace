//! Tables in Markdown, row by row as they are measured.

use std::fmt::Display;

use anyhow::Result;

/// Prints the head of a table.
pub(crate) fn head<T: Display>(columns: &[T]) {
    row(columns);
    println!("|{}", "---|".repeat(columns.len()));
}

/// Prints a row.
pub(crate) fn row<T: Display>(cells: &[T]) {
    print!("|");
    for cell in cells {
        let cell = cell.to_string();
        // An empty cell is one space wide.
        print!("{}{cell} |", if cell.is_empty() { "" } else { " " });
    }
    println!();
}

/// Prints a row of names and what was measured; the last line of the error if that failed.
pub(crate) fn attempt(names: &[String], measured: Result<Vec<String>>) {
    let cells = measured.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        // A traceback ends with its reason.
        vec![format!("failed: {}", error.lines().last().unwrap_or("?"))]
    });
    row(&[names, &cells].concat());
}
