//! Pages of other sites make browsers send requests, and cookies go along with them: whatever changes something asks
//! where it comes from. Tokens do not go along by themselves, and are not asked.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use quaywatch_api::document;
use serde_json::Value;

use crate::document::operations;
use crate::examples::{furnish, path_of, request};
use crate::kit::Kit;

const HOST: &str = "watch.example.com";

/// What browsers say of requests that another site began.
const FOREIGN: [&[(&str, &str)]; 7] = [
    &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site"), ("origin", "https://blog.example.com")],
    // Older ones say only this.
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "https://watch.example.com.evil.example")],
    &[("origin", "https://watch.example.com:8443")],
];

/// What they say of the server's own pages, and what programs say.
const OWN: [&[(&str, &str)]; 4] = [
    &[("sec-fetch-site", "same-origin"), ("origin", "https://watch.example.com")],
    &[("sec-fetch-site", "none")],
    &[("origin", "https://watch.example.com")],
    &[],
];

/// Everything in the document that changes something.
fn unsafe_routes() -> Vec<(String, String, Value)> {
    let mut routes = operations(&document());
    routes.retain(|(_, method, _)| method != "GET");
    routes
}

fn with(base: Request<Body>, pairs: &[(&'static str, &'static str)]) -> Request<Body> {
    let mut request = base;
    request.headers_mut().insert("host", HeaderValue::from_static(HOST));
    for (name, value) in pairs {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn every_route_that_changes_something_asks_a_cookie_where_it_comes_from() {
    let kit = Kit::new();
    furnish(&kit).await;
    let routes = unsafe_routes();
    assert!(routes.len() > 40, "{} routes", routes.len());
    let cookie = ("cookie", "qw=a1:owner");
    for (path, method, operation) in &routes {
        let target = path_of(path, operation);
        for pairs in FOREIGN {
            let what = format!("{method} {target} {pairs:?}");
            for (caller, pairs) in [("cookie", [&[cookie], pairs].concat()), ("nobody", pairs.to_vec())] {
                let answer = kit.send(with(request("", method, &target, operation), &pairs)).await;
                let code = answer.json()["code"].clone();
                assert_eq!(
                    (answer.status.as_u16(), code.as_str()),
                    (403, Some("cross_site")),
                    "{caller}: {what}"
                );
            }
        }
    }
    // The form of the first start is a page, and in no document.
    for pairs in FOREIGN {
        let form = Request::post("/setup").header("content-type", "application/x-www-form-urlencoded");
        let form = form.body(Body::from("key=x&name=x&email=x%40example.com&password=x")).expect("a request");
        assert_eq!(kit.send(with(form, pairs)).await.status, 403, "{pairs:?}");
    }
    // Nothing of that had an effect.
    let monitors = kit.get("a1:owner", "/monitors").await.json();
    assert_eq!(monitors["items"].as_array().map(Vec::len), Some(1), "{monitors}");
    assert_eq!(kit.get("a1:owner", "/audit").await.json()["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn own_pages_programs_and_tokens_pass_from_wherever() {
    let kit = Kit::new();
    furnish(&kit).await;
    let cookie = OWN.iter().map(|pairs| [&[("cookie", "qw=a1:owner")], *pairs].concat());
    let tokens = [("authorization", "Bearer a1:owner"), ("x-api-key", "a1:owner")];
    let token = tokens.iter().flat_map(|token| FOREIGN.iter().map(|pairs| [&[*token], *pairs].concat()));
    let all: Vec<_> = cookie.chain(token).collect();
    for (path, method, operation) in unsafe_routes() {
        let target = path_of(&path, &operation);
        for pairs in &all {
            // A second each, so that nobody asks too often.
            kit.clock.advance(Duration::from_secs(1));
            let answer = kit.send(with(request("", &method, &target, &operation), pairs)).await;
            let what = format!("{method} {target} {pairs:?}: {} {}", answer.status, answer.text);
            assert!(answer.json()["code"] != "cross_site" && answer.status != 429, "{what}");
        }
    }
    // A cookie beside a token is not looked at, and a token that is none is no way around.
    let both = [("authorization", "Bearer nobody"), ("cookie", "qw=a1:owner"), FOREIGN[0][0], FOREIGN[0][1]];
    let monitors = unsafe_routes().into_iter().find(|(.., it)| it["operationId"] == "monitors_create");
    let (path, method, operation) = monitors.expect("it is described");
    let answer = kit.send(with(request("", &method, &path, &operation), &both)).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}
