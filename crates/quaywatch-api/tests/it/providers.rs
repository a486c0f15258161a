//! Signing in at a provider through the API: away with a cookie, back with a code.

use std::sync::Arc;

use quaywatch_app::identity::oidc::Provider as Declared;
use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::{Clock, Secret};
use quaywatch_net::http::{HttpClient, tls};
use quaywatch_net::{Dialler, Resolver, ResolverConfig};
use quaywatch_testkit::clock::ManualClock;
use quaywatch_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Fault, Provider};
use serde_json::json;

use crate::house::{Browser, EMAIL, House, SITE, assert_refused, set_cookies};
use crate::kit::Answer;

const DEPART: &str = "/session/providers/company";
const LINK: &str = "/session/providers/company?link=true";

/// A house with a provider beside it.
struct Harbour {
    house: House,
    provider: Provider,
}

impl Harbour {
    fn new(public_url: Option<&str>) -> Self {
        let clock = Arc::new(ManualClock::new());
        let provider = Provider::start(Arc::<ManualClock>::clone(&clock));
        let declared = Declared {
            name: "company".to_owned(),
            issuer: provider.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())),
            new_members: None,
            domains: Vec::new(),
        };
        let house = House::under(Arc::clone(&clock), |settings| {
            settings.public_url = public_url.map(str::to_owned);
            settings.providers = vec![declared];
        });
        let clock: Arc<dyn Clock> = clock;
        let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(&clock));
        let dialler = Dialler::new(resolver, EgressPolicy::default(), Arc::clone(&clock));
        house.identity.attach_client(HttpClient::new(dialler, tls::client_config(tls::roots()), clock));
        Self { house, provider }
    }

    /// To the provider, where somebody agrees: what the browser is sent back to.
    async fn agree(&self, browser: &mut Browser, depart: &str) -> String {
        // Those who try are counted.
        self.house.wait(10);
        let departed = browser.done("POST", depart, None).await;
        let url = departed["url"].as_str().expect("an address");
        assert!(url.starts_with(&format!("{}/authorize?", self.provider.issuer)), "{url}");
        let (code, state) = self.provider.agree(url);
        format!("{DEPART}/callback?state={state}&code={code}")
    }

    /// The first owner, linked to the provider.
    async fn owner(&self) -> Browser {
        let mut kim = self.house.owner().await;
        let back = self.agree(&mut kim, LINK).await;
        assert_eq!(kim.call("GET", &back, None).await.status, 303);
        kim
    }

    async fn sign_in(&self, browser: &mut Browser) -> Answer {
        let back = self.agree(browser, DEPART).await;
        browser.call("GET", &back, None).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_goes_to_the_provider_and_comes_back_signed_in() {
    let harbour = Harbour::new(Some(SITE));
    harbour.owner().await;
    let mut kim = harbour.house.browser();
    let names = kim.done("GET", "/session/providers", None).await;
    assert_eq!(names["items"], json!([{ "name": "company" }]));

    let departed = kim.call("POST", DEPART, None).await;
    let [binding] = set_cookies(&departed).try_into().ok().expect("one cookie");
    binding.check("__Host-qw-provider", true);
    assert!(binding.has("Max-Age=600"));
    let url = departed.json()["url"].as_str().expect("an address").to_owned();
    let home =
        "redirect_uri=https%3A%2F%2Fwatch.example.com%2Fapi%2Fv1%2Fsession%2Fproviders%2Fcompany%2Fcallback";
    assert!(url.contains(home) && url.contains("nonce=") && url.contains("code_challenge="), "{url}");
    kim.is_known().await.expect_err("going away lets nobody in");

    let (code, state) = harbour.provider.agree(&url);
    let back = format!("{DEPART}/callback?state={state}&code={code}&iss=more&session_state=x");
    let arrived = kim.call("GET", &back, None).await;
    assert_eq!((arrived.status.as_u16(), arrived.header("location")), (303, Some("/")), "{}", arrived.text);
    let cookies = set_cookies(&arrived);
    let session = cookies.iter().find(|cookie| cookie.pair().0 == "__Host-qw").expect("a session");
    session.check("__Host-qw", true);
    assert!(kim.cookie("__Host-qw-provider").is_none(), "the journey is over");
    assert_eq!(kim.is_known().await.expect("signed in")["email"], EMAIL);

    let mut thief = harbour.house.browser();
    assert_refused(&thief.call("GET", &back, None).await, 401, "nothing_begun");
    let replayed = kim.call("GET", &back, None).await;
    assert_refused(&replayed, 401, "nothing_begun");
    kim.is_known().await.expect("whoever is signed in stays so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_https_cookies_have_their_plain_names() {
    let harbour = Harbour::new(Some("http://watch.example.com:8080"));
    harbour.owner().await;
    let mut kim = harbour.house.browser();
    let departed = kim.call("POST", DEPART, None).await;
    set_cookies(&departed)[0].check("qw-provider", false);
    let arrived = harbour.sign_in(&mut kim).await;
    let cookies = set_cookies(&arrived);
    cookies.iter().find(|cookie| cookie.pair().0 == "qw").expect("a session").check("qw", false);
    assert_eq!(kim.is_known().await.expect("signed in")["email"], EMAIL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_did_not_depart_does_not_arrive() {
    let harbour = Harbour::new(Some(SITE));
    harbour.owner().await;
    let house = &harbour.house;
    let mut kim = house.browser();
    let no_session = async |browser: &mut Browser, back: &str, word: &str| {
        let answer = browser.call("GET", back, None).await;
        assert_refused(&answer, 401, word);
        browser.is_known().await.expect_err("nobody is let in");
    };

    // An attacker's own way back, followed by somebody else (RFC 9700 section 4.7).
    let mut attacker = house.browser();
    let theirs = harbour.agree(&mut attacker, DEPART).await;
    no_session(&mut house.browser(), &theirs, "nothing_begun").await;
    let own = harbour.agree(&mut kim, DEPART).await;
    no_session(&mut kim, &theirs, "nothing_begun").await;
    let (_, code) = own.split_once("&code=").expect("a code");
    no_session(&mut kim, &format!("{DEPART}/callback?state=guessed&code={code}"), "nothing_begun").await;
    no_session(&mut kim, &format!("{DEPART}/callback?state=&code={code}"), "nothing_begun").await;

    let back = harbour.agree(&mut kim, DEPART).await;
    let kept = kim.cookies();
    kim.forget();
    no_session(&mut kim, &back, "nothing_begun").await;
    kim.take(kept);
    no_session(&mut kim, &back, "nothing_begun").await;

    let late = harbour.agree(&mut kim, DEPART).await;
    house.wait(600);
    no_session(&mut kim, &late, "nothing_begun").await;
    for back in ["?error=access_denied&state=x", "?state=x", "?code=x", ""] {
        house.wait(10);
        let answer = kim.call("GET", &format!("{DEPART}/callback{back}"), None).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(set_cookies(&answer).is_empty());
    }
    // A code that another departure was given.
    let (one, two) = (harbour.agree(&mut kim, DEPART).await, harbour.agree(&mut kim, DEPART).await);
    let (stateful, (_, code)) =
        (two.split_once("&code=").expect("a code").0, one.split_once("&code=").expect("a code"));
    no_session(&mut kim, &format!("{stateful}&code={code}"), "not_proved").await;
    assert_eq!(kim.call("POST", "/session/providers/nobody", None).await.status, 404);
    assert_eq!(harbour.sign_in(&mut kim).await.status, 303, "and the right way still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_wrong_or_nothing_lets_nobody_in_and_that_is_said() {
    let harbour = Harbour::new(Some(SITE));
    harbour.owner().await;
    let house = &harbour.house;
    let mut kim = house.browser();
    for fault in [
        Fault::OtherIssuerInToken,
        Fault::OtherAudience,
        Fault::OtherNonce,
        Fault::OtherKey,
        Fault::NoSignature,
        Fault::Expired,
        Fault::CodeRefused,
    ] {
        let back = harbour.agree(&mut kim, DEPART).await;
        harbour.provider.fault(fault);
        assert_refused(&kim.call("GET", &back, None).await, 401, "not_proved");
        harbour.provider.fault(Fault::None);
        assert_refused(&kim.call("GET", &back, None).await, 401, "nothing_begun");
        kim.is_known().await.expect_err("nobody");
    }
    let back = harbour.agree(&mut kim, DEPART).await;
    harbour.provider.fault(Fault::Down);
    let down = kim.call("GET", &back, None).await;
    assert_eq!(down.status, 503, "{}", down.text);
    assert!(down.text.contains("cannot be asked") && set_cookies(&down).is_empty(), "{}", down.text);

    // What it says of itself is believed for a while, and then asked for again.
    house.wait(301);
    for fault in [Fault::Down, Fault::OtherIssuerInDiscovery, Fault::Redirects] {
        harbour.provider.fault(fault);
        let down = kim.call("POST", DEPART, None).await;
        assert_eq!(down.status, 503, "{fault:?}: {}", down.text);
        assert!(set_cookies(&down).is_empty() && down.header("retry-after").is_some(), "{:?}", down.headers);
    }
    harbour.provider.fault(Fault::None);
    assert_eq!(harbour.sign_in(&mut kim).await.status, 303);

    harbour.provider.claim(json!({"sub": "eve", "email": EMAIL, "email_verified": false}));
    assert_refused(&harbour.sign_in(&mut house.browser()).await, 401, "not_invited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_signed_in_links_themselves_and_nobody_else() {
    let harbour = Harbour::new(Some(SITE));
    let mut kim = harbour.house.owner().await;
    harbour.provider.claim(json!({"sub": "private", "email": "home@example.org", "email_verified": true}));
    let stranger = harbour.house.browser().call("POST", LINK, None).await;
    assert_eq!(stranger.status, 401, "{}", stranger.text);

    let back = harbour.agree(&mut kim, LINK).await;
    let before = kim.cookie("__Host-qw").map(str::to_owned);
    assert_eq!(kim.call("GET", &back, None).await.status, 303);
    assert_eq!(kim.cookie("__Host-qw").map(str::to_owned), before, "linking is no signing in");
    assert_eq!(kim.is_known().await.expect("still there")["providers"], json!(["company"]));
    let mut phone = harbour.house.browser();
    assert_eq!(harbour.sign_in(&mut phone).await.status, 303);
    assert_eq!(phone.is_known().await.expect("by the link")["email"], EMAIL);

    let mut lee = harbour.house.guest(&mut kim, "lee@example.com", "viewer").await;
    let back = harbour.agree(&mut lee, LINK).await;
    assert_refused(&lee.call("GET", &back, None).await, 409, "linked_elsewhere");
    kim.done("DELETE", "/profile/providers/company", None).await;
    assert_refused(&harbour.sign_in(&mut harbour.house.browser()).await, 401, "not_invited");
}
