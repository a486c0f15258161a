//! API tokens.

use quaywatch_app::identity::tokens::{CreatedToken, TokenView};
use quaywatch_core::TokenId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Id;
use super::time::Time;

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenRequest {
    /// What people call it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// `read`, `write` or `admin`, on everything or, as in `monitors:write`, on one resource.
    #[schemars(length(min = 1, max = 40), inner(length(min = 1, max = 40)))]
    pub scopes: Vec<String>,
    /// When it ends; never where nothing is said.
    pub expires_at: Option<Time>,
}

/// A token, without itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Token {
    pub id: Id<TokenId>,
    name: String,
    /// Its first characters, to tell it from others.
    prefix: String,
    scopes: Vec<String>,
    /// `user:u1`, `token:tok1`, `cli:0`.
    created_by: String,
    created_at: Time,
    expires_at: Option<Time>,
    /// To the minute.
    last_used_at: Option<Time>,
    last_address: Option<String>,
    revoked_at: Option<Time>,
}

impl From<TokenView> for Token {
    fn from(view: TokenView) -> Self {
        Self {
            id: Id(view.id),
            name: view.name,
            prefix: view.prefix,
            scopes: view.scopes.iter().map(ToString::to_string).collect(),
            created_by: view.created_by,
            created_at: Time(view.created_at),
            expires_at: view.expires_at.map(Time),
            last_used_at: view.last_used_at.map(Time),
            last_address: view.last_address.map(|address| address.to_string()),
            revoked_at: view.revoked_at.map(Time),
        }
    }
}

/// A token that was made: the only time that it is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownToken {
    /// The token itself: keep it now, it is not shown again.
    token: String,
    #[serde(flatten)]
    pub about: Token,
}

impl From<CreatedToken> for ShownToken {
    fn from(created: CreatedToken) -> Self {
        Self { token: created.secret.reveal().clone(), about: created.token.into() }
    }
}
