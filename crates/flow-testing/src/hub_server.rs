//! A hub of a few files on the loopback address, with the faults a network has.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flow_data::source::sha256;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What is wrong with the hub.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    None,
    /// Every body ends half way.
    Truncate,
    /// One byte of every body is another.
    Corrupt,
    /// So many requests are answered with 503.
    Fail(usize),
    /// Only requests with this token are answered.
    Token(&'static str),
}

/// Serves for as long as the test runs.
pub(super) struct HubServer {
    pub(super) endpoint: String,
    fault: Arc<Mutex<Fault>>,
}

impl HubServer {
    /// `files` are contents by `<owner>/<name>/<path>`.
    pub(super) fn start(files: HashMap<String, Vec<u8>>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fault = Arc::new(Mutex::new(fault));
        let (location, shared) = (endpoint.clone(), Arc::clone(&fault));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(
                    stream.unwrap(),
                    &files,
                    &location,
                    &mut shared.lock().unwrap(),
                );
            }
        });
        Self { endpoint, fault }
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// As the hub answers for a file in its large-file storage: `resolve` gives its digest and
/// redirects, the target of the redirect gives the bytes.
fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    endpoint: &str,
    fault: &mut Fault,
) -> std::io::Result<()> {
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = head[0].split(' ').nth(1).unwrap();
    if let Some(file) = path.strip_prefix("/blobs/") {
        let mut body = files[file].clone();
        let length = body.len();
        match fault {
            Fault::Truncate => body.truncate(length / 2),
            Fault::Corrupt => body[length / 2] ^= 0xff,
            Fault::None | Fault::Fail(_) | Fault::Token(_) => {}
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        return stream.write_all(&body);
    }
    let status = match fault {
        Fault::Fail(left) if *left > 0 => {
            *left -= 1;
            "503 Service Unavailable"
        }
        Fault::Token(token) if !head.contains(&format!("authorization: Bearer {token}")) => {
            "401 Unauthorized"
        }
        _ => "302 Found",
    };
    let file = path
        .strip_prefix("/datasets/")
        .unwrap()
        .replace("/resolve/main", "");
    let Some(content) = files.get(&file).filter(|_| status.starts_with("302")) else {
        return write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nLocation: {endpoint}/blobs/{file}\r\nX-Repo-Commit: {COMMIT}\r\n\
         X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        sha256(content),
        content.len(),
    )
}
