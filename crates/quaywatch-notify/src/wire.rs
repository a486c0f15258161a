//! HTTP as channels see it: one request, one answer, or why there is none.
//!
//! Behind this trait stands the one client of the server (egress policy on every address, no redirects, limits on
//! time and size); in tests, whatever a test wants the receiver to do.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use quaywatch_net::http::{HttpClient, HttpError, HttpErrorKind, HttpStage, Limits, Request};
use url::Url;

use crate::BoxFuture;

/// Sends one request.
pub trait Wire: Send + Sync {
    /// Sends one request and reads at most 4 kB of the answer; 10 s to connect, 15 s in all; follows no redirect.
    fn send(&self, request: Post) -> BoxFuture<'_, Result<Answer, WireError>>;
}

/// What is sent.
#[derive(Clone)]
pub struct Post {
    /// POST or PUT.
    pub method: Method,
    /// Where to; may carry a token, so it is not to be shown.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What the receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The first 4 kB of its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// Whose fault, and how far it came.
    pub fault: Fault,
    /// In words, without any secret: hosts may be named, paths and queries may not.
    pub text: String,
}

/// How far a request came that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The egress policy forbids the address.
    Policy,
    /// The request can never work as it is set up (not a URL that we can dial).
    Settings,
    /// Not a byte of the request was written: the receiver cannot have it.
    BeforeRequest,
    /// The request was written, the answer was not read: the receiver may have it.
    AfterRequest,
}

impl Wire for HttpClient {
    fn send(&self, request: Post) -> BoxFuture<'_, Result<Answer, WireError>> {
        let Post { method, url, headers, body } = request;
        Box::pin(async move {
            match self.send(Request { method, url, headers, body }, Limits::default()).await {
                Ok(answer) => {
                    Ok(Answer { status: answer.status, headers: answer.headers, body: answer.body })
                }
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl From<HttpError> for WireError {
    fn from(error: HttpError) -> Self {
        let fault = match (error.kind, error.stage) {
            (HttpErrorKind::Policy, _) => Fault::Policy,
            (HttpErrorKind::Url, _) => Fault::Settings,
            (
                HttpErrorKind::Resolve(_)
                | HttpErrorKind::Connect
                | HttpErrorKind::Tls
                | HttpErrorKind::Timeout
                | HttpErrorKind::Closed
                | HttpErrorKind::Protocol,
                HttpStage::BeforeRequest,
            ) => Fault::BeforeRequest,
            (_, HttpStage::AfterRequest) => Fault::AfterRequest,
        };
        Self { fault, text: error.text }
    }
}
