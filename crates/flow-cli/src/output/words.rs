//! Numbers with their nouns.

use flow_glow::GlowConfig;
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

/// Such as `2 levels of 8 steps` and `2 levels of 8 steps (32 in the last)`.
pub(crate) fn levels(model: &GlowConfig) -> String {
    let levels = count(model.levels, "level");
    let steps = count(model.steps, "step");
    match model.steps_of(true) {
        last if last == model.steps => format!("{levels} of {steps}"),
        last => format!("{levels} of {steps} ({last} in the last)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_glow::ImageShape;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1, "image"), "1 image");
        assert_eq!(count(0, "epoch"), "0 epochs");
        assert_eq!(count(2000, "test image"), "2,000 test images");
        assert_eq!(count(2, "process"), "2 processes");
        assert_eq!(count(1, "process"), "1 process");
    }

    #[test]
    fn the_last_level_is_told_where_it_has_other_steps() {
        let small = GlowConfig::small(ImageShape::new(1, 28, 28));
        let deep = |last_steps| GlowConfig {
            last_steps,
            ..small.clone()
        };
        assert_eq!(levels(&small), "2 levels of 8 steps");
        assert_eq!(levels(&deep(Some(8))), "2 levels of 8 steps");
        let uneven = "2 levels of 8 steps (32 in the last)";
        assert_eq!(levels(&deep(Some(32))), uneven);
    }
}
