//! Checks of each request, so that no other web page can use the model, and headers of each answer.
//!
//! A page of another address can send requests here, and after DNS rebinding even under a name of
//! its own. Browsers say where a request comes from: `Host` must be an address of this server,
//! `Origin` this page, and `Sec-Fetch-Site` the same.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{self, HeaderName},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::failure::Failure;

/// Headers of every answer: nothing is loaded from elsewhere, framed, kept or taken for another
/// type.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// The addresses under which the server is called.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The name that `--host` gave.
    host: String,
    port: u16,
    /// Only this machine reaches it.
    is_local: bool,
}

impl Guard {
    pub(super) fn new(host: &str, port: u16, is_local: bool) -> Self {
        Self {
            host: host.to_owned(),
            port,
            is_local,
        }
    }

    /// # Errors
    /// If the request is not one of this page, or of a person who opens it.
    fn check(&self, headers: &HeaderMap, is_navigation: bool) -> Result<(), Failure> {
        let forbidden = |reason| Err(Failure::new(StatusCode::FORBIDDEN, reason));
        let Some(host) = only(headers, header::HOST).filter(|host| self.is_own(host)) else {
            return forbidden("the request was sent to another host than this server");
        };
        if headers.contains_key(header::ORIGIN)
            && only(headers, header::ORIGIN) != Some(&format!("http://{host}"))
        {
            return forbidden("the request comes from another web page");
        }
        let site = HeaderName::from_static("sec-fetch-site");
        let is_own = !headers.contains_key(&site)
            || matches!(only(headers, site), Some("same-origin" | "none"))
            || is_navigation;
        if !is_own {
            return forbidden("the request comes from another web page");
        }
        Ok(())
    }

    /// True if `Host` names this server. A number cannot be rebound, so any is taken where the
    /// server listens on more than this machine.
    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        if port != Some(self.port) {
            return false;
        }
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let number = bare.unwrap_or(name).parse::<IpAddr>();
        match number {
            Ok(number) => number.is_loopback() || !self.is_local,
            Err(_) => {
                name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(&self.host)
            }
        }
    }
}

/// A header that is there once, as text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Refuses foreign requests, and adds the headers of every answer.
pub(super) async fn layer(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    // A link on another page may open this one; its script cannot read what it opens.
    let is_navigation = request.uri().path() == "/"
        && request.method() == "GET"
        && only(request.headers(), HeaderName::from_static("sec-fetch-dest")) == Some("document");
    let mut response = match guard.check(request.headers(), is_navigation) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, fields: &[(&'static str, &str)]) -> bool {
        let fields = fields.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        guard.check(&headers, false).is_ok()
    }

    #[test]
    fn only_this_page_is_let_in() {
        let guard = Guard::new("127.0.0.1", 4000, true);
        for host in [
            "127.0.0.1:4000",
            "localhost:4000",
            "[::1]:4000",
            "LocalHost:4000",
        ] {
            let (origin, own) = (format!("http://{host}"), [("host", host)]);
            assert!(check(&guard, &own), "{host}");
            assert!(check(&guard, &[own[0], ("origin", &origin)]), "{host}");
            for origin in ["null", "http://evil.example", "https://127.0.0.1:4000", ""] {
                assert!(!check(&guard, &[own[0], ("origin", origin)]), "{origin}");
            }
            for site in ["cross-site", "same-site", "", "NONE"] {
                assert!(
                    !check(&guard, &[own[0], ("sec-fetch-site", site)]),
                    "{site}"
                );
            }
            assert!(check(&guard, &[own[0], ("sec-fetch-site", "same-origin")]));
            assert!(!check(&guard, &[own[0], own[0]]), "twice");
        }
        for host in [
            "evil.example:4000",
            "127.0.0.1",
            "127.0.0.1:4001",
            "192.168.0.7:4000",
            "localhost.evil.example:4000",
            "127.0.0.1:4000@evil.example",
            "",
            ":4000",
        ] {
            assert!(!check(&guard, &[("host", host)]), "{host}");
        }
        assert!(!check(&guard, &[]));
    }

    #[test]
    fn numbers_are_let_in_where_others_may_come() {
        let guard = Guard::new("0.0.0.0", 4000, false);
        for host in ["192.168.0.7:4000", "[fe80::1]:4000", "localhost:4000"] {
            assert!(check(&guard, &[("host", host)]), "{host}");
        }
        assert!(!check(&guard, &[("host", "evil.example:4000")]));
    }
}
