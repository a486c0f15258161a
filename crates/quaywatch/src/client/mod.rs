//! A server's API as the commands use it: one request, one answer, and every failure told with the server's name and
//! what to do about it.
//!
//! It is the user's own machine and their own choice of server, so the egress policy forbids nothing but what no setting
//! allows.

mod choose;
mod failure;
mod profiles;

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::{Clock, Secret};
use quaywatch_net::http::{
    HeaderMap, HeaderValue, HttpClient, Limits, Method, Request, Response, StatusCode, header, tls,
};
use quaywatch_net::{Dialler, Resolver, ResolverConfig, SystemClock};
use serde_json::Value;
use url::Url;

use crate::arguments::Remote;
use crate::terminal;

pub(crate) use choose::{Chosen, address, is_clear_and_far, parse};
use choose::{choose, is_named};
pub(crate) use failure::{Failure, WrongField};
pub(crate) use profiles::{Profile, Profiles};

/// For what a server answers at once.
const SOON: Duration = Duration::from_secs(30);
/// For documents: a hundred thousand monitors take a minute.
const LONG: Duration = Duration::from_secs(600);
/// Bytes of an answer: a page of a thousand monitors takes two million, everything as YAML some tens of millions.
const ANSWER: usize = 256 << 20;
/// How long a server that is asked too often may make us wait, all in all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and who asks it.
pub(crate) struct Client {
    http: HttpClient,
    chosen: Chosen,
}

/// What is asked.
pub(crate) struct Call<'c> {
    method: Method,
    /// Below `/api/v1`, one item a segment.
    path: &'c [&'c str],
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    within: Duration,
}

impl<'c> Call<'c> {
    pub(crate) const fn get(path: &'c [&'c str]) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, within: SOON }
    }

    pub(crate) const fn delete(path: &'c [&'c str]) -> Self {
        Self { method: Method::DELETE, path, query: Vec::new(), body: None, within: SOON }
    }

    pub(crate) fn post(path: &'c [&'c str], body: &Value) -> Self {
        let body = Some(("application/json", body.to_string().into_bytes()));
        Self { method: Method::POST, path, query: Vec::new(), body, within: SOON }
    }

    /// A document, which may take the server its time.
    pub(crate) fn document(path: &'c [&'c str], text: &str) -> Self {
        let body = Some(("application/yaml", text.as_bytes().to_vec()));
        Self { method: Method::POST, path, query: Vec::new(), body, within: LONG }
    }

    /// For answers that may be long.
    pub(crate) const fn long(mut self) -> Self {
        self.within = LONG;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

impl Client {
    /// The client that flags, environment and profiles ask for.
    ///
    /// # Errors
    /// Where none of them names a server, or a token for it.
    pub(crate) fn new(remote: &Remote) -> Result<Self, String> {
        let profiles = Profiles::open()?;
        let chosen = choose(remote, &|name| std::env::var(name).ok(), &profiles)?;
        if chosen.profile.is_none() && is_clear_and_far(&chosen.server) {
            terminal::warn(&format!("the token goes to {} unencrypted", chosen.server));
        }
        Ok(Self::to(chosen))
    }

    /// A client of this server.
    pub(crate) fn to(chosen: Chosen) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(&clock));
        let dialler = Dialler::new(resolver, EgressPolicy::lenient(), Arc::clone(&clock));
        Self { http: HttpClient::new(dialler, tls::client_config(tls::roots()), clock), chosen }
    }

    /// The server, for sentences.
    pub(crate) fn server(&self) -> String {
        address(&self.chosen.server)
    }

    /// The answer as JSON; null where there is nothing to say.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) async fn json(&self, call: Call<'_>) -> Result<Value, Failure> {
        let response = self.ask(call).await?;
        if response.status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        self.expect_type(&response, "application/json")?;
        serde_json::from_slice(&response.body).map_err(|_| Failure::stranger(&self.server(), &response))
    }

    /// The answer as YAML.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) async fn yaml(&self, call: Call<'_>) -> Result<String, Failure> {
        let response = self.ask(call).await?;
        self.expect_type(&response, "application/yaml")?;
        String::from_utf8(response.body.to_vec()).map_err(|_| Failure::stranger(&self.server(), &response))
    }

    fn expect_type(&self, response: &Response, wanted: &str) -> Result<(), Failure> {
        let is = failure::media_type(response);
        if is == wanted { Ok(()) } else { Err(Failure::stranger(&self.server(), response)) }
    }

    /// Asks; and again after a while where the server says that it was asked too often, which it says before it does
    /// anything.
    async fn ask(&self, call: Call<'_>) -> Result<Response, Failure> {
        let request = self.request(&call)?;
        let mut patience = PATIENCE;
        loop {
            let limits = Limits { total: call.within, body: ANSWER, ..Limits::default() };
            let sent = self.http.send(request.clone(), limits).await;
            let response = sent.map_err(|error| Failure::unanswered(&self.chosen.server, error))?;
            let wait = failure::retry_after(&response).filter(|wait| *wait <= patience);
            match wait {
                Some(wait) if response.status == StatusCode::TOO_MANY_REQUESTS => {
                    patience -= wait;
                    tokio::time::sleep(wait).await;
                }
                Some(_) | None => return Failure::of(&self.chosen.server, response),
            }
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request, Failure> {
        let mut url: Url = self.chosen.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut headers = HeaderMap::new();
        let agent = concat!("quaywatch/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, application/yaml"));
        headers.insert(header::AUTHORIZATION, bearer(&self.chosen.token)?);
        let mut body = Vec::new();
        if let Some((kind, bytes)) = &call.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            body.clone_from(bytes);
        }
        Ok(Request { method: call.method.clone(), url, headers, body: body.into() })
    }
}

/// Whether flags, environment or profiles name a server at all.
///
/// # Errors
/// Where the profiles cannot be read.
pub(crate) fn is_asked_for(remote: &Remote) -> Result<bool, String> {
    Ok(is_named(remote, &|name| std::env::var(name).ok(), &Profiles::open()?))
}

fn bearer(token: &Secret<String>) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).map_err(|_| {
        Failure::Said("the token has characters that no token has: is it mistyped?".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Does something that talks to a server; the program's status.
pub(crate) fn run(
    work: impl AsyncFnOnce() -> Result<std::process::ExitCode, String>,
) -> std::process::ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(work()) {
        Ok(status) => status,
        Err(error) => terminal::fail(&error),
    }
}
