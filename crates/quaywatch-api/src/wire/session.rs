//! Signing in, and who signed in.

use quaywatch_app::identity::profile::Profile as ProfileView;
use quaywatch_app::identity::sessions::SessionView;
use quaywatch_core::{AccountId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Id;
use super::people::Role;
use super::time::Time;

/// Who wants to be let in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInRequest {
    #[schemars(length(min = 1, max = 254))]
    pub email: String,
    #[schemars(length(min = 1, max = 1000))]
    pub password: String,
    /// Of an app, or a recovery code, once it was asked for.
    #[schemars(length(min = 6, max = 40))]
    pub code: Option<String>,
}

/// How far signing in has come.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum SignedIn {
    /// The cookie of the session comes with this answer.
    SignedIn {
        user: Id<UserId>,
        /// `a1`
        account: String,
        /// When the session ends at the latest.
        expires_at: Time,
    },
    /// The password is right: send it again with `code`.
    SecondFactorNeeded,
}

/// Who signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Profile {
    id: Id<UserId>,
    email: String,
    name: String,
    /// Where they belong.
    accounts: Vec<Membership>,
    has_password: bool,
    second_factor: bool,
    /// Recovery codes that are left.
    recovery_codes: usize,
    /// Providers that may say who they are.
    providers: Vec<String>,
}

/// Where somebody belongs.
#[derive(Debug, Serialize, JsonSchema)]
struct Membership {
    /// `a1`
    account: String,
    name: String,
    role: Role,
}

impl From<ProfileView> for Profile {
    fn from(view: ProfileView) -> Self {
        let membership = |each: quaywatch_app::identity::profile::Membership| Membership {
            account: AccountId::to_string(&each.account),
            name: each.name,
            role: each.role.into(),
        };
        Self {
            id: Id(view.id),
            email: view.email,
            name: view.name,
            accounts: view.accounts.into_iter().map(membership).collect(),
            has_password: view.has_password,
            second_factor: view.second_factor,
            recovery_codes: view.recovery_codes,
            providers: view.providers,
        }
    }
}

/// What changes of whoever signed in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfilePatch {
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
}

/// A new password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordRequest {
    /// The one before; left out by those who have none yet.
    #[schemars(length(min = 1, max = 1000))]
    pub old_password: Option<String>,
    /// At least ten characters.
    #[schemars(length(min = 1, max = 1000))]
    pub new_password: String,
}

/// The caller's password, asked for again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgainRequest {
    #[schemars(length(min = 1, max = 1000))]
    pub password: String,
}

/// What an app needs for codes.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Enrolment {
    /// To type.
    pub secret: String,
    /// `otpauth://…`, to show as a picture.
    pub link: String,
}

/// The first code of an app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeRequest {
    #[schemars(length(min = 6, max = 10))]
    pub code: String,
}

/// Codes for the day on which the app is lost; each works once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

/// The account to go on in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountRequest {
    #[schemars(regex(pattern = "^a[1-9][0-9]{0,9}$"))]
    pub account: String,
}

/// A session of whoever asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Session {
    /// For ending it.
    id: String,
    created_at: Time,
    /// To the minute.
    last_seen_at: Time,
    expires_at: Time,
    address: Option<String>,
    /// What the browser calls itself.
    agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl From<SessionView> for Session {
    fn from(view: SessionView) -> Self {
        Self {
            id: view.id,
            created_at: Time(view.created_at),
            last_seen_at: Time(view.last_seen_at),
            expires_at: Time(view.expires_at),
            address: view.address.map(|address| address.to_string()),
            agent: view.agent,
            current: view.current,
        }
    }
}

/// The first owner of a new server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// From the link that the terminal shows.
    #[schemars(length(min = 1, max = 200))]
    pub key: String,
    #[schemars(length(min = 1, max = 254))]
    pub email: String,
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// At least ten characters.
    #[schemars(length(min = 1, max = 1000))]
    pub password: String,
}
