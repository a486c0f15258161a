//! Talking to the API in raw HTTP, and keeping every answer to be looked through.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A client that remembers what it was told.
#[derive(Debug)]
pub(crate) struct Talk {
    address: SocketAddr,
    /// What was asked, and the whole answer.
    pub(crate) heard: Vec<(String, Vec<u8>)>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The session's cookie, `qw=…`, where one was set.
    pub(crate) cookie: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A text of the body.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let text = json.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no {pointer} in {} {}", self.status, self.body)).to_owned()
    }
}

impl Talk {
    /// Talks to a server.
    pub(crate) const fn to(address: SocketAddr) -> Self {
        Self { address, heard: Vec::new() }
    }

    /// Asks, and keeps the answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let (raw, answer) = self.exchange(method, path, headers, body);
        self.heard.push((format!("{method} {path}"), raw));
        answer
    }

    /// Asks for what is shown once, by design: the answer is not kept.
    pub(crate) fn ask_once(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        self.exchange(method, path, headers, body).1
    }

    /// Posts JSON.
    pub(crate) fn post(&mut self, path: &str, by: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[by, "content-type: application/json"], &body.to_string())
    }

    fn exchange(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (Vec<u8>, Answer) {
        let mut stream =
            TcpStream::connect_timeout(&self.address, Duration::from_secs(5)).expect("it listens");
        // The stream of transitions never ends: what came by then is the answer.
        let patience = if path.ends_with("/events") { 1 } else { 20 };
        stream.set_read_timeout(Some(Duration::from_secs(patience))).expect("a flag");
        let mut text = format!("{method} {path} HTTP/1.0\r\nhost: {}\r\n", self.address);
        for header in headers.iter().filter(|header| !header.is_empty()) {
            text.push_str(&format!("{header}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut raw = Vec::new();
        let ended = stream.read_to_end(&mut raw);
        assert!(ended.is_ok() || path.ends_with("/events"), "{method} {path}: {ended:?}");
        let answer = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .and_then(|cookie| cookie.split(';').next())
            .map(str::to_owned);
        (raw, Answer { status, cookie, body: body.to_owned() })
    }
}
