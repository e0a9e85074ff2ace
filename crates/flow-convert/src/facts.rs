//! What a state dict does not tell of its model.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use flow_core::Passing;
use flow_glow::{ImageShape, Padding, Preprocessing, ScaleMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What was said of the model, on the command line or in a file. What the state dict tells too has to agree.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Facts {
    /// The program that wrote it, as `--from` names it; in a file only.
    #[arg(skip)]
    pub(super) kind: Option<String>,
    #[arg(skip)]
    levels: Option<usize>,
    #[arg(skip)]
    steps: Option<usize>,
    #[arg(skip)]
    hidden: Option<usize>,

    /// Height and width of the images: `28`, or `32x64`
    #[arg(long, value_name = "N", value_parser = size)]
    size: Option<Size>,

    /// Channels of the images
    #[arg(long, value_name = "N")]
    channels: Option<usize>,

    /// Bits of a pixel that the model was trained on [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    bits: Option<u32>,

    /// What the model sees of a pixel in [0, 1): `centered` (pixel − ½), `unit` (the pixel), or `logit:ALPHA`
    /// [default: what the program itself does]
    #[arg(long, value_name = "FORM", value_parser = preprocessing)]
    preprocessing: Option<Preprocessing>,

    /// The scale of affine couplings: normflows has `sigmoid`, `exp` and `sigmoid-inverse`, nflows
    /// `sigmoid-offset` and `softplus` [default: the first of them]
    #[arg(long, value_name = "MAP", value_parser = named::<ScaleMap>)]
    scale_map: Option<ScaleMap>,

    /// What nflows' last convolutions see around an image, `zeros` or `ones` [default: zeros]
    #[arg(long, value_name = "VALUES", value_parser = named::<Padding>)]
    padding: Option<Padding>,

    /// Which channels pass normflows' couplings: `first-half`, its split mode `channel`, or `second-half`,
    /// `channel_inv` [default: first-half]
    #[arg(long, value_name = "CHANNELS", value_parser = named::<Passing>)]
    passing: Option<Passing>,
}

/// Height and width: a number if they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Size {
    Square(usize),
    Sides([usize; 2]),
}

impl Facts {
    /// What the file at `path` says, where nothing was said on the command line.
    pub(super) fn or_of(self, path: &Path) -> Result<Self> {
        let read = || -> Result<Self> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
        let file = read().with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Self {
            kind: self.kind.or(file.kind),
            levels: self.levels.or(file.levels),
            steps: self.steps.or(file.steps),
            hidden: self.hidden.or(file.hidden),
            size: self.size.or(file.size),
            channels: self.channels.or(file.channels),
            bits: self.bits.or(file.bits),
            preprocessing: self.preprocessing.or(file.preprocessing),
            scale_map: self.scale_map.or(file.scale_map),
            padding: self.padding.or(file.padding),
            passing: self.passing.or(file.passing),
        })
    }

    /// The size of the images: `channels` are those of the state dict, which may tell the height and width
    /// too.
    pub(super) fn image(&self, channels: usize, sides: Option<[usize; 2]>) -> Result<ImageShape> {
        let said = self.size.map(|size| match size {
            Size::Square(side) => [side, side],
            Size::Sides(sides) => sides,
        });
        if let (Some([h, w]), Some([said_h, said_w])) = (sides, said) {
            ensure!(
                sides == said,
                "the images are said to be {said_h}×{said_w}, but the file's are {h}×{w}"
            );
        }
        agree("channels", self.channels, channels)?;
        let Some([height, width]) = sides.or(said) else {
            bail!("the file does not tell the size of the images: say it by `--size`");
        };
        Ok(ImageShape::new(channels, height, width))
    }

    /// An error if something else was said of a model of these sizes.
    pub(super) fn check(&self, levels: usize, steps: usize, hidden: usize) -> Result<()> {
        agree("levels", self.levels, levels)?;
        agree("steps", self.steps, steps)?;
        agree("hidden channels", self.hidden, hidden)
    }

    pub(super) fn bits(&self) -> u32 {
        self.bits.unwrap_or(8)
    }

    /// What was said, or what the program itself does.
    pub(super) fn preprocessing(&self, own: Preprocessing) -> Preprocessing {
        self.preprocessing.clone().unwrap_or(own)
    }

    /// What was said, one of those that the program has, or the first of them.
    pub(super) fn scale_map(&self, choices: &[ScaleMap]) -> Result<ScaleMap> {
        one_of("scale map", self.scale_map, choices)
    }

    /// As [`scale_map`](Self::scale_map).
    pub(super) fn padding(&self, choices: &[Padding]) -> Result<Padding> {
        one_of("padding", self.padding, choices)
    }

    /// As [`scale_map`](Self::scale_map).
    pub(super) fn passing(&self, choices: &[Passing]) -> Result<Passing> {
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

fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

fn preprocessing(text: &str) -> Result<Preprocessing, String> {
    match text.strip_prefix("logit:") {
        Some(alpha) => {
            let alpha = alpha.parse::<f64>().map_err(|error| error.to_string())?;
            serde_json::from_value(json!({ "logit": { "alpha": alpha } }))
                .map_err(|e| e.to_string())
        }
        None => named(text),
    }
}

fn size(text: &str) -> Result<Size, String> {
    let number = |text: &str| {
        let number = text.parse::<usize>();
        number.map_err(|_| "expected a number of pixels, or two as in 32x64".to_owned())
    };
    match text.split_once('x') {
        Some((height, width)) => Ok(Size::Sides([number(height)?, number(width)?])),
        None => Ok(Size::Square(number(text)?)),
    }
}
