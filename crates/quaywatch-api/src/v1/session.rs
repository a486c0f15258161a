//! `/session`, `/profile` and `/setup`: signing in and out, and what people manage of themselves.

use axum::http::{StatusCode, header};
use axum::response::Response;
use quaywatch_app::identity::Origin;
use quaywatch_app::identity::first_start::FirstOwner;
use quaywatch_app::identity::sign_in::{Credentials, NewSession, SignIn};
use quaywatch_core::{AccountId, Secret, Timestamp};
use quaywatch_web::problem::Problem;
use quaywatch_web::{Credential, cookie};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Open;
use crate::Api;
use crate::framework::answer::json_response;
use crate::framework::describe::Describe;
use crate::framework::{Call, Done, Head, Json, Listed, Output, Public, Routes, Shown, SignedIn, Tag, docs};
use crate::wire::ids::Id;
use crate::wire::session::{
    AccountRequest, AgainRequest, CodeRequest, Enrolment, PasswordRequest, Profile, ProfilePatch,
    RecoveryCodes, Session, SetupRequest, SignInRequest, SignedIn as Answer,
};
use crate::wire::time::Time;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Session);
    routes.post(
        "/setup",
        Public,
        set_up,
        docs("setup", "Become the first owner of a new server")
            .about("With the key of the link that the terminal shows at the first start; it works once.")
            .answers(&[401])
            .never_replayed(),
    );
    routes.post(
        "/session",
        Public,
        sign_in,
        docs("session_create", "Sign in").answers(&[401]).never_replayed(),
    );
    routes.delete("/session", Public, sign_out, docs("session_delete", "Sign out"));
    routes.patch(
        "/session",
        SignedIn,
        switch,
        docs("session_switch", "Go on in another account").answers(&[404]),
    );
    routes.get("/session/all", SignedIn, sessions, docs("sessions_list", "List your sessions"));
    routes.delete(
        "/session/all",
        SignedIn,
        end_others,
        docs("sessions_end", "End all of your sessions but this one"),
    );
    routes.delete(
        "/session/all/{id}",
        SignedIn,
        end_one,
        docs("sessions_end_one", "End one of your sessions"),
    );
    profile(routes);
}

fn profile(routes: &mut Routes) {
    routes.get("/profile", SignedIn, read, docs("profile_read", "Show who you are"));
    routes.patch("/profile", SignedIn, rename, docs("profile_update", "Change what you are called"));
    routes.put(
        "/profile/password",
        SignedIn,
        change_password,
        docs("profile_password", "Set a new password").about("Your other sessions end."),
    );
    routes.post(
        "/profile/second-factor",
        SignedIn,
        begin_factor,
        docs("second_factor_begin", "Begin to use codes of an app").never_replayed(),
    );
    routes.put(
        "/profile/second-factor",
        SignedIn,
        confirm_factor,
        docs("second_factor_confirm", "Confirm it with the app's first code")
            .about("Answers the recovery codes; your other sessions end."),
    );
    routes.post(
        "/profile/second-factor/end",
        SignedIn,
        end_factor,
        docs("second_factor_end", "Use codes no more").never_replayed(),
    );
    routes.post(
        "/profile/recovery-codes",
        SignedIn,
        new_codes,
        docs("recovery_codes_renew", "Make new recovery codes").never_replayed(),
    );
}

/// From where a request comes, for identity.
pub(super) fn origin(head: &Head) -> Origin {
    const LONGEST_AGENT: usize = 200;
    let agent = head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        address: head.client.address,
        agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
        request_id: Some(head.request.0.as_ref().into()),
    }
}

/// 200 with the cookie of a session that began, or that needs a second factor first.
#[derive(Debug)]
pub(super) struct Begun {
    answer: Answer,
    /// The secret and when it ends; `None`: not yet.
    session: Option<(Secret<String>, std::time::Duration)>,
}

impl Begun {
    pub(super) fn of(session: &NewSession, api: &Api) -> Self {
        let answer = Answer::SignedIn {
            user: Id(session.user),
            account: AccountId::to_string(&session.account),
            expires_at: Time(session.expires_at),
        };
        let left = Timestamp::since(session.expires_at, api.clock.now());
        Self { answer, session: Some((session.secret.clone(), left)) }
    }
}

