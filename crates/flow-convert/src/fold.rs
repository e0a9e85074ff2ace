//! Settings that weights make up for: the same function with other settings.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use flow_glow::{GlowConfig, ImageShape, Padding, PriorForm};

use crate::parameters::{Model, Parameters};

/// The same function with another padding around the last convolutions of its coupling networks. A
/// top prior that convolves zeros becomes a table. The priors of splits must not be convolutions.
///
/// One more hidden channel marks the border. Under zero padding it is 1 in the image; under padding
/// with ones it is 0. Its weights compensate the padding.
pub(crate) fn with_padding(model: &Model, padding: Padding) -> Result<Model> {
    let Model { config, parameters } = model;
    let (mut config, mut parameters) = (config.clone(), parameters.clone());
    if config.conventions.padding == padding {
        return Ok(Model { config, parameters });
    }
    if config.conventions.top_prior == PriorForm::Convolution {
        let top = latent_shape(&config, config.levels - 1);
        let table = gaussian(&config, &parameters, "prior", PriorForm::Convolution, top)?;
        // Between zeros all places are alike.
        let (form, table) = match padding {
            Padding::Zeros => (PriorForm::Element, table),
            Padding::Ones => {
                let place = |table: Tensor| table.narrow(2, 0, 1)?.narrow(3, 0, 1)?.flatten_from(1);
                (PriorForm::Channel, table.map(place).transpose()?)
            }
        };
        config.conventions.top_prior = form;
        for name in ["weight", "bias", "log_gain"] {
            parameters.remove(&format!("prior.conv.{name}"));
        }
        if let Some(table) = table {
            parameters.put("prior.gaussian".to_owned(), table);
        }
    }
    for level in 0..config.levels {
        for step in 0..config.steps_of(level + 1 == config.levels) {
            let network = format!("levels.{level}.steps.{step}.coupling.network");
            widen(&mut parameters, &network, padding)?;
        }
    }
    config.width += 1;
    config.conventions.padding = padding;
    Ok(Model { config, parameters })
}

fn widen(parameters: &mut Parameters, network: &str, padding: Padding) -> Result<()> {
    let inside = match padding {
        Padding::Zeros => 1.0,
        Padding::Ones => 0.0,
    };
    let mut change = |name: &str, with: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<()> {
        let name = format!("{network}.{name}");
        let changed = with(parameters.get(&name)?)?;
        parameters.put(name, changed);
        Ok(())
    };
    let extra_row = |tensor: &Tensor, value: f64| -> Result<Tensor> {
        let row = (tensor.narrow(0, 0, 1)?.zeros_like()? + value)?;
        Ok(Tensor::cat(&[tensor, &row], 0)?)
    };
    change("conv1.weight", &|weight| extra_row(weight, 0.0))?;
    change("conv1.bias", &|bias| extra_row(bias, 0.0))?;
    change("conv2.weight", &|weight| {
        let square = extra_row(weight, 0.0)?;
        let column = square.narrow(1, 0, 1)?.zeros_like()?;
        Ok(Tensor::cat(&[square, column], 1)?)
    })?;
    change("conv2.bias", &|bias| extra_row(bias, inside))?;
    let weight = parameters.get(&format!("{network}.conv3.weight"))?;
    let border = weight.sum_keepdim(1)?;
    let wider = Tensor::cat(&[weight, &border.neg()?], 1)?;
    // In the image the channel that is 1 takes back too much.
    let bias = parameters.get(&format!("{network}.conv3.bias"))?;
    let bias = (bias + (border.flatten_from(1)?.sum(1)? * inside)?)?;
    parameters.put(format!("{network}.conv3.weight"), wider);
    parameters.put(format!("{network}.conv3.bias"), bias);
    Ok(())
}

/// Size of the latent of a level: the half that it factors out, or the whole output of the last.
pub(crate) fn latent_shape(config: &GlowConfig, level: usize) -> ImageShape {
    let split = if level + 1 < config.levels { 2 } else { 4 };
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    let halvings = level + 1;
    ImageShape::new(
        (channels << level) * split,
        height >> halvings,
        width >> halvings,
    )
}

/// Means and, after them, ln std of a latent of `shape` below `prefix`, `[1, 2C, H, W]` or with
/// classes `[classes, …]`; nothing if it is standard normal.
pub(crate) fn gaussian(
    config: &GlowConfig,
    parameters: &Parameters,
    prefix: &str,
    form: PriorForm,
    shape: ImageShape,
) -> Result<Option<Tensor>> {
    let ImageShape {
        channels,
        height,
        width,
    } = shape;
    let places = |table: &Tensor| -> Result<Tensor> {
        let table = match table.dims() {
            &[n, c] => table.reshape((n, c, 1, 1))?,
            _ => table.clone(),
        };
        Ok(table
            .broadcast_as((table.dim(0)?, 2 * channels, height, width))?
            .contiguous()?)
    };
    match form {
        PriorForm::Standard => Ok(None),
        PriorForm::Convolution => {
            let (weight, bias) = parameters.folded_conv(&format!("{prefix}.conv"))?;
            let bias = bias.reshape((1, 2 * channels, 1, 1))?;
            let table = places(&bias)?;
            if config.conventions.padding == Padding::Zeros {
                return Ok(Some(table));
            }
            let zeros = Tensor::zeros((1, 1, height, width), DType::F64, &Device::Cpu)?;
            let ones = zeros.ones_like()?;
            let frame = (1.0 - ones.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?)?;
            let border = frame.conv2d(&weight.sum_keepdim(1)?, 0, 1, 1, 1)?;
            Ok(Some((table + border)?))
        }
        PriorForm::Channel | PriorForm::Element => {
            let common = places(parameters.get(&format!("{prefix}.gaussian"))?)?;
            match parameters.get(&format!("{prefix}.class_gaussian")) {
                Ok(classes) => Ok(Some(places(classes)?.broadcast_add(&common)?)),
                Err(_) => Ok(Some(common)),
            }
        }
    }
}

/// The place of a level's Gaussian among the parameters, and its form.
pub(crate) fn prior(config: &GlowConfig, level: usize) -> (String, PriorForm) {
    let conventions = &config.conventions;
    if level + 1 == config.levels {
        ("prior".to_owned(), conventions.top_prior)
    } else {
        (format!("levels.{level}.split"), conventions.split_prior)
    }
}
