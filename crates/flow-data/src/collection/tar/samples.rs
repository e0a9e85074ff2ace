//! Samples of WebDataset: files that share a key.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use crate::{Error, Result};

use super::super::Class;

/// Names of a class in a sample's JSON, best first.
const CLASS_FIELDS: [&str; 4] = ["label", "class", "cls", "class_name"];

/// Classes that files tell, by archive and key.
#[derive(Default)]
pub(super) struct ClassFiles(HashMap<(usize, String), ClassFile>);

struct ClassFile {
    path: String,
    class: Class,
}

impl ClassFiles {
    /// True if a file of this name may tell a class.
    pub(super) fn is_one(path: &str) -> bool {
        is_json(path) || extension(path) == "cls"
    }

    /// Adds the file at `path` in archive number `place`, unless it tells no class.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the file.
    pub(super) fn add(
        &mut self,
        place: usize,
        path: &str,
        text: &[u8],
    ) -> Result<(), &'static str> {
        let is_json = is_json(path);
        let class = if is_json {
            class_of_json(text)?
        } else {
            Some(class_of_text(text)?)
        };
        if let Some(class) = class {
            let key = (place, key(path).to_owned());
            let path = path.to_owned();
            let file = ClassFile { path, class };
            // The file of a class alone says more than one of many facts.
            if is_json {
                self.0.entry(key).or_insert(file);
            } else {
                self.0.insert(key, file);
            }
        }
        Ok(())
    }

    /// The class of each picture, given by archive and path; nothing if there are no classes.
    ///
    /// # Errors
    /// A sample has two pictures, or a class and no picture.
    pub(super) fn of(
        mut self,
        archives: &[PathBuf],
        pictures: &[(usize, String)],
    ) -> Result<Option<Vec<Option<Class>>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let refuse = |place: usize, reason| Err(Error::format(&archives[place], reason));
        let mut keys = HashSet::new();
        let mut classes = Vec::with_capacity(pictures.len());
        for (place, path) in pictures {
            let key = key(path);
            if !keys.insert((place, key)) {
                let reason = format!("holds several images of sample `{key}`, such as `{path}`");
                return refuse(*place, reason);
            }
            let file = self.0.remove(&(*place, key.to_owned()));
            classes.push(file.map(|file| file.class));
        }
        let lonely = self.0.iter().map(|((place, _), file)| (*place, &file.path));
        match lonely.min() {
            None => Ok(Some(classes)),
            Some((place, path)) => {
                refuse(place, format!("holds `{path}`, but no image of that name"))
            }
        }
    }
}

/// The path up to the first dot of the file's name.
fn key(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].find('.').map(|dot| name + dot);
    &path[..dot.unwrap_or(path.len())]
}

fn extension(path: &str) -> String {
    let (_, extension) = path.rsplit_once('.').unwrap_or_default();
    extension.to_ascii_lowercase()
}

fn is_json(path: &str) -> bool {
    extension(path) == "json"
}

fn class_of_text(text: &[u8]) -> Result<Class, &'static str> {
    let text = str::from_utf8(text).map_err(|_| "which is no text")?.trim();
    match text.parse() {
        Ok(number) => of_number(number),
        Err(_) => of_name(text),
    }
}

fn class_of_json(text: &[u8]) -> Result<Option<Class>, &'static str> {
    let facts: serde_json::Value =
        serde_json::from_slice(text).map_err(|_| "which is no JSON of at most a mebibyte")?;
    let mut found = CLASS_FIELDS.iter().filter_map(|field| facts.get(field));
    match found.find(|value| !value.is_null()) {
        None => Ok(None),
        Some(serde_json::Value::String(name)) => of_name(name).map(Some),
        Some(value) => of_number(value.as_i64().unwrap_or(-1)).map(Some),
    }
}

fn of_number(number: i64) -> Result<Class, &'static str> {
    let class = number.try_into().map(Class::Number);
    class.map_err(|_| "whose class is neither a number from 0 nor a name")
}

fn of_name(name: &str) -> Result<Class, &'static str> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err("whose class is not one line of text");
    }
    Ok(Class::Name(name.to_owned()))
}
