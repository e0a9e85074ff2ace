//! `flow-bench explore`: the time from a request of the page of `flow explore` to its picture, the
//! weight of the page, and the memory of the server.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use crate::tools::{Flow, process_memory, statistics::quantile, table};

/// Requests of each kind before those that are timed.
const WARM: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Requests of each kind that are timed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    requests: u32,

    /// Requests after which the memory is looked at
    #[arg(long, default_value_t = 10_000)]
    memory_requests: u32,
}

/// A server that runs.
struct Server {
    child: Child,
    url: String,
    agent: Agent,
}

/// Measures and prints tables in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::start(&Flow::build()?)?;
    println!(
        "Milliseconds from the request to the whole answer, of {}:\n",
        options.requests
    );
    table::head(&["", "p50", "p95"]);
    let kinds = kinds();
    for (name, path, body) in kinds {
        let mut times = Vec::new();
        for i in 0..options.requests as usize + WARM {
            let body = body(i);
            let began = Instant::now();
            server.ask(path, &body)?;
            if i >= WARM {
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let at = |share| format!("{:.1}", quantile(times.iter().copied(), share));
        table::row(&[name.to_owned(), at(0.5), at(0.95)]);
    }
    println!(
        "\nPage: {:.1} kB without compression.",
        server.weight()? as f64 / 1e3
    );
    let before = server.memory()?;
    for i in 0..options.memory_requests as usize {
        let (_, path, body) = kinds[i % kinds.len()];
        server.ask(path, &body(i))?;
    }
    println!(
        "Memory: {:.0} MB before and {:.0} MB after {} more requests.",
        before / 1e6,
        server.memory()? / 1e6,
        options.memory_requests
    );
    Ok(())
}

/// A kind of request: its name, its address, and the body of each by a number.
type Kind = (&'static str, &'static str, fn(usize) -> Value);

fn kinds() -> [Kind; 5] {
    [
        (
            "one image: a sample",
            "draw",
            |i| json!({ "count": 1, "temperature": 0.7, "seed": i, "class": "4" }),
        ),
        ("one image: a mixture", "mix", |i| {
            let time = (i % 101) as f64 / 100.0;
            json!({
                "first": "test:3", "second": "test:8", "time": time, "spherical": true, "class": "4",
            })
        }),
        ("one image: a change", "change", |i| {
            let amount = (i % 101) as f64 / 100.0 - 0.5;
            let changes = [json!({ "attribute": "slant", "amount": amount })];
            json!({ "image": "test:4", "changes": changes, "class": "4" })
        }),
        (
            "a grid of 25 samples",
            "draw",
            |i| json!({ "count": 25, "temperature": 0.7, "seed": i, "class": null }),
        ),
        (
            "bits per dimension and classes",
            "judge",
            |i| json!({ "image": format!("test:{}", i % 1000) }),
        ),
    ]
}

impl Server {
    fn start(flow: &Flow) -> Result<Self> {
        let mut child = flow.command("explore");
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("there is no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().to_owned();
        ensure!(
            url.starts_with("http://"),
            "`flow explore` printed no address"
        );
        Ok(Self {
            child,
            url,
            agent: Agent::new_with_defaults(),
        })
    }

    /// The answer, once it needs to wait for nothing.
    fn ask(&self, path: &str, body: &Value) -> Result<()> {
        loop {
            let request = self.agent.post(format!("{}api/{path}", self.url));
            let request = request.content_type("application/json");
            let answer = request.send(body.to_string())?.body_mut().read_to_vec()?;
            if !answer.starts_with(b"{\"progress\"") {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// Bytes of all files of the page, each found by its name in another, and of the model's facts.
    fn weight(&self) -> Result<usize> {
        let mut files = vec![String::new(), "api/about".to_owned()];
        let mut bytes = 0;
        let mut read = 0;
        while let Some(file) = files.get(read) {
            let mut answer = self.agent.get(format!("{}{file}", self.url)).call()?;
            let content = answer.body_mut().read_to_string()?;
            bytes += content.len();
            read += 1;
            for name in content.split(['"', '\'']) {
                let name = name.trim_start_matches("./");
                let kind = name.rsplit_once('.').map(|(_, kind)| kind);
                let is_file = matches!(kind, Some("js" | "css" | "svg")) && !name.contains(' ');
                if is_file && !files.iter().any(|known| known == name) {
                    files.push(name.to_owned());
                }
            }
        }
        ensure!(read > 5, "the page names no files");
        Ok(bytes)
    }

    /// Bytes that the process holds.
    fn memory(&self) -> Result<f64> {
        process_memory(self.child.id(), "VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is over in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
