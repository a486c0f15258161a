//! Passkeys through the API, from the browser's side: with a device that signs, and cookies.

use quaywatch_testkit::device::Device;
use serde_json::{Value, json};

use crate::house::{Browser, EMAIL, House, SITE, assert_refused, set_cookies};
use crate::kit::Answer;

/// Adds a device to whoever is signed in.
async fn register(browser: &mut Browser, device: &mut Device) -> Value {
    let begun = browser.done("POST", "/profile/passkeys/begin", None).await;
    let answer = device.create(&begun["options"]);
    let add = json!({ "ceremony": begun["ceremony"], "name": "laptop", "answer": answer });
    browser.done("POST", "/profile/passkeys", Some(&add)).await
}

/// What a browser sends after it asked a device.
async fn signed(browser: &mut Browser, device: &mut Device) -> Value {
    let begun = browser.done("POST", "/session/passkey/begin", None).await;
    json!({ "ceremony": begun["ceremony"], "answer": device.get(&begun["options"]) })
}

async fn sign_in(house: &House, browser: &mut Browser, device: &mut Device) -> Answer {
    house.wait(20);
    let said = signed(browser, device).await;
    browser.call("POST", "/session/passkey", Some(&said)).await
}

#[tokio::test]
async fn a_passkey_is_added_signs_in_and_its_cookie_works() {
    let house = House::new();
    let mut kim = house.owner().await;
    let mut device = Device::new(SITE, 7);
    let added = register(&mut kim, &mut device).await;
    assert_eq!(added["name"], "laptop");

    let old = kim.cookies();
    assert_eq!(kim.call("DELETE", "/session", None).await.status, 204);
    assert!(kim.cookie("__Host-qw").is_none(), "the cookie is gone");
    kim.is_known().await.expect_err("signed out");
    let mut thief = house.browser();
    thief.take(old);
    assert_eq!(
        thief.is_known().await,
        Err("session_ended".to_owned()),
        "what was kept of it is worth nothing"
    );

    let answer = sign_in(&house, &mut kim, &mut device).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["result"]), (200, &json!("signed_in")));
    let [cookie] = set_cookies(&answer).try_into().ok().expect("one cookie");
    cookie.check("__Host-qw", true);
    assert!(cookie.has("Max-Age=7776000"), "ninety days");
    assert_eq!(kim.is_known().await.expect("signed in")["email"], EMAIL);
    let listed = kim.done("GET", "/profile/passkeys", None).await;
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");

    let path = format!("/profile/passkeys/{}", added["id"]);
    kim.done("DELETE", &path, None).await;
    kim.is_known().await.expect("whoever removes a passkey stays");
    let gone = sign_in(&house, &mut house.browser(), &mut device).await;
    assert_refused(&gone, 401, "passkey_refused");
}

#[tokio::test]
async fn what_another_site_device_or_moment_has_signed_lets_nobody_in() {
    let house = House::new();
    let mut kim = house.owner().await;
    let mut device = Device::new(SITE, 7);
    register(&mut kim, &mut device).await;
    let mut browser = house.browser();

    for site in ["https://watch.example.com.evil.example", "http://watch.example.com", "https://example.com"]
    {
        let mut phished = device.clone();
        phished.visit(site);
        let answer = sign_in(&house, &mut browser, &mut phished).await;
        assert_refused(&answer, 401, "passkey_refused");
    }
    let mut unverified = device.clone();
    unverified.skip_verification();
    assert_refused(&sign_in(&house, &mut browser, &mut unverified).await, 401, "passkey_refused");
    let mut impostor = Device::new(SITE, 8);
    impostor.pretend(&device);
    assert_refused(&sign_in(&house, &mut browser, &mut impostor).await, 401, "passkey_refused");
    let unknown = &mut Device::new(SITE, 9);
    unknown.create(&json!({"publicKey": {"user": {"id": "AAAAAAAAAAAAAAAAAAAAAQ"}, "challenge": "x"}}));
    assert_refused(&sign_in(&house, &mut browser, unknown).await, 401, "passkey_refused");

    house.wait(20);
    let late = signed(&mut browser, &mut device).await;
    house.wait(600);
    assert_refused(&browser.call("POST", "/session/passkey", Some(&late)).await, 401, "passkey_refused");

    let (first, mut crossed) =
        (signed(&mut browser, &mut device).await, signed(&mut browser, &mut device).await);
    crossed["ceremony"] = first["ceremony"].clone();
    let answer = browser.call("POST", "/session/passkey", Some(&crossed)).await;
    assert_refused(&answer, 401, "passkey_refused");
    let answer = browser.call("POST", "/session/passkey", Some(&first)).await;
    assert_refused(&answer, 401, "passkey_refused");

    house.wait(60);
    let right = signed(&mut browser, &mut device).await;
    assert_eq!(browser.call("POST", "/session/passkey", Some(&right)).await.status, 200);
    let mut elsewhere = house.browser();
    let replayed = elsewhere.call("POST", "/session/passkey", Some(&right)).await;
    assert_refused(&replayed, 401, "passkey_refused");
    elsewhere.is_known().await.expect_err("nobody");
}

