//! The classes that a model knows.

use anyhow::{Result, anyhow, bail};
use flow_data::DatasetName;
use flow_glow::Header;

use super::data_record::DataRecord;

/// Names that a message lists at most.
const MOST_SHOWN: usize = 20;

/// The names of the classes of a model, where it has classes and they are known for more than
/// numbers; otherwise none.
pub(crate) fn names(header: &Header) -> Result<Vec<String>> {
    let Some(count) = header.model.classes else {
        return Ok(Vec::new());
    };
    let record = DataRecord::read(&header.data)?;
    let published = header.dataset.parse().map(DatasetName::classes);
    let names = match (record, published) {
        (Some(record), _) => record.classes,
        (None, Ok(names)) => names.map(str::to_owned).to_vec(),
        (None, Err(_)) => Vec::new(),
    };
    Ok(telling(if names.len() == count { &names } else { &[] }).to_vec())
}

/// The names where they tell more than numbers from 0 do; otherwise none.
pub(crate) fn telling(names: &[String]) -> &[String] {
    let numbers = (0..names.len()).map(|class| class.to_string());
    if names.iter().cloned().eq(numbers) {
        return &[];
    }
    names
}

/// Number and name of a class, as `3 cat`, or its number where it has no name.
pub(crate) fn label(names: &[String], class: usize) -> String {
    match names.get(class) {
        Some(name) => format!("{class} {name}"),
        None => class.to_string(),
    }
}

/// The number of a class from its name, or from its number.
///
/// # Errors
/// If the model of this header does not know it.
pub(crate) fn number(header: &Header, class: &str) -> Result<u32> {
    if header.model.classes.is_none() {
        bail!("the model knows no classes; leave out `--class`, or train one with `--classes`");
    }
    let names = names(header)?;
    let Some(number) = place(&names, class) else {
        return Err(unknown(header, class)?);
    };
    check(header, number)?;
    Ok(number)
}

/// The number of a class among `names`, from its name or from its number.
pub(crate) fn place(names: &[String], class: &str) -> Option<u32> {
    let named = names.iter().position(|name| name == class);
    named.map_or_else(|| class.parse().ok(), |number| Some(number as u32))
}

/// The number of the class of `--class`, if it is given.
///
/// # Errors
/// As those of [`number`].
pub(crate) fn asked(header: &Header, class: Option<&str>) -> Result<Option<u32>> {
    class.map(|class| number(header, class)).transpose()
}

/// Checks that the model of this header knows class number `class`.
pub(crate) fn check(header: &Header, class: u32) -> Result<()> {
    match header.model.classes {
        Some(count) if (class as usize) < count => Ok(()),
        _ => Err(unknown(header, &class.to_string())?),
    }
}

fn unknown(header: &Header, class: &str) -> Result<anyhow::Error> {
    let count = header.model.classes.unwrap_or(0);
    let known = in_words(count, &names(header)?);
    Ok(anyhow!(
        "there is no class {class}: the model knows the classes {known}"
    ))
}

/// Such as `0 to 9`, with what they show where that is known.
pub(crate) fn in_words(count: usize, names: &[String]) -> String {
    let names = telling(names);
    let range = match count {
        1 => "0 alone".to_owned(),
        _ => format!("0 to {}", count.saturating_sub(1)),
    };
    let shown = 0..names.len().min(MOST_SHOWN);
    let mut pairs = shown.map(|class| label(names, class)).collect::<Vec<_>>();
    match names.len() {
        0 => return range,
        all if all > MOST_SHOWN => pairs.push("…".to_owned()),
        _ => {}
    }
    format!("{range} ({})", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_where_names_are_known() {
        assert_eq!(in_words(10, &[]), "0 to 9");
        assert_eq!(in_words(1, &[]), "0 alone");
        let names = ["cat", "dog"].map(str::to_owned);
        assert_eq!(in_words(2, &names), "0 to 1 (0 cat, 1 dog)");
        let many = vec!["x".to_owned(); 1000];
        assert!(in_words(1000, &many).ends_with(", 19 x, …)"));
    }
}
