//! One HTTP request over a socket: enough to see what a browser or a scraper would get.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u16,
    /// Header lines, lower case.
    pub head: String,
    pub body: String,
}

pub fn http_get(address: SocketAddr, path: &str) -> HttpAnswer {
    http_request(address, "GET", path)
}

/// Asks again until the answer is JSON as wanted: what the page shows follows the acknowledgements by a moment.
///
/// # Panics
/// When it does not become so in time.
pub fn http_json_until(address: SocketAddr, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = http_get(address, path);
        let json: Value = serde_json::from_str(&answer.body).expect("JSON");
        if answer.status == 200 && wanted(&json) {
            return json;
        }
        assert!(Instant::now() < deadline, "{path} stays at {json}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// # Panics
/// When the server does not answer in HTTP within ten seconds.
pub fn http_request(address: SocketAddr, method: &str, path: &str) -> HttpAnswer {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    HttpAnswer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
