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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use quaywatch_core::Clock;
    use quaywatch_core::egress::{Accounts, EgressPolicy, Network};
    use quaywatch_net::http::tls;
    use quaywatch_net::{Dialler, Resolver, ResolverConfig, SystemClock};
    use quaywatch_testkit::sink::{Answer as Says, Sink};

    use super::*;

    fn client(egress: EgressPolicy) -> HttpClient {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(&clock));
        let dialler = Dialler::new(resolver, egress, Arc::clone(&clock));
        HttpClient::new(dialler, tls::client_config(tls::roots()), clock)
    }

    async fn post(client: &HttpClient, url: &str) -> Result<Answer, Fault> {
        let url = Url::parse(url).expect("a URL");
        let body = Bytes::from_static(b"{}");
        let wire: &dyn Wire = client;
        wire.send(Post { method: Method::POST, url, headers: HeaderMap::new(), body })
            .await
            .map_err(|error| error.fault)
    }

    #[tokio::test]
    async fn the_real_client_says_how_far_it_came() {
        let sink = Sink::start();
        let open = client(EgressPolicy::default());
        let answered = |answer| sink.always(answer);
        assert_eq!(post(&open, &sink.url()).await.map(|a| a.status.as_u16()), Ok(204));
        answered(Says::Redirect("http://127.0.0.1:1/".into()));
        let redirected = post(&open, &sink.url()).await.map(|a| a.status.is_redirection());
        assert_eq!(redirected, Ok(true), "and does not follow");
        answered(Says::Limited(17));
        let limited = post(&open, &sink.url()).await.expect("an answer");
        assert_eq!(limited.headers["retry-after"], "17");
        answered(Says::ResetAfter);
        assert_eq!(post(&open, &sink.url()).await, Err(Fault::AfterRequest));
        let url = sink.url();
        drop(sink);
        assert_eq!(post(&open, &url).await, Err(Fault::BeforeRequest), "nobody listens");
        let closed = client(EgressPolicy::new(
            Accounts::Single,
            vec![],
            vec![Network::new([127, 0, 0, 0].into(), 8).expect("a network")],
        ));
        assert_eq!(post(&closed, "http://127.0.0.1:9/").await, Err(Fault::Policy));
        assert_eq!(post(&open, "ftp://127.0.0.1/").await, Err(Fault::Settings));
    }

    #[tokio::test]
    async fn a_receiver_that_takes_and_says_nothing_may_have_it() {
        let sink = Sink::start();
        sink.always(Says::Hang(Duration::from_millis(300)));
        assert_eq!(post(&client(EgressPolicy::default()), &sink.url()).await, Err(Fault::AfterRequest));
    }
}
