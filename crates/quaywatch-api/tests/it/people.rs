//! The way of a person through a new server: the first start, a session, a second factor, guests; each answer as the
//! document describes it.

use axum::body::Body;
use axum::http::Request;
use quaywatch_api::document;
use serde_json::{Value, json};

use crate::document::operations;
use crate::examples::Contract;
use crate::kit::{Answer, Serving};

/// Somebody with a browser.
struct Person<'s> {
    serving: &'s Serving,
    cookie: String,
    contract: Contract,
    operations: Vec<(String, String, Value)>,
}

impl<'s> Person<'s> {
    fn new(serving: &'s Serving) -> Self {
        let operations = operations(&document());
        Self { serving, cookie: String::new(), contract: Contract::new(), operations }
    }

    /// Calls an operation by its id; `with` fills the one parameter of its path.
    async fn call(&mut self, id: &str, with: &str, body: Option<Value>) -> Answer {
        let (path, method, operation) =
            self.operations.iter().find(|(.., o)| o["operationId"] == id).expect(id).clone();
        let path = match (path.find('{'), path.find('}')) {
            (Some(begin), Some(end)) => format!("{}{with}{}", &path[..begin], &path[end + 1..]),
            _ => path,
        };
        let mut request = Request::builder().method(method.as_str()).uri(path);
        if !self.cookie.is_empty() {
            request = request.header("cookie", self.cookie.clone());
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = self.serving.kit.send(request.body(body).expect("a request")).await;
        self.contract.check(&operation, &answer);
        if let Some(cookie) = answer.header("set-cookie") {
            cookie.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        }
        answer
    }

    /// The same, which must work.
    async fn done(&mut self, id: &str, with: &str, body: Option<Value>) -> Value {
        let answer = self.call(id, with, body).await;
        assert!(answer.status.is_success(), "{id}: {} {}", answer.status, answer.text);
        answer.json()
    }
}

const PASSWORD: &str = "correct horse battery";
const NEXT: &str = "staple battery horse";

async fn first_owner<'s>(serving: &'s Serving) -> Person<'s> {
    let key = serving.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
    let mut ada = Person::new(serving);
    let first =
        json!({ "key": key.reveal(), "email": "ada@example.org", "name": "Ada", "password": PASSWORD });
    ada.done("setup", "", Some(first.clone())).await;
    assert!(ada.cookie.starts_with("qw="), "plain HTTP has no `__Host-`: {}", ada.cookie);
    let again = Person::new(serving).call("setup", "", Some(first)).await;
    assert_eq!(again.status, 401, "the link works once: {}", again.text);
    ada
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sets_up_a_server_and_manages_themselves() {
    let serving = Serving::start().await;
    let mut ada = first_owner(&serving).await;
    assert_eq!(ada.done("profile_read", "", None).await["email"], "ada@example.org");
    assert_eq!(ada.done("profile_update", "", Some(json!({ "name": "Ada L." }))).await["name"], "Ada L.");
    let sessions = ada.done("sessions_list", "", None).await;
    let this = sessions["items"][0]["id"].as_str().expect("a session").to_owned();
    ada.done("session_switch", "", Some(json!({ "account": "a1" }))).await;
    ada.done("passkeys_list", "", None).await;
    ada.done("providers_list", "", None).await;
    ada.done("second_factor_begin", "", None).await;
    let wrong = ada.call("second_factor_confirm", "", Some(json!({ "code": "000000" }))).await;
    assert!(wrong.status.is_client_error(), "{}", wrong.text);
    let password = json!({ "old_password": PASSWORD, "new_password": NEXT });
    ada.done("profile_password", "", Some(password)).await;
    ada.done("sessions_end", "", None).await;
    ada.call("sessions_end_one", &this, None).await;
    ada.call("session_delete", "", None).await;
    let gone = ada.call("profile_read", "", None).await;
    assert_eq!(gone.status, 401, "{}", gone.text);
    let old = json!({ "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(ada.call("session_create", "", Some(old)).await.status, 401);
    let new = json!({ "email": "ada@example.org", "password": NEXT });
    ada.done("session_create", "", Some(new)).await;
    assert_eq!(ada.call("profile_read", "", None).await.status, 200);
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invited_person_gets_the_role_and_no_more() {
    let serving = Serving::start().await;
    let mut ada = first_owner(&serving).await;
    let invitation = json!({ "email": "grace@example.org", "role": "viewer" });
    let made = ada.done("invitations_create", "", Some(invitation)).await;
    let secret = json!({ "secret": made["secret"] });
    let mut grace = Person::new(&serving);
    assert_eq!(grace.done("invitations_read", "", Some(secret)).await["email"], "grace@example.org");
    let accept = json!({ "secret": made["secret"], "name": "Grace", "password": NEXT });
    grace.done("invitations_accept", "", Some(accept)).await;
    assert_eq!(grace.call("monitors_list", "", None).await.status, 200);
    let refused = grace.call("members_list", "", None).await;
    let monitor = json!({ "name": "x", "host": "127.0.0.1", "port": 9 });
    assert_eq!(grace.call("monitors_create", "", Some(monitor.clone())).await.status, 403);
    assert_eq!(refused.status, 200, "whoever belongs sees who else does: {}", refused.text);
    let member = refused.json()["items"][1]["id"].as_str().expect("a member").to_owned();
    ada.done("members_update", &member, Some(json!({ "role": "editor" }))).await;
    assert_eq!(grace.call("monitors_create", "", Some(monitor)).await.status, 201);
    ada.done("members_remove", &member, None).await;
    assert_eq!(grace.call("monitors_list", "", None).await.status, 401, "removed people have no session");
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_leave_and_take_out_nobody_else() {
    let serving = Serving::start().await;
    let mut ada = first_owner(&serving).await;
    let invitation = json!({ "email": "grace@example.org", "role": "viewer" });
    let made = ada.done("invitations_create", "", Some(invitation)).await;
    let mut grace = Person::new(&serving);
    let accept = json!({ "secret": made["secret"], "name": "Grace", "password": NEXT });
    grace.done("invitations_accept", "", Some(accept)).await;
    let own = async |person: &mut Person<'_>| {
        let profile = person.done("profile_read", "", None).await;
        profile["id"].as_str().expect("an id").to_owned()
    };
    let (ada_id, grace_id) = (own(&mut ada).await, own(&mut grace).await);
    assert_eq!(grace.call("members_remove", &ada_id, None).await.status, 403);
    assert_eq!(ada.call("members_remove", &ada_id, None).await.status, 409, "the last owner stays");
    assert_eq!(grace.call("members_remove", &grace_id, None).await.status, 204);
    assert_eq!(grace.call("monitors_list", "", None).await.status, 401);
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_signed_in_accepts_an_invitation_by_its_secret_alone() {
    let serving = Serving::of("server: {accounts: multi}\nmonitors: []\n").await;
    let mut ada = first_owner(&serving).await;
    let invitation = json!({ "email": "grace@example.org", "role": "viewer" });
    let made = ada.done("invitations_create", "", Some(invitation.clone())).await;
    let mut grace = Person::new(&serving);
    let secret = json!({ "secret": made["secret"] });
    assert_eq!(grace.done("invitations_read", "", Some(secret.clone())).await["proof"], "password");
    let nothing = grace.call("invitations_accept", "", Some(secret)).await;
    assert_eq!(nothing.json()["errors"][0]["pointer"], "/name", "{}", nothing.text);
    let accept = json!({ "secret": made["secret"], "name": "Grace", "password": NEXT });
    grace.done("invitations_accept", "", Some(accept)).await;

    let own = json!({ "email": "lee@example.org" });
    let own = ada.done("invitations_create", "", Some(own)).await;
    let mut lee = Person::new(&serving);
    let accept =
        json!({ "secret": own["secret"], "name": "Lee", "password": NEXT, "account_name": "harbour" });
    let harbour = lee.done("invitations_accept", "", Some(accept)).await["account"].clone();
    let made = lee.done("invitations_create", "", Some(invitation)).await;
    let secret = json!({ "secret": made["secret"] });
    assert_eq!(grace.done("invitations_read", "", Some(secret.clone())).await["proof"], "signed_in");
    let before = grace.cookie.clone();
    let signed_in = grace.done("invitations_accept", "", Some(secret)).await;
    assert_eq!(signed_in["account"], harbour);
    assert_ne!(grace.cookie, before);
    let mut old = Person { cookie: before, ..Person::new(&serving) };
    assert_eq!(old.call("profile_read", "", None).await.status, 401, "the session of before has ended");
    serving.end().await;
}
