//! `flow bench`: the speed of training, likelihood and samples, beside that of matrix products.

use anyhow::Result;
use candle_core::{DType, Device, DeviceLocation, Tensor};
use flow_core::{
    device, random,
    train::{Data, Optimizer},
    transfer,
};
use flow_glow::{Dequantization, GlowConfig, ImageShape, TrainSettings, Trainer};
use serde::Serialize;
use std::{env, hint::black_box, time::Instant};

use crate::{
    cli::BenchArgs,
    output::{
        memory, report,
        words::{self, count},
    },
    training,
};

/// Sides of the matrices whose product shows what the machine can do.
const MATRIX: usize = 1024;

/// The number of classes of images of noise with `--classes`.
const CLASSES: usize = 10;

/// Runs before any is timed: the first ones fill buffers and caches.
const WARM_UP: usize = 2;

/// The measurements, in the names that scripts compare.
#[derive(Serialize)]
struct Benchmark {
    levels: usize,
    steps: usize,
    last_steps: usize,
    width: usize,
    batch: usize,
    device: String,
    threads: usize,
    train_img_s: f64,
    log_prob_img_s: f64,
    sample_img_s: f64,
    /// Of the device, if it tells, of the process otherwise.
    peak_mb: Option<u64>,
    /// Between host and device, in a training step.
    copies_a_step: f64,
    train_gflop_s: f64,
    matmul_gflop_s: f64,
    train_share_of_matmul: f64,
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let device = args.device.device.open()?;
    if args.tf32 {
        device::allow_tf32();
    }
    let image = ImageShape::new(args.channels, args.size, args.size);
    let config = training::config_of(&args.model, image, CLASSES, &[1; 256]);
    let times = Times::measure(args, &config, &device)?;
    let result = Benchmark::new(args, &config, &device, &times);
    if args.json {
        report::json(&result)
    } else {
        report::table(&result.rows(&config))
    }
}

/// Median seconds of each kind of work, and the costs of a training step beside time.
struct Times {
    train: f64,
    log_prob: f64,
    sample: f64,
    matmul: f64,
    /// Copies between host and device, in all training steps.
    copies: u64,
    peak_mb: Option<u64>,
}

impl Times {
    fn measure(args: &BenchArgs, config: &GlowConfig, device: &Device) -> Result<Self> {
        let (batch, image) = (args.batch_size, config.image);
        let mut settings = TrainSettings {
            batch_size: batch,
            precision: args.precision,
            memory: args.memory,
            ..TrainSettings::default()
        };
        // As the peers that are measured beside.
        settings.optimization.optimizer = Optimizer::Adam;
        // Noise is not to be learnt: the weights stay near those of a fresh model.
        settings.optimization.learning_rate = 1e-6;
        let mut trainer = Trainer::new(config, settings, "noise", device)?;
        // As `train` does.
        trainer.keep_on_disk(&env::temp_dir())?;
        let shape = (batch, image.channels, image.height, image.width);
        let x = random::uniform(0, shape, DType::F32, device)?;
        let images = (&x * 255.0)?.to_dtype(DType::U8)?;
        let data = match config.classes {
            None => Data::from(&images),
            Some(_) => (&images, &Tensor::zeros(batch, DType::U32, device)?).into(),
        };
        trainer.initialize(&data)?;

        let before = transfer::copies();
        let train = median(device, args.iters, || trainer.step(&data, 0.0))?;
        let after = transfer::copies();
        // Training needs the most memory; later work must not count.
        let peak_mb = match device::peak_memory(device)? {
            Some(bytes) => Some(bytes >> 20),
            None => memory::peak_mb()?,
        };
        let model = trainer.model()?;
        let model = model.conditioned_on(&data)?;
        let square = |seed| random::normal(seed, (MATRIX, MATRIX), DType::F32, device);
        let (a, b) = (square(0)?, square(1)?);
        Ok(Self {
            train,
            log_prob: median(device, args.iters, || model.log_prob(&x))?,
            sample: median(device, args.iters, || model.sample(batch, 0))?,
            matmul: median(device, args.iters, || a.matmul(&b))?,
            copies: after.to_device + after.to_host - before.to_device - before.to_host,
            peak_mb,
        })
    }
}

