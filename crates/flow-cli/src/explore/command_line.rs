//! The command that makes the picture of a view.

use std::{fmt::Display, path::Path};

use super::session::Session;

/// Words of a command line.
pub(super) struct CommandLine(Vec<String>);

impl CommandLine {
    /// `flow COMMAND` with the model of the session.
    pub(super) fn new(command: &str, session: &Session) -> Self {
        Self::bare(command)
            .path("--checkpoint", Some(&session.checkpoint))
            .option("--device", device(session))
    }

    /// `flow COMMAND` alone.
    pub(super) fn bare(command: &str) -> Self {
        Self(vec!["flow".to_owned(), command.to_owned()])
    }

    /// With an option, if it has a value.
    pub(super) fn option(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.0.extend([name.to_owned(), quoted(&value.to_string())]);
        }
        self
    }

    /// With a switch, if it is on.
    pub(super) fn switch(mut self, name: &str, is_on: bool) -> Self {
        if is_on {
            self.0.push(name.to_owned());
        }
        self
    }

    /// With an option of a path.
    pub(super) fn path(self, name: &str, path: Option<&Path>) -> Self {
        self.option(name, path.map(Path::display))
    }

    /// With more words.
    pub(super) fn words(mut self, words: &[&str]) -> Self {
        self.0.extend(words.iter().map(|word| quoted(word)));
        self
    }

    /// With the data set of the session.
    pub(super) fn data(self, session: &Session) -> Self {
        let args = &session.args;
        self.option("--dataset", args.dataset.as_ref())
            .path("--data-dir", args.data_dir.data_dir.as_deref())
            .path("--cache-dir", args.data_dir.cache_dir.as_deref())
            .switch("--skip-damaged", args.data_dir.skip_damaged)
    }
}

impl Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

fn device(session: &Session) -> Option<String> {
    let choice = session.args.device.device.to_string();
    (choice != "auto").then_some(choice)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        for (word, expected) in [
            ("runs/a.safetensors", "runs/a.safetensors"),
            ("ankle boot", "'ankle boot'"),
            ("it's", r"'it'\''s'"),
            ("$(rm -rf)", "'$(rm -rf)'"),
            ("", "''"),
            ("Käse", "Käse"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
