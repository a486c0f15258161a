//! The page behind the link of an invitation: what is offered, one form, no script, and then they are in.
//!
//! Whether somebody with the address is here already is told to nobody: whoever made the link may hold it. So the form
//! asks the same of all but those who are signed in as the person that was invited.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use quaywatch_app::identity::LEAST_PASSWORD;
use quaywatch_app::identity::bearer::{self, BearerKind};
use quaywatch_app::identity::invitations::{Acceptance, Offer};
use quaywatch_app::operations::OperationError;
use quaywatch_core::access::Role;
use quaywatch_core::{Secret, Timestamp};
use quaywatch_web::{Client, Credential, Identified, RequestId, cookie};

use crate::Api;
use crate::page::{Fields, alerts, each, escaped, origin, page};

const TITLE: &str = "Join Quaywatch";

/// The routes of the page.
pub(crate) fn router() -> Router<Api> {
    Router::new().route("/invite/{key}", get(show).post(accept))
}

/// What stands in the form; what is left empty was not said.
#[derive(Debug, Default)]
struct Form {
    name: Option<String>,
    password: Option<String>,
    code: Option<String>,
    account_name: Option<String>,
}

impl Form {
    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields::read(bytes);
        let mut said = |name| fields.take(name);
        Self {
            name: said("name"),
            password: said("password"),
            code: said("code"),
            account_name: said("account_name"),
        }
    }
}

async fn show(
    State(api): State<Api>,
    Path(key): Path<String>,
    Extension(client): Extension<Client>,
    Extension(request): Extension<RequestId>,
    Extension(identified): Extension<Identified>,
) -> Response {
    let offer = api.identity.read_offer(&key, identified.caller(), &origin(client, &request)).await;
    match offer {
        Ok(offer) => page(StatusCode::OK, TITLE, &form_page(&offer, &Form::default(), &[])),
        Err(error) => refused(&key, &error),
    }
}

async fn accept(
    State(api): State<Api>,
    Path(key): Path<String>,
    Extension(client): Extension<Client>,
    Extension(request): Extension<RequestId>,
    Extension(identified): Extension<Identified>,
    body: Bytes,
) -> Response {
    let (identity, origin) = (&api.identity, origin(client, &request));
    let offer = match identity.read_offer(&key, identified.caller(), &origin).await {
        Ok(offer) => offer,
        Err(error) => return refused(&key, &error),
    };
    let form = Form::read(&body);
    let yes = Acceptance {
        secret: key.clone(),
        name: form.name.clone(),
        password: form.password.clone().map(Secret::new),
        code: form.code.clone(),
        account_name: form.account_name.clone(),
    };
    let session = match identity.accept_invitation(yes, identified.caller(), &origin).await {
        Ok(session) => session,
        Err(error) => match status(&error) {
            // Somebody else was quicker with the same link.
            StatusCode::GONE => return refused(&key, &error),
            status => return page(status, TITLE, &form_page(&offer, &form, &each(&error))),
        },
    };
    if let Identified::Caller(_, Credential::Session(old)) = &identified {
        // Its cookie is replaced: nobody holds it any more. They are in already, whether it ends now or by itself.
        let _ = identity.sign_out(old.reveal(), &origin).await;
    }
    let left = Timestamp::since(session.expires_at, api.clock.now());
    let account = offer.account.or(form.account_name).unwrap_or_default();
    let mut response = page(StatusCode::OK, TITLE, &done_page(&account, offer.role));
    response
        .headers_mut()
        .insert(header::SET_COOKIE, cookie::begin(session.secret.reveal(), client.secure, left));
    response
}

