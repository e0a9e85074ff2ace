//! The model among all that a file holds: below any prefix of names, and any number of keys deep.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::Program;
use crate::dialects::unwrapped;
use crate::state_dict::File;
use crate::state_dict::tree::{self, Entry, Key};

/// Models that are looked at in one file.
const MAX_MODELS: usize = 64;

/// Names that a message shows.
const SHOWN: usize = 6;

/// Name under which modules store data beside their tensors, outside of their weights.
const EXTRA_STATE: &str = "_extra_state";

/// A model, and the tensors beside it.
pub(crate) struct Choice {
    pub(crate) program: Program,
    /// Its tensors by the names that its program gives them.
    pub(crate) tensors: BTreeMap<String, usize>,
    /// The keys and prefixes that lead to them, each with a dot after it.
    place: String,
    beside: BTreeSet<String>,
}

/// A prefix below which a program's first tensor stands.
struct Candidate<'a> {
    program: Program,
    node: usize,
    prefix: &'a str,
    place: String,
}

impl Choice {
    /// The model of `program`, or of any, below `prefix`, or the only one.
    pub(crate) fn of(file: &File, program: Option<Program>, prefix: Option<&str>) -> Result<Self> {
        let all = candidates(file)?;
        let mut fitting: Vec<_> = all
            .iter()
            .filter(|found| program.is_none_or(|program| program == found.program))
            .collect();
        ensure!(!fitting.is_empty(), "{}", nothing(file, program));
        if let Some(prefix) = prefix {
            let known = shown(fitting.iter().map(|found| &found.place));
            fitting = below(fitting, prefix);
            ensure!(
                !fitting.is_empty(),
                "it holds no model below `{prefix}`, but below {known}"
            );
        }
        let tensors = fitting
            .iter()
            .map(|found| found.tensors(file, &all))
            .collect::<Result<Vec<_>>>()?;
        let is_same = |other: &BTreeMap<String, usize>| {
            other.keys().eq(tensors[0].keys())
                && other
                    .values()
                    .zip(tensors[0].values())
                    .all(|(&a, &b)| file.is_same(a, b))
        };
        if !tensors.iter().skip(1).all(is_same) {
            bail!(
                "it holds several models: choose one by `--prefix`, from {}",
                shown(fitting.iter().map(|found| &found.place))
            );
        }
        let found = fitting[0];
        let tensors = tensors.into_iter().next().unwrap_or_default();
        Ok(Self {
            program: found.program,
            beside: found.beside(file, &tensors),
            place: found.place.clone(),
            tensors,
        })
    }

    /// A line about the chosen prefix and the tensors outside the model, if there are any.
    pub(crate) fn remark(&self) -> Option<String> {
        let beside = || shown(self.beside.iter());
        match (&*self.place, self.beside.is_empty()) {
            ("", true) => None,
            ("", false) => Some(format!("ignored beside the model: {}", beside())),
            (place, true) => Some(format!("the model below `{place}`")),
            (place, false) => Some(format!(
                "the model below `{place}`; ignored beside it: {}",
                beside()
            )),
        }
    }
}

