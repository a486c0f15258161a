//! Passwords, second factors and sessions through the API, and how they end.

use std::time::Duration;

use quaywatch_core::Clock as _;
use serde_json::{Value, json};
use totp_rs::Builder;

use crate::house::{Browser, EMAIL, House, PASSWORD, assert_refused, set_cookies};
use crate::kit::Answer;

const NEXT: &str = "lighthouses at night";
const DAY: u64 = 86_400;

async fn sign_in(browser: &mut Browser, email: &str, password: &str, code: Option<&str>) -> Answer {
    let mut body = json!({ "email": email, "password": password });
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    browser.call("POST", "/session", Some(&body)).await
}

/// A browser of the owner's.
async fn another(house: &House) -> Browser {
    house.wait(60);
    let mut browser = house.browser();
    assert_eq!(sign_in(&mut browser, EMAIL, PASSWORD, None).await.status, 200);
    browser
}

#[tokio::test]
async fn a_password_lets_in_with_a_cookie_that_only_this_host_gets() {
    for (url, name) in [(Some("https://watch.example.com"), "__Host-qw"), (None, "qw")] {
        let house = House::with(|settings| settings.public_url = url.map(str::to_owned));
        house.owner().await;
        let mut kim = house.browser();
        kim.is_known().await.expect_err("nobody yet");
        let answer = sign_in(&mut kim, "KIM@example.com", PASSWORD, None).await;
        let [cookie] = set_cookies(&answer).try_into().ok().expect("one cookie");
        cookie.check(name, url.is_some());
        assert!(!answer.text.contains(cookie.pair().1), "the secret is in the cookie alone");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(kim.is_known().await.expect("signed in")["email"], EMAIL);

        let ended = kim.call("DELETE", "/session", None).await;
        let [cookie] = set_cookies(&ended).try_into().ok().expect("one cookie");
        cookie.check(name, url.is_some());
        assert!(cookie.has("Max-Age=0") && cookie.pair().1.is_empty());
    }
}

#[tokio::test]
async fn on_https_a_planted_cookie_without_the_prefix_is_nobody() {
    let house = House::new();
    let kim = house.owner().await;
    let secret = kim.cookie("__Host-qw").expect("signed in").to_owned();
    let plain = House::with(|_| {});
    let other = plain.owner().await;
    assert!(other.cookie("qw").is_some());
    let mut planted = house.browser();
    planted.take(other.cookies());
    planted.is_known().await.expect_err("the cookie of a neighbour");
    assert!(secret.starts_with("qw_s"), "a kind of its own");
}

#[tokio::test]
async fn guessing_is_slowed_down_also_for_who_guesses_right_and_others_go_on() {
    let house = House::new();
    house.owner().await;
    let mut guesser = house.browser_at("198.51.100.9");
    let mut told = Vec::new();
    for n in 0..10 {
        let email = if n == 4 { "nobody@example.com" } else { EMAIL };
        let answer = sign_in(&mut guesser, email, "tugboats at dusk", None).await;
        assert_refused(&answer, 401, "wrong_credentials");
        told.push(answer.json()["detail"].clone());
    }
    assert!(
        told.windows(2).all(|pair| pair[0] == pair[1]),
        "the same for who is here and who is not: {told:?}"
    );
    assert_eq!(sign_in(&mut guesser, EMAIL, "tugboats at dusk", None).await.status, 401, "nine were kim's");
    let slowed = sign_in(&mut guesser, EMAIL, PASSWORD, None).await;
    assert_eq!(slowed.status, 429, "{}", slowed.text);
    let wait: u64 = slowed.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("how long");
    assert!((1..=30).contains(&wait), "{wait}");
    assert!(set_cookies(&slowed).is_empty(), "not even by the right password");

    let mut owner = house.browser_at("203.0.113.5");
    assert_eq!(sign_in(&mut owner, EMAIL, PASSWORD, None).await.status, 200, "from elsewhere");
    house.wait(wait);
    assert_eq!(sign_in(&mut guesser, EMAIL, PASSWORD, None).await.status, 200, "after the wait");

    // Many accounts from one place: thirty, of which so many are used up.
    let mut spray = house.browser_at("2001:db8:1:2::1");
    let mut allowed = 0;
    for n in 0..40 {
        let answer = sign_in(&mut spray, &format!("p{n}@example.com"), "tugboats at dusk", None).await;
        allowed += u32::from(answer.status == 401);
    }
    assert_eq!(allowed, 30);
    let mut neighbour = house.browser_at("2001:db8:1:2:ffff::9");
    assert_eq!(sign_in(&mut neighbour, "x@example.com", PASSWORD, None).await.status, 429, "the same /64");
}

