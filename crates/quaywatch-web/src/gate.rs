//! What every request of API and pages passes on its way in and out: it gets an id, a known client, an identity and its
//! share of the rate; its body has a deadline; its answer is compressed; and whatever refuses it, be it an operation or
//! a layer that knows only a status, is told as a [`Problem`].

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use quaywatch_core::egress::Network;
use quaywatch_core::{Clock, IncidentId};
use tower::{Layer as _, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};

use crate::client::{self, Client};
use crate::identify::{Authenticate, Identified, carries_token, identify};
use crate::limit::{Limiter, Rates, Standing};
use crate::listener::Peer;
use crate::problem::{PROBLEM_JSON, Problem};

/// For a body to arrive: what takes longer is answered 408.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// For an answer to begin: what takes longer is answered 503.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// What the server's file says about who is at the other end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Arc<[Network]>,
    /// The beginning of every link; with `https` every client is taken to come over HTTPS.
    pub public_url: Option<String>,
    /// How often one may ask.
    pub rates: Rates,
}

/// Says what the file says now: it may be read again at any time.
type Now = Box<dyn Fn() -> Settings + Send + Sync>;

/// What follows from one reading of the file.
struct InForce {
    settings: Settings,
    always_secure: bool,
    same_site: CsrfLayer,
    limiter: Arc<Limiter>,
}

impl InForce {
    fn of(settings: Settings, limiter: Arc<Limiter>) -> Self {
        let origin = settings.public_url.as_deref().and_then(origin_of);
        let layer = CsrfLayer::new();
        let same_site = match origin {
            Some(origin) => layer.clone().add_trusted_origin(&origin).unwrap_or(layer),
            None => layer,
        };
        let always_secure = settings.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        Self { settings, always_secure, same_site, limiter }
    }
}

/// The id of a request; found in its extensions, in its answer's head (`X-Request-Id`), in problems and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// What stands around API and pages.
pub struct Gate {
    clock: Arc<dyn Clock>,
    authenticate: Arc<dyn Authenticate>,
    now: Now,
    in_force: RwLock<Arc<InForce>>,
    seed: RandomState,
    requests: AtomicU64,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate whose settings stay.
    #[must_use]
    pub fn new(settings: Settings, authenticate: Arc<dyn Authenticate>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::following(move || settings.clone(), authenticate, clock)
    }

    /// A gate that does as `now` says, request by request.
    #[must_use]
    pub fn following(
        now: impl Fn() -> Settings + Send + Sync + 'static,
        authenticate: Arc<dyn Authenticate>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let settings = now();
        let limiter = Arc::new(Limiter::new(settings.rates, &clock));
        Arc::new(Self {
            clock,
            authenticate,
            now: Box::new(now),
            in_force: RwLock::new(Arc::new(InForce::of(settings, limiter))),
            seed: RandomState::new(),
            requests: AtomicU64::new(0),
        })
    }

