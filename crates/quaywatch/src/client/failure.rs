//! Why a server did not do what it was asked, in words for a terminal: which server, what it said, what to do, and the
//! id under which its log has the request.

use std::fmt;
use std::time::Duration;

use quaywatch_net::http::{HttpError, HttpErrorKind, Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::address;
use crate::terminal;

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A sentence of our own.
    Said(String),
    /// Nothing was sent: nobody was reached, in a sentence of our own.
    Unreached(String),
    /// The server refused.
    Refused(Box<Refusal>),
}

/// What a server says about what it did not do (RFC 9457).
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    server: String,
    pub(crate) status: u16,
    title: String,
    detail: String,
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) errors: Vec<WrongField>,
    #[serde(default)]
    retry_after: Option<u64>,
}

/// A field that is wrong.
#[derive(Debug, Deserialize)]
pub(crate) struct WrongField {
    #[serde(default)]
    pub(crate) pointer: Option<String>,
    #[serde(default)]
    parameter: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) suggestion: Option<String>,
}

impl Failure {
    /// The answer where it is one, else why not.
    pub(super) fn of(server: &Url, response: Response) -> Result<Response, Self> {
        let status = response.status;
        let name = address(server);
        if response.body_cut {
            return Err(Self::Said(format!(
                "{name} broke off in the middle of its answer: ask for less, or again"
            )));
        }
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(Self::moved(&name, &response));
        }
        if media_type(&response) == "application/problem+json"
            && let Ok(refusal) = serde_json::from_slice::<Refusal>(&response.body)
        {
            return Err(Self::Refused(Box::new(Refusal { server: name, ..refusal })));
        }
        if server.scheme() == "http" && status == StatusCode::BAD_REQUEST && speaks_of_https(&response) {
            return Err(Self::Said(format!("{name} wants HTTPS: write https:// instead of http://")));
        }
        Err(Self::stranger(&name, &response))
    }

    /// What answers is no Quaywatch server.
    pub(super) fn stranger(server: &str, response: &Response) -> Self {
        let kind = media_type(response);
        let kind = if kind.is_empty() { "nothing that says what it is".to_owned() } else { kind };
        Self::Said(format!(
            "{server} answers, but not as Quaywatch does (status {}, {}): is this the server's address, or a proxy before \
             it that is set up wrong?",
            response.status.as_u16(),
            terminal::clean(&kind),
        ))
    }

    fn moved(server: &str, response: &Response) -> Self {
        let to =
            response.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        // A token is for whom it was given to.
        Self::Said(format!(
            "{server} sends us on to {} (status {}): if you trust that address, name it as the server",
            terminal::clean(to),
            response.status.as_u16(),
        ))
    }

    /// Nobody answered.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn unanswered(server: &Url, error: HttpError) -> Self {
        let name = address(server);
        let hint = hint(server, &error);
        let told = format!("no answer from {name}: {}{hint}", terminal::clean(&error.text));
        match error.kind {
            HttpErrorKind::Connect
            | HttpErrorKind::Resolve(_)
            | HttpErrorKind::Url
            | HttpErrorKind::Policy
            | HttpErrorKind::Tls => Self::Unreached(told),
            HttpErrorKind::Timeout | HttpErrorKind::Protocol | HttpErrorKind::Closed => Self::Said(told),
        }
    }
}

/// What to do about an exchange that failed.
fn hint(server: &Url, error: &HttpError) -> &'static str {
    let is_secure = server.scheme() == "https";
    match error.kind {
        HttpErrorKind::Connect => "; is the server running, and does it listen there (`server.listen`)?",
        HttpErrorKind::Tls if error.text.contains("corrupt message") => {
            "; what listens there does not speak TLS: is it http:// instead of https://?"
        }
        HttpErrorKind::Tls if error.text.contains("certificate") => {
            "; SSL_CERT_FILE names a file with the certificate of your own authority, where it is one that this machine \
             does not know"
        }
        HttpErrorKind::Protocol | HttpErrorKind::Closed if !is_secure => {
            "; if what listens there wants TLS, write https:// instead of http://"
        }
        HttpErrorKind::Resolve(_) => "; is the name right?",
        HttpErrorKind::Timeout => "; is there a firewall in between, or too much asked at once?",
        HttpErrorKind::Url
        | HttpErrorKind::Policy
        | HttpErrorKind::Tls
        | HttpErrorKind::Protocol
        | HttpErrorKind::Closed => "",
    }
}

fn speaks_of_https(response: &Response) -> bool {
    String::from_utf8_lossy(&response.body).to_ascii_uppercase().contains("HTTPS")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(sentence) | Self::Unreached(sentence) => f.write_str(sentence),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{} answered {}: {}", self.server, self.status, terminal::clean(detail))?;
        // One wrong field is what the detail says already, but for where and what instead.
        for error in &self.errors {
            let place = error.pointer.as_deref().or(error.parameter.as_deref()).unwrap_or_default();
            let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
            write!(f, "\n  {}{}", terminal::clean(&place), terminal::clean(&error.message))?;
            if let Some(suggestion) = &error.suggestion {
                write!(f, "; {}", terminal::clean(suggestion))?;
            }
        }
        if let Some(remedy) = self.remedy() {
            write!(f, "\n  {remedy}")?;
        }
        match self.request() {
            Some(id) => write!(f, "\n  its log has the request as {}", terminal::clean(id)),
            None => Ok(()),
        }
    }
}

impl Refusal {
    fn remedy(&self) -> Option<String> {
        match self.status {
            401 => Some(
                "the token is not one that this server takes (any more): `quaywatch token create` on the server's own host \
                 makes one, `quaywatch profile add` keeps it"
                    .to_owned(),
            ),
            403 if self.code.as_deref() == Some("access") => {
                Some("the token has not that scope: use another one, or make one that has".to_owned())
            }
            429 => self.retry_after.map(|seconds| format!("ask again in {}", terminal::short(seconds))),
            _ => None,
        }
    }

    /// The request's id, as the server's log has it.
    fn request(&self) -> Option<&str> {
        self.instance.as_deref()?.strip_prefix("/requests/")
    }
}

/// The type of an answer's body, without its parameters.
pub(super) fn media_type(response: &Response) -> String {
    let kind =
        response.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How long the server asks us to wait, in seconds as it says it; at least one.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.max(1)))
}
