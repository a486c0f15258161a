//! A provider of OpenID Connect, on loopback: discovery, keys, codes with PKCE, signed tokens; and everything that one
//! can do wrong, one fault at a time.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use quaywatch_core::Clock;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::sink::{Received, accept, read_request};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It hangs up without a word.
    Down,
    /// Its document is that of another.
    OtherIssuerInDiscovery,
    /// Its tokens are those of another.
    OtherIssuerInToken,
    /// Its tokens are for another.
    OtherAudience,
    /// Its tokens answer another question.
    OtherNonce,
    /// Its tokens are signed with a key that it does not show.
    OtherKey,
    /// Its tokens are not signed.
    NoSignature,
    /// Its tokens have ended.
    Expired,
    /// It does not know its own codes.
    CodeRefused,
    /// Its document lies elsewhere.
    Redirects,
}

/// The provider; closed when dropped.
pub struct Provider {
    /// What it calls itself, which is also its address.
    pub issuer: String,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

struct Shared {
    issuer: String,
    clock: Arc<dyn Clock>,
    fault: Mutex<Fault>,
    claims: Mutex<Value>,
    requests: AtomicU32,
    /// What a departure asked for, by its code.
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
    stop: AtomicBool,
}

/// What the server is called there.
pub const CLIENT_ID: &str = "quaywatch";
/// By what the server is known there.
pub const CLIENT_SECRET: &str = "an open secret of the tests";

impl Provider {
    /// A provider that vouches for `kim@example.com`.
    ///
    /// # Panics
    /// Where loopback has no free port.
    #[must_use]
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let issuer = format!("http://127.0.0.1:{}", listener.local_addr().expect("bound").port());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            clock,
            fault: Mutex::new(Fault::None),
            claims: Mutex::new(
                json!({"sub": "kim-1", "email": "kim@example.com", "email_verified": true, "name": "Kim"}),
            ),
            requests: AtomicU32::new(0),
            codes: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let (inner, until) = (Arc::clone(&shared), Arc::clone(&shared));
        accept(listener, move || until.stop.load(Ordering::Relaxed), move |stream| inner.serve(stream));
        Self { issuer, shared }
    }

    /// From now on it does this wrong.
    ///
    /// # Panics
    /// Where a thread of the provider panicked; so do the others.
    pub fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().expect("no holder panics") = fault;
    }

    /// From now on it says this of everybody.
    ///
    /// # Panics
    /// As above.
    pub fn claim(&self, claims: Value) {
        *self.shared.claims.lock().expect("no holder panics") = claims;
    }

    /// How often it was asked.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Somebody follows the link and agrees: the code and the state that the browser brings back.
    ///
    /// # Panics
    /// Where the link does not ask for what a sign-in with PKCE asks for.
    #[must_use]
    pub fn agree(&self, url: &str) -> (String, String) {
        let url = Url::parse(url).expect("a link");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
        let state = asked["state"].clone();
        let mut codes = self.shared.codes.lock().expect("no holder panics");
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), asked);
        (code, state)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// A status with its words, a further header, and a body of JSON.
type Answer = (&'static str, String, Value);

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().expect("no holder panics");
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let Some(request) = read_request(&stream).filter(|_| fault != Fault::Down) else { return };
        let (status, header, body) = match request.path.as_str() {
            "/.well-known/openid-configuration" => self.discovery(fault),
            "/keys" => ("200 OK", String::new(), keys()),
            "/token" => self.token(fault, &request),
            _ => ("404 Not Found", String::new(), Value::Null),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}");
        // The asker may be gone: that is its own business.
        let _ = write!(stream, "{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    }

    fn discovery(&self, fault: Fault) -> Answer {
        let issuer = &self.issuer;
        if fault == Fault::Redirects {
            return ("302 Found", format!("location: {issuer}/elsewhere\r\n"), Value::Null);
        }
        let said = if fault == Fault::OtherIssuerInDiscovery { "http://other.example" } else { issuer };
        let document = json!({
            "issuer": said,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        ("200 OK", String::new(), document)
    }

    fn token(&self, fault: Fault, request: &Received) -> Answer {
        let sent: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let refused = || ("400 Bad Request", String::new(), json!({"error": "invalid_grant"}));
        let asked = self.codes.lock().expect("no holder panics").remove(&sent["code"]);
        let Some(asked) = asked.filter(|_| fault != Fault::CodeRefused) else { return refused() };
        let challenge = encode(&Sha256::digest(sent["code_verifier"].as_bytes()));
        let known = format!("{CLIENT_ID}:{}", CLIENT_SECRET.replace(' ', "+"));
        let known = format!("Basic {}", STANDARD.encode(known));
        let is_known = request.headers.get("authorization") == Some(&known);
        if challenge != asked["code_challenge"] || sent["redirect_uri"] != asked["redirect_uri"] || !is_known
        {
            return refused();
        }
        let now = self.clock.now().secs();
        let mut claims = self.claims.lock().expect("no holder panics").clone();
        let lifetime = if fault == Fault::Expired { -600 } else { 300 };
        let other = |it: Fault, right: &str| if fault == it { "other".to_owned() } else { right.to_owned() };
        let strange = fault == Fault::OtherIssuerInToken;
        claims["iss"] = if strange { "http://other.example" } else { self.issuer.as_str() }.into();
        claims["aud"] = other(Fault::OtherAudience, CLIENT_ID).into();
        claims["nonce"] = other(Fault::OtherNonce, &asked["nonce"]).into();
        claims["iat"] = (now.min(now + lifetime - 300)).into();
        claims["exp"] = (now + lifetime).into();
        let token = signed(&claims, fault);
        let body =
            json!({"access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": token});
        ("200 OK", String::new(), body)
    }
}

fn keys() -> Value {
    let point = key(1).verifying_key().to_sec1_point(false);
    json!({"keys": [{
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1",
        "x": encode(point.x().expect("not the point at infinity")),
        "y": encode(point.y().expect("not compressed")),
    }]})
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