impl Output for Begun {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        let cookie = json!({
            "description": "the session's cookie, once somebody is in",
            "schema": { "type": "string" },
        });
        json!({
            "description": "how far signing in has come",
            "headers": { "Set-Cookie": cookie },
            "content": { "application/json": { "schema": describe.written::<Answer>() } },
        })
    }

    fn respond(self, head: &Head) -> Response {
        let mut response = json_response(StatusCode::OK, &self.answer);
        if let Some((secret, age)) = self.session {
            let cookie = cookie::begin(secret.reveal(), head.client.secure, age);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

async fn set_up(call: Open<Json<SetupRequest>>) -> Result<Begun, Problem> {
    let Json(SetupRequest { key, email, name, password }) = call.body;
    let first = FirstOwner { key, email, name, password: Secret::new(password) };
    let session = call.api.identity.set_up(first, &origin(&call.head)).await?;
    Ok(Begun::of(&session, &call.api))
}

async fn sign_in(call: Open<Json<SignInRequest>>) -> Result<Begun, Problem> {
    let Json(SignInRequest { email, password, code }) = call.body;
    let credentials = Credentials { email, password: Secret::new(password), code, account: None };
    match call.api.identity.sign_in(credentials, &origin(&call.head)).await? {
        SignIn::Done(session) => Ok(Begun::of(&session, &call.api)),
        SignIn::SecondFactorNeeded => Ok(Begun { answer: Answer::SecondFactorNeeded, session: None }),
    }
}

/// 204, and the cookie is gone.
#[derive(Debug)]
struct Ended;

impl Output for Ended {
    const STATUS: u16 = 204;

    fn describe(_: &mut Describe) -> Value {
        json!({ "description": "the session has ended, or there was none" })
    }

    fn respond(self, head: &Head) -> Response {
        let mut response = Done.respond(head);
        response.headers_mut().insert(header::SET_COOKIE, cookie::end(head.client.secure));
        response
    }
}

async fn sign_out(call: Open<()>) -> Result<Ended, Problem> {
    if let Some(Credential::Session(secret)) = &call.head.credential {
        call.api.identity.sign_out(secret.reveal(), &origin(&call.head)).await?;
    }
    Ok(Ended)
}

/// The secret of the session that asks; of a token there is none, and what needs one is refused to tokens anyway.
fn session_of(head: &Head) -> &str {
    match &head.credential {
        Some(Credential::Session(secret)) => secret.reveal(),
        Some(Credential::Token(_)) | None => "",
    }
}

async fn switch(call: Call<(), (), Json<AccountRequest>>) -> Result<Done, Problem> {
    let wanted = &call.body.0.account;
    let account =
        wanted.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such account"))?;
    call.api.identity.switch_account(&call.caller, session_of(&call.head), account).await?;
    Ok(Done)
}

async fn sessions(call: Call) -> Result<Listed<Session>, Problem> {
    let all = call.api.identity.list_sessions(&call.caller, session_of(&call.head)).await?;
    Ok(Listed::whole(all))
}

async fn end_others(call: Call) -> Result<Done, Problem> {
    call.api.identity.sign_out_everywhere(&call.caller, Some(session_of(&call.head))).await?;
    Ok(Done)
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    #[schemars(length(min = 1, max = 100), extend("examples" = ["none"]))]
    id: String,
}

async fn end_one(call: Call<One>) -> Result<Done, Problem> {
    call.api.identity.end_session(&call.caller, &call.path.id).await?;
    Ok(Done)
}

async fn read(call: Call) -> Result<Shown<Profile>, Problem> {
    Ok(Shown(call.api.identity.read_profile(&call.caller).await?.into()))
}

async fn rename(call: Call<(), (), Json<ProfilePatch>>) -> Result<Shown<Profile>, Problem> {
    call.api.identity.rename(&call.caller, &call.body.0.name).await?;
    Ok(Shown(call.api.identity.read_profile(&call.caller).await?.into()))
}

async fn change_password(call: Call<(), (), Json<PasswordRequest>>) -> Result<Done, Problem> {
    let Json(PasswordRequest { old_password, new_password }) = call.body;
    let (old, new) = (old_password.map(Secret::new), Secret::new(new_password));
    call.api.identity.change_password(&call.caller, old, new).await?;
    Ok(Done)
}

async fn begin_factor(call: Call) -> Result<Shown<Enrolment>, Problem> {
    let begun = call.api.identity.begin_second_factor(&call.caller).await?;
    Ok(Shown(Enrolment { secret: begun.secret.reveal().clone(), link: begun.link.reveal().clone() }))
}

async fn confirm_factor(call: Call<(), (), Json<CodeRequest>>) -> Result<Shown<RecoveryCodes>, Problem> {
    Ok(codes(&call.api.identity.confirm_second_factor(&call.caller, &call.body.0.code).await?))
}

async fn end_factor(call: Call<(), (), Json<AgainRequest>>) -> Result<Done, Problem> {
    call.api.identity.end_second_factor(&call.caller, Secret::new(call.body.0.password)).await?;
    Ok(Done)
}

async fn new_codes(call: Call<(), (), Json<AgainRequest>>) -> Result<Shown<RecoveryCodes>, Problem> {
    Ok(codes(&call.api.identity.new_recovery_codes(&call.caller, Secret::new(call.body.0.password)).await?))
}

fn codes(codes: &[Secret<String>]) -> Shown<RecoveryCodes> {
    Shown(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.reveal().clone()).collect() })
}
