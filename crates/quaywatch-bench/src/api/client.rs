//! One client with one connection that stays open, as scripts have.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    token: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(super) fn connect(address: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream), address, token: token.to_owned() })
    }

    /// How long it took from the first byte of the request to the last of the answer, and what was answered. Waits
    /// before it asks again where it is told to.
    ///
    /// # Errors
    /// Where the answer is anything but good.
    pub(super) fn timed(&mut self, method: &str, path: &str, body: &str) -> io::Result<(Duration, String)> {
        for _ in 0..10 {
            let began = SystemClock.boot();
            let (status, answer) = self.exchange(method, path, body)?;
            let took = SystemClock.boot().since(began);
            match status {
                200 | 201 => return Ok((took, answer)),
                429 => crate::pass(Duration::from_secs(1)),
                other => return Err(io::Error::other(format!("{method} {path}: {other} {answer}"))),
            }
        }
        Err(io::Error::other(format!("{method} {path}: limited for ten seconds")))
    }

    fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        let (mut status, mut length) = (0, 0);
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
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
