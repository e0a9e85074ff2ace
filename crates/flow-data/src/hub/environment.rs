//! The hub, the token and the cache that the environment names, as Hugging Face's programs read
//! them.

use std::{env, fs, path::PathBuf};

const HUB: &str = "https://huggingface.co";

/// The address of the hub.
pub(super) fn endpoint() -> String {
    variable("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned())
}

/// The token of the environment, or of a file that the environment names or that a login left.
pub(super) fn token() -> Option<String> {
    if variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() {
        return None;
    }
    let named = variable("HF_TOKEN_PATH").map(PathBuf::from);
    let files = named.into_iter().chain([home().join("token")]);
    let stored = files.filter_map(|file| fs::read_to_string(file).ok());
    let tokens = variable("HF_TOKEN").into_iter().chain(stored);
    let mut tokens = tokens.map(|token| token.trim().to_owned());
    tokens.find(|token| !token.is_empty())
}

/// The folder of downloads.
pub(super) fn cache() -> PathBuf {
    variable("HF_HUB_CACHE").map_or_else(|| home().join("hub"), PathBuf::from)
}

/// The folder of Hugging Face's programs.
fn home() -> PathBuf {
    if let Some(home) = variable("HF_HOME") {
        return PathBuf::from(home);
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    cache.unwrap_or_default().join("huggingface")
}

/// A variable that is not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
