//! Numbers with their nouns.

use indicatif::HumanCount;

/// Such as `1 image` and `2,000 images`; `noun` is in the singular.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{} {}", HumanCount(number as u64), plural(number, noun))
}

/// The form of `noun` that goes with the number.
pub(crate) fn plural(number: usize, noun: &str) -> String {
    let ending = match number {
        1 => "",
        _ if noun.ends_with("ss") => "es",
        _ => "s",
    };
    format!("{noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1, "image"), "1 image");
        assert_eq!(count(0, "epoch"), "0 epochs");
        assert_eq!(count(2000, "test image"), "2,000 test images");
        assert_eq!(count(2, "process"), "2 processes");
        assert_eq!(count(1, "process"), "1 process");
    }
}
