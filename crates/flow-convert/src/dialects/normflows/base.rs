//! Base distributions of the latents.

use anyhow::{Result, bail};
use candle_core::Tensor;
use flow_glow::{GlowConfig, ImageShape, PriorForm};

use crate::dialects::reader::Reader;
use crate::export::Export;
use crate::parameters::Parameters;
use crate::source::Source;
use crate::{fold, matrix};

/// Factor by which the gains of its base distributions `GlowBase` learn faster.
const GAIN_RATE: f64 = 3.0;

/// Facts of a base distribution that reading needs.
#[derive(Clone, Copy)]
pub(super) struct Base {
    pub(super) form: PriorForm,
    pub(super) classes: Option<usize>,
    pub(super) sides: Option<[usize; 2]>,
}

impl Base {
    pub(super) fn of(source: &Source, level: usize) -> Result<Self> {
        let loc = format!("q0.{level}.loc");
        if source.has(&format!("q0.{level}.loc_logs")) {
            let classes = format!("q0.{level}.loc_cc");
            let classes = source.has(&classes).then(|| source.shape::<2>(&classes));
            return Ok(Self {
                form: PriorForm::Channel,
                classes: classes.transpose()?.map(|[classes, _]| classes),
                sides: None,
            });
        }
        // `[1, C, H, W]`, or `[C, H, W, classes]`: no latent has one channel.
        let [first, second, third, fourth] = source.shape(&loc)?;
        let (sides, classes) = if first == 1 {
            ([third, fourth], None)
        } else {
            ([second, third], Some(fourth))
        };
        Ok(Self {
            form: PriorForm::Element,
            classes,
            sides: Some(sides),
        })
    }

    pub(super) fn common(bases: &[Self]) -> Result<Option<PriorForm>> {
        let Some(first) = bases.first() else {
            return Ok(None);
        };
        if bases.iter().any(|base| base.form != first.form) {
            bail!("its splits have base distributions of different kinds");
        }
        Ok(Some(first.form))
    }
}

/// The Gaussian that is the same for all classes.
pub(super) fn read_base(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    shape: ImageShape,
    classes: Option<usize>,
) -> Result<Tensor> {
    let ImageShape {
        channels: c,
        height: h,
        width: w,
    } = shape;
    let both = |mean: Tensor, log_std: Tensor| Tensor::cat(&[mean, log_std], 1);
    let (gaussian, of_classes) = if reader.source.has(&format!("{from}.loc_logs")) {
        let mut scaled = |name: &str| -> Result<Tensor> {
            let value = reader.take(&format!("{from}.{name}"), &[1, c, 1, 1])?;
            let gain = reader.take(&format!("{from}.{name}_logs"), &[1, c, 1, 1])?;
            Ok((value * (gain * GAIN_RATE)?.exp()?)?.reshape((1, c))?)
        };
        let gaussian = both(scaled("loc")?, scaled("log_scale")?)?;
        let mut of_class =
            |name: &str, n: usize| reader.take(&format!("{from}.{name}_cc"), &[n, c]);
        let of_classes = match classes {
            Some(n) => both(of_class("loc", n)?, of_class("log_scale", n)?)?.into(),
            None => None,
        };
        (gaussian, of_classes)
    } else if let Some(n) = classes {
        let mut table = |name: &str| -> Result<Tensor> {
            let table = reader.take(&format!("{from}.{name}"), &[c, h, w, n])?;
            Ok(table.permute((3, 0, 1, 2))?.contiguous()?)
        };
        let table = both(table("loc")?, table("log_scale")?)?;
        (table.narrow(0, 0, 1)?.zeros_like()?, Some(table))
    } else {
        let mut table = |name: &str| reader.take(&format!("{from}.{name}"), &[1, c, h, w]);
        (both(table("loc")?, table("log_scale")?)?, None)
    };
    reader.put(format!("{to}.gaussian"), gaussian.clone());
    if let Some(of_classes) = of_classes {
        reader.put(format!("{to}.class_gaussian"), of_classes);
    }
    Ok(gaussian)
}

/// `GlowBase` if `form` is one of channels, `DiagGaussian` or `ClassCondDiagGaussian` otherwise.
pub(super) struct BaseWriter<'a> {
    pub(super) config: &'a GlowConfig,
    pub(super) parameters: &'a Parameters,
    pub(super) shape: ImageShape,
    pub(super) form: PriorForm,
}

impl BaseWriter<'_> {
    /// The base of latents whose own prior, below `from`, has the form `own`.
    pub(super) fn write(
        &self,
        export: &mut Export,
        [from, to]: [&str; 2],
        own: PriorForm,
    ) -> Result<()> {
        if self.form == PriorForm::Channel {
            return self.write_channels(export, [from, to], own);
        }
        let ImageShape {
            channels: c,
            height: h,
            width: w,
        } = self.shape;
        let rows = self.config.classes.unwrap_or(1);
        let table = fold::gaussian(self.config, self.parameters, from, own, self.shape)?;
        let table = match table {
            Some(table) => table.broadcast_as((rows, 2 * c, h, w))?,
            None => matrix::zeros_tensor(&[rows, 2 * c, h, w])?,
        };
        for (name, start) in [("loc", 0), ("log_scale", c)] {
            let half = table.narrow(1, start, c)?;
            let half = match self.config.classes {
                Some(_) => half.permute((1, 2, 3, 0))?,
                None => half,
            };
            export.single(format!("{to}.{name}"), &half.contiguous()?)?;
        }
        Ok(())
    }

    fn write_channels(
        &self,
        export: &mut Export,
        [from, to]: [&str; 2],
        own: PriorForm,
    ) -> Result<()> {
        let c = self.shape.channels;
        let table = |name: &str, rows: usize| match own {
            PriorForm::Channel => Ok(self.parameters.get(&format!("{from}.{name}"))?.clone()),
            _ => matrix::zeros_tensor(&[rows, 2 * c]),
        };
        let gaussian = table("gaussian", 1)?;
        let of_classes = self
            .config
            .classes
            .map(|rows| table("class_gaussian", rows));
        let of_classes = of_classes.transpose()?;
        for (name, start) in [("loc", 0), ("log_scale", c)] {
            let place = format!("{to}.{name}");
            let half = gaussian.narrow(1, start, c)?.reshape((1, c, 1, 1))?;
            export.single(place.clone(), &half)?;
            let gains = matrix::zeros_tensor(&[1, c, 1, 1])?;
            export.single(format!("{place}_logs"), &gains)?;
            if let Some(of_classes) = &of_classes {
                export.single(format!("{place}_cc"), &of_classes.narrow(1, start, c)?)?;
            }
        }
        Ok(())
    }
}