    /// What holds for a request that arrives now. Other rates begin with full buckets; whatever else changes leaves the
    /// buckets as they are.
    fn in_force(&self) -> Arc<InForce> {
        let now = (self.now)();
        let known = Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner));
        if known.settings == now {
            return known;
        }
        let limiter = if known.settings.rates == now.rates {
            Arc::clone(&known.limiter)
        } else {
            Arc::new(Limiter::new(now.rates, &self.clock))
        };
        let next = Arc::new(InForce::of(now, limiter));
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&next);
        next
    }

    /// Puts the gate around a router.
    pub fn around(self: &Arc<Self>, router: Router) -> Router {
        let compressed = DefaultPredicate::new().and(NotForContentType::const_new(PROBLEM_JSON));
        router
            .layer(from_fn_with_state(Arc::clone(self), recognise))
            .layer(from_fn(same_site))
            .layer(from_fn(let_tokens_pass))
            .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_DEADLINE))
            .layer(CatchPanicLayer::new())
            .layer(CompressionLayer::new().compress_when(compressed))
            .layer(from_fn_with_state(Arc::clone(self), name_and_tell))
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

    fn client(request: &Request, in_force: &InForce) -> Client {
        let peer =
            request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        client::of(peer, request.headers(), &in_force.settings.trusted_proxies, in_force.always_secure)
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
    request.extensions_mut().insert(gate.in_force());
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

/// A token is sent on purpose; no browser adds one by itself, and no page of another site may without asking first. So
/// it does not matter from where it comes: the layer behind this one passes what says nothing of that.
async fn let_tokens_pass(mut request: Request, next: Next) -> Response {
    if carries_token(request.headers()) {
        request.headers_mut().remove(header::ORIGIN);
        request.headers_mut().remove("sec-fetch-site");
    }
    next.run(request).await
}

/// Refuses what a browser sends from another site: a cookie would go along with it. Programs send neither
/// `Sec-Fetch-Site` nor `Origin` and pass.
async fn same_site(Extension(in_force): Extension<Arc<InForce>>, request: Request, next: Next) -> Response {
    match in_force.same_site.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Learns who asks, and whether they may ask again already.
async fn recognise(
    State(gate): State<Arc<Gate>>,
    Extension(in_force): Extension<Arc<InForce>>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = Gate::client(&request, &in_force);
    let mut identified = identify(gate.authenticate.as_ref(), request.headers(), &client).await;
    if let (Identified::Caller(caller, _), Some(id)) =
        (&mut identified, request.extensions().get::<RequestId>())
    {
        caller.request_id = Some((*id.0).into());
    }
    let standing = in_force.limiter.take(identified.caller(), client.address);
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Mutex;

    use axum::body::Body;
    use axum::routing::any;
    use quaywatch_app::operations::OperationError;
    use quaywatch_core::{BootTime, Timestamp};

    use super::*;
    use crate::identify::Recognised;

    struct Nobody;

    impl Authenticate for Nobody {
        fn token<'a>(&'a self, _: &'a str, _: &'a Client) -> Recognised<'a> {
            Box::pin(std::future::ready(Err(OperationError::Unauthenticated)))
        }

        fn session<'a>(&'a self, secret: &'a str, client: &'a Client) -> Recognised<'a> {
            self.token(secret, client)
        }
    }

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn boot(&self) -> BootTime {
            BootTime(1_000_000_000)
        }
    }

    #[tokio::test]
    async fn what_the_file_says_when_it_is_read_again_holds_from_the_next_request_on() {
        let file = Arc::new(Mutex::new(Settings::default()));
        let read = Arc::clone(&file);
        let now = move || read.lock().expect("nobody panics with it").clone();
        let gate = Gate::following(now, Arc::new(Nobody), Arc::new(Still));
        let shows = |Extension(client): Extension<Client>| async move { client.secure.to_string() };
        let router = as_if_from([192, 0, 2, 1].into(), gate.around(Router::new().route("/", any(shows))));
        let ask = async || {
            let request = Request::post("/")
                .header("sec-fetch-site", "same-site")
                .header("origin", "https://watch.example.com");
            let request = request.body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("an answer");
            let limit = response.headers().get("ratelimit-limit").cloned();
            let left = response.headers().get("ratelimit-remaining").cloned();
            let number = |value: Option<HeaderValue>| value?.to_str().ok()?.parse::<u32>().ok();
            (response.status(), number(limit), number(left))
        };
        let two = NonZeroU32::new(2).expect("not zero");
        let change =
            |change: &dyn Fn(&mut Settings)| change(&mut file.lock().expect("nobody panics with it"));

        assert_eq!(ask().await.0, StatusCode::FORBIDDEN, "it comes from another site, for all that is known");
        change(&|settings| settings.public_url = Some("https://watch.example.com/below".to_owned()));
        let (status, limit, left) = ask().await;
        assert_eq!((status, limit), (StatusCode::OK, Some(200)), "now it is this server's own address");
        change(&|settings| settings.trusted_proxies = ["10.0.0.0/8".parse().expect("a network")].into());
        assert_eq!(ask().await.2, left.map(|left| left - 1), "the buckets stay");
        change(&|settings| {
            settings.rates = Rates { stranger_per_second: two, stranger_burst: two, ..Rates::default() }
        });
        assert_eq!((ask().await.1, ask().await.2, ask().await.0.as_u16()), (Some(2), Some(0), 429));
        change(&|settings| settings.rates = Rates::default());
        assert_eq!(ask().await.0, StatusCode::OK);
    }
}
