//! The page of an invitation, as a browser without scripts meets it.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use quaywatch_app::caller::Caller;
use quaywatch_app::identity::invitations::{Into, NewInvitation, path_of};
use quaywatch_core::AccountId;
use quaywatch_core::access::Role;

use crate::kit::{Answer, Serving};

const MULTI: &str = "server: {accounts: multi, plans: {vip: {accounts: [globex]}}}\n\
                     resolvers: ['127.0.0.1:1']\nmonitors: []\n";
const PASSWORD: &str = "correct+horse+battery";

async fn invited(serving: &Serving, email: &str, into: Into) -> String {
    let new = NewInvitation { email: email.to_owned(), into };
    let created = serving.identity.invite(&Caller::host(0, AccountId::DEFAULT), new).await.expect("invited");
    path_of(&created.secret)
}

async fn open(serving: &Serving, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header("cookie", cookie).body(Body::empty()).expect("a request");
    serving.kit.send(request).await
}

/// As a browser sends a form over plain HTTP, where it says its origin and nothing else of where it is from.
async fn fill(serving: &Serving, path: &str, cookie: &str, form: &str) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("host", "192.0.2.1:8080")
        .header("origin", "http://192.0.2.1:8080")
        .header("cookie", cookie);
    serving.kit.send(request.body(Body::from(form.to_owned())).expect("a request")).await
}

fn session(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").unwrap_or_else(|| panic!("no session: {answer:?}"));
    cookie.split(';').next().unwrap_or_default().to_owned()
}

async fn me(serving: &Serving, cookie: &str) -> serde_json::Value {
    open(serving, "/api/v1/profile", cookie).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_of_an_invitation_leads_to_a_form_and_into_the_account() {
    let serving = Serving::of(MULTI).await;
    let link = invited(&serving, "lee@example.org", Into::Account(Role::Editor)).await;

    let shown = open(&serving, &link, "").await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    for word in ["<form method=\"post\">", "lee@example.org", "<strong>default</strong> as editor"] {
        assert!(shown.text.contains(word), "{word}: {}", shown.text);
    }
    assert!(!shown.text.contains("account_name") && !shown.text.contains("<script"), "{}", shown.text);
    let policy = shown.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(shown.header("referrer-policy"), Some("same-origin"), "`no-referrer` makes the origin `null`");

    let wrong = fill(&serving, &link, "", "name=&password=too-short").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.text);
    assert_eq!(wrong.text.matches("role=\"alert\"").count(), 2, "both at once: {}", wrong.text);
    assert!(!wrong.text.contains("too-short") && wrong.header("set-cookie").is_none(), "{}", wrong.text);

    let done = fill(&serving, &link, "", &format!("name=Lee&password={PASSWORD}")).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert!(done.text.contains("Welcome to default") && done.text.contains("/api/docs"), "{}", done.text);
    let lee = me(&serving, &session(&done)).await;
    assert_eq!((&lee["accounts"][0]["role"], &lee["name"]), (&"editor".into(), &"Lee".into()), "{lee}");

    for again in [open(&serving, &link, "").await, fill(&serving, &link, "", "name=Eve").await] {
        assert_eq!(again.status, StatusCode::GONE, "{}", again.text);
        assert!(
            again.text.contains("This link does not work") && !again.text.contains("<form"),
            "{}",
            again.text
        );
        assert_eq!(again.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let cut = open(&serving, &link[..link.len() - 3], "").await;
    assert_eq!(cut.status, StatusCode::NOT_FOUND);
    assert!(cut.text.contains("not whole") && cut.text.contains("can make another"), "{}", cut.text);
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_ones_own_is_named_and_whoever_is_signed_in_only_says_yes() {
    let serving = Serving::of(MULTI).await;
    let link = invited(&serving, "lee@example.org", Into::OwnAccount).await;
    let shown = open(&serving, &link, "").await;
    assert!(shown.text.contains("name=\"account_name\""), "{}", shown.text);

    let nothing = fill(&serving, &link, "", "").await;
    assert_eq!(nothing.text.matches("role=\"alert\"").count(), 3, "{}", nothing.text);
    let taken = fill(&serving, &link, "", &format!("name=Lee&password={PASSWORD}&account_name=globex")).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "a plan is nobody's to choose: {}", taken.text);
    assert!(
        taken.text.contains("value=\"globex\"") && taken.text.contains("role=\"alert\""),
        "{}",
        taken.text
    );
    let done = fill(&serving, &link, "", &format!("name=Lee&password={PASSWORD}&account_name=harbour")).await;
    assert!(done.text.contains("Welcome to harbour"), "{}", done.text);
    let cookie = session(&done);

    let link = invited(&serving, "lee@example.org", Into::Account(Role::Viewer)).await;
    let stranger = fill(&serving, &link, "", "name=Lee&password=correct+horse+staple").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "not their password: {}", stranger.text);
    assert!(stranger.text.contains("<form") && stranger.header("set-cookie").is_none(), "{}", stranger.text);
    let shown = open(&serving, &link, &cookie).await;
    assert!(
        shown.text.contains("signed in as this person") && !shown.text.contains("<input"),
        "{}",
        shown.text
    );
    let joined = fill(&serving, &link, &cookie, "").await;
    assert!(joined.text.contains("Welcome to default"), "{}", joined.text);
    let lee = me(&serving, &session(&joined)).await;
    assert_eq!(lee["accounts"][0]["role"], "viewer", "{lee}");
    let before = open(&serving, "/api/v1/profile", &cookie).await;
    assert_eq!(before.status, StatusCode::UNAUTHORIZED, "the session before it has ended");
    serving.end().await;
}
