//! Facts about a model that its state dict does not tell.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use flow_core::Passing;
use flow_glow::{ImageShape, Padding, Preprocessing, ScaleMap};
use serde::{Deserialize, Deserializer};

use crate::{Error, Program};

/// Facts about a model that its file may not tell. Where the file tells them too, both have to
/// agree.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// The program that wrote the file [default: the one that its names belong to]; `kind` in JSON.
    #[serde(rename = "kind")]
    pub program: Option<Program>,
    /// Levels.
    pub levels: Option<usize>,
    /// Steps of a level, the first.
    pub steps: Option<usize>,
    /// Hidden channels of the coupling networks.
    pub hidden: Option<usize>,
    /// Height and width of the images; in JSON one number if they are equal.
    #[serde(deserialize_with = "sides")]
    pub size: Option<[usize; 2]>,
    /// Channels of the images.
    pub channels: Option<usize>,
    /// Bits of a pixel that the model was trained on [default: 8].
    pub bits: Option<u32>,
    /// Form of a pixel in the model [default: the program's own].
    pub preprocessing: Option<Preprocessing>,
    /// Scale of affine couplings [default: the program's first].
    pub scale_map: Option<ScaleMap>,
    /// Border that nflows' last convolutions see around an image [default: zeros].
    pub padding: Option<Padding>,
    /// Channels that pass normflows' couplings [default: the first half].
    pub passing: Option<Passing>,
}

impl Facts {
    /// The facts of a JSON file, by the names of the fields.
    ///
    /// # Errors
    /// If it cannot be read, or holds anything else.
    pub fn from_file(path: &Path) -> crate::Result<Self> {
        let read = || -> Result<Self> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
        let cannot = || format!("cannot read `{}`", path.display());
        read().with_context(cannot).map_err(Error)
    }

    /// The size of the images: `channels` from the state dict, which may give height and width too.
    pub(crate) fn image(&self, channels: usize, sides: Option<[usize; 2]>) -> Result<ImageShape> {
        if let (Some([h, w]), Some([said_h, said_w])) = (sides, self.size) {
            ensure!(
                sides == self.size,
                "the images are said to be {said_h}×{said_w}, but the file's are {h}×{w}"
            );
        }
        agree("channels", self.channels, channels)?;
        let Some([height, width]) = sides.or(self.size) else {
            bail!("the file does not tell the size of the images: give it by `--size`");
        };
        Ok(ImageShape::new(channels, height, width))
    }

    /// An error if something else was said of a model of these sizes.
    pub(crate) fn check(&self, levels: usize, steps: usize, hidden: usize) -> Result<()> {
        agree("levels", self.levels, levels)?;
        agree("steps", self.steps, steps)?;
        agree("hidden channels", self.hidden, hidden)
    }

    pub(crate) fn bits(&self) -> u32 {
        self.bits.unwrap_or(8)
    }

    /// The form that was said, or the program's `own`.
    pub(crate) fn preprocessing(&self, own: Preprocessing) -> Preprocessing {
        self.preprocessing.clone().unwrap_or(own)
    }

    /// The given scale map, if the program has it, or the program's first.
    pub(crate) fn scale_map(&self, choices: &[ScaleMap]) -> Result<ScaleMap> {
        one_of("scale map", self.scale_map, choices)
    }

    /// As [`scale_map`](Self::scale_map).
    pub(crate) fn padding(&self, choices: &[Padding]) -> Result<Padding> {
        one_of("padding", self.padding, choices)
    }

    /// As [`scale_map`](Self::scale_map).
    pub(crate) fn passing(&self, choices: &[Passing]) -> Result<Passing> {
        one_of("choice of passing channels", self.passing, choices)
    }
}

fn agree(what: &str, said: Option<usize>, found: usize) -> Result<()> {
    match said {
        Some(said) if said != found => {
            bail!("{what} are said to be {said}, but the file's are {found}")
        }
        _ => Ok(()),
    }
}

fn one_of<T: Copy + PartialEq>(what: &str, said: Option<T>, choices: &[T]) -> Result<T> {
    let said = said.unwrap_or(choices[0]);
    ensure!(
        choices.contains(&said),
        "the program that wrote the file has no such {what}"
    );
    Ok(said)
}

/// Height and width, of which one number is both.
fn sides<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[usize; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Square(usize),
        Sides([usize; 2]),
    }
    let size = Option::deserialize(deserializer)?;
    Ok(size.map(|size| match size {
        Size::Square(side) => [side, side],
        Size::Sides(sides) => sides,
    }))
}
