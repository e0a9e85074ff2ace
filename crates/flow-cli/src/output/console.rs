//! Messages on stderr while a command works: log lines above a progress bar.

use std::{
    env, fmt,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Resolution of the progress bar.
const BAR_STEPS: u64 = 1000;

/// The interval of progress lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// stderr, shared by log lines and progress bars.
#[derive(Clone)]
pub(crate) struct Console {
    bars: MultiProgress,
}

/// The progress of one job: a bar on a terminal, a line now and then elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    first_share: f64,
    last_line: Instant,
}

/// Log lines for people: the level in words, then the message.
struct Plain;

/// Writes above the progress bars.
struct AboveBars(MultiProgress);

impl Console {
    /// Sets up logging: the level is that of `RUST_LOG` if it is set, of `verbosity` otherwise. A
    /// process that `follows` another shows errors only, since the other reports their work.
    pub(crate) fn new(verbosity: u8, follows: bool) -> Result<Self> {
        let bars = MultiProgress::new();
        if follows {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let wanted = env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
        let plain = wanted.is_none() && verbosity == 0;
        let filter = wanted.unwrap_or_else(|| {
            let by_verbosity = match verbosity {
                0 if follows => "error",
                0 => "warn,flow=info",
                1 => "info,flow=debug",
                _ => "debug,flow=trace",
            };
            by_verbosity.to_owned()
        });
        let filter = EnvFilter::try_new(&filter)
            .map_err(|error| anyhow!("`RUST_LOG` is not a log filter: {error}"))?;
        let colored = io::stderr().is_terminal()
            && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let target = bars.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(colored)
            .with_writer(move || AboveBars(target.clone()));
        if plain {
            subscriber.event_format(Plain).init();
        } else {
            subscriber.init();
        }
        Ok(Self { bars })
    }

    /// Shows a bar of the caller's.
    pub(crate) fn add(&self, bar: ProgressBar) -> ProgressBar {
        self.bars.add(bar)
    }

    /// Shows the progress of a job of which `share` (0 to 1) was done before.
    pub(crate) fn progress(&self, share: f64) -> Progress {
        let style = ProgressStyle::with_template("{bar:28} {percent:>3}%  {msg}")
            .expect("the template is a constant")
            .progress_chars("━━─");
        let bar = ProgressBar::new(BAR_STEPS).with_style(style);
        Progress {
            bar: self.add(bar),
            started: Instant::now(),
            first_share: share,
            last_line: Instant::now(),
        }
    }
}

impl Progress {
    /// Shows the share of the job that is done (0 to 1) and a line about it.
    pub(crate) fn update(&mut self, share: f64, message: &str) {
        let message = match self.time_left(share) {
            Some(left) => format!("{message}  {} left", humantime::format_duration(left)),
            None => message.to_owned(),
        };
        self.bar.set_position((share * BAR_STEPS as f64) as u64);
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_INTERVAL {
            tracing::info!("{:>3.0}%  {message}", share * 100.0);
            self.last_line = Instant::now();
        }
        self.bar.set_message(message);
    }

    /// The estimated time left in whole seconds, once enough is done to estimate it.
    fn time_left(&self, share: f64) -> Option<Duration> {
        let speed = (share - self.first_share) / self.started.elapsed().as_secs_f64();
        let seconds = ((1.0 - share).max(0.0) / speed).round();
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (word, color) = match *event.metadata().level() {
            Level::ERROR => ("error: ", "\x1b[31m"),
            Level::WARN => ("warning: ", "\x1b[33m"),
            _ => ("", ""),
        };
        if writer.has_ansi_escapes() && !color.is_empty() {
            write!(writer, "{color}{word}\x1b[0m")?;
        } else {
            writer.write_str(word)?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A closed stderr must not stop a training.
        let _ = self.0.suspend(|| io::stderr().write_all(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
