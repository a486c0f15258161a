//! What every request of API and pages passes on its way in and out: it gets an id, a known client, an identity and its
//! share of the rate; its body has a deadline; its answer is compressed; and whatever refuses it, be it an operation or
//! a layer that knows only a status, is told as a [`Problem`].

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use quaywatch_core::egress::Network;
use quaywatch_core::{Clock, IncidentId};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};

use crate::client::{self, Client};
use crate::identify::{Authenticate, Identified, identify};
use crate::limit::{Limiter, Rates, Standing};
use crate::listener::Peer;
use crate::problem::{PROBLEM_JSON, Problem};

/// For a body to arrive: what takes longer is answered 408.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// For an answer to begin: what takes longer is answered 503.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// What the server's file says about who is at the other end.
#[derive(Clone, Default)]
pub struct Settings {
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Trust,
    /// The beginning of every link; with `https` every client is taken to come over HTTPS.
    pub public_url: Option<String>,
    /// How often one may ask.
    pub rates: Rates,
}

/// Says whose word is believed now: the file may be read again at any time.
#[derive(Clone)]
pub struct Trust(pub Arc<dyn Fn() -> Arc<[Network]> + Send + Sync>);

/// Nobody's.
impl Default for Trust {
    fn default() -> Self {
        Self(Arc::new(|| Arc::new([])))
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// The id of a request; found in its extensions, in its answer's head (`X-Request-Id`), in problems and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// What stands around API and pages.
pub struct Gate {
    clock: Arc<dyn Clock>,
    authenticate: Arc<dyn Authenticate>,
    trusted: Trust,
    always_secure: bool,
    origin: Option<String>,
    limiter: Limiter,
    seed: RandomState,
    requests: AtomicU64,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("always_secure", &self.always_secure).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate.
    #[must_use]
    pub fn new(settings: Settings, authenticate: Arc<dyn Authenticate>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let origin = settings.public_url.as_deref().and_then(origin_of);
        Arc::new(Self {
            limiter: Limiter::new(settings.rates, &clock),
            clock,
            authenticate,
            trusted: settings.trusted_proxies,
            always_secure: settings.public_url.is_some_and(|url| url.starts_with("https://")),
            origin,
            seed: RandomState::new(),
            requests: AtomicU64::new(0),
        })
    }

    /// Puts the gate around a router.
    pub fn around(self: &Arc<Self>, router: Router) -> Router {
        let compressed = DefaultPredicate::new().and(NotForContentType::const_new(PROBLEM_JSON));
        router
            .layer(from_fn_with_state(Arc::clone(self), recognise))
            .layer(self.csrf())
            .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_DEADLINE))
            .layer(CatchPanicLayer::new())
            .layer(CompressionLayer::new().compress_when(compressed))
            .layer(from_fn_with_state(Arc::clone(self), name_and_tell))
    }

    /// Refuses what a browser sends from another site: a cookie would go along with it. Programs send neither
    /// `Sec-Fetch-Site` nor `Origin` and pass.
    fn csrf(&self) -> CsrfLayer {
        let layer = CsrfLayer::new();
        match &self.origin {
            Some(origin) => layer.clone().add_trusted_origin(origin).unwrap_or(layer),
            None => layer,
        }
    }

    fn request_id(&self) -> RequestId {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.seed.hash_one(number).to_be_bytes());
        random[8..].copy_from_slice(&(number as u16).to_be_bytes());
        let ms = u64::try_from(self.clock.now().millis()).unwrap_or(0);
        // Sortable by time, like everything that happens; only the kind's letters differ.
        let id = IncidentId::new(ms, random).to_string();
        RequestId(id.replacen("inc_", "req_", 1).into())
    }

    fn client(&self, request: &Request) -> Client {
        let peer =
            request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        client::of(peer, request.headers(), &(self.trusted.0)(), self.always_secure)
    }
}

/// `https://watch.example.com` of `https://watch.example.com/some/path`.
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split('/').next()?))
}

/// The outermost: gives the request its id, and the answer its last form.
async fn name_and_tell(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let id = gate.request_id();
    request.extensions_mut().insert(id.clone());
    let mut response = told(next.run(request).await, &id);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert("x-request-id", value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A refusal as a problem with the request's id, whoever refused.
fn told(mut response: Response, id: &RequestId) -> Response {
    let status = response.status();
    let is_page = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        // A page tells people in its own words.
        kind.as_bytes().starts_with(b"text/html")
    });
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if response.extensions().get::<ProtectionError>().is_some() => {
            Problem::new(status, "a browser sent this from another site").with_code("cross_site")
        }
        None if status == StatusCode::SERVICE_UNAVAILABLE => {
            Problem::new(status, "it took too long; try again").retry_after(Duration::from_secs(5))
        }
        None => Problem::of(status),
    };
    let mut problem = problem.of_request(&id.0).into_response();
    for (name, value) in response.headers() {
        let about_the_body = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];
        if !about_the_body.contains(name) && !problem.headers().contains_key(name) {
            problem.headers_mut().append(name.clone(), value.clone());
        }
    }
    problem
}

/// Learns who asks, and whether they may ask again already.
async fn recognise(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let client = gate.client(&request);
    let mut identified = identify(gate.authenticate.as_ref(), request.headers(), &client).await;
    if let (Identified::Caller(caller, _), Some(id)) =
        (&mut identified, request.extensions().get::<RequestId>())
    {
        caller.request_id = Some((*id.0).into());
    }
    let standing = gate.limiter.take(identified.caller(), client.address);
    let mut response = if standing.is_allowed {
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(identified);
        next.run(request).await
    } else {
        too_often(standing)
    };
    standing.tell(response.headers_mut());
    response
}

fn too_often(standing: Standing) -> Response {
    let wait = standing.wait();
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("too many requests: try again in {seconds} s"))
        .retry_after(wait)
        .into_response()
}

/// For tests of routers without a listener: requests come from this address.
pub fn as_if_from(address: IpAddr, router: Router) -> Router {
    router.layer(Extension(Peer(address)))
}
