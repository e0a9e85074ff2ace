//! Requests that nobody should send: answered or cut off, and the server lives on.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::server::{Server, samples};
use crate::sandbox::Sandbox;

/// Memory that the process holds, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}

/// A request with some headers.
fn request(method: &str, path: &str, host: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of requests")]
fn a_thousand_malformed_requests() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    server.is_alive();
    let before = memory(server.process());
    let host = &*server.address;
    let json = "Content-Type: application/json\r\n";
    let whole = samples(4, 0.7, 1).to_string();
    let mut sent = 0;
    let mut expect = |bytes: &[u8], statuses: &[u16]| {
        let status = server.raw(bytes, statuses.contains(&0));
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        assert!(statuses.contains(&status), "{status} for {shown}");
        sent += 1;
    };

    // Each cut of a sound request, and each of its bytes replaced.
    let sound = request("POST", "/api/draw", host, json, &whole);
    let head = sound.len() - whole.len();
    for cut in 0..sound.len() {
        expect(&sound[..cut], &[0, 400, 408, 413]);
    }
    for place in 0..sound.len() {
        for byte in [0, b'\xff', b'\n', b'{'] {
            let mut changed = sound.clone();
            changed[place] = byte;
            // Some changes leave a sound request, such as a line end in JSON.
            let within = [200, 400, 403, 404, 405, 408, 413, 415, 422, 0];
            expect(&changed, &within);
        }
    }
    assert!(head > 100);

    // Bodies that are not what is asked for.
    let deep = "[".repeat(100_000);
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    for path in [
        "/api/draw",
        "/api/draw/pick",
        "/api/mix",
        "/api/change",
        "/api/levels",
        "/api/judge",
        "/api/judge/place",
        "/api/image",
    ] {
        for body in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "1e999",
            "\"\\ud800\"",
            "{\"image\":1}",
            &deep,
            &long,
            r#"{"image":"file:///etc/passwd"}"#,
            r#"{"image":"../../etc/passwd"}"#,
            r#"{"image":"test:99999999999999999999"}"#,
            r#"{"image":"png:AAAA"}"#,
            r#"{"count":1e9,"temperature":1,"seed":0,"class":null}"#,
            r#"{"count":101,"temperature":1,"seed":0,"class":null}"#,
            r#"{"count":1,"temperature":-1,"seed":0,"class":null}"#,
            r#"{"count":1,"temperature":1,"seed":-1,"class":null}"#,
            r#"{"count":1,"temperature":1,"seed":0,"class":"../../x"}"#,
        ] {
            expect(&request("POST", path, host, json, body), &[400, 422]);
        }
        expect(&request("POST", path, host, "", &whole), &[415]);
        expect(
            &request("POST", path, host, "Content-Type: text/plain\r\n", &whole),
            &[415],
        );
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "FLOW"] {
            expect(&request(method, path, host, json, ""), &[405]);
        }
    }

    // Paths that lead elsewhere.
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/style.css/../../x",
        "/api/../Cargo.toml",
        "/model.safetensors",
        "/data/mnist",
        "/.git/config",
        "/index.html%00.css",
        "/api/draw%00",
        "/\\..\\..\\x",
    ] {
        expect(&request("GET", path, host, "", ""), &[400, 404]);
    }

    // Other pages and other hosts.
    for fields in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://127.0.0.1\r\n",
    ] {
        let fields = format!("{json}{fields}");
        expect(&request("POST", "/api/draw", host, &fields, &whole), &[403]);
        expect(&request("GET", "/", host, &fields, ""), &[403]);
    }
    for other in ["evil.example", "localhost", "127.0.0.1:1", ""] {
        expect(
            &request("POST", "/api/draw", other, json, &whole),
            &[400, 403],
        );
    }

    // More than fits.
    let fields = format!("{json}X-Long: {}\r\n", "x".repeat(1 << 20));
    expect(
        &request("POST", "/api/draw", host, &fields, &whole),
        &[0, 431],
    );
    let many = (0..1000).map(|i| format!("X-{i}: 1\r\n"));
    let many = many.collect::<Vec<_>>().concat();
    expect(
        &request("POST", "/api/draw", host, &many, &whole),
        &[0, 400, 431],
    );
    let huge = format!(
        "POST /api/image/sent HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999\r\n\r\n"
    );
    expect(huge.as_bytes(), &[413]);
    let long_view = format!("{json}X-Flow-View: {}\r\n", "x".repeat(1000));
    expect(
        &request("POST", "/api/draw", host, &long_view, &whole),
        &[400],
    );

    assert!(sent >= 1000, "{sent}");
    server.is_alive();
    let grown = memory(server.process()).saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
}

