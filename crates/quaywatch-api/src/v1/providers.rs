//! `/session/providers`: signing in at a provider (OpenID Connect), there and back.
//!
//! A browser is sent away with a cookie that binds it to its journey: whoever brings back the provider's answer without
//! that cookie did not begin it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use quaywatch_app::identity::oidc::{Arrival, Departure, Return};
use quaywatch_core::Timestamp;
use quaywatch_web::cookie;
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::session::origin;
use crate::framework::describe::Describe;
use crate::framework::{Call, Done, Head, Listed, Output, Public, Routes, SignedIn, Tag, docs};

/// How long somebody may take at the provider.
const JOURNEY: Duration = Duration::from_secs(600);

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Session);
    routes.get("/session/providers", Public, list, docs("providers_list", "List who may say who you are"));
    routes.post(
        "/session/providers/{name}",
        Public,
        depart,
        docs("providers_depart", "Begin to sign in at a provider")
            .about("Go to `url`; it comes back to the callback. With `link`, whoever is signed in links themselves.")
            .answers(&[401])
            .never_replayed(),
    );
    routes.get(
        "/session/providers/{name}/callback",
        Public,
        arrive,
        docs("providers_callback", "Come back from a provider").answers(&[401, 403, 409]),
    );
    routes.delete(
        "/profile/providers/{name}",
        SignedIn,
        unlink,
        docs("providers_unlink", "Let a provider no longer say who you are"),
    );
}

#[derive(Debug, Serialize, JsonSchema)]
struct Provider {
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    #[schemars(length(min = 1, max = 200), extend("examples" = ["none"]))]
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DepartQuery {
    /// Link whoever is signed in, instead of signing somebody in.
    link: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct BackQuery {
    /// As it was sent along.
    #[schemars(length(max = 500))]
    state: Option<String>,
    /// To be exchanged for who it is.
    #[schemars(length(max = 2000))]
    code: Option<String>,
    /// Why the provider refused.
    #[schemars(length(max = 500))]
    error: Option<String>,
}

type Open<P, Q> = Call<P, Q, (), Option<quaywatch_app::caller::Caller>>;

async fn list(call: Open<(), ()>) -> Result<Listed<Provider>, Problem> {
    let items = call.api.identity.providers().into_iter().map(|name| Provider { name }).collect();
    Ok(Listed { items, next: None })
}

async fn depart(call: Open<One, DepartQuery>) -> Result<Departed, Problem> {
    let link = match (call.query.link, &call.caller) {
        (Some(true), None) => {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "sign in first: then you can link yourself"));
        }
        (Some(true), caller) => caller.as_ref(),
        (Some(false) | None, _) => None,
    };
    Ok(Departed(call.api.identity.depart(&call.path.name, link, &origin(&call.head)).await?))
}

async fn arrive(call: Open<One, BackQuery>) -> Result<Arrived, Problem> {
    if let Some(error) = &call.query.error {
        let said: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(Problem::new(StatusCode::UNAUTHORIZED, format!("the provider refused: {said}")));
    }
    let (Some(state), Some(code)) = (call.query.state, call.query.code) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "the provider's answer is incomplete: begin again",
        ));
    };
    let binding = binding_of(&call.head.headers, call.head.client.secure).unwrap_or_default();
    let back = Return { state, code, binding };
    let arrival = call.api.identity.arrive(&call.path.name, back, &origin(&call.head)).await?;
    let session = match arrival {
        Arrival::Linked => None,
        Arrival::SignedIn(session) => {
            let left = Timestamp::since(session.expires_at, call.api.clock.now());
            Some((session.secret, left))
        }
    };
    Ok(Arrived { session })
}

async fn unlink(call: Call<One>) -> Result<Done, Problem> {
    call.api.identity.unlink_provider(&call.caller, &call.path.name).await?;
    Ok(Done)
}

const fn binding_name(secure: bool) -> &'static str {
    if secure { "__Host-qw-provider" } else { "qw-provider" }
}

fn binding_of(headers: &HeaderMap, secure: bool) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == binding_name(secure)).map(|(_, value)| value.to_owned())
}

/// Lax: the way back begins at the provider's site.
fn binding_cookie(value: &str, secure: bool, seconds: u64) -> Option<HeaderValue> {
    let name = binding_name(secure);
    let tail = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{tail}");
    HeaderValue::from_str(&text).ok()
}

/// Where to go, with the cookie that binds the journey to this browser.
struct Departed(Departure);

#[derive(Debug, Serialize, JsonSchema)]
struct DepartedBody {
    /// At the provider.
    url: String,
}

impl Output for Departed {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        json!({
            "description": "where to go",
            "headers": { "Set-Cookie": { "description": "binds the journey", "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": describe.written::<DepartedBody>() } },
        })
    }

    fn respond(self, head: &Head) -> Response {
        let body = DepartedBody { url: self.0.url.reveal().clone() };
        let mut response = crate::framework::answer::json_response(StatusCode::OK, &body);
        let cookie = binding_cookie(self.0.binding.reveal(), head.client.secure, JOURNEY.as_secs());
        response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        response
    }
}

/// 303 to the first page, signed in.
struct Arrived {
    session: Option<(quaywatch_core::Secret<String>, Duration)>,
}

impl Output for Arrived {
    const STATUS: u16 = 303;

    fn describe(_: &mut Describe) -> Value {
        json!({ "description": "signed in, or linked: on to the first page" })
    }

    fn respond(self, head: &Head) -> Response {
        let secure = head.client.secure;
        let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
        let headers = response.headers_mut();
        headers.extend(binding_cookie("", secure, 0).map(|cookie| (header::SET_COOKIE, cookie)));
        if let Some((secret, age)) = self.session {
            headers.append(header::SET_COOKIE, cookie::begin(secret.reveal(), secure, age));
        }
        response
    }
}
