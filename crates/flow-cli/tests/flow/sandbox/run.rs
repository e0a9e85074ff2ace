//! Trainings: made once for several tests, begun in the background, and what they have written.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Sandbox, header};

/// No step takes that long, however loaded the machine is.
const PATIENCE: Duration = Duration::from_mins(2);

/// The files of a run, by their names in its folder.
type Files = Vec<(String, Vec<u8>)>;

impl Sandbox {
    /// A folder with a training, `run`.
    #[track_caller]
    pub(crate) fn trained(words: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write_run("run", words);
        sandbox
    }

    /// Writes what `flow train` with these words leaves in its folder. All tests that ask for the
    /// same words get copies of one training, on the bundled digits.
    #[track_caller]
    pub(crate) fn write_run(&self, out: &str, words: &str) {
        static RUNS: Mutex<BTreeMap<String, Arc<OnceLock<Files>>>> = Mutex::new(BTreeMap::new());
        let run = RUNS
            .lock()
            .unwrap()
            .entry(words.to_owned())
            .or_default()
            .clone();
        let files = run.get_or_init(|| {
            let elsewhere = Self::new();
            elsewhere.ok(&format!("train --out run {words}"));
            elsewhere.files("run")
        });
        for (name, content) in files {
            self.write(&format!("{out}/{name}"), content);
        }
    }

    /// Every file of a run.
    fn files(&self, run: &str) -> Files {
        let run = self.path(run);
        let entries = walkdir::WalkDir::new(&run).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().is_file());
        let read = |entry: walkdir::DirEntry| {
            let name = entry.path().strip_prefix(&run).unwrap();
            (
                name.to_str().unwrap().to_owned(),
                fs::read(entry.path()).unwrap(),
            )
        };
        files.map(read).collect()
    }

    /// Begins a training in the background, and waits until it has saved so many steps.
    pub(crate) fn begin(&self, out: &str, steps: u64, training: &mut Command) -> Child {
        training.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = training.spawn().unwrap();
        let file = self.path(out).join("training.safetensors");
        wait_for("a step", || {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            step(&file) >= Some(steps)
        });
        child
    }
}

/// Steps that the training in this file has taken, if there is one.
pub(crate) fn step(file: &Path) -> Option<u64> {
    let bytes = fs::read(file).ok()?;
    header(&bytes)["training"]["progress"]["step"].as_u64()
}

/// The lines of `metrics.jsonl`.
pub(crate) fn metrics(folder: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until something has happened.
pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "no sign of {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Sends a signal to a process, if it is still there.
pub(crate) fn signal(process: u32, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.args([name, &process.to_string()])
        .stderr(Stdio::null());
    kill.status().unwrap().success()
}
