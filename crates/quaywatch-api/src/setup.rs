//! The page behind the link that a new server prints: one form, no script, and then the server has an owner.
//!
//! What was typed is shown again beside what is wrong with it, but for the password. The key stands in the form and not
//! in a cookie, so nobody but its holder can send it.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use quaywatch_app::identity::first_start::FirstOwner;
use quaywatch_app::operations::OperationError;
use quaywatch_core::{Secret, Timestamp};
use quaywatch_web::{Client, RequestId, cookie};

use crate::Api;
use crate::page::{Fields, alerts, each, escaped, origin, page};

const STYLE: &str = include_str!("../assets/setup/setup.css");

const TITLE: &str = "Set up Quaywatch";

/// The routes of the page.
pub(crate) fn router() -> Router<Api> {
    Router::new().route("/setup", get(show).post(set_up)).route("/setup/setup.css", get(style))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// What stands in the form.
#[derive(Debug, Default)]
struct Form {
    key: String,
    email: String,
    name: String,
    password: String,
}

impl Form {
    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields::read(bytes);
        let mut said = |name| fields.take(name).unwrap_or_default();
        Self { key: said("key"), email: said("email"), name: said("name"), password: said("password") }
    }
}

async fn show(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    Extension(request): Extension<RequestId>,
    RawQuery(query): RawQuery,
) -> Response {
    let form = Form::read(query.unwrap_or_default().as_bytes());
    match api.identity.check_setup_key(&form.key, &origin(client, &request)).await {
        Ok(()) => page(StatusCode::OK, TITLE, &form_page(&form, &[])),
        Err(error) => refused(&error),
    }
}

async fn set_up(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    Extension(request): Extension<RequestId>,
    body: Bytes,
) -> Response {
    let form = Form::read(&body);
    let first = FirstOwner {
        key: form.key.clone(),
        email: form.email.clone(),
        name: form.name.clone(),
        password: Secret::new(form.password.clone()),
    };
    match api.identity.set_up(first, &origin(client, &request)).await {
        Ok(session) => {
            let left = Timestamp::since(session.expires_at, api.clock.now());
            let mut response = page(StatusCode::OK, TITLE, DONE);
            let cookie = cookie::begin(session.secret.reveal(), client.secure, left);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(error @ OperationError::Invalid(_)) => {
            page(StatusCode::UNPROCESSABLE_ENTITY, TITLE, &form_page(&form, &each(&error)))
        }
        Err(error) => refused(&error),
    }
}

const DONE: &str = "<h1>Quaywatch is yours</h1>\
    <p>You are signed in. What is watched can be said in the configuration file or through the API.</p>\
    <p><a href=\"/api/docs\">Show the API</a></p>\
    <p>A token for programs, on the server's own host: \
    <code>quaywatch token create --name ci --scope write --data-dir</code> and the directory of the server's data.</p>";

fn form_page(form: &Form, wrong: &[String]) -> String {
    let mut html = String::from("<h1>Welcome to Quaywatch</h1><p>Who does this server belong to?</p>");
    alerts(&mut html, wrong);
    let _ = write!(
        html,
        "<form method=\"post\" action=\"/setup\">\
         <input type=\"hidden\" name=\"key\" value=\"{}\">\
         <label for=\"name\">Name</label>\
         <input id=\"name\" name=\"name\" value=\"{}\" autocomplete=\"name\" required maxlength=\"100\" autofocus>\
         <label for=\"email\">E-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"email\" value=\"{}\" autocomplete=\"username\" required>\
         <small>It is what you sign in with; nothing is sent there.</small>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" required minlength=\"10\">\
         <small>At least ten characters.</small>\
         <button>Begin</button></form>",
        escaped(&form.key),
        escaped(&form.name),
        escaped(&form.email)
    );
    html
}

fn refused(error: &OperationError) -> Response {
    let html = format!(
        "<h1>This link does not work</h1><p class=\"wrong\" role=\"alert\">{}</p>\
         <p>While a server has no owner, each start prints a new link. If it has one already, \
         <code>quaywatch user add</code> on its host adds another.</p>",
        escaped(&error.to_string())
    );
    let status = match error {
        OperationError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        OperationError::Unavailable(_) | OperationError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        OperationError::Unauthenticated
        | OperationError::NotRecognised { .. }
        | OperationError::Denied(_)
        | OperationError::NotFound { .. }
        | OperationError::Invalid(_)
        | OperationError::Conflict { .. }
        | OperationError::Changed
        | OperationError::Limit { .. } => StatusCode::FORBIDDEN,
    };
    page(status, TITLE, &html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_as_text_and_the_password_does_not() {
        let typed = b"key=k%22&name=%3Cb%3E&email=a%40b.c&password=do-not-show-it";
        let html = form_page(&Form::read(typed), &["`name` is <odd>".to_owned()]);
        assert!(html.contains("value=\"&lt;b&gt;\"") && html.contains("value=\"k&quot;\""), "{html}");
        assert!(html.contains("is &lt;odd&gt;") && html.contains("a@b.c"), "{html}");
        assert!(!html.contains("do-not-show-it"), "{html}");
    }

    #[test]
    fn the_page_runs_under_its_own_policy() {
        assert!(!DONE.contains("style=") && !form_page(&Form::default(), &[]).contains("<script"));
    }
}
