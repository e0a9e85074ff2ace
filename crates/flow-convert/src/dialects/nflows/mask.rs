//! Passing channels: lists of indices in a state dict, a pattern here.

use anyhow::{Context, Result, bail, ensure};
use flow_core::Passing;
use flow_glow::Conventions;

use super::step;
use crate::dialects::reader::Sizes;
use crate::source::Source;

/// Channels that pass the steps, and whether the others pass every other one.
pub(super) fn passing(source: &mut Source, base: &str, sizes: &Sizes) -> Result<(Passing, bool)> {
    let mut first = None;
    // The first second step tells.
    let mut alternating = None;
    for level in 0..sizes.levels {
        let channels = sizes.channels.checked_shl(level as u32);
        let channels = channels.unwrap_or(usize::MAX);
        let last = level + 1 == sizes.levels;
        let steps = if last { sizes.last_steps } else { sizes.steps };
        for k in 0..steps {
            let from = format!("{}.2", step(base, level, k));
            let name = format!("{from}.identity_features");
            let [length] = source.shape(&name)?;
            let features = source.take_indices(&name, length)?;
            let others = format!("{from}.transform_features");
            let [length] = source.shape(&others)?;
            let others = source.take_indices(&others, length)?;
            let Some(pattern) = pattern(&features, &others, channels) else {
                bail!(
                    "`{name}` is {features:?}, which is neither a half of {channels} channels nor every other one"
                );
            };
            let first = *first.get_or_insert(pattern);
            let other = first.complement();
            let expected = match k % 2 {
                1 if *alternating.get_or_insert(pattern == other) => other,
                _ => first,
            };
            ensure!(
                pattern == expected,
                "`{name}` passes other channels than the steps before let expect: only masks that are the same \
                 in all steps, or alternate in each level, are read"
            );
        }
    }
    let first = first.context("it has no steps")?;
    Ok((first, alternating.unwrap_or(false)))
}

fn pattern(features: &[u32], others: &[u32], channels: usize) -> Option<Passing> {
    let half = channels / 2;
    if features.len() != half || others.len() != half {
        return None;
    }
    let all = PATTERNS.into_iter();
    let mut all = all.map(|pattern| (pattern, pattern.order(channels)));
    all.find(|(_, order)| order[..half] == *features && order[half..] == *others)
        .map(|found| found.0)
}

const PATTERNS: [Passing; 4] = [
    Passing::FirstHalf,
    Passing::SecondHalf,
    Passing::Even,
    Passing::Odd,
];

/// The channels in the order of the coupling of a step: the passing ones first.
pub(super) fn step_order(conventions: &Conventions, step: usize, channels: usize) -> Vec<u32> {
    conventions.passing(step).order(channels)
}
