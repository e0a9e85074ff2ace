//! Downloads from the hub into the cache that Hugging Face's programs share.

use std::{
    fmt::Write,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ureq::{
    Agent, Body,
    http::{HeaderMap, HeaderValue, Response, Uri},
};

use super::environment;
use crate::{
    Error, Result, Watch,
    progress::{Counter, Stage},
};

const USER_AGENT: &str = concat!("flow-data/", env!("CARGO_PKG_VERSION"));

/// Statuses after which the hub is asked again: 408, 429 and failures that may pass.
const TRANSIENT: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// Requests after the first that fails; the waits between them add up to 6 s.
const RETRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Time in which a connection must stand, and in which more bytes must come.
const PATIENCE: Duration = Duration::from_mins(1);

const MAX_REDIRECTS: usize = 10;

/// Bytes of an answer that lists files.
const LARGEST_ANSWER: u64 = 1 << 26;

/// A hub and the cache of its files.
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
    /// The folder of `datasets--<owner>--<name>/blobs/<ETag>`.
    cache: PathBuf,
    /// The wait before the first retry; it doubles with each.
    pub(super) wait: Duration,
}

/// A reason why a file could not be downloaded.
enum Failure {
    /// The hub wants a token, or another one.
    Denied(String),
    /// The hub has no such thing.
    Missing(String),
    Other(String),
}

impl Failure {
    /// The error of a file of a repository, or of the list of its files.
    fn of(self, repository: String, file: Option<&str>) -> Error {
        let file = file.map(str::to_owned);
        match self {
            Self::Denied(reason) => Error::Denied {
                repository,
                file,
                reason,
            },
            Self::Missing(reason) | Self::Other(reason) => Error::Download {
                repository,
                file,
                reason,
            },
        }
    }
}

impl Client {
    /// The hub, token and cache that the environment names.
    ///
    /// # Errors
    ///
    /// `HF_ENDPOINT` is not an address.
    pub(super) fn from_env() -> Result<Self> {
        Self::new(
            &environment::endpoint(),
            environment::token(),
            environment::cache(),
        )
    }

    pub(super) fn new(address: &str, token: Option<String>, cache: PathBuf) -> Result<Self> {
        let endpoint = address.trim_end_matches('/').parse::<Uri>().ok();
        let endpoint = endpoint.filter(|uri| uri.scheme().is_some() && uri.host().is_some());
        let config = Agent::config_builder()
            // Redirects are followed here: the first answer has the ETag, and a token stays at
            // home.
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(USER_AGENT);
        Ok(Self {
            agent: config.build().into(),
            endpoint: endpoint.ok_or_else(|| Error::Endpoint(address.to_owned()))?,
            token,
            cache,
            wait: FIRST_WAIT,
        })
    }

    /// The path in the cache of a file of a data set's repository at a revision, downloaded if it
    /// is not there. The cache's name of a file in large-file storage is its SHA-256, which is for
    /// the caller to check.
    pub(super) fn get(
        &self,
        (owner, name): (&str, &str),
        revision: &str,
        file: &str,
        watch: Watch<'_>,
    ) -> Result<PathBuf> {
        let repository = format!("{owner}/{name}");
        let blobs = format!("datasets--{owner}--{name}/blobs");
        let (base, path) = (self.base(), escaped(file));
        let address = format!("{base}/datasets/{repository}/resolve/{revision}/{path}");
        let found = self.follow(&address, &self.cache.join(blobs), file, watch);
        found.map_err(|failure| failure.of(repository, Some(file)))
    }

    /// The hub's answer about a revision of a data set's repository, as JSON; nothing if there is
    /// no such revision.
    pub(super) fn describe(
        &self,
        (owner, name): (&str, &str),
        revision: &str,
    ) -> Result<Option<Vec<u8>>> {
        let repository = format!("{owner}/{name}");
        let revision = escaped(revision).replace('/', "%2F");
        let base = self.base();
        let address = format!("{base}/api/datasets/{repository}/revision/{revision}");
        match self.read(&address) {
            Ok(json) => Ok(Some(json)),
            Err(Failure::Missing(_)) => Ok(None),
            Err(failure) => Err(failure.of(repository, None)),
        }
    }