fn code_now(house: &House, typed: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(typed).expect("base32");
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().expect("160 bits");
    totp.generate(house.clock.now().secs().unsigned_abs()).to_string()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_confirmed_and_each_code_works_once() {
    let house = House::new();
    let mut kim = house.owner().await;
    let mut phone = another(&house).await;
    let begun = kim.done("POST", "/profile/second-factor", None).await;
    let typed = begun["secret"].as_str().expect("to type").to_owned();
    assert!(begun["link"].as_str().is_some_and(|link| link.starts_with("otpauth://totp/")), "{begun}");
    another(&house).await;
    let wrong = kim.call("PUT", "/profile/second-factor", Some(&json!({ "code": "000000" }))).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let first = code_now(&house, &typed);
    let shown = kim.done("PUT", "/profile/second-factor", Some(&json!({ "code": first }))).await;
    let recovery: Vec<String> = shown["recovery_codes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    assert_eq!(recovery.len(), 10);
    assert_eq!(phone.is_known().await, Err("session_ended".to_owned()), "it came in without the factor");
    kim.is_known().await.expect("the one that asked stays");

    house.wait(120);
    let mut browser = house.browser();
    let asked = sign_in(&mut browser, EMAIL, PASSWORD, None).await;
    assert_eq!((asked.status.as_u16(), asked.json()), (200, json!({ "result": "second_factor_needed" })));
    assert!(set_cookies(&asked).is_empty(), "the password alone lets nobody in");
    assert_refused(&sign_in(&mut browser, EMAIL, PASSWORD, Some("000000")).await, 401, "wrong_code");
    let shown = code_now(&house, &typed);
    let wrong = sign_in(&mut browser, EMAIL, "tugboats at dusk", Some(&shown)).await;
    assert_refused(&wrong, 401, "wrong_credentials");
    assert_eq!(sign_in(&mut browser, EMAIL, PASSWORD, Some(&shown)).await.status, 200);
    browser.is_known().await.expect("signed in");
    let replayed = sign_in(&mut house.browser(), EMAIL, PASSWORD, Some(&shown)).await;
    assert_refused(&replayed, 401, "wrong_code");

    house.wait(120);
    let paper = recovery[3].as_str();
    assert_eq!(sign_in(&mut house.browser(), EMAIL, PASSWORD, Some(paper)).await.status, 200);
    assert_refused(&sign_in(&mut house.browser(), EMAIL, PASSWORD, Some(paper)).await, 401, "wrong_code");
    let profile = kim.is_known().await.expect("read");
    assert_eq!((&profile["second_factor"], &profile["recovery_codes"]), (&json!(true), &json!(9)));

    house.wait(120);
    let again = json!({ "password": PASSWORD });
    let renewed = kim.done("POST", "/profile/recovery-codes", Some(&again)).await;
    let old = sign_in(&mut house.browser(), EMAIL, PASSWORD, Some(&recovery[4])).await;
    assert_refused(&old, 401, "wrong_code");
    let new = renewed["recovery_codes"][0].as_str().expect("a code");
    assert_eq!(sign_in(&mut house.browser(), EMAIL, PASSWORD, Some(new)).await.status, 200);
    house.wait(120);
    let wrong = json!({ "password": "tugboats at dusk" });
    assert_eq!(kim.call("POST", "/profile/second-factor/end", Some(&wrong)).await.status, 422);
    kim.done("POST", "/profile/second-factor/end", Some(&again)).await;
    another(&house).await;
}

#[tokio::test]
async fn a_session_ends_by_disuse_and_by_age() {
    let house = House::new();
    house.owner().await;
    let mut unused = another(&house).await;
    house.wait(14 * DAY - 1);
    unused.is_known().await.expect("just in time");
    let mut kept = another(&house).await;
    house.wait(14 * DAY);
    assert_eq!(kept.is_known().await, Err("session_ended".to_owned()), "not used for fourteen days");
    kept.is_known().await.expect_err("and gone for good");

    let mut used = another(&house).await;
    for _ in 0..8 {
        house.wait(10 * DAY);
        let now = house.clock.now().to_string();
        // Use is written down beside the answer: until it is, the session does not know of it.
        let noted = async {
            loop {
                let all = used.done("GET", "/session/all", None).await;
                let current =
                    all["items"].as_array().into_iter().flatten().find(|each| each["current"] == true);
                if current.is_some_and(|each| each["last_seen_at"] == now.as_str()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), noted).await.expect("the use is written down");
    }
    house.wait(10 * DAY);
    assert_eq!(used.is_known().await, Err("session_ended".to_owned()), "ninety days old");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_only_their_owner_sees_them() {
    let house = House::new();
    let mut kim = house.owner().await;
    let mut lee = house.guest(&mut kim, "lee@example.com", "owner").await;
    let (mut phone, mut desk) = (another(&house).await, another(&house).await);
    let all = kim.done("GET", "/session/all", None).await;
    let items = all["items"].as_array().expect("items");
    assert_eq!(items.len(), 3);
    assert_eq!(items.iter().filter(|session| session["current"] == true).count(), 1);
    let other = items.iter().find(|session| session["current"] == false).expect("another");
    let path = format!("/session/all/{}", other["id"].as_str().expect("an id"));
    assert_eq!(lee.call("DELETE", &path, None).await.status, 404, "somebody else's");
    assert_eq!(house.browser().call("DELETE", &path, None).await.status, 401);
    phone.is_known().await.expect("still good");
    desk.is_known().await.expect("still good");

    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    house.wait(60);
    let wrong = kim.call("PUT", "/profile/password", Some(&change("tugboats at dusk", NEXT))).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let none = kim.call("PUT", "/profile/password", Some(&json!({ "new_password": NEXT }))).await;
    assert_eq!(none.status, 422, "the old one is asked for: {}", none.text);
    phone.is_known().await.expect("nothing has changed yet");
    kim.done("PUT", "/profile/password", Some(&change(PASSWORD, NEXT))).await;
    kim.is_known().await.expect("the one that asked stays");
    for gone in [&mut phone, &mut desk] {
        assert_eq!(gone.is_known().await, Err("session_ended".to_owned()));
    }
    lee.is_known().await.expect("another person's");
    house.wait(60);
    assert_refused(&sign_in(&mut phone, EMAIL, PASSWORD, None).await, 401, "wrong_credentials");
    assert_eq!(sign_in(&mut phone, EMAIL, NEXT, None).await.status, 200);
    kim.done("DELETE", "/session/all", None).await;
    assert_eq!(phone.is_known().await, Err("session_ended".to_owned()));
    kim.is_known().await.expect("this one stays");
}
