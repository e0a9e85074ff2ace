//! A hub of a few files on the loopback address, with the faults a network has.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The commit of the branch of converted files, and the end of the name of a repository that holds
/// them.
const CONVERTED: &str = "89abcdef0123456789abcdef0123456789abcdef";
const CONVERTED_END: &str = "@converted";

/// The end of the other address.
const MOVED: &str = "?moved";

/// A fault of the hub.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Everything works.
    None,
    /// Every body ends half way.
    Truncate,
    /// One byte of every body is another.
    Corrupt,
    /// So many requests are answered with 503.
    Fail(usize),
    /// Every file has another address on the same hub.
    Moved,
    /// Only requests with this token are answered.
    Token(&'static str),
}

/// A hub that serves for as long as the test runs.
pub struct HubServer {
    /// Its address.
    pub endpoint: String,
    fault: Arc<Mutex<Fault>>,
}

impl HubServer {
    /// Serves `files`: contents by `<owner>/<name>/<path>`, and those that the hub converts by
    /// `<owner>/<name>@converted/<path>`.
    pub fn start(files: HashMap<String, Vec<u8>>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fault = Arc::new(Mutex::new(fault));
        // Storage is another host than the hub, which no token may reach.
        let location = endpoint.replace("127.0.0.1", "localhost");
        let shared = Arc::clone(&fault);
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

    /// Has another fault from now on.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// As the hub answers for a file in its large-file storage: `resolve` gives its digest and
/// redirects, the target of the redirect gives the bytes.
fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    storage: &str,
    fault: &mut Fault,
) -> io::Result<()> {
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = head[0].split(' ').nth(1).unwrap();
    let mut fields = head.iter().filter_map(|line| line.split_once(": "));
    let token = fields.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = token.map(|(_, value)| value);
    if let Some(file) = path.strip_prefix("/blobs/") {
        return store(stream, &files[&file.replace("%20", " ")], token, fault);
    }
    if matches!(fault, Fault::Moved) && !path.ends_with(MOVED) {
        let status = "307 Temporary Redirect";
        return write!(
            stream,
            "HTTP/1.1 {status}\r\nLocation: {path}{MOVED}\r\nContent-Length: 0\r\n\r\n"
        );
    }
    let status = match fault {
        Fault::Fail(left) if *left > 0 => {
            *left -= 1;
            "503 Service Unavailable"
        }
        Fault::Token(right) if token != Some(&format!("Bearer {right}")) => "401 Unauthorized",
        _ => "302 Found",
    };
    if let Some(listed) = path
        .strip_prefix("/api/datasets/")
        .filter(|_| status.starts_with("302"))
    {
        return list(stream, files, listed.trim_end_matches(MOVED));
    }
    let file = path
        .trim_start_matches("/datasets/")
        .trim_end_matches(MOVED);
    let file = file.replace("/resolve/main", "").replace("%20", " ");
    let file = file.replace(&format!("/resolve/{COMMIT}"), "");
    let file = file.replace(&format!("/resolve/{CONVERTED}"), CONVERTED_END);
    let Some(content) = files.get(&file).filter(|_| status.starts_with("302")) else {
        return write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let file = file.replace(' ', "%20");
    write!(
        stream,
        "HTTP/1.1 {status}\r\nLocation: {storage}/blobs/{file}\r\nX-Repo-Commit: {COMMIT}\r\n\
         X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        sha256(content),
        content.len(),
    )
}

/// The files of a revision of a repository.
fn list(mut stream: TcpStream, files: &HashMap<String, Vec<u8>>, listed: &str) -> io::Result<()> {
    let (repository, revision) = listed.split_once("/revision/").unwrap();
    let (folder, commit) = match revision {
        "main" => (format!("{repository}/"), COMMIT),
        "refs%2Fconvert%2Fparquet" => (format!("{repository}{CONVERTED_END}/"), CONVERTED),
        other => panic!("{other}"),
    };
    let files = files.keys().filter_map(|file| file.strip_prefix(&folder));
    let mut files: Vec<_> = files
        .map(|file| format!(r#"{{"rfilename": "{file}"}}"#))
        .collect();
    files.sort();
    let status = if files.is_empty() {
        "404 Not Found"
    } else {
        "200 OK"
    };
    let body = format!(
        r#"{{"id": "{repository}", "sha": "{commit}", "private": false, "siblings": [{}]}}"#,
        files.join(", ")
    );
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The storage's answer, which refuses tokens as object stores do.
fn store(
    mut stream: TcpStream,
    content: &[u8],
    token: Option<&str>,
    fault: &Fault,
) -> io::Result<()> {
    if token.is_some() {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    }
    let mut body = content.to_owned();
    let length = body.len();
    match fault {
        Fault::Truncate => body.truncate(length / 2),
        Fault::Corrupt => body[length / 2] ^= 0xff,
        Fault::None | Fault::Fail(_) | Fault::Moved | Fault::Token(_) => {}
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

/// SHA-256 in lower-case hexadecimal digits.
fn sha256(content: &[u8]) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(content) {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}
