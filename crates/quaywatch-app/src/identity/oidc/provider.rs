//! A provider of the tests' own, on loopback: discovery, keys, codes with PKCE, signed tokens; and everything that one
//! can do wrong, one fault at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use quaywatch_core::Clock;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Fault {
    None,
    OtherIssuerInDiscovery,
    OtherIssuerInToken,
    OtherAudience,
    OtherNonce,
    OtherKey,
    NoSignature,
    Expired,
    CodeRefused,
    Redirects,
}

/// The provider, while it runs.
pub(in crate::identity) struct TestProvider {
    pub(in crate::identity) issuer: String,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    clock: Arc<dyn Clock>,
    fault: Mutex<Fault>,
    claims: Mutex<Value>,
    requests: Mutex<u32>,
    /// What a departure asked for, by its code.
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
}

pub(in crate::identity) const CLIENT_ID: &str = "quaywatch";
pub(in crate::identity) const CLIENT_SECRET: &str = "an open secret of the tests";

impl TestProvider {
    pub(in crate::identity) async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port of loopback");
        let issuer = format!("http://127.0.0.1:{}", listener.local_addr().expect("bound").port());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            clock,
            fault: Mutex::new(Fault::None),
            claims: Mutex::new(
                json!({"sub": "kim-1", "email": "kim@example.com", "email_verified": true, "name": "Kim"}),
            ),
            requests: Mutex::default(),
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, shared }
    }

    pub(in crate::identity) fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().expect("no panic") = fault;
    }

    pub(in crate::identity) fn claim(&self, claims: Value) {
        *self.shared.claims.lock().expect("no panic") = claims;
    }

    pub(in crate::identity) fn requests(&self) -> u32 {
        *self.shared.requests.lock().expect("no panic")
    }

    /// Somebody follows the link and agrees: the code and the state that the browser brings back.
    pub(in crate::identity) fn agree(&self, url: &str) -> (String, String) {
        let url = Url::parse(url).expect("a link");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
        let state = asked["state"].clone();
        let mut codes = self.shared.codes.lock().expect("no panic");
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), asked);
        (code, state)
    }
}

impl Shared {
    fn now(&self) -> (Fault, i64) {
        *self.requests.lock().expect("no panic") += 1;
        (*self.fault.lock().expect("no panic"), self.clock.now().secs())
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    let (fault, _) = shared.now();
    let issuer = &shared.issuer;
    if fault == Fault::Redirects {
        let elsewhere = [("location", format!("{issuer}/elsewhere"))];
        return (StatusCode::FOUND, elsewhere).into_response();
    }
    let said = if fault == Fault::OtherIssuerInDiscovery { "http://other.example" } else { issuer };
    answer(&json!({
        "issuer": said,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    shared.now();
    let point = key(1).verifying_key().to_sec1_point(false);
    answer(&json!({"keys": [{
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1",
        "x": encode(point.x().expect("not the point at infinity")),
        "y": encode(point.y().expect("not compressed")),
    }]}))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let (fault, now) = shared.now();
    let sent: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let refused = (StatusCode::BAD_REQUEST, answer(&json!({"error": "invalid_grant"})));
    let asked = shared.codes.lock().expect("no panic").remove(&sent["code"]);
    let Some(asked) = asked.filter(|_| fault != Fault::CodeRefused) else { return refused.into_response() };
    let challenge = encode(&Sha256::digest(sent["code_verifier"].as_bytes()));
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD
            .encode(format!("{CLIENT_ID}:{}", CLIENT_SECRET.replace(' ', "+")))
    );
    let known = headers.get("authorization").is_some_and(|given| given.as_bytes() == basic.as_bytes());
    if challenge != asked["code_challenge"] || sent["redirect_uri"] != asked["redirect_uri"] || !known {
        return refused.into_response();
    }
    let mut claims = shared.claims.lock().expect("no panic").clone();
    let lifetime = if fault == Fault::Expired { -600 } else { 300 };
    let other = |it: Fault, right: &str| if fault == it { "other".to_owned() } else { right.to_owned() };
    claims["iss"] = if fault == Fault::OtherIssuerInToken {
        "http://other.example".into()
    } else {
        shared.issuer.clone().into()
    };
    claims["aud"] = other(Fault::OtherAudience, CLIENT_ID).into();
    claims["nonce"] = other(Fault::OtherNonce, &asked["nonce"]).into();
    claims["iat"] = (now.min(now + lifetime - 300)).into();
    claims["exp"] = (now + lifetime).into();
    answer(&json!({
        "access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": signed(&claims, fault),
    }))
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn signed(claims: &Value, fault: Fault) -> String {
    let algorithm = if fault == Fault::NoSignature { "none" } else { "ES256" };
    let head = encode(json!({"alg": algorithm, "kid": "1", "typ": "JWT"}).to_string().as_bytes());
    let text = format!("{head}.{}", encode(claims.to_string().as_bytes()));
    if fault == Fault::NoSignature {
        return format!("{text}.");
    }
    let signature: Signature = key(if fault == Fault::OtherKey { 2 } else { 1 }).sign(text.as_bytes());
    format!("{text}.{}", encode(&signature.to_bytes()))
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a valid scalar")
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
