//! Who asks, from what the request carries: `Authorization: Bearer`, `X-API-Key`, or the session's cookie.
//!
//! A request is identified once, before its route is known. What that means for the route (401, 403, or nothing where it
//! is open to all) is the route's to say, so that signing in works with an old cookie still around.

use std::pin::Pin;

use axum::http::{HeaderMap, header};
use quaywatch_app::caller::Caller;
use quaywatch_app::identity::Identity;
use quaywatch_app::operations::OperationError;
use quaywatch_core::Secret;

use crate::client::Client;
use crate::cookie;
use crate::problem::Problem;

/// The future of an answer about somebody's identity.
pub type Recognised<'a> = Pin<Box<dyn Future<Output = Result<Caller, OperationError>> + Send + 'a>>;

/// Whoever knows sessions and tokens.
pub trait Authenticate: Send + Sync {
    /// Whose token it is. One that is nobody's is [`OperationError::Unauthenticated`].
    fn token<'a>(&'a self, token: &'a str, client: &'a Client) -> Recognised<'a>;

    /// Whose session it is, by the secret in its cookie.
    fn session<'a>(&'a self, secret: &'a str, client: &'a Client) -> Recognised<'a>;
}

impl Authenticate for Identity {
    fn token<'a>(&'a self, token: &'a str, client: &'a Client) -> Recognised<'a> {
        Box::pin(self.authenticate_token(token, client.address))
    }

    fn session<'a>(&'a self, secret: &'a str, client: &'a Client) -> Recognised<'a> {
        Box::pin(self.authenticate_session(secret, client.address))
    }
}

/// Who a request is from; found in its extensions.
#[derive(Debug, Clone)]
pub enum Identified {
    /// It says nothing.
    Nobody,
    /// Somebody who is known.
    Caller(Box<Caller>, Credential),
    /// It says something that is not true, or no longer.
    Refused(Box<Problem>),
}

impl Identified {
    /// The caller, where there is one.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Caller(caller, _) => Some(caller),
            Self::Nobody | Self::Refused(_) => None,
        }
    }
}

/// How a caller was recognised: for ending it, and for asking again whether it still holds.
#[derive(Debug, Clone)]
pub enum Credential {
    /// By the text of a token.
    Token(Secret<String>),
    /// By the secret in the cookie of a session.
    Session(Secret<String>),
}

/// Recognises whoever sent these headers.
pub(crate) async fn identify(
    authenticate: &dyn Authenticate,
    headers: &HeaderMap,
    client: &Client,
) -> Identified {
    match given(headers, client) {
        Ok(None) => Identified::Nobody,
        Err(problem) => Identified::Refused(Box::new(problem)),
        Ok(Some(Given::Token(token))) => match authenticate.token(token, client).await {
            Ok(caller) => {
                let credential = Credential::Token(Secret::new(token.to_owned()));
                Identified::Caller(Box::new(caller), credential)
            }
            Err(error) => Identified::Refused(Box::new(error.into())),
        },
        Ok(Some(Given::Session(secret))) => match authenticate.session(secret, client).await {
            Ok(caller) => {
                let credential = Credential::Session(Secret::new(secret.to_owned()));
                Identified::Caller(Box::new(caller), credential)
            }
            Err(error) => Identified::Refused(Box::new(error.into())),
        },
    }
}

enum Given<'h> {
    Token(&'h str),
    Session(&'h str),
}

/// Whether a request carries a token, or says so: then no cookie is looked at.
pub(crate) fn carries_token(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key")
}

/// What the request carries; a token before a cookie, since a token was written on purpose.
fn given<'h>(headers: &'h HeaderMap, client: &Client) -> Result<Option<Given<'h>>, Problem> {
    let refused = |detail| Err(Problem::new(axum::http::StatusCode::UNAUTHORIZED, detail));
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        return match bearer.filter(|token| !token.is_empty()) {
            Some(token) => Ok(Some(Given::Token(token))),
            None => refused("`Authorization` must be `Bearer` and a token"),
        };
    }
    if let Some(value) = headers.get("x-api-key") {
        return match value.to_str().map(str::trim) {
            Ok(token) if !token.is_empty() => Ok(Some(Given::Token(token))),
            Ok(_) | Err(_) => refused("`X-API-Key` must be a token"),
        };
    }
    Ok(cookie::session_of(headers, client.secure).map(Given::Session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_carrying_a_token_is_understood() {
        let client = Client { address: "192.0.2.1".parse().expect("literal"), secure: false };
        let found = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap =
                pairs.iter().map(|(k, v)| (k.parse().expect("name"), v.parse().expect("value"))).collect();
            match given(&headers, &client) {
                Ok(None) => "nothing".to_owned(),
                Ok(Some(Given::Token(token))) => format!("token {token}"),
                Ok(Some(Given::Session(secret))) => format!("session {secret}"),
                Err(problem) => problem.status().to_string(),
            }
        };
        assert_eq!(found(&[]), "nothing");
        assert_eq!(found(&[("authorization", "bearer qw_x"), ("cookie", "qw=s")]), "token qw_x");
        assert_eq!(found(&[("x-api-key", "qw_x")]), "token qw_x");
        assert_eq!(found(&[("cookie", "a=b; qw=s")]), "session s");
        assert_eq!(found(&[("authorization", "Basic eA==")]), "401 Unauthorized");
        assert_eq!(found(&[("x-api-key", "")]), "401 Unauthorized");
    }
}
