//! Base distributions of the latents.

use anyhow::{Result, bail};
use candle_core::Tensor;
use flow_glow::{ImageShape, PriorForm};

use crate::convert_checkpoint::dialects::export::Export;
use crate::convert_checkpoint::matrix;
use crate::convert_checkpoint::parameters::Parameters;
use crate::convert_checkpoint::source::Source;

/// How much faster than themselves the gains of its base distributions `GlowBase` learn.
const GAIN_RATE: f64 = 3.0;

/// What is to be known of a base distribution before it is read.
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
    source: &mut Source,
    parameters: &mut Parameters,
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
    let (gaussian, of_classes) = if source.has(&format!("{from}.loc_logs")) {
        let mut scaled = |name: &str| -> Result<Tensor> {
            let value = source.take(&format!("{from}.{name}"), &[1, c, 1, 1])?;
            let gain = source.take(&format!("{from}.{name}_logs"), &[1, c, 1, 1])?;
            Ok((value * (gain * GAIN_RATE)?.exp()?)?.reshape((1, c))?)
        };
        let gaussian = both(scaled("loc")?, scaled("log_scale")?)?;
        let mut of_class =
            |name: &str, n: usize| source.take(&format!("{from}.{name}_cc"), &[n, c]);
        let of_classes = match classes {
            Some(n) => both(of_class("loc", n)?, of_class("log_scale", n)?)?.into(),
            None => None,
        };
        (gaussian, of_classes)
    } else if let Some(n) = classes {
        let mut table = |name: &str| -> Result<Tensor> {
            let table = source.take(&format!("{from}.{name}"), &[c, h, w, n])?;
            Ok(table.permute((3, 0, 1, 2))?.contiguous()?)
        };
        let table = both(table("loc")?, table("log_scale")?)?;
        (table.narrow(0, 0, 1)?.zeros_like()?, Some(table))
    } else {
        let mut table = |name: &str| source.take(&format!("{from}.{name}"), &[1, c, h, w]);
        (both(table("loc")?, table("log_scale")?)?, None)
    };
    parameters.put(format!("{to}.gaussian"), gaussian.clone());
    if let Some(of_classes) = of_classes {
        parameters.put(format!("{to}.class_gaussian"), of_classes);
    }
    Ok(gaussian)
}

/// `GlowBase` for a prior of channels, `DiagGaussian` or `ClassCondDiagGaussian` for one of elements.
pub(super) fn write_base(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    form: PriorForm,
    shape: ImageShape,
) -> Result<()> {
    let ImageShape {
        channels: c,
        height: h,
        width: w,
    } = shape;
    let gaussian = match form {
        PriorForm::Standard => matrix::zeros_tensor(&[1, 2 * c, h, w])?,
        _ => parameters.get(&format!("{from}.gaussian"))?.clone(),
    };
    let of_classes = parameters.get(&format!("{from}.class_gaussian")).ok();
    for (name, start) in [("loc", 0), ("log_scale", c)] {
        let half = gaussian.narrow(1, start, c)?;
        let of_classes = of_classes
            .map(|table| table.narrow(1, start, c))
            .transpose()?;
        let place = format!("{to}.{name}");
        match (form, of_classes) {
            (PriorForm::Channel, of_classes) => {
                export.single(place.clone(), &half.reshape((1, c, 1, 1))?)?;
                export.single(
                    format!("{place}_logs"),
                    &matrix::zeros_tensor(&[1, c, 1, 1])?,
                )?;
                if let Some(of_classes) = of_classes {
                    export.single(format!("{place}_cc"), &of_classes)?;
                }
            }
            (_, Some(of_classes)) => {
                let table = of_classes.broadcast_add(&half)?.permute((1, 2, 3, 0))?;
                export.single(place, &table.contiguous()?)?;
            }
            (_, None) => export.single(place, &half)?,
        }
    }
    Ok(())
}
