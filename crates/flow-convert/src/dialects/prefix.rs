//! Prefixes of a model's own names: the modules that wrap it.

/// Modules of PyTorch that wrap others at any depth. No program's own modules have such names.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// The part of `name` before `end`, with its last dot, if it is `end` that it ends with.
pub(super) fn before<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let mut rest = name;
    for segment in end.rsplit('.') {
        loop {
            let (before, last) = rest.rsplit_once('.').unwrap_or(("", rest));
            rest = before;
            if last == segment {
                break;
            }
            if !WRAPPERS.contains(&last) {
                return None;
            }
        }
    }
    Some(&name[..rest.len() + usize::from(!rest.is_empty())])
}

/// A name without the modules that wrap parts of the model.
pub(crate) fn unwrapped(name: &str) -> String {
    let own = name.split('.').filter(|part| !WRAPPERS.contains(part));
    own.collect::<Vec<_>>().join(".")
}