    /// The content at an address, or at that to which it redirects.
    fn read(&self, address: &str) -> Result<Vec<u8>, Failure> {
        let mut address = address.parse::<Uri>()?;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&address)?;
            if !answer.status().is_redirection() {
                let mut content = Vec::new();
                let body = answer.into_body().into_reader();
                body.take(LARGEST_ANSWER).read_to_end(&mut content)?;
                return Ok(content);
            }
            let location = answer.headers().get("location");
            address = target(&address, location.ok_or("a redirect leads nowhere")?)?;
        }
        Err("it is redirected without end".into())
    }

    /// Follows redirects from `address` until the file's ETag is that of a blob in the cache, or
    /// the file itself comes.
    fn follow(
        &self,
        address: &str,
        blobs: &Path,
        file: &str,
        watch: Watch<'_>,
    ) -> Result<PathBuf, Failure> {
        let mut address = address.parse::<Uri>()?;
        let mut blob = None;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&address)?;
            let redirects = answer.status().is_redirection();
            blob = blob.or_else(|| Some(blobs.join(etag(answer.headers(), redirects)?)));
            if let Some(path) = blob.take_if(|path| path.is_file()) {
                return Ok(path);
            }
            if !redirects {
                let path = blob.ok_or("the hub does not announce its digest")?;
                store(answer.into_body(), &path, file, watch)?;
                return Ok(path);
            }
            let location = answer.headers().get("location");
            address = target(&address, location.ok_or("a redirect leads nowhere")?)?;
        }
        Err("it is redirected without end".into())
    }

    /// Sends a request, again after failures that may pass.
    fn ask(&self, address: &Uri) -> Result<Response<Body>, Failure> {
        let mut waits = (0..RETRIES).map(|retry| self.wait * 2_u32.pow(retry));
        let answer = loop {
            let answer = self.send(address);
            let passing = match &answer {
                Ok(answer) => TRANSIENT.contains(&answer.status().as_u16()),
                Err(error) => matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_)),
            };
            match waits.next() {
                Some(wait) if passing => thread::sleep(wait),
                _ => break answer.map_err(cause)?,
            }
        };
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(answer);
        }
        let message = answer.headers().get("x-error-message");
        let reason = match message.and_then(|message| message.to_str().ok()) {
            Some(message) if !message.is_empty() => format!("{status}: {message}"),
            _ => status.to_string(),
        };
        Err(match status.as_u16() {
            401 | 403 => Failure::Denied(reason),
            404 => Failure::Missing(reason),
            _ => Failure::Other(reason),
        })
    }

    /// Sends a request; only the hub itself receives the token.
    fn send(&self, address: &Uri) -> Result<Response<Body>, ureq::Error> {
        let own = address.scheme() == self.endpoint.scheme()
            && address.authority() == self.endpoint.authority();
        let request = self.agent.get(address);
        match &self.token {
            Some(token) if own => request
                .header("authorization", format!("Bearer {token}"))
                .call(),
            _ => request.call(),
        }
    }

    /// The endpoint without a slash at its end.
    fn base(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_owned()
    }
}

/// The innermost error, which names the cause.
fn cause(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// The file's ETag, if it can name a file of the cache: the SHA-256 of a large file. A redirect's
/// own ETag is not that of the file.
fn etag(headers: &HeaderMap, redirects: bool) -> Option<&str> {
    let own = headers.get("etag").filter(|_| !redirects);
    let tag = headers.get("x-linked-etag").or(own)?.to_str().ok()?;
    let tag = tag.trim_start_matches("W/").trim_matches('"');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    Some(tag).filter(|tag| !tag.is_empty() && tag.bytes().all(is_name))
}

/// A path as part of an address.
fn escaped(path: &str) -> String {
    let mut address = String::new();
    for byte in path.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'/' => address.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => address.push(byte.into()),
            _ => drop(write!(address, "%{byte:02X}")),
        }
    }
    address
}

/// The address to which a redirect leads.
fn target(from: &Uri, location: &HeaderValue) -> Result<Uri, Failure> {
    let to = Uri::try_from(location.as_bytes())?;
    if to.scheme().is_some() {
        return Ok(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = to.path_and_query().cloned();
    Ok(Uri::from_parts(parts)?)
}

/// Writes a file to `path` once all of it is there.
fn store(body: Body, path: &Path, file: &str, watch: Watch<'_>) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    let in_folder = |error: io::Error| format!("cannot write to `{}`: {error}", folder.display());
    fs::create_dir_all(folder).map_err(in_folder)?;
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(folder)
        .map_err(in_folder)?;
    let new = staging.path().join("new");
    let mut output = fs::File::create(&new).map_err(in_folder)?;
    let total = body.content_length().unwrap_or(0);
    let mut counter = Counter::start(Stage::Downloading(file), total, watch);
    counter.copy(&mut body.into_reader(), &mut output)?;
    Ok(fs::rename(new, path).map_err(in_folder)?)
}

impl<E: ToString> From<E> for Failure {
    fn from(reason: E) -> Self {
        Self::Other(reason.to_string())
    }
}