#[test]
fn pictures_that_are_sent_are_bounded() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    let picture = image::GrayImage::from_fn(100, 60, |x, y| image::Luma([(x + y) as u8]));
    let mut content = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut content, image::ImageFormat::Png)
        .unwrap();
    let content = content.into_inner();
    assert_eq!(server.send(&content).status, 200, "it is fitted");
    for cut in [0, 1, 8, content.len() / 2] {
        let answer = server.send(&content[..cut]);
        assert_eq!(answer.status, 422, "{}", answer.json);
        assert!(answer.json["error"].is_string(), "{}", answer.json);
    }
    let host = &server.address;
    let length = (16 << 20) + 1;
    let large = format!(
        "POST /api/image/sent HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"
    );
    assert_eq!(server.raw(large.as_bytes(), false), 413);
    assert_eq!(server.send(&vec![7; 1 << 20]).status, 422);
    // A picture of few bytes and very many pixels.
    let mut bomb = std::io::Cursor::new(Vec::new());
    let wide = image::GrayImage::new(30_000, 8_000);
    wide.write_to(&mut bomb, image::ImageFormat::Png).unwrap();
    let answer = server.send(&bomb.into_inner());
    assert_eq!(answer.status, 422, "{}", answer.json);
    assert!(answer.json["error"].as_str().unwrap().contains("too large"));
    server.is_alive();
}

#[test]
fn slow_clients_are_cut_off_and_keep_nobody_waiting() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    server.is_alive();
    let began = Instant::now();
    let mut slow = (0..200)
        .map(|i| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let begun = match i % 2 {
                0 => "GET / HT".to_owned(),
                _ => format!(
                    "POST /api/draw HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
                     Content-Length: 100\r\n\r\n{{",
                    server.address
                ),
            };
            stream.write_all(begun.as_bytes()).unwrap();
            stream
        })
        .collect::<Vec<_>>();
    server.is_alive();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "they keep others waiting"
    );
    for stream in &mut slow {
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    assert!(
        began.elapsed() < Duration::from_secs(45),
        "{:?}",
        began.elapsed()
    );
    server.is_alive();
}

#[test]
fn fifty_requests_at_once_are_all_answered() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    let alone = server.ok("/api/draw", &samples(9, 0.7, 1));
    thread::scope(|scope| {
        let asked = (0..50).map(|_| scope.spawn(|| server.ok("/api/draw", &samples(9, 0.7, 1))));
        for answer in asked.collect::<Vec<_>>() {
            assert_eq!(answer.join().unwrap(), alone);
        }
    });
}

#[test]
fn of_requests_of_a_view_that_wait_one_is_done() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    let server = &server;
    thread::scope(|scope| {
        // Without a view all are done, so the engine is busy while others arrive.
        let busy = (0..8)
            .map(|seed| scope.spawn(move || server.ok("/api/draw", &samples(100, 0.7, seed))));
        let busy = busy.collect::<Vec<_>>();
        let of_a_view = (0..20).map(|seed| {
            scope.spawn(move || server.post_as("tab/draw", "/api/draw", &samples(4, 0.7, seed)))
        });
        let of_a_view = of_a_view.collect::<Vec<_>>();
        let answers = of_a_view.into_iter().map(|one| one.join().unwrap());
        let statuses = answers.map(|answer| answer.status).collect::<Vec<_>>();
        let count = |status| statuses.iter().filter(|&&other| other == status).count();
        assert_eq!(count(200) + count(409), 20, "{statuses:?}");
        assert!(count(200) > 0, "the last to arrive is done");
        assert!(count(409) > 0, "all were done");
        for one in busy {
            one.join().unwrap();
        }
    });
}

#[test]
fn sentences_say_what_is_wrong() {
    let sandbox = Sandbox::with_digits();
    let server = Server::new(&sandbox, "");
    for (path, body, expected) in [
        (
            "/api/image",
            json!({ "image": "test:20" }),
            "there is no image 20",
        ),
        (
            "/api/image",
            json!({ "image": "valid:1" }),
            "an image is named",
        ),
        (
            "/api/levels",
            json!({
                "image": "test:1", "levels": [7], "draws": 1, "temperature": 1, "seed": 0, "class": "0",
            }),
            "there is no level 7",
        ),
        (
            "/api/change",
            json!({
                "image": "test:1", "changes": [{ "attribute": "smile", "amount": 1 }], "class": "0",
            }),
            "there is no attribute `smile`",
        ),
        (
            "/api/change",
            json!({
                "image": "test:1", "changes": [{ "attribute": "4:x", "amount": 1 }], "class": "0",
            }),
            "there is no class x",
        ),
    ] {
        let error = server.refused(path, &body);
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
