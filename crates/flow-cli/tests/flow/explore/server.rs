//! A server that runs, and requests to it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use ureq::Agent;

use crate::sandbox::Sandbox;

/// `flow explore` on a free port, which ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Such as `127.0.0.1:4000`.
    pub(crate) address: String,
    agent: Agent,
}

/// Status and JSON of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
}

impl Server {
    /// Begins it in the folder of a sandbox.
    #[track_caller]
    pub(crate) fn new(sandbox: &Sandbox, words: &str) -> Self {
        let mut command = sandbox.flow(&format!("explore {words}"));
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(2)))
            .max_idle_connections(0);
        Self {
            child,
            address: address.trim_end_matches('/').to_owned(),
            agent: config.build().into(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Answer::of(self.agent.get(self.url(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.post(self.url(path));
        let request = request.content_type("application/json");
        Answer::of(request.send(body.to_string()).unwrap())
    }

    /// As [`post`](Self::post), for a view.
    pub(crate) fn post_as(&self, view: &str, path: &str, body: &Value) -> Answer {
        let request = self.agent.post(self.url(path));
        let request = request.content_type("application/json");
        Answer::of(
            request
                .header("x-flow-view", view)
                .send(body.to_string())
                .unwrap(),
        )
    }

    /// The answer that must succeed, once what it waits for is done.
    #[track_caller]
    pub(crate) fn ok(&self, path: &str, body: &Value) -> Value {
        loop {
            let answer = self.post(path, body);
            assert_eq!(answer.status, 200, "{}", answer.json);
            if answer.json.get("progress").is_none() {
                return answer.json;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The sentence of an answer that must be refused.
    #[track_caller]
    pub(crate) fn refused(&self, path: &str, body: &Value) -> String {
        let answer = self.post(path, body);
        assert!(
            (400..500).contains(&answer.status),
            "{} {}",
            answer.status,
            answer.json
        );
        answer.json["error"].as_str().unwrap().to_owned()
    }

    /// Sends a file.
    pub(crate) fn send(&self, content: &[u8]) -> Answer {
        let request = self.agent.post(self.url("/api/image/sent"));
        Answer::of(
            request
                .content_type("application/octet-stream")
                .send(content)
                .unwrap(),
        )
    }

    /// The status of an answer to bytes that are sent as they are; 0 without an answer. Nothing
    /// comes after them if they end.
    pub(crate) fn raw(&self, bytes: &[u8], ends: bool) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes);
        if ends {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// 25 samples, the work of the shipped model that tests ask for to see that it is alive.
    #[track_caller]
    pub(crate) fn is_alive(&self) {
        let drawn = self.ok("/api/draw", &samples(4, 0.7, 1));
        assert!(!png(&drawn).is_empty());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn of(mut answer: ureq::http::Response<ureq::Body>) -> Self {
        let text = answer.body_mut().read_to_string().unwrap();
        Self {
            status: answer.status().as_u16(),
            json: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }
}

/// The request of a grid of samples.
pub(crate) fn samples(count: usize, temperature: f64, seed: u64) -> Value {
    json!({ "count": count, "temperature": temperature, "seed": seed, "class": null })
}

/// The bytes of the picture in an answer.
#[track_caller]
pub(crate) fn png(answer: &Value) -> Vec<u8> {
    let picture = answer["picture"].as_str().unwrap();
    let base64 = picture.strip_prefix("data:image/png;base64,").unwrap();
    BASE64_STANDARD.decode(base64).unwrap()
}
