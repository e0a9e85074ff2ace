//! Selection of the device that computes.

use std::{fmt, str::FromStr};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use flow_core::device;

/// The value of `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The accelerator this binary was built for if there is one, the CPU otherwise.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this number.
    Cuda(usize),
    /// The Metal device.
    Metal,
}

impl DeviceChoice {
    /// Opens the device.
    pub(crate) fn open(self) -> Result<Device> {
        match self {
            Self::Auto => Ok(Self::automatic()),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => bail!(
                "this binary was built without CUDA; build it with `--features cuda`, or leave out `--device {self}`"
            ),
            Self::Metal if !cfg!(feature = "metal") => bail!(
                "this binary was built without Metal; build it with `--features metal`, or leave out `--device {self}`"
            ),
            Self::Cuda(number) => device::cuda(number).with_context(|| self.cannot()),
            Self::Metal => device::metal().with_context(|| self.cannot()),
        }
    }

    fn cannot(self) -> String {
        format!("cannot open the device `{self}`, choose another with `--device`")
    }

    fn automatic() -> Device {
        let choice = if cfg!(feature = "cuda") {
            Self::Cuda(0)
        } else if cfg!(feature = "metal") {
            Self::Metal
        } else {
            return Device::Cpu;
        };
        choice.open().unwrap_or_else(|error| {
            tracing::warn!("{error:#}; using the CPU");
            Device::Cpu
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("auto", "") => Ok(Self::Auto),
            ("cpu", "") => Ok(Self::Cpu),
            ("metal", "") => Ok(Self::Metal),
            ("cuda", "") => Ok(Self::Cuda(0)),
            ("cuda", number) => number
                .parse()
                .map(Self::Cuda)
                .map_err(|_| format!("`{number}` is not a device number")),
            _ => Err("expected auto, cpu, cuda, cuda:N or metal".to_owned()),
        }
    }
}