impl Benchmark {
    fn new(args: &BenchArgs, config: &GlowConfig, device: &Device, times: &Times) -> Self {
        let rate = |seconds: f64| args.batch_size as f64 / seconds;
        // Backwards, each product has two: one for its input and one for its weights.
        let train_gflop_s = 3.0 * forward_flop(config) * rate(times.train) / 1e9;
        let matmul_gflop_s = 2.0 * (MATRIX as f64).powi(3) / times.matmul / 1e9;
        Self {
            levels: config.levels,
            steps: config.steps,
            last_steps: config.steps_of(true),
            width: config.width,
            batch: args.batch_size,
            device: name_of(device),
            threads: rayon::current_num_threads(),
            train_img_s: rounded(rate(times.train)),
            log_prob_img_s: rounded(rate(times.log_prob)),
            sample_img_s: rounded(rate(times.sample)),
            peak_mb: times.peak_mb,
            copies_a_step: rounded(times.copies as f64 / (WARM_UP + args.iters) as f64),
            train_gflop_s: rounded(train_gflop_s),
            matmul_gflop_s: rounded(matmul_gflop_s),
            train_share_of_matmul: (100.0 * train_gflop_s / matmul_gflop_s).round() / 100.0,
        }
    }

    /// The rows of a table for people.
    fn rows(&self, config: &GlowConfig) -> [(&'static str, String); 7] {
        let memory = match self.peak_mb {
            Some(mb) => format!("{mb} MB, in training"),
            None => "unknown".to_owned(),
        };
        [
            (
                "model",
                format!(
                    "{}, width {}, images of {}",
                    words::levels(config),
                    config.width,
                    config.image
                ),
            ),
            ("training", format!("{} images/s", self.train_img_s)),
            ("log_prob", format!("{} images/s", self.log_prob_img_s)),
            ("sample", format!("{} images/s", self.sample_img_s)),
            ("peak memory", memory),
            (
                "arithmetic",
                format!(
                    "{} GFLOP/s in training, {} in a product of matrices: {:.0} %",
                    self.train_gflop_s,
                    self.matmul_gflop_s,
                    100.0 * self.train_share_of_matmul
                ),
            ),
            (
                "device",
                format!(
                    "{}, copies in a step: {}; {}",
                    self.device,
                    self.copies_a_step,
                    count(self.threads, "thread")
                ),
            ),
        ]
    }
}

fn name_of(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

/// Seconds that a run of `work` takes until the device is done with it, the median of `count`.
fn median<T, E: From<candle_core::Error>>(
    device: &Device,
    count: usize,
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<f64, E> {
    let mut seconds = Vec::with_capacity(count);
    for run in 0..WARM_UP + count {
        let start = Instant::now();
        black_box(work()?);
        device.synchronize()?;
        if run >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[count / 2])
}

/// Floating-point operations of the networks for one image: all but a few percent of a model.
fn forward_flop(config: &GlowConfig) -> f64 {
    let network = |level: usize, hidden: usize, context: usize| {
        let channels = config.image.channels << (level + 2);
        let pixels = (config.image.height >> (level + 1)) * (config.image.width >> (level + 1));
        let (inputs, outputs) = (channels / 2 + context, channels);
        2 * pixels * hidden * (9 * inputs + hidden + 9 * outputs)
    };
    let couplings = (0..config.levels)
        .map(|level| config.steps_of(level + 1 == config.levels) * network(level, config.width, 0));
    let noise = match config.dequantization {
        Dequantization::Uniform => 0,
        Dequantization::Variational { steps, width } => {
            steps * network(0, width, 4 * config.image.channels)
        }
    };
    (couplings.sum::<usize>() + noise) as f64
}

fn rounded(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}
