//! The facts about a data set.

use anyhow::Result;
use flow_data::{Location, Split, Survey, picture::Fit};
use flow_glow::ImageShape;
use serde::Serialize;

use crate::{cli::SurveyArgs, input::data, training::default_canvas};

/// The facts about a data set.
#[derive(Serialize)]
pub(super) struct Findings {
    pub(super) dataset: String,
    pub(super) kind: String,
    pub(super) images: usize,
    /// Sizes as found, the commonest first.
    pub(super) sizes: Vec<Size>,
    pub(super) colored: usize,
    pub(super) with_alpha: usize,
    pub(super) beyond_8_bits: usize,
    /// The number of the 256 values that occur.
    pub(super) values: usize,
    /// Bits that tell so many values apart.
    pub(super) bits: u32,
    /// None where they are unknown.
    pub(super) classes: Vec<Class>,
    pub(super) damaged: Vec<Damaged>,
    pub(super) duplicates: Duplicates,
    pub(super) training: Training,
}

#[derive(Clone, Serialize)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) images: usize,
}

#[derive(Serialize)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) images: usize,
}

#[derive(Serialize)]
pub(super) struct Damaged {
    pub(super) image: String,
    pub(super) reason: String,
}

#[derive(Serialize)]
pub(super) struct Duplicates {
    /// Images that are like an earlier one, each behind the first of these.
    pub(super) pairs: Vec<[String; 2]>,
    /// Test images that are like a training image, behind the first of these.
    pub(super) across_splits: Vec<[String; 2]>,
}

/// The data set as `flow train` would take it.
#[derive(Serialize)]
pub(super) struct Training {
    /// The reason why it would not.
    pub(super) refused: Option<String>,
    pub(super) train_images: usize,
    pub(super) test_images: usize,
    /// The data set has training and test images itself.
    pub(super) is_split: bool,
    /// Channels, height and width after fitting.
    pub(super) shape: [usize; 3],
    /// The same as the levels of the default model take them.
    pub(super) canvas: [usize; 3],
    /// Scaling of images of another size, if there are any.
    pub(super) fit: Option<Fit>,
    pub(super) background: Option<[u8; 3]>,
    /// The folder of prepared images and their bytes; nothing for a published data set.
    pub(super) cache: Option<Cache>,
}

#[derive(Serialize)]
pub(super) struct Cache {
    pub(super) folder: String,
    pub(super) bytes: usize,
}

impl Findings {
    pub(super) fn of(survey: &Survey, kind: String, args: &SurveyArgs) -> Result<Self> {
        let sizes = survey.formats.sizes.iter();
        let size = |(&(height, width), &images)| Size {
            width,
            height,
            images,
        };
        let mut sizes: Vec<_> = sizes.map(size).collect();
        sizes.sort_by_key(|size| std::cmp::Reverse(size.images));
        let class = |(name, images): &(String, usize)| Class {
            name: name.clone(),
            images: *images,
        };
        let damaged = |(place, reason): &(usize, _)| Damaged {
            image: survey.name(*place).to_owned(),
            reason: ToString::to_string(reason),
        };
        let names = |(first, second)| [first, second].map(|place| survey.name(place).to_owned());
        let values = survey.histogram.iter().filter(|count| **count > 0).count();
        Ok(Self {
            dataset: args.dataset.to_string(),
            kind,
            images: survey.len(),
            sizes,
            colored: survey.formats.colored,
            with_alpha: survey.formats.with_alpha,
            beyond_8_bits: survey.deep,
            values,
            bits: values.next_power_of_two().ilog2().max(1),
            classes: survey.classes.iter().map(class).collect(),
            damaged: survey.damaged.iter().map(damaged).collect(),
            duplicates: Duplicates {
                pairs: survey.pairs().map(names).collect(),
                across_splits: survey.leaks().map(names).collect(),
            },
            training: Training::of(survey, args)?,
        })
    }
}

impl Training {
    fn of(survey: &Survey, args: &SurveyArgs) -> Result<Self> {
        let fitting = survey.fitting;
        let (channels, height, width) = fitting.shape();
        let canvas = default_canvas(ImageShape::new(channels, height, width));
        let lost = survey.damaged.iter().map(|(place, _)| survey.split(*place));
        let images = |split| {
            let all = (0..survey.len()).filter(|place| survey.split(*place) == Some(split));
            all.count() - lost.clone().filter(|lost| *lost == Some(split)).count()
        };
        let [train_images, test_images] = [Split::Train, Split::Test].map(images);
        let mut sizes = survey.formats.sizes.keys();
        let is_scaled = sizes.any(|&(h, w)| (h as usize, w as usize) != (height, width));
        let data_dir = data::data_dir(&args.data_dir)?;
        let cache = Cache {
            folder: data::cache_dir(&args.data_dir, data_dir)
                .display()
                .to_string(),
            bytes: (train_images + test_images) * channels * height * width,
        };
        let is_published = matches!(args.dataset, Location::Published(_));
        Ok(Self {
            refused: refusal(survey, [train_images, test_images], args),
            train_images,
            test_images,
            is_split: survey.is_split(),
            shape: [channels, height, width],
            canvas: [canvas.channels, canvas.height, canvas.width],
            fit: is_scaled.then_some(fitting.fit),
            background: fitting.background,
            cache: (!is_published).then_some(cache),
        })
    }
}

/// The reason why a training would end before it begins.
fn refusal(survey: &Survey, images: [usize; 2], args: &SurveyArgs) -> Option<String> {
    if let Err(error) = &survey.splits {
        return Some(error.to_string());
    }
    let mut damaged = survey.damaged.iter();
    let damaged = damaged.find(|(place, _)| survey.split(*place).is_some());
    if let Some((place, reason)) = damaged.filter(|_| !args.data_dir.skip_damaged) {
        let name = survey.name(*place);
        return Some(format!(
            "cannot read the image `{name}`: {reason}; `--skip-damaged` leaves out what cannot be read"
        ));
    }
    let such = ["training", "test"].into_iter().zip(images);
    let mut missing = such.filter(|(_, count)| *count == 0);
    missing
        .next()
        .map(|(such, _)| format!("`{}` holds no {such} images", args.dataset))
}
