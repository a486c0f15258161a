//! The two halves of the flow: away to the provider, and back with a code. No store here: what must be remembered goes
//! out as a value and comes back in.
//!
//! Every request goes through the server's own HTTP client, so that a provider's documents cannot send it to an address
//! that the egress policy forbids; it follows no redirect, and an issuer behind https names nothing behind http.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreProviderMetadata,
};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    TokenResponse as _,
};
use quaywatch_core::{Clock, Secret};
use quaywatch_net::http::{HttpClient, Limits, Request};
use url::Url;

use super::Provider;
use crate::identity::bearer;

/// A discovery document with all its claims, or a set of keys, is some ten kilobytes.
const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), total: Duration::from_secs(10), body: 512 * 1_024 };

/// Signatures with a public key. Shared secrets are left out: whoever may check one could also make one.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 7] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Somebody on their way.
#[derive(Debug)]
pub(super) struct Away {
    verifier: PkceCodeVerifier,
    nonce: Nonce,
    redirect: RedirectUrl,
    metadata: Arc<CoreProviderMetadata>,
}

/// Where to send the browser, by which `state` it is known again, and what to remember until then.
pub(super) struct Departing {
    pub(super) url: Secret<String>,
    pub(super) state: String,
    pub(super) away: Away,
}

/// What the provider says of somebody, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
    /// Only where the provider says that it is theirs.
    pub(super) verified_email: Option<String>,
    pub(super) name: Option<String>,
}

/// Why it went no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FlowError {
    /// The provider does not answer, or not as it should.
    #[error("the provider {0}")]
    Provider(String),
    /// What came back proves nothing.
    #[error("{0}")]
    Unproved(String),
}

/// A way to one provider.
pub(super) struct Flow<'a> {
    pub(super) provider: &'a Provider,
    pub(super) client: HttpClient,
    pub(super) clock: &'a dyn Clock,
}

impl Flow<'_> {
    /// The provider's documents: where to send people, and the keys it signs with.
    pub(super) async fn discover(&self) -> Result<CoreProviderMetadata, FlowError> {
        // The library compares the issuer in the document with the one asked for: a document of another is refused.
        CoreProviderMetadata::discover_async(self.issuer()?, &self.wire())
            .await
            .map_err(|error| FlowError::Provider(format!("cannot be asked what it is: {}", told(&error))))
    }

    pub(super) fn depart(
        &self,
        metadata: Arc<CoreProviderMetadata>,
        redirect: &str,
    ) -> Result<Departing, FlowError> {
        let redirect = RedirectUrl::new(redirect.to_owned())
            .map_err(|error| FlowError::Provider(format!("cannot send anybody back: {error}")))?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.provider.client_id.clone()),
            self.secret(),
        )
        .set_redirect_uri(redirect.clone());
        let verifier = PkceCodeVerifier::new(bearer::hex(&bearer::random::<32>()));
        let (state, nonce) = (bearer::hex(&bearer::random::<32>()), bearer::hex(&bearer::random::<32>()));
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        let away = Away { verifier, nonce, redirect, metadata };
        Ok(Departing { url: Secret::new(url.to_string()), state: state.into_secret(), away })
    }

    /// Gives the code for what the provider says, and proves it.
    pub(super) async fn arrive(&self, away: Away, code: &str) -> Result<Claims, FlowError> {
        let client = CoreClient::from_provider_metadata(
            (*away.metadata).clone(),
            ClientId::new(self.provider.client_id.clone()),
            self.secret(),
        )
        .set_redirect_uri(away.redirect);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| FlowError::Provider(format!("names no place for codes: {error}")))?
            .set_pkce_verifier(away.verifier)
            .request_async(&self.wire())
            .await
            .map_err(|error| match &error {
                RequestTokenError::Request(_) => {
                    FlowError::Provider(format!("cannot be given the code: {}", told(&error)))
                }
                RequestTokenError::ServerResponse(_)
                | RequestTokenError::Parse(..)
                | RequestTokenError::Other(_) => {
                    FlowError::Unproved(format!("the provider did not take the code: {}", told(&error)))
                }
            })?;
        let token = tokens
            .id_token()
            .ok_or_else(|| FlowError::Unproved("the provider did not say who it is".to_owned()))?;
        let claims = token
            .claims(&self.verifier(&client.id_token_verifier()), &away.nonce)
            .map_err(|error| FlowError::Unproved(format!("what the provider says is not proved: {error}")))?;
        Ok(read(claims))
    }

    /// The library's rules, with this server's clock and no shared secrets.
    fn verifier<'v>(&self, verifier: &CoreIdTokenVerifier<'v>) -> CoreIdTokenVerifier<'v> {
        let now = chrono::DateTime::from_timestamp_micros(self.clock.now().micros()).unwrap_or_default();
        verifier.clone().set_allowed_algs(ALGORITHMS).set_time_fn(move || now)
    }

    fn wire(&self) -> Wire {
        Wire { client: self.client.clone(), only_https: self.provider.issuer.starts_with("https:") }
    }

    fn issuer(&self) -> Result<IssuerUrl, FlowError> {
        IssuerUrl::new(self.provider.issuer.clone())
            .map_err(|error| FlowError::Provider(format!("has an issuer that is no address: {error}")))
    }

    fn secret(&self) -> Option<ClientSecret> {
        self.provider.client_secret.as_ref().map(|secret| ClientSecret::new(secret.reveal().clone()))
    }
}

