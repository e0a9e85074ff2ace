//! The views of the page, one file each: what is asked, and the answer.

pub(super) mod about;
pub(super) mod change;
pub(super) mod draw;
pub(super) mod image;
pub(super) mod judge;
pub(super) mod levels;
pub(super) mod mix;
pub(super) mod plane;
pub(super) mod watch;

use ::image::DynamicImage;
use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::command_line::CommandLine;
use crate::output::picture_file;

/// A picture, and the command that makes the same one.
#[derive(Serialize)]
pub(super) struct Picture {
    /// A PNG as a `data:` address.
    picture: String,
    command: String,
}

impl Picture {
    fn new(picture: &DynamicImage, command: &CommandLine) -> Result<Self> {
        Ok(Self {
            picture: data_url(&picture_file::png(picture)?),
            command: command.to_string(),
        })
    }
}

/// A PNG as an address.
fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}
