//! A folder of single images.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;

use crate::output::tiles;

/// Digits of an image's number at least.
const DIGITS: usize = 3;

/// Characters of a class in the name of a file.
const MOST_OF_CLASS: usize = 50;

/// A folder for images. Unless all are written, it goes as it came.
pub(crate) struct ImageFolder {
    path: PathBuf,
    is_new: bool,
    begun: Vec<PathBuf>,
}

impl ImageFolder {
    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// If it cannot be made, is not empty, or is no folder.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let shown = path.display();
        let is_new = !path.exists();
        if is_new {
            fs::create_dir(path).with_context(|| format!("cannot make the folder `{shown}`"))?;
        } else {
            ensure!(path.is_dir(), "`{shown}` is not a folder");
            let mut entries =
                fs::read_dir(path).with_context(|| format!("cannot read the folder `{shown}`"))?;
            if entries.next().is_some() {
                bail!("the folder `{shown}` is not empty; name another one");
            }
        }
        Ok(Self {
            path: path.to_owned(),
            is_new,
            begun: Vec::new(),
        })
    }

    /// Writes each of the u8 images `[N, C, H, W]` as a PNG by its number from 0, behind its class
    /// if `classes` names one for each.
    pub(crate) fn write(mut self, images: &Tensor, classes: Option<&[String]>) -> Result<()> {
        let count = images.dim(0)?;
        let digits = count.saturating_sub(1).to_string().len().max(DIGITS);
        for image in 0..count {
            let class = classes.map(|classes| format!("{}-", in_file_name(&classes[image])));
            let name = format!("{}{image:0digits$}.png", class.unwrap_or_default());
            let content = tiles::png(&images.narrow(0, image, 1)?)?;
            self.add(&name, &content)?;
        }
        // Nothing to remove any more.
        (self.is_new, self.begun) = (false, Vec::new());
        Ok(())
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let cannot = || format!("cannot write `{}`", path.display());
        let mut file = File::create_new(&path).with_context(cannot)?;
        self.begun.push(path.clone());
        file.write_all(content).with_context(cannot)
    }
}

impl Drop for ImageFolder {
    fn drop(&mut self) {
        // An error would hide the one that led here.
        for file in &self.begun {
            fs::remove_file(file).ok();
        }
        if self.is_new {
            fs::remove_dir(&self.path).ok();
        }
    }
}

/// The begin of a class's name, without characters that file systems or shells take for others.
fn in_file_name(class: &str) -> String {
    let is_unsafe = |place: usize, c: char| {
        c.is_control() || r#"/\:*?"<>|"#.contains(c) || (place == 0 && "-.".contains(c))
    };
    let safe = class.trim().chars().take(MOST_OF_CLASS).enumerate();
    let safe = safe.map(|(place, c)| if is_unsafe(place, c) { '_' } else { c });
    safe.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_become_names_of_files() {
        for (class, expected) in [
            ("T-shirt/top", "T-shirt_top"),
            (" Käse 🧀 ", "Käse 🧀"),
            ("../../etc", "_._.._etc"),
            ("-rf\n*", "_rf__"),
            (r"C:\a", "C__a"),
        ] {
            assert_eq!(in_file_name(class), expected);
        }
        assert_eq!(in_file_name(&"ü".repeat(300)).len(), 100);
    }

    #[test]
    fn a_folder_goes_as_it_came_unless_all_is_written() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new");
        drop(ImageFolder::create(&path).unwrap());
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        let mut folder = ImageFolder::create(&path).unwrap();
        folder.add("000.png", b"begun").unwrap();
        fs::write(path.join("other"), "").unwrap();
        assert!(folder.add("other", b"").is_err());
        drop(folder);
        let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(ImageFolder::create(&path).is_err());
        assert!(ImageFolder::create(&path.join("other")).is_err());
    }
}