/// Where the library's requests go. A type and not a closure: its future is then known to be [`Send`] for every
/// lifetime, which handlers need.
struct Wire {
    client: HttpClient,
    only_https: bool,
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Unsent;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unsent>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unsent> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string()).map_err(|error| Unsent(error.to_string()))?;
        if url.scheme() != "https" && self.only_https {
            return Err(Unsent(format!(
                "an address without https is named: {}",
                url.host_str().unwrap_or_default()
            )));
        }
        let request = Request { method: head.method, url, headers: head.headers, body: body.into() };
        let answer = self.client.send(request, LIMITS).await.map_err(|error| Unsent(error.text))?;
        if answer.body_cut {
            return Err(Unsent("the answer is too long, or was cut off".to_owned()));
        }
        let mut response = http::Response::new(answer.body.to_vec());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// Why a request of the library was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unsent(String);

fn read(claims: &CoreIdTokenClaims) -> Claims {
    let verified = claims.email_verified().unwrap_or(false);
    Claims {
        subject: claims.subject().to_string(),
        verified_email: claims.email().filter(|_| verified).map(|email| email.to_string()),
        name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
    }
}

/// An error with what is behind it: the library's own words say only that a request failed.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// A client that may reach loopback.
#[cfg(test)]
pub(in crate::identity) fn client_of_tests(clock: Arc<dyn Clock>) -> HttpClient {
    use quaywatch_core::egress::EgressPolicy;
    use quaywatch_net::http::tls;
    use quaywatch_net::{Dialler, Resolver, ResolverConfig};

    let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(&clock));
    let dialler = Dialler::new(resolver, EgressPolicy::default(), Arc::clone(&clock));
    HttpClient::new(dialler, tls::client_config(tls::roots()), clock)
}

