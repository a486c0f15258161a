//! An API in a temporary directory, with a clock that obeys and tokens that say whose they are.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use quaywatch_api::{Api, Parts};
use quaywatch_app::caller::{Actor, Caller};
use quaywatch_app::config;
use quaywatch_app::identity::tokens::NewToken;
use quaywatch_app::identity::{self, Identity};
use quaywatch_app::operations::settings::Settings;
use quaywatch_app::operations::{OperationError, Operations};
use quaywatch_app::server::{Options, Server};
use quaywatch_core::access::{Access, Scope};
use quaywatch_core::{AccountId, Clock, TokenId, UserId};
use quaywatch_net::SystemClock;
use quaywatch_store::{SqliteStore, Store};
use quaywatch_testkit::clock::ManualClock;
use quaywatch_web::{Authenticate, Client, Gate, Rates, Recognised, as_if_from};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Everything around one API.
pub(crate) struct Kit {
    pub(crate) clock: Arc<ManualClock>,
    router: Router,
    _directory: tempfile::TempDir,
}

/// An API of a whole server, which checks and tells.
pub(crate) struct Serving {
    pub(crate) kit: Kit,
    pub(crate) identity: Identity,
    pub(crate) stop: CancellationToken,
    server: Server,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        // A stream does not end; what stands in it is another test's business.
        let is_stream = head.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Body::empty() } else { body };
        let bytes = to_bytes(body, usize::MAX).await.expect("the body is in memory");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: head.status, headers: head.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// `a1:owner`, `a2:viewer`, `a1:monitors:write`: the account, then a role or scopes.
struct Words;

impl Authenticate for Words {
    fn token<'a>(&'a self, token: &'a str, client: &'a Client) -> Recognised<'a> {
        let caller = caller(token, client).ok_or(OperationError::Unauthenticated);
        Box::pin(std::future::ready(caller))
    }

    fn session<'a>(&'a self, secret: &'a str, client: &'a Client) -> Recognised<'a> {
        self.token(secret, client)
    }
}

fn caller(token: &str, client: &Client) -> Option<Caller> {
    let (account, access) = token.split_once(':')?;
    let account: AccountId = account.parse().ok()?;
    let (actor, access) = match access.parse() {
        Ok(role) => (Actor::User(UserId(1)), Access::Role(role)),
        Err(_) => {
            let scopes: Vec<Scope> = access.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
            (Actor::Token(TokenId(1)), Access::Scopes(scopes))
        }
    };
    Some(Caller { account, actor, access, session: None, address: Some(client.address), request_id: None })
}

/// The words above, and beside them sessions and tokens of people who really signed in.
struct WordsAndPeople(Identity);

impl Authenticate for WordsAndPeople {
    fn token<'a>(&'a self, token: &'a str, client: &'a Client) -> Recognised<'a> {
        match caller(token, client) {
            Some(caller) => Box::pin(std::future::ready(Ok(caller))),
            None => self.0.token(token, client),
        }
    }

    fn session<'a>(&'a self, secret: &'a str, client: &'a Client) -> Recognised<'a> {
        self.0.session(secret, client)
    }
}

impl Serving {
    /// A server whose names lead nowhere: examples name hosts that nobody may be asked about.
    pub(crate) async fn start() -> Self {
        Self::of("resolvers: ['127.0.0.1:1']\nmonitors: []\n").await
    }

    /// A server of this file.
    pub(crate) async fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("quaywatch.yaml");
        std::fs::write(&file, text).expect("written");
        let options = Options {
            config: Some(file),
            data_dir: Some(directory.path().join("data")),
            probe_threads: Some(1),
            ..Options::default()
        };
        let (server, ()) = Server::start(options, async |_| Ok(())).await.expect("a server");
        let (operations, identity) = (server.operations(), server.identity());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stop = CancellationToken::new();
        let parts =
            Parts { operations, identity: identity.clone(), clock: Arc::clone(&clock), stop: stop.clone() };
        let authenticate = Arc::new(WordsAndPeople(identity.clone()));
        let gate = Gate::new(quaywatch_web::Settings::default(), authenticate, clock);
        let router = as_if_from(ADDRESS.into(), gate.around(Api::router(parts)));
        let kit = Kit { clock: Arc::new(ManualClock::new()), router, _directory: directory };
        Self { kit, identity, stop, server }
    }

    /// A token of an account that may everything that tokens may, made on the server's own host.
    pub(crate) async fn token(&self, account: AccountId, name: &str) -> String {
        let scopes = vec!["admin".parse().expect("a scope")];
        let new = NewToken { name: name.to_owned(), scopes, expires_at: None };
        let created = self.identity.create_token(&Caller::host(0, account), new).await.expect("a token");
        created.secret.reveal().clone()
    }

    pub(crate) async fn end(self) {
        self.server.shutdown().await;
    }
}

/// From where requests come.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with_rates(Rates::default())
    }

    pub(crate) fn with_rates(rates: Rates) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let store: Arc<dyn Store> =
            SqliteStore::open_serving(directory.path(), Arc::clone(&clock)).expect("a store");
        let config = config::read("monitors: []\n", "quaywatch.yaml", &|_| None).expect("a configuration");
        let settings = Arc::new(Settings::new(&config));
        let parts = Parts {
            operations: Operations::new(Arc::clone(&store), Arc::clone(&clock), settings),
            identity: Identity::new(Arc::clone(&store), Arc::clone(&clock), identity::Settings::default()),
            clock: Arc::clone(&clock),
            stop: CancellationToken::new(),
        };
        let settings = quaywatch_web::Settings { rates, ..Default::default() };
        let gate = Gate::new(settings, Arc::new(Words), clock);
        let router = as_if_from(ADDRESS.into(), gate.around(Api::router(parts)));
        Self { clock: manual, router, _directory: directory }
    }

    /// The answer as it comes, for those that do not end.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("a router always answers")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.respond(request).await).await
    }

    /// A request with JSON, or without a body.
    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(request(token, method, path, body)).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, "GET", path, None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.call(token, "POST", path, Some(body)).await
    }
}

/// A request below `/api/v1`.
pub(crate) fn request(token: &str, method: &str, path: &str, body: Option<&Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    request.body(body).expect("a request")
}
