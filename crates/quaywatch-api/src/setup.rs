//! The page behind the link that a new server prints: one form, no script, and then the server has an owner.
//!
//! What was typed is shown again beside what is wrong with it, but for the password. The key stands in the form and not
//! in a cookie, so nobody but its holder can send it.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use quaywatch_app::identity::Origin;
use quaywatch_app::identity::first_start::FirstOwner;
use quaywatch_app::operations::OperationError;
use quaywatch_core::{Secret, Timestamp};
use quaywatch_web::{Client, RequestId, cookie};

use crate::Api;

const STYLE: &str = include_str!("../assets/setup/setup.css");

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

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
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            match name.as_ref() {
                "key" => form.key = value.into_owned(),
                "email" => form.email = value.into_owned(),
                "name" => form.name = value.into_owned(),
                "password" => form.password = value.into_owned(),
                _ => {}
            }
        }
        form
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
        Ok(()) => page(StatusCode::OK, &form_page(&form, &[])),
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
            let mut response = page(StatusCode::OK, DONE);
            let cookie = cookie::begin(session.secret.reveal(), client.secure, left);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(OperationError::Invalid(problems)) => {
            let wrong: Vec<String> = problems.sorted().into_iter().map(ToString::to_string).collect();
            page(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&form, &wrong))
        }
        Err(error) => refused(&error),
    }
}

fn origin(client: Client, request: &RequestId) -> Origin {
    Origin { address: client.address, agent: None, request_id: Some(request.0.as_ref().into()) }
}

const DONE: &str = "<h1>Quaywatch is yours</h1>\
    <p>You are signed in. What is watched can be said in the configuration file or through the API.</p>\
    <p><a href=\"/api/docs\">Show the API</a></p>\
    <p>A token for programs: <code>quaywatch token create --name ci --scope write --data-dir DIR</code></p>";

fn form_page(form: &Form, wrong: &[String]) -> String {
    let mut html = String::from("<h1>Welcome to Quaywatch</h1><p>Who does this server belong to?</p>");
    for wrong in wrong {
        let _ = write!(html, "<p class=\"wrong\" role=\"alert\">{}</p>", escaped(wrong));
    }
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
         <code>quaywatch user add EMAIL --data-dir DIR</code> on its host adds another.</p>",
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
    page(status, &html)
}

fn page(status: StatusCode, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>Set up Quaywatch</title><link rel=\"icon\" href=\"data:,\">\
         <link rel=\"stylesheet\" href=\"/setup/setup.css\"></head><body><main>{content}</main></body></html>\n"
    );
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The address holds the key.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
