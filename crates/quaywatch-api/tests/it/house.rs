//! Identity behind the gate, under a clock that obeys, and browsers that keep cookies as browsers do: every answer that
//! one gets is held against the document.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use quaywatch_api::{Api, Parts, document};
use quaywatch_app::config;
use quaywatch_app::identity::{Identity, Settings};
use quaywatch_app::operations;
use quaywatch_app::operations::Operations;
use quaywatch_core::Clock;
use quaywatch_store::{Sealer, SqliteStore, Store};
use quaywatch_testkit::clock::ManualClock;
use quaywatch_web::{Gate, as_if_from};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::document::operations as described;
use crate::examples::Contract;
use crate::kit::Answer;

/// How people reach a house on HTTPS.
pub(crate) const SITE: &str = "https://watch.example.com";
pub(crate) const EMAIL: &str = "kim@example.com";
pub(crate) const PASSWORD: &str = "tugboats at dawn";

/// A server's identity, and the API over it.
pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: Identity,
    gated: Router,
    site: String,
    _directory: tempfile::TempDir,
}

impl House {
    /// A house on HTTPS with nobody in it.
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings.public_url = Some(SITE.to_owned()))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::under(Arc::new(ManualClock::new()), change)
    }

    /// One whose time is shared with something else.
    pub(crate) fn under(manual: Arc<ManualClock>, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        let store: Arc<dyn Store> =
            SqliteStore::open_serving(directory.path(), Arc::clone(&clock)).expect("a store");
        let config = config::read("monitors: []\n", "quaywatch.yaml", &|_| None).expect("a configuration");
        let mut settings = Settings::default();
        change(&mut settings);
        let site = settings.public_url.clone();
        let identity = Identity::new(Arc::clone(&store), Arc::clone(&clock), settings);
        identity.attach_sealer(Arc::new(Sealer::open_or_create(directory.path()).expect("a key")));
        let settings = Arc::new(operations::settings::Settings::new(&config));
        let parts = Parts {
            operations: Operations::new(store, Arc::clone(&clock), settings),
            identity: identity.clone(),
            clock: Arc::clone(&clock),
            stop: CancellationToken::new(),
        };
        let settings = quaywatch_web::Settings { public_url: site.clone(), ..Default::default() };
        let gate = Gate::new(settings, Arc::new(identity.clone()), clock);
        let gated = gate.around(Api::router(parts));
        let site = site.unwrap_or_else(|| "http://192.0.2.1:8080".to_owned());
        Self { clock: manual, identity, gated, site, _directory: directory }
    }

    /// Somebody's browser, at an address of its own.
    pub(crate) fn browser(&self) -> Browser {
        self.browser_at("192.0.2.7")
    }

    pub(crate) fn browser_at(&self, address: &str) -> Browser {
        let address: IpAddr = address.parse().expect("an address");
        Browser {
            router: as_if_from(address, self.gated.clone()),
            site: self.site.clone(),
            cookies: BTreeMap::new(),
            contract: Contract::new(),
            described: described(&document()),
        }
    }

    /// The first owner, signed in.
    pub(crate) async fn owner(&self) -> Browser {
        let mut kim = self.browser();
        let key = self.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
        let first = json!({ "key": key.reveal(), "email": EMAIL, "name": "Kim", "password": PASSWORD });
        kim.done("POST", "/setup", Some(&first)).await;
        kim
    }

    /// Somebody whom the owner invited, signed in.
    pub(crate) async fn guest(&self, owner: &mut Browser, email: &str, role: &str) -> Browser {
        let invitation = json!({ "email": email, "role": role });
        let made = owner.done("POST", "/invitations", Some(&invitation)).await;
        let accept = json!({ "secret": made["secret"], "name": "Lee", "password": PASSWORD });
        let mut guest = self.browser();
        guest.done("POST", "/invitations/accept", Some(&accept)).await;
        guest
    }

    /// Lets time pass: tests try more often than people.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// What a browser keeps.
pub(crate) struct Cookies(BTreeMap<String, String>);

