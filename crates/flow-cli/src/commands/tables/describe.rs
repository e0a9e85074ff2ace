//! Columns in words.

use flow_table::{Column, Kind, Schema};

/// Levels of a category that are named at most.
const LEVELS: usize = 8;

/// Names and descriptions of all columns; those of given ones say so.
pub(super) fn schema(schema: &Schema) -> Vec<(&str, String)> {
    let modelled = schema
        .columns
        .iter()
        .map(|found| (found.name.as_str(), column(found)));
    let given = |found| format!("given, {}", column(found));
    let given = schema
        .given
        .iter()
        .map(|found| (found.name.as_str(), given(found)));
    modelled.chain(given).collect()
}

fn column(column: &Column) -> String {
    let Column {
        low, high, mean, ..
    } = column;
    // Ends that look the same are told apart.
    let digits = (4..16).find(|&digits| of_digits(*low, digits) != of_digits(*high, digits));
    let in_digits = |number: &f64| of_digits(*number, digits.unwrap_or(4));
    let [low, high, mean] = [low, high, mean].map(in_digits);
    let name = column.kind.name();
    match &column.kind {
        Kind::Category { levels } => {
            let named = levels
                .iter()
                .take(LEVELS)
                .map(|level| level.escape_debug().to_string())
                .collect::<Vec<_>>()
                .join(", ");
            let others = if levels.len() > LEVELS { ", …" } else { "" };
            format!("{name} of {}: {named}{others}", levels.len())
        }
        Kind::Bounded { low, high } => {
            format!(
                "{name} by {} and {}, mean {mean}",
                short(*low),
                short(*high)
            )
        }
        Kind::Angle { period, .. } => {
            format!("{name} of {} a turn, {low} to {high}", short(*period))
        }
        Kind::Real | Kind::Positive | Kind::Integer => {
            format!("{name}, {low} to {high}, mean {mean}")
        }
    }
}

/// A number in about four digits.
fn short(number: f64) -> String {
    of_digits(number, 4)
}

/// A number in about so many digits.
fn of_digits(number: f64, digits: usize) -> String {
    let (size, last) = (number.abs(), digits - 1);
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{number:.last$e}");
    }
    let digits = if size < 1e-12 {
        0
    } else {
        (last as f64 - size.log10().floor()).clamp(0.0, last as f64 + 3.0) as usize
    };
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_four_digits() {
        let rows = [
            (0.0, "0"),
            (1.0, "1"),
            (10.491_51, "10.49"),
            (-0.001_234_56, "-0.001235"),
            (123_456.7, "123457"),
            (1.5e9, "1.500e9"),
            (2e-7, "2.000e-7"),
        ];
        for (number, expected) in rows {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn ends_are_told_apart_and_levels_take_one_line() {
        let numbers = Column {
            name: "id".to_owned(),
            kind: Kind::Positive,
            low: 5_000_000.0,
            high: 5_000_399.0,
            mean: 5_000_199.5,
            std: 115.5,
        };
        let shown = "positive, 5.0000e6 to 5.0004e6, mean 5.0002e6";
        assert_eq!(column(&numbers), shown);
        let levels = vec!["a\nb".to_owned(), "c".to_owned()];
        let texts = Column {
            kind: Kind::Category { levels },
            ..numbers
        };
        assert_eq!(column(&texts), "category of 2: a\\nb, c");
    }
}