#[tokio::test]
async fn nobody_adds_uses_or_removes_the_passkey_of_another() {
    let house = House::new();
    let mut kim = house.owner().await;
    let mut lee = house.guest(&mut kim, "lee@example.com", "viewer").await;
    let mut device = Device::new(SITE, 7);
    let begun = kim.done("POST", "/profile/passkeys/begin", None).await;
    let answer = device.create(&begun["options"]);
    let add = json!({ "ceremony": begun["ceremony"], "name": "mine", "answer": answer });
    assert_refused(&lee.call("POST", "/profile/passkeys", Some(&add)).await, 409, "nothing_begun");
    assert_refused(&kim.call("POST", "/profile/passkeys", Some(&add)).await, 409, "nothing_begun");
    let added = register(&mut kim, &mut device).await;

    let known = lee.done("POST", "/profile/passkeys/begin", None).await;
    let mut same = device.clone();
    let again = json!({ "ceremony": known["ceremony"], "name": "also mine", "answer": same.create(&known["options"]) });
    assert_refused(&lee.call("POST", "/profile/passkeys", Some(&again)).await, 409, "passkey_known");
    // The device of one, naming the other.
    let mut twisted = Device::new(SITE, 8);
    register(&mut lee, &mut twisted).await;
    let mut names_kim = device.clone();
    let mut bare = twisted.clone();
    bare.pretend(&device);
    names_kim.pretend(&twisted);
    for device in [&mut bare, &mut names_kim] {
        assert_refused(&sign_in(&house, &mut house.browser(), device).await, 401, "passkey_refused");
    }

    let path = format!("/profile/passkeys/{}", added["id"]);
    assert_eq!(lee.call("DELETE", &path, None).await.status, 404);
    let mut back = house.browser();
    assert_eq!(sign_in(&house, &mut back, &mut device).await.status, 200);
    assert_eq!(back.is_known().await.expect("signed in")["email"], EMAIL);
    let mut stranger = house.browser();
    assert_eq!(stranger.call("POST", "/profile/passkeys/begin", None).await.status, 401);
    assert_eq!(stranger.call("DELETE", &path, None).await.status, 401);
}

#[tokio::test]
async fn where_passkeys_cannot_work_it_is_said_at_once() {
    for (url, why) in [(None, "server.public_url"), (Some("http://watch.example.com"), "https")] {
        let house = House::with(|settings| settings.public_url = url.map(str::to_owned));
        let mut kim = house.owner().await;
        let refused = kim.call("POST", "/profile/passkeys/begin", None).await;
        assert_refused(&refused, 409, "passkeys_unusable");
        assert!(refused.text.contains(why), "{}", refused.text);
        let refused = house.browser().call("POST", "/session/passkey/begin", None).await;
        assert_refused(&refused, 409, "passkeys_unusable");
    }
}
