//! A thin HTTP client for channels: one request, one fresh connection through the dialler, one answer of bounded size
//! in bounded time. No redirects (the caller decides what a 3xx means), no pool (a pooled connection would outlive a
//! change of policy), no compression.
//!
//! An error says whether any byte of the request had been handed to the connection: before that, trying again is
//! safe; after that, the other side may have acted on it.
//!
//! URLs may carry tokens in their path or query, so no text made here repeats more of a URL than its host.

mod counted;
pub mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use quaywatch_core::{BootTime, Clock, ErrorCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::dial::{DialError, Dialler};
use counted::{Counted, Written};

pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// How long an exchange may take and how much of the answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For resolving, connecting and TLS.
    pub connect: Duration,
    /// For everything.
    pub total: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(15), body: 4_096 }
    }
}

/// What is sent. `host` and `content-length` are filled in; `user-agent` and the rest are the caller's.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to: `http` or `https`, without credentials.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, at most [`Limits::body`] bytes of it.
    pub body: Bytes,
    /// There was more, or it did not come to its end in time.
    pub body_cut: bool,
}

/// How far a failed exchange had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpStage {
    /// No byte of the request had been written: the other side cannot have acted on it.
    BeforeRequest,
    /// Some of the request had been written: the other side may have acted on it.
    AfterRequest,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpErrorKind {
    /// The URL cannot be used: wrong scheme, no host, credentials in it.
    Url,
    /// The egress policy forbids the address.
    Policy,
    /// The name does not resolve; `self_*` codes are our own fault.
    Resolve(ErrorCode),
    /// No connection: refused, unreachable, reset.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// Time was up.
    Timeout,
    /// The connection was lost.
    Closed,
    /// What came back is not HTTP.
    Protocol,
}

/// A failed exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HttpError {
    /// How far it had come.
    pub stage: HttpStage,
    /// What went wrong.
    pub kind: HttpErrorKind,
    /// The same in words, without secrets.
    pub text: String,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    dialler: Dialler,
    clock: Arc<dyn Clock>,
    tls: Arc<ClientConfig>,
}

impl HttpClient {
    /// A client that dials through `dialler` and trusts what `tls` trusts (see [`tls::client_config`]).
    #[must_use]
    pub fn new(dialler: Dialler, tls: Arc<ClientConfig>, clock: Arc<dyn Clock>) -> Self {
        Self { dialler, clock, tls }
    }

    /// The same client with another dialler: another account's policy.
    #[must_use]
    pub fn with_dialler(&self, dialler: Dialler) -> Self {
        Self { dialler, ..self.clone() }
    }

    /// The same client with other trust: a private CA, a client certificate.
    #[must_use]
    pub fn with_tls(&self, tls: Arc<ClientConfig>) -> Self {
        Self { tls, ..self.clone() }
    }

    /// The dialler it uses.
    #[must_use]
    pub const fn dialler(&self) -> &Dialler {
        &self.dialler
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    /// If no answer's status came back in time.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Response, HttpError> {
        let start = self.clock.boot();
        let target = Target::of(&request.url)?;
        let stream = match timeout(limits.connect.min(limits.total), self.connect(&target, limits)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(before(HttpErrorKind::Timeout, target.late("connection", limits.connect))),
        };
        let (clock, end) = (&*self.clock, start + limits.total);
        Exchange { clock, target: &target, limits, end, written: Written::default() }
            .run(stream, request)
            .await
    }