/// A browser, at a page of the house.
pub(crate) struct Browser {
    router: Router,
    site: String,
    cookies: BTreeMap<String, String>,
    contract: Contract,
    described: Vec<(String, String, Value)>,
}

impl Browser {
    /// A call below `/api/v1`, as a script of the house's own page makes it.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let target = format!("/api/v1{path}");
        let host = self.site.split_once("://").map_or("", |(_, host)| host);
        let mut request = Request::builder().method(method).uri(&target).header("host", host);
        request = request.header("user-agent", "Firefox 151").header("sec-fetch-site", "same-origin");
        if method != "GET" {
            request = request.header("origin", &self.site);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router always answers");
        let answer = Answer::read(response).await;
        let operation = self.operation(method, &target).clone();
        self.contract.check(&operation, &answer);
        for cookie in set_cookies(&answer) {
            let (name, value) = cookie.pair();
            if cookie.has("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The same, which must work.
    pub(crate) async fn done(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// Whether it is signed in; `Err` is why not.
    pub(crate) async fn is_known(&mut self) -> Result<Value, String> {
        let answer = self.call("GET", "/profile", None).await;
        match answer.status.as_u16() {
            200 => Ok(answer.json()),
            401 => Err(code(&answer)),
            _ => panic!("{}", answer.text),
        }
    }

    /// What it keeps under a name.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Everything it keeps, for a browser that has the same or less.
    pub(crate) fn cookies(&self) -> Cookies {
        Cookies(self.cookies.clone())
    }

    /// Keeps that instead.
    pub(crate) fn take(&mut self, cookies: Cookies) {
        self.cookies = cookies.0;
    }

    /// Forgets everything, as a new browser.
    pub(crate) fn forget(&mut self) {
        self.cookies.clear();
    }

    fn operation(&self, method: &str, target: &str) -> &Value {
        let path = target.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            let same = |(part, segment): (&&str, &&str)| part.starts_with('{') || part == segment;
            parts.len() == segments.len() && parts.iter().zip(&segments).all(same)
        };
        // A path with fewer holes is the better one.
        let mut fitting: Vec<_> =
            self.described.iter().filter(|(template, verb, _)| verb == method && fits(template)).collect();
        fitting.sort_by_key(|(template, ..)| template.matches('{').count());
        fitting
            .first()
            .map_or_else(|| panic!("{method} {path} is not described"), |(.., operation)| operation)
    }
}

/// One `Set-Cookie`.
pub(crate) struct SetCookie(String);

impl SetCookie {
    pub(crate) fn pair(&self) -> (&str, &str) {
        let pair = self.0.split(';').next().unwrap_or_default();
        pair.split_once('=').expect("a name and a value")
    }

    /// Whether it has an attribute, such as `Secure`.
    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.0.split(';').skip(1).any(|part| part.trim() == attribute)
    }

    /// What no cookie of somebody's identity may lack.
    pub(crate) fn check(&self, name: &str, secure: bool) {
        assert_eq!(self.pair().0, name);
        assert!(self.has("HttpOnly") && self.has("SameSite=Lax") && self.has("Path=/"), "{}", self.0);
        assert_eq!(self.has("Secure"), secure, "{}", self.0);
        // `__Host-` asks for this, and a browser would drop it otherwise.
        assert!(!self.0.to_ascii_lowercase().contains("domain="), "{}", self.0);
        assert_eq!(name.starts_with("__Host-"), secure, "{}", self.0);
    }
}

/// All cookies that an answer sets.
pub(crate) fn set_cookies(answer: &Answer) -> Vec<SetCookie> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|value| SetCookie(value.to_str().expect("text").to_owned())).collect()
}

/// The stable word of a refusal.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

/// Refused with this status and word, and nobody was let in.
pub(crate) fn assert_refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!((answer.status.as_u16(), code(answer).as_str()), (status, word), "{}", answer.text);
    assert!(set_cookies(answer).is_empty(), "nobody is let in: {:?}", answer.headers);
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", answer.text);
}
