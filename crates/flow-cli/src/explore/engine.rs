//! The one thread that computes, so that requests do not take each other's processors.

use std::{
    io::Cursor,
    sync::{Arc, Mutex},
};

use anyhow::{Result, anyhow, bail, ensure};
use candle_core::Tensor;
use flow_analysis::{exact::Exact, latent_space::Direction};
use flow_data::picture;
use flow_glow::{Checkpoint, Glow};

use super::{
    image_name::ImageName,
    queue::Queue,
    session::Session,
    source::{Images, Loaded, Source},
    tasks::Tasks,
    views::judge::Training,
};
use crate::input::{classes, exact, image_files::PictureReader, select};

/// Sets of images whose latents are kept.
const KEPT: usize = 8;

/// Pixels of a picture that is sent here at most: a bound on the memory that it takes.
const MOST_PIXELS: u64 = 1 << 26;

/// The model, and what is worth keeping between two requests.
pub(super) struct Engine<'a> {
    pub(super) session: &'a Arc<Session>,
    pub(super) loaded: &'a Arc<Loaded>,
    /// Directions of attributes.
    pub(super) directions: Tasks<Direction>,
    /// Measurements of the training images.
    pub(super) training: Tasks<Training>,
    /// Pixels and class of images, with their latents; the last ones used come last.
    encoded: Vec<((Vec<u8>, u32), Exact<'a>)>,
}

/// Does the work in `queue`, with the model as its file has it, for as long as the program runs.
pub(super) fn run(queue: &Queue, mut source: Source, loaded: Loaded) {
    let mut loaded = Arc::new(loaded);
    let session = source.session.clone();
    let turn = Arc::<Mutex<()>>::default();
    loop {
        let engine = Engine {
            session: &session,
            loaded: &loaded,
            directions: Tasks::new(turn.clone()),
            training: Tasks::new(turn.clone()),
            encoded: Vec::new(),
        };
        engine.work_until(queue, || source.has_changed());
        match source.load() {
            Ok(newer) => loaded = Arc::new(newer),
            Err(error) => tracing::warn!("the new model is left out: {error:#}"),
        }
    }
}

impl<'a> Engine<'a> {
    /// Does the work in `queue` until `ends` is true; what came last waits.
    fn work_until(mut self, queue: &Queue, mut ends: impl FnMut() -> bool) {
        loop {
            queue.wait();
            if ends() {
                return;
            }
            if let Some(work) = queue.next() {
                work(&mut self);
            }
        }
    }

    /// The model of images.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn images(&self) -> Result<&'a Images> {
        match &**self.loaded {
            Loaded::Images(images) => Ok(images),
            Loaded::Vectors(_) => bail!("the model is of vectors, not of images"),
            Loaded::Nothing => {
                bail!("the training has not saved a model yet; it does after its first epoch")
            }
        }
    }

    pub(super) fn checkpoint(&self) -> Result<&'a Checkpoint> {
        Ok(&self.images()?.checkpoint)
    }

    pub(super) fn model(&self) -> Result<&'a Glow> {
        Ok(&self.checkpoint()?.model)
    }

    /// The number of a class from its name or number; nothing for a model without classes.
    pub(super) fn class(&self, class: Option<&str>) -> Result<Option<u32>> {
        classes::asked(&self.checkpoint()?.header, class)
    }

    /// The u8 image `[1, C, H, W]` of this name.
    pub(super) fn image(&self, name: &ImageName) -> Result<Tensor> {
        match name {
            ImageName::Place(split, index) => {
                select::by_index(self.images()?.split(*split)?, &[*index])
            }
            ImageName::Picture(content) => self.fitted(content),
        }
    }

    /// The u8 images `[N, C, H, W]` of these names.
    pub(super) fn images_of(&self, names: &[&ImageName]) -> Result<Tensor> {
        let images = names.iter().map(|name| self.image(name));
        Ok(Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 0)?)
    }

    /// The content of a picture file as an image of the model.
    fn fitted(&self, content: &[u8]) -> Result<Tensor> {
        let facts = picture::facts(Cursor::new(content))?;
        ensure!(
            u64::from(facts.width) * u64::from(facts.height) <= MOST_PIXELS,
            "the picture is too large: {}×{} pixels",
            facts.width,
            facts.height
        );
        let args = &self.session.args;
        let header = &self.checkpoint()?.header;
        PictureReader::scaling(header, args.fit, args.background)?.image(content)
    }

    /// Latents of u8 images `[N, C, H, W]`, all of them as of `class`.
    pub(super) fn encoded(&mut self, images: &Tensor, class: Option<u32>) -> Result<&Exact<'a>> {
        let key = (
            images.flatten_all()?.to_vec1::<u8>()?,
            class.unwrap_or_default(),
        );
        let known = self.encoded.iter().position(|(known, _)| *known == key);
        let entry = if let Some(place) = known {
            self.encoded.remove(place)
        } else {
            let checkpoint = self.checkpoint()?;
            let data = select::of_common_class(images, checkpoint.model.config(), class)?;
            (key, exact::encode(checkpoint, &data)?)
        };
        self.encoded.push(entry);
        if self.encoded.len() > KEPT {
            self.encoded.remove(0);
        }
        let (_, last) = self
            .encoded
            .last()
            .ok_or_else(|| anyhow!("nothing is kept"))?;
        Ok(last)
    }
}