#[cfg(test)]
mod tests {
    use quaywatch_core::egress::{Accounts, EgressPolicy};
    use quaywatch_testkit::clock::ManualClock;
    use quaywatch_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Fault, Provider as TestProvider};
    use serde_json::json;

    use super::*;

    const REDIRECT: &str = "https://watch.example.com/callback";

    struct Scene {
        provider: TestProvider,
        declared: Provider,
        client: HttpClient,
        clock: Arc<ManualClock>,
    }

    impl Scene {
        fn new(egress: EgressPolicy) -> Self {
            let clock = Arc::new(ManualClock::new());
            let provider = TestProvider::start(Arc::<ManualClock>::clone(&clock));
            let declared = Provider {
                name: "test".to_owned(),
                issuer: provider.issuer.clone(),
                client_id: CLIENT_ID.to_owned(),
                client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())),
                new_members: None,
                domains: Vec::new(),
            };
            let client = client_of_tests(Arc::<ManualClock>::clone(&clock));
            let client = client.with_dialler(client.dialler().under(egress));
            Self { provider, declared, client, clock }
        }

        fn flow(&self) -> Flow<'_> {
            Flow { provider: &self.declared, client: self.client.clone(), clock: &*self.clock }
        }

        async fn sign_in(&self) -> Result<Claims, FlowError> {
            let metadata = Arc::new(self.flow().discover().await?);
            let departing = self.flow().depart(metadata, REDIRECT)?;
            let (code, state) = self.provider.agree(departing.url.reveal());
            assert_eq!(state, departing.state);
            self.flow().arrive(departing.away, &code).await
        }
    }

    #[tokio::test]
    async fn a_provider_says_who_somebody_is() {
        let scene = Scene::new(EgressPolicy::default());
        let claims = scene.sign_in().await.expect("signed in");
        let name = Some("Kim".to_owned());
        let email = Some("kim@example.com".to_owned());
        assert_eq!(claims, Claims { subject: "kim-1".to_owned(), verified_email: email, name });
        scene.provider.claim(json!({"sub": "kim-1", "email": "boss@example.com"}));
        let claims = scene.sign_in().await.expect("signed in");
        assert_eq!(claims.verified_email, None, "an address that the provider does not vouch for");
    }

    #[tokio::test]
    async fn whatever_a_provider_does_wrong_proves_nothing() {
        let scene = Scene::new(EgressPolicy::default());
        for fault in [
            Fault::Down,
            Fault::OtherIssuerInDiscovery,
            Fault::OtherIssuerInToken,
            Fault::OtherAudience,
            Fault::OtherNonce,
            Fault::OtherKey,
            Fault::NoSignature,
            Fault::Expired,
            Fault::CodeRefused,
            Fault::Redirects,
        ] {
            scene.provider.fault(fault);
            let error = scene.sign_in().await.expect_err("proves nothing").to_string();
            assert!(error.len() > 20, "{fault:?}: {error}");
            scene.provider.fault(Fault::None);
            scene.sign_in().await.unwrap_or_else(|error| panic!("after {fault:?}: {error}"));
        }
    }

    #[tokio::test]
    async fn a_code_is_of_use_only_to_whoever_departed_with_it() {
        let scene = Scene::new(EgressPolicy::default());
        let metadata = Arc::new(scene.flow().discover().await.expect("discovered"));
        let departs = || scene.flow().depart(Arc::clone(&metadata), REDIRECT).expect("departed");
        let (victim, thief) = (departs(), departs());
        let (code, _) = scene.provider.agree(victim.url.reveal());
        let stolen = scene.flow().arrive(thief.away, &code).await;
        assert!(matches!(stolen, Err(FlowError::Unproved(_))), "another verifier: {stolen:?}");
    }

    #[tokio::test]
    async fn no_packet_leaves_for_an_address_that_the_policy_forbids() {
        let loopback = vec!["127.0.0.0/8".parse().expect("a network")];
        let egress = EgressPolicy::new(Accounts::Single, Vec::new(), loopback);
        let scene = Scene::new(egress);
        let error = scene.sign_in().await.expect_err("forbidden");
        assert!(matches!(error, FlowError::Provider(_)), "{error}");
        assert_eq!(scene.provider.requests(), 0);
    }

    #[tokio::test]
    async fn an_issuer_behind_https_is_asked_nothing_without() {
        let scene = Scene::new(EgressPolicy::default());
        let secure = Provider { issuer: "https://127.0.0.1:1".to_owned(), ..scene.declared.clone() };
        let flow = Flow { provider: &secure, client: scene.client.clone(), clock: &*scene.clock };
        let request = http::Request::get(format!("{}/keys", scene.provider.issuer));
        let error =
            flow.wire().send(request.body(Vec::new()).expect("a request")).await.expect_err("refused");
        assert!(error.to_string().contains("https"), "{error}");
        assert_eq!(scene.provider.requests(), 0);
    }
}