fn form_page(offer: &Offer, form: &Form, wrong: &[String]) -> String {
    let mut html = String::from("<h1>You are invited to Quaywatch</h1>");
    let email = escaped(&offer.email);
    let _ = match &offer.account {
        Some(account) => write!(
            html,
            "<p><strong>{email}</strong> is invited into the account <strong>{}</strong> as {}, who may {}.</p>",
            escaped(account),
            offer.role,
            may(offer.role)
        ),
        None => {
            write!(html, "<p><strong>{email}</strong> is invited to have an account of their own here.</p>")
        }
    };
    alerts(&mut html, wrong);
    html.push_str("<form method=\"post\">");
    if offer.account.is_none() {
        let _ = write!(
            html,
            "<label for=\"account_name\">Name of your account</label>\
             <input id=\"account_name\" name=\"account_name\" value=\"{}\" autocomplete=\"organization\" required \
             maxlength=\"100\">",
            escaped(form.account_name.as_deref().unwrap_or_default())
        );
    }
    if offer.signed_in {
        html.push_str("<p>You are signed in as this person.</p><button>Accept</button></form>");
        return html;
    }
    let _ = write!(
        html,
        "<label for=\"name\">Your name</label>\
         <input id=\"name\" name=\"name\" value=\"{}\" autocomplete=\"name\" maxlength=\"100\">\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\">\
         <small>A new one of at least {LEAST_PASSWORD} characters. If you are here already: your own password, or sign \
         in first and open this link again; your name stays as it is.</small>\
         <label for=\"code\">Code of your second factor</label>\
         <input id=\"code\" name=\"code\" inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"40\">\
         <small>Only if you are here already and have one.</small>\
         <button>Accept</button></form>",
        escaped(form.name.as_deref().unwrap_or_default())
    );
    html
}

const fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "look at everything",
        Role::Responder => "look, acknowledge and comment",
        Role::Editor => "change what is watched",
        Role::Admin => "change what is watched, who is told, and who may do what",
        Role::Owner => "do everything",
    }
}

fn done_page(account: &str, role: Role) -> String {
    let next = match role {
        Role::Viewer | Role::Responder => "What is watched, and how it is, can be read through the API.",
        Role::Editor | Role::Admin | Role::Owner => {
            "What is watched can be said through the API, or with <code>quaywatch apply</code> and a token, which \
             <code>POST /api/v1/tokens</code> makes."
        }
    };
    format!(
        "<h1>Welcome to {}</h1><p>You are signed in, as {role}. {next}</p>\
         <p><a href=\"/api/docs\">Show the API</a></p>",
        escaped(account)
    )
}

fn refused(key: &str, error: &OperationError) -> Response {
    let is_whole = bearer::read(BearerKind::Invitation, key).is_ok();
    let (status, told) = match status(error) {
        StatusCode::GONE if !is_whole => (
            StatusCode::NOT_FOUND,
            "it is not whole: copy all of it, from the first letter to the last".to_owned(),
        ),
        status => (status, error.to_string()),
    };
    let html = format!(
        "<h1>This link does not work</h1><p class=\"wrong\" role=\"alert\">{}</p>\
         <p>An invitation is for one person, once, within seven days. Whoever sent it can make another.</p>",
        escaped(&told)
    );
    page(status, TITLE, &html)
}

fn status(error: &OperationError) -> StatusCode {
    match error {
        OperationError::NotRecognised { code: "invitation_ended", .. } | OperationError::NotFound { .. } => {
            StatusCode::GONE
        }
        OperationError::Unauthenticated
        | OperationError::NotRecognised { .. }
        | OperationError::Denied(_) => StatusCode::FORBIDDEN,
        OperationError::Invalid(_) | OperationError::Limit { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        OperationError::Conflict { .. } | OperationError::Changed => StatusCode::CONFLICT,
        OperationError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        OperationError::Unavailable(_) | OperationError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(account: Option<&str>, signed_in: bool) -> Offer {
        let account = account.map(str::to_owned);
        Offer { email: "<lee>@example.com".to_owned(), account, role: Role::Editor, signed_in }
    }

    #[test]
    fn what_was_typed_comes_back_as_text_and_neither_password_nor_code_does() {
        let typed = b"name=%3Cb%3E&password=do-not-show-it&code=123456&account_name=%22x%22";
        let html = form_page(&offer(None, false), &Form::read(typed), &["`name` is <odd>".to_owned()]);
        assert!(html.contains("value=\"&lt;b&gt;\"") && html.contains("value=\"&quot;x&quot;\""), "{html}");
        assert!(html.contains("is &lt;odd&gt;") && html.contains("&lt;lee&gt;@"), "{html}");
        assert!(!html.contains("do-not-show-it") && !html.contains("123456"), "{html}");
        assert!(!html.contains("style=") && !html.contains("<script"), "{html}");
    }

    #[test]
    fn whoever_is_signed_in_is_asked_for_nothing_more() {
        let html = form_page(&offer(Some("default"), true), &Form::default(), &[]);
        assert!(!html.contains("<input") && html.contains("<button"), "{html}");
    }
}
