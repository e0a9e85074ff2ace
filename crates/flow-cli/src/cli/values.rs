//! Parsers of the values of options.

use std::{str::FromStr, time::Duration};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use flow_data::{DatasetName, Location, Split};
use flow_table::Wanted;

/// The place of a data set, which is there if it is a path.
pub(super) fn dataset(text: &str) -> Result<Location, String> {
    let location = text
        .parse::<Location>()
        .map_err(|error| error.to_string())?;
    match &location {
        // Braces number the files of a range.
        Location::Path(path) if !path.exists() && !text.contains('{') => Err(format!(
            "there is no such path, and the names are {}",
            names()
        )),
        _ => Ok(location),
    }
}

/// A data set that can be fetched: a published one, or one of the hub.
pub(super) fn fetched(text: &str) -> Result<Location, String> {
    let location = text
        .parse::<Location>()
        .map_err(|error| error.to_string())?;
    match location {
        Location::Path(_) => Err(format!("the names are {}", names())),
        _ => Ok(location),
    }
}

/// The names of data sets.
fn names() -> String {
    let published = DatasetName::ALL.map(DatasetName::as_str).join(", ");
    format!("{published} and hub:OWNER/NAME")
}

/// The name of a split.
pub(super) fn split() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new([Split::Train, Split::Test].map(Split::as_str))
        .map(|name| name.parse().expect("it is one of the names"))
}

/// A choice between named values.
pub(super) fn choice<T, const N: usize>(
    choices: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(choices.map(|(name, _)| name)).map(move |name| {
        let mut values = choices.iter();
        let chosen = values.find(|(candidate, _)| *candidate == name);
        chosen.expect("it is one of the names").1
    })
}

/// A whole number from 1.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a whole number from 1".to_owned()),
    }
}

/// A whole number from 1 to `MOST`.
pub(super) fn count_up_to<const MOST: usize>(text: &str) -> Result<usize, String> {
    match count(text)? {
        number if number > MOST => Err(format!("must be {MOST} or less")),
        number => Ok(number),
    }
}

/// Images in a row that has two ends.
pub(super) fn steps(text: &str) -> Result<usize, String> {
    match count_up_to::<1000>(text)? {
        1 => Err("must be 2 or more".to_owned()),
        number => Ok(number),
    }
}

/// A whole number from `LEAST`, which may be 0.
pub(super) fn whole<const LEAST: u64, T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>();
    let number = number.map_err(|_| format!("expected a whole number from {LEAST}"))?;
    if number < LEAST {
        return Err(format!("must be {LEAST} or more"));
    }
    T::try_from(number).map_err(|_| "is too large".to_owned())
}

/// A number that is not negative.
pub(super) fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, "0 or more", |value| value >= 0.0)
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text, "above 0", |value| value > 0.0)
}

/// A number from 0 to below 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    number(text, "from 0 to below 1", |value| {
        (0.0..1.0).contains(&value)
    })
}

/// A number from 0 to 1.
pub(super) fn unit(text: &str) -> Result<f64, String> {
    number(text, "from 0 to 1", |value| (0.0..=1.0).contains(&value))
}

/// A column of angles: its name, and one turn if it is not 2π.
pub(super) fn angle(text: &str) -> Result<(String, Wanted), String> {
    let (name, period) = match text.rsplit_once('=') {
        None => (text, std::f64::consts::TAU),
        Some((name, turn)) => (name, positive(turn)?),
    };
    Ok((name.to_owned(), Wanted::Angle { period }))
}

/// A column and its bounds.
pub(super) fn bounded(text: &str) -> Result<(String, Wanted), String> {
    let expected = || "expected NAME=LOW..HIGH, such as share=0..1".to_owned();
    let (name, bounds) = text.rsplit_once('=').ok_or_else(expected)?;
    let (low, high) = bounds.split_once("..").ok_or_else(expected)?;
    let [low, high] = [low, high].map(|bound| bound.trim().parse::<f64>());
    match (low, high) {
        (Ok(low), Ok(high)) if low < high && (high - low).is_finite() => {
            Ok((name.to_owned(), Wanted::Bounded { low, high }))
        }
        (Ok(_), Ok(_)) => Err("the lower bound must be below the upper one".to_owned()),
        _ => Err(expected()),
    }
}

/// A value of a column.
pub(super) fn given(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected COLUMN=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A time such as `90s`, `15m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Ok(time) => Ok(time),
        Err(_) => Err("expected a time with its unit, such as 90s, 15m or 1h30m".to_owned()),
    }
}

fn number(text: &str, range: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    match f64::from_str(text) {
        Ok(value) if value.is_finite() && fits(value) => Ok(value),
        Ok(_) => Err(format!("must be {range}")),
        Err(_) => Err(format!("expected a number {range}")),
    }
}
