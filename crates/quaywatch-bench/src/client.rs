//! One client with one connection that stays open, as scripts have.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;

/// The client.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// A line of the head that says who asks.
    credential: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    /// `NAME=VALUE`, where one was set.
    cookie: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// The text of a field, wherever in the body; what has quotes in it is not asked for here.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn text(&self, field: &str) -> io::Result<&str> {
        let begin = format!("\"{field}\":\"");
        let rest = self.body.split_once(&begin).and_then(|(_, rest)| rest.split_once('"'));
        rest.map(|(text, _)| text).ok_or_else(|| io::Error::other(format!("no `{field}` in {}", self.body)))
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(crate) fn connect(address: SocketAddr, token: &str) -> io::Result<Self> {
        Self::stranger(address).map(|client| client.with_token(token))
    }

    /// Connects without saying who asks.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(crate) fn stranger(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream), address, credential: "accept: */*".to_owned() })
    }

    fn with_token(mut self, token: &str) -> Self {
        self.credential = format!("authorization: Bearer {token}");
        self
    }

    /// Is from now on whoever an answer has signed in.
    ///
    /// # Errors
    /// Where it has signed in nobody.
    pub(crate) fn become_signed_in(&mut self, answer: &Answer) -> io::Result<()> {
        let cookie = answer.cookie.as_deref().ok_or_else(|| io::Error::other("nobody was signed in"))?;
        self.credential = format!("cookie: {cookie}");
        Ok(())
    }

    /// How long it took from the first byte of the request to the last of the answer, and what was answered. Waits
    /// before it asks again where it is told to.
    ///
    /// # Errors
    /// Where the answer is anything but good.
    pub(crate) fn timed(&mut self, method: &str, path: &str, body: &str) -> io::Result<(Duration, String)> {
        for _ in 0..10 {
            let began = SystemClock.boot();
            let answer = self.exchange(method, path, body)?;
            let took = SystemClock.boot().since(began);
            match answer.status {
                200 | 201 => return Ok((took, answer.body)),
                429 => crate::pass(Duration::from_secs(1)),
                other => return Err(io::Error::other(format!("{method} {path}: {other} {}", answer.body))),
            }
        }
        Err(io::Error::other(format!("{method} {path}: limited for ten seconds")))
    }

    /// Posts something, once.
    ///
    /// # Errors
    /// Where the answer is anything but good.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let answer = self.exchange("POST", path, body)?;
        if !(200..300).contains(&answer.status) {
            return Err(io::Error::other(format!("POST {path}: {} {}", answer.status, answer.body)));
        }
        Ok(answer)
    }

    fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            self.credential,
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        let (mut status, mut length, mut cookie) = (0, 0, None);
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("{method} {path}: the connection ended")));
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|s| s.parse().ok()).unwrap_or(0);
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            } else if name.eq_ignore_ascii_case("set-cookie") {
                cookie = value.split(';').next().map(|cookie| cookie.trim().to_owned());
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, cookie, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