    async fn connect(&self, target: &Target, limits: Limits) -> Result<Box<dyn Stream>, HttpError> {
        let stream = self
            .dialler
            .connect(&target.host, target.port, limits.connect)
            .await
            .map_err(|error| refused(target, &error))?;
        let Some(name) = &target.tls_name else {
            return Ok(Box::new(stream));
        };
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name.clone(), stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(before(HttpErrorKind::Tls, format!("TLS with {}: {error}", target.host))),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("dialler", &self.dialler).finish_non_exhaustive()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a URL points.
struct Target {
    /// Name or address, without brackets.
    host: String,
    port: u16,
    /// As the `host` header has it.
    authority: String,
    /// Path and query.
    path: String,
    tls_name: Option<ServerName<'static>>,
}

impl Target {
    fn of(url: &Url) -> Result<Self, HttpError> {
        let wrong = |text: &str| before(HttpErrorKind::Url, text.to_owned());
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("the URL must begin with https:// or http://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the URL holds a user name or password; use a header"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(wrong("the URL has no host"));
        };
        let in_url = host.to_string();
        let host = match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(ip) => ip.to_string(),
            url::Host::Ipv6(ip) => ip.to_string(),
        };
        let authority = url.port().map_or_else(|| in_url.clone(), |port| format!("{in_url}:{port}"));
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let tls_name = if secure {
            let name = host.strip_suffix('.').unwrap_or(&host).to_owned();
            Some(
                ServerName::try_from(name)
                    .map_err(|_| wrong("the URL's host cannot be a TLS server's name"))?,
            )
        } else {
            None
        };
        Ok(Self { host, port, authority, path, tls_name })
    }

    fn late(&self, what: &str, limit: Duration) -> String {
        format!("no {what} from {} within {} ms", self.host, limit.as_millis())
    }
}

/// One exchange over one connection.
struct Exchange<'a> {
    clock: &'a dyn Clock,
    target: &'a Target,
    limits: Limits,
    end: BootTime,
    written: Written,
}

impl Exchange<'_> {
    /// Sends the request and reads the answer.
    async fn run(self, stream: Box<dyn Stream>, request: Request) -> Result<Response, HttpError> {
        let request = assemble(self.target, request)?;
        let stream = Counted::new(stream, self.written.clone());
        let talk = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Ends with the exchange at the latest: dropped, it is aborted.
            let driver = AbortOnDropHandle::new(tokio::spawn(connection));
            let response = sender.send_request(request).await?;
            Ok((response, driver))
        };
        let (response, _driver) = match timeout(self.left(), talk).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.lost(&error)),
            Err(_) => {
                let text = self.target.late("answer", self.limits.total);
                return Err(HttpError { stage: self.written.stage(), kind: HttpErrorKind::Timeout, text });
            }
        };
        let (head, body) = response.into_parts();
        let (body, body_cut) = self.read(body).await;
        Ok(Response { status: head.status, headers: head.headers, body, body_cut })
    }

    /// Reads as much of the body as fits into limit and time. The status stands whatever becomes of the body.
    async fn read(&self, mut body: Incoming) -> (Bytes, bool) {
        let mut bytes = BytesMut::new();
        let all = async {
            while let Some(Ok(frame)) = body.frame().await {
                let Some(data) = frame.data_ref() else { continue };
                let room = self.limits.body - bytes.len();
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return true;
                }
            }
            !body.is_end_stream()
        };
        let cut = timeout(self.left(), all).await.unwrap_or(true);
        (bytes.freeze(), cut)
    }

    fn left(&self) -> Duration {
        self.end.since(self.clock.boot())
    }

    fn lost(&self, error: &hyper::Error) -> HttpError {
        let (kind, what) = if error.is_parse() {
            (HttpErrorKind::Protocol, "the answer is not HTTP")
        } else {
            (HttpErrorKind::Closed, "the connection was lost")
        };
        let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        let text = format!("{}: {what} ({reason})", self.target.host);
        HttpError { stage: self.written.stage(), kind, text }
    }
}

fn assemble(target: &Target, request: Request) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let wrong = |_| before(HttpErrorKind::Url, "the URL cannot be put into a request".to_owned());
    let mut built = hyper::Request::builder().method(request.method).uri(&target.path);
    if let Some(headers) = built.headers_mut() {
        *headers = request.headers;
        headers.insert(
            header::HOST,
            HeaderValue::from_str(&target.authority).map_err(|error| wrong(error.into()))?,
        );
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    built.body(Full::new(request.body)).map_err(wrong)
}

const fn before(kind: HttpErrorKind, text: String) -> HttpError {
    HttpError { stage: HttpStage::BeforeRequest, kind, text }
}

fn refused(target: &Target, error: &DialError) -> HttpError {
    let kind = match error {
        DialError::Name { .. } => HttpErrorKind::Url,
        DialError::Policy { .. } => HttpErrorKind::Policy,
        DialError::Resolve { code, .. } => HttpErrorKind::Resolve(*code),
        DialError::Connect(_) => HttpErrorKind::Connect,
        DialError::Timeout(_) => HttpErrorKind::Timeout,
    };
    before(kind, format!("{}: {error}", target.host))
}
