//! Members and invitations.

use quaywatch_app::identity::invitations::{
    CreatedInvitation, Into as InvitedInto, InvitationView, Offer as OfferView,
};
use quaywatch_app::identity::members::MemberView;
use quaywatch_core::UserId;
use quaywatch_core::access;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Id;
use super::time::Time;

/// What a person is in an account, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Role {
    /// Looks.
    Viewer,
    /// Acknowledges and comments.
    Responder,
    /// Changes what is watched.
    Editor,
    /// Changes who is told, and who may do what.
    Admin,
    /// The account is theirs.
    Owner,
}

impl From<access::Role> for Role {
    fn from(role: access::Role) -> Self {
        match role {
            access::Role::Viewer => Self::Viewer,
            access::Role::Responder => Self::Responder,
            access::Role::Editor => Self::Editor,
            access::Role::Admin => Self::Admin,
            access::Role::Owner => Self::Owner,
        }
    }
}

impl From<Role> for access::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Responder => Self::Responder,
            Role::Editor => Self::Editor,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}

/// Somebody who belongs to the account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Member {
    id: Id<UserId>,
    email: String,
    name: String,
    role: Role,
    /// Whether they need more than a password.
    second_factor: bool,
    /// To the minute.
    last_seen_at: Option<Time>,
}

impl From<MemberView> for Member {
    fn from(view: MemberView) -> Self {
        Self {
            id: Id(view.id),
            email: view.email,
            name: view.name,
            role: view.role.into(),
            second_factor: view.second_factor,
            last_seen_at: view.last_seen_at.map(Time),
        }
    }
}

/// What changes of a member.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberPatch {
    pub role: Role,
}

/// Who is invited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitationRequest {
    /// Nothing is sent there by itself: pass the link on.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// Into this account, as this; without it, into an account of their own (on a server of many accounts, for owners of
    /// the first one).
    pub role: Option<Role>,
}

/// An invitation that waits.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Invitation {
    pub id: i64,
    email: String,
    /// Null: into an account of their own.
    role: Option<Role>,
    invited_by: String,
    created_at: Time,
    expires_at: Time,
}

impl From<InvitationView> for Invitation {
    fn from(view: InvitationView) -> Self {
        let role = match view.into {
            InvitedInto::Account(role) => Some(role.into()),
            InvitedInto::OwnAccount => None,
        };
        Self {
            id: view.id,
            email: view.email,
            role,
            invited_by: view.invited_by,
            created_at: Time(view.created_at),
            expires_at: Time(view.expires_at),
        }
    }
}

/// An invitation that was made: the only time that its secret is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownInvitation {
    #[serde(flatten)]
    pub about: Invitation,
    /// For `/invitations/accept`.
    secret: String,
    /// The link to pass on, where the server knows how it is reached.
    link: Option<String>,
}

impl From<CreatedInvitation> for ShownInvitation {
    fn from(created: CreatedInvitation) -> Self {
        Self {
            about: created.invitation.into(),
            secret: created.secret.reveal().clone(),
            link: created.link.map(|link| link.reveal().clone()),
        }
    }
}

/// What an invitation offers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Offer {
    email: String,
    /// The account's name; null: one of their own.
    account: Option<String>,
    role: Role,
    proof: InvitationProof,
}

/// What whoever accepts must bring.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum InvitationProof {
    /// The secret alone: they are signed in as the person who is invited.
    SignedIn,
    /// They sign in and ask again; or send a password: their own, if they are here already, else a new one and a name.
    Password,
}

impl From<OfferView> for Offer {
    fn from(view: OfferView) -> Self {
        let proof = if view.signed_in { InvitationProof::SignedIn } else { InvitationProof::Password };
        Self { email: view.email, account: view.account, role: view.role.into(), proof }
    }
}

/// The secret of an invitation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferRequest {
    #[schemars(length(min = 1, max = 200))]
    pub secret: String,
}

/// Somebody accepts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptRequest {
    #[schemars(length(min = 1, max = 200))]
    pub secret: String,
    /// What they are called, where they are not known yet.
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    /// A new one, or theirs where they are known already; not of those who are signed in.
    #[schemars(length(min = 1, max = 1000))]
    pub password: Option<String>,
    /// Of their second factor, where they are known already and have one.
    #[schemars(length(min = 6, max = 40))]
    pub code: Option<String>,
    /// What their own account is called.
    #[schemars(length(min = 1, max = 100))]
    pub account_name: Option<String>,
}
