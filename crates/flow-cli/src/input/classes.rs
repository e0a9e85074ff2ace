//! The classes that a model knows.

use anyhow::{Result, bail};
use flow_data::DatasetName;
use flow_glow::Header;

/// Checks that the model of this header knows `class`.
pub(crate) fn check(header: &Header, class: u32) -> Result<()> {
    match header.model.classes {
        None => {
            bail!("the model knows no classes; leave out `--class`, or train one with `--classes`")
        }
        Some(count) if class as usize >= count => bail!(
            "there is no class {class}: the model knows the classes {}",
            in_words(count, &header.dataset)
        ),
        Some(_) => Ok(()),
    }
}

/// Such as `0 to 9`, with what they show where a data set is known for more than numbers.
fn in_words(count: usize, dataset: &str) -> String {
    let range = match count {
        1 => "0 alone".to_owned(),
        _ => format!("0 to {}", count - 1),
    };
    let names = dataset.parse().map(DatasetName::classes);
    match names {
        Ok(names) if names.len() == count && names[0] != "0" => {
            let pairs = names.iter().enumerate();
            let pairs = pairs.map(|(class, name)| format!("{class} {name}"));
            format!("{range} ({})", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_where_names_are_known() {
        assert_eq!(in_words(10, "mnist"), "0 to 9");
        assert_eq!(in_words(10, "faces"), "0 to 9");
        assert_eq!(in_words(4, "cifar10"), "0 to 3");
        assert_eq!(in_words(1, "faces"), "0 alone");
        let fashion = in_words(10, "fashion-mnist");
        assert!(
            fashion.starts_with("0 to 9 (0 T-shirt/top, 1 trouser, "),
            "{fashion}"
        );
        assert!(fashion.ends_with(", 9 ankle boot)"), "{fashion}");
    }
}
