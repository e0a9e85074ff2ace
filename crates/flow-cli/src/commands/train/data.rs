//! The data of a training: named, remembered or the default.

use anyhow::{Result, bail, ensure};
use flow_data::{Dataset, DatasetName, Location, Preparation, Split};
use flow_glow::{GlowConfig, Header, Trainer};

use crate::{
    cli::{DataArgs, TrainArgs},
    input::{data, data_record::DataRecord},
    output::console::Console,
    training,
};

/// The place of the data, and the way that pictures there become images.
pub(super) struct Chosen {
    pub(super) location: Location,
    is_default: bool,
    preparation: Preparation,
}

impl Chosen {
    /// The data of a new training, for a model of any form or for the one of a header.
    pub(super) fn fresh(args: &DataArgs, model: Option<(&Header, &str)>) -> Result<Self> {
        let record = model
            .map(|(header, _)| DataRecord::read(&header.data))
            .transpose()?
            .flatten();
        let location = match (&args.dataset, model, &record) {
            (Some(location), ..) => location.clone(),
            (None, None, _) => Location::Published(DatasetName::Mnist),
            (None, _, Some(record)) => record.location()?,
            (None, Some((header, shown)), None) => match header.dataset.parse() {
                Ok(name) => Location::Published(name),
                Err(_) => bail!("name a `--dataset`, since that of {shown} is unknown"),
            },
        };
        let base = match (record, model) {
            (
                Some(DataRecord {
                    preparation: Some(own),
                    fitting: Some(fitting),
                    ..
                }),
                _,
            ) => Preparation {
                size: Some((fitting.height, fitting.width)),
                color: Some(fitting.color),
                ..own
            },
            (_, Some((header, _))) => {
                let image = header.model.image;
                Preparation {
                    size: Some((image.height, image.width)),
                    color: Some(data::color(image)?),
                    ..Preparation::default()
                }
            }
            (_, None) => Preparation::default(),
        };
        let is_published = matches!(location, Location::Published(_));
        if is_published {
            args.pictures.ensure_none()?;
        }
        Ok(Self {
            is_default: args.dataset.is_none(),
            preparation: Preparation {
                skip_damaged: args.data_dir.skip_damaged,
                ..args.pictures.preparation(base)
            },
            location,
        })
    }

    /// The data of a training to be resumed.
    pub(super) fn resumed(args: &DataArgs, trainer: &Trainer) -> Result<Self> {
        let record = DataRecord::read(&trainer.data)?;
        let (location, preparation) = match record {
            Some(record) => (record.location()?, record.preparation),
            None => (Location::Published(trainer.dataset().parse()?), None),
        };
        if let Some(other) = &args.dataset
            && data::absolute(other)? != location
        {
            bail!(
                "the training to resume was begun on `{location}`, not `{other}`; leave out `--dataset`"
            );
        }
        Ok(Self {
            is_default: args.dataset.is_none(),
            preparation: preparation.unwrap_or_default(),
            location,
        })
    }

    /// Opens training and test images, on the canvas of the model or of the one that options ask
    /// for, and describes them.
    pub(super) fn open(
        &self,
        args: &TrainArgs,
        model: Option<&GlowConfig>,
        console: &Console,
    ) -> Result<([Dataset; 2], DataRecord)> {
        let splits = [Split::Train, Split::Test];
        let dirs = &args.data.data_dir;
        let (datasets, prepared) = match &self.location {
            Location::Published(name) => {
                (data::published(*name, self.is_default, splits, dirs)?, None)
            }
            location => {
                let data_dir = data::data_dir(dirs)?;
                let found = data::prepare(location, &self.preparation, dirs, data_dir, console)?;
                let fitting = found.fitting;
                let datasets = [found.train, found.test];
                data::report(location, splits, &datasets);
                (datasets, Some((self.preparation.clone(), fitting)))
            }
        };
        let [train, test] = &datasets;
        for (dataset, such) in [(train, "training"), (test, "test")] {
            ensure!(
                !dataset.is_empty(),
                "`{}` holds no {such} images",
                self.location
            );
        }
        let record = DataRecord::of(&self.location, train, prepared)?;
        let (image, levels) = match model {
            Some(model) => (model.image, model.levels),
            None => training::canvas(&args.model, training::shape(train)),
        };
        Ok((
            datasets.map(|dataset| data::on_canvas(dataset, image, levels)),
            record,
        ))
    }
}
