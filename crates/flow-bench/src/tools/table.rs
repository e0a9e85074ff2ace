//! Tables in Markdown, row by row as they are measured.

use std::fmt::Display;

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