impl Candidate<'_> {
    /// Tensors of this model by their own names.
    fn tensors(&self, file: &File, all: &[Self]) -> Result<BTreeMap<String, usize>> {
        let others: Vec<_> = all
            .iter()
            .filter(|other| other.node == self.node && other.prefix.len() > self.prefix.len())
            .collect();
        let entries = file.nodes[self.node].entries.iter();
        let mut tensors = BTreeMap::new();
        for (name, id) in entries.filter_map(Entry::tensor) {
            let Some(own) = name.strip_prefix(self.prefix) else {
                continue;
            };
            let is_other = others.iter().any(|other| name.starts_with(other.prefix));
            let is_counter = !own.contains('.') && file.is_counter(id);
            if is_other || is_counter || own.split('.').any(|part| part == EXTRA_STATE) {
                continue;
            }
            let own = unwrapped(own);
            ensure!(
                tensors.insert(own, id).is_none(),
                "tensor `{}` is there twice",
                name.escape_debug()
            );
        }
        Ok(tensors)
    }

    /// Names that are not part of the model: other names of its state dict, cut where they part
    /// from its prefix, and other keys on the way to it.
    fn beside(&self, file: &File, tensors: &BTreeMap<String, usize>) -> BTreeSet<String> {
        let own: BTreeSet<_> = tensors.values().collect();
        let mut beside = BTreeSet::new();
        let mut place = String::new();
        for (node, next) in tree::path(&file.nodes, self.node) {
            let others = node.entries.iter().filter(|entry| entry.key != next);
            beside.extend(others.map(|entry| format!("{place}{}", entry.key)));
            place = tree::below(place, next);
        }
        for entry in &file.nodes[self.node].entries {
            if !(entry.is_tensor && own.contains(&entry.id)) {
                beside.insert(format!("{place}{}", cut(entry.key, self.prefix)));
            }
        }
        beside
    }
}

/// All models of a file.
fn candidates<'a>(file: &File<'a>) -> Result<Vec<Candidate<'a>>> {
    let mut found = Vec::new();
    for (node, container) in file.nodes.iter().enumerate() {
        for (name, _) in container.entries.iter().filter_map(Entry::tensor) {
            for program in Program::ALL {
                let Some(prefix) = program.prefix(name) else {
                    continue;
                };
                let place = file.place(node) + prefix;
                found.push(Candidate {
                    program,
                    node,
                    prefix,
                    place,
                });
                ensure!(
                    found.len() <= MAX_MODELS,
                    "it holds more than {MAX_MODELS} models"
                );
            }
        }
    }
    Ok(found)
}

/// The candidate at `prefix`, or those below it.
fn below<'a, 'b>(all: Vec<&'a Candidate<'b>>, prefix: &str) -> Vec<&'a Candidate<'b>> {
    let prefix = match prefix.trim_end_matches('.') {
        "" => String::new(),
        prefix => format!("{prefix}."),
    };
    if let Some(exact) = all.iter().find(|found| found.place == prefix) {
        return vec![exact];
    }
    let mut all = all;
    all.retain(|found| !prefix.is_empty() && found.place.starts_with(&prefix));
    all
}

/// The reason why a file holds no model.
fn nothing(file: &File, program: Option<Program>) -> String {
    let mut entries = file.nodes.iter().flat_map(|node| &node.entries);
    let example = entries.find_map(Entry::tensor);
    let what = match (file.class(), example) {
        (Some(class), _) => format!("it is a `{class}`, without a state dict that is known"),
        (None, None) => "it holds no state dict".to_owned(),
        (None, Some((example, _))) => return unknown(example, program),
    };
    format!("{what}; `torch.save(model.state_dict(), …)` writes one")
}

/// The reason why tensors do not form a model, with the name of one.
fn unknown(example: &str, program: Option<Program>) -> String {
    match program {
        Some(program) => format!(
            "tensor `…{}` is missing, by which models of {} are known",
            program.first_tensor()[program.first_tensor().len() - 1],
            program.as_str()
        ),
        None => format!(
            "no program that is known names its tensors like `{}`",
            example.escape_debug()
        ),
    }
}

/// A name up to where it parts from `prefix`.
fn cut(key: Key, prefix: &str) -> String {
    let Key::Text(name) = key else {
        return key.to_string();
    };
    let mut end = 0;
    for part in name.split_inclusive('.') {
        end += part.len();
        if !prefix.starts_with(&name[..end]) {
            break;
        }
    }
    let end = if name.starts_with(prefix) {
        name.len()
    } else {
        end
    };
    name[..end].escape_debug().to_string()
}

/// Names in a message.
fn shown<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let name = |name: &String| match &**name {
        "" => "`\"\"`".into(),
        name => format!("`{name}`"),
    };
    let names: Vec<_> = names.map(name).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
