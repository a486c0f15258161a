//! Invitations: a link, for seven days and for one person, into an account with a role; on a server of many owners also
//! into an account of one's own.
//!
//! Who is here already proves who they are: the link has passed through other hands, and nobody may take a person over
//! with it. By their session, by their password, or, where they have no way in at all, by the link alone: but then they
//! must be members of nothing yet.
//!
//! That somebody came by a link proves nothing of their address: whoever made the link may have used it. Nothing that is
//! given to an address later (by a provider's word, by the host) goes to them without a second look.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource, Role};
use quaywatch_core::egress::Accounts;
use quaywatch_core::{AccountId, Secret, Timestamp};
use quaywatch_store::StoreError;
use quaywatch_store::records::{
    Accepting, InvitationRecord, NewInvitation as InvitationToKeep, NewUser, Proved, SecretHash, UserRecord,
};

use super::bearer::{self, BearerKind};
use super::members::{MANAGE, require_role};
use super::password;
use super::sign_in::{Credentials, Factor, NewSession, Place, by_password};
use super::{Identity, No, Origin, check_email, check_name, newcomer, not_recognised, refused};
use crate::caller::{Actor, Caller};
use crate::operations::OperationError;
use crate::operations::refuse::{Wrong, invalid, not_found};

/// Who is invited, and into what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Their address of mail. Nothing is sent there by itself: whoever invites passes the link on.
    pub email: String,
    /// What they become.
    pub into: Into,
}

/// Into what somebody is invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// The caller's account, as this.
    Account(Role),
    /// An account of their own, on a server of many owners; only the owners of the first account may ask for it.
    OwnAccount,
}

/// An invitation that has just been made.
#[derive(Debug)]
pub struct CreatedInvitation {
    /// The link's secret: shown now, and never again.
    pub secret: Secret<String>,
    /// The link, where the server knows how it is reached.
    pub link: Option<Secret<String>>,
    /// What stays to be seen of it.
    pub invitation: InvitationView,
}

/// An invitation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationView {
    /// Its number.
    pub id: i64,
    /// Who is invited.
    pub email: String,
    /// Into what.
    pub into: Into,
    /// Who invites, as the audit log names them.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What somebody who follows the link is told before they say yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The address that was invited.
    pub email: String,
    /// The account's name; `None`: one of their own.
    pub account: Option<String>,
    /// What they become.
    pub role: Role,
    /// Whether whoever asks is signed in as the person who is invited. To others it is the same whether somebody with
    /// that address is here already: whoever made the link may hold it, and asks about anybody.
    pub signed_in: bool,
}

/// Yes.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The link's secret.
    pub secret: String,
    /// What they are called; ignored of those who are known.
    pub name: Option<String>,
    /// A new password, or theirs; ignored of those who are signed in.
    pub password: Option<Secret<String>>,
    /// The second factor of those who are known and have one.
    pub code: Option<String>,
    /// The name of an account of their own, where that is what is offered.
    pub account_name: Option<String>,
}

impl Identity {
    /// Invitations that wait, the newest first.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub async fn list_invitations(&self, caller: &Caller) -> Result<Vec<InvitationView>, OperationError> {
        caller.require(MANAGE)?;
        let now = self.now();
        let mut waiting = self.account(caller).invitations().await?;
        if self.may_invite_to_own_account(caller) {
            waiting.extend(self.people().own_account_invitations().await?);
        }
        waiting.retain(|invitation| now < invitation.expires_at && invitation.used_at.is_none());
        waiting.sort_by_key(|invitation| std::cmp::Reverse(invitation.id));
        Ok(waiting.iter().map(shown).collect())
    }

    /// Invites somebody. Nobody invites into more than they are.
    ///
    /// # Errors
    /// [`OperationError::Denied`], [`OperationError::Conflict`] where they are members already.
    pub async fn invite(
        &self,
        caller: &Caller,
        new: NewInvitation,
    ) -> Result<CreatedInvitation, OperationError> {
        caller.require(MANAGE)?;
        let email = check_email("email", &new.email)?;
        let role = match new.into {
            Into::Account(role) => role,
            Into::OwnAccount => Role::Owner,
        };
        let minted = bearer::mint(BearerKind::Invitation, bearer::random());
        let now = self.now();
        let kept =
            InvitationToKeep { email, role, hash: SecretHash(minted.hash), expires_at: now + LIFETIME };
        let invitation = match new.into {
            Into::Account(role) => {
                require_role(caller, role)?;
                self.refuse_members(caller, &kept.email).await?;
                self.account(caller).create_invitation(kept, caller.author(), now).await?
            }
            Into::OwnAccount => {
                self.require_own_accounts(caller)?;
                self.people().invite_to_own_account(caller.account, kept, caller.author(), now).await?
            }
        };
        let link = self.link(&path_of(&minted.text));
        Ok(CreatedInvitation { link, secret: minted.text, invitation: shown(&invitation) })
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`OperationError::NotFound`].
    pub async fn revoke_invitation(&self, caller: &Caller, id: i64) -> Result<(), OperationError> {
        caller.require(MANAGE)?;
        let (now, author) = (self.now(), caller.author());
        let mut revoked = self.account(caller).revoke_invitation(id, author.clone(), now).await;
        if matches!(revoked, Err(StoreError::Missing(_))) && self.may_invite_to_own_account(caller) {
            revoked = self.people().revoke_own_account_invitation(caller.account, id, author, now).await;
        }
        revoked.map_err(|error| {
            refused(error, |no| match no {
                No::Missing => Some(not_found("invitation", id)),
                No::Taken | No::Conflict => None,
            })
        })
    }

    /// What a link offers, for whoever holds it.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where it has ended or was used.
    pub async fn read_offer(
        &self,
        secret: &str,
        signed_in: Option<&Caller>,
        origin: &Origin,
    ) -> Result<Offer, OperationError> {
        self.0.throttle.address(origin.address)?;
        let (_, invitation) = self.waiting(secret).await?;
        let known = self.people().user_by_email(&invitation.email).await?;
        let is_here = |user: UserRecord| signed_in.is_some_and(|caller| caller.actor == Actor::User(user.id));
        let account = match invitation.account {
            None => None,
            Some(id) => {
                let accounts = self.0.store.system().accounts().await?;
                accounts.into_iter().find(|account| account.id == id).map(|account| account.name)
            }
        };
        let signed_in = known.is_some_and(is_here);
        Ok(Offer { email: invitation.email, account, role: invitation.role, signed_in })
    }

    /// Says yes, and signs in. `signed_in` is whoever asks, where somebody is.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], [`OperationError::Invalid`] for a password that may not be chosen.
    pub async fn accept_invitation(
        &self,
        yes: Acceptance,
        signed_in: Option<&Caller>,
        origin: &Origin,
    ) -> Result<NewSession, OperationError> {
        self.0.throttle.address(origin.address)?;
        let (hash, invitation) = self.waiting(&yes.secret).await?;
        let mut wrong = Wrong::default();
        let own_account = match invitation.account {
            Some(_) => None,
            None => wrong.take(self.own_account_name(&yes))?,
        };
        let known = self.people().user_by_email(&invitation.email).await?;
        let (user, account, proved) = match known {
            Some(user) => {
                // A code is good once: it is not used up while something else is wrong.
                wrong.told()?;
                let is_here = |caller: &&Caller| caller.actor == Actor::User(user.id);
                let session = signed_in.filter(is_here).and_then(|caller| caller.session);
                let accepting = match session {
                    Some(session) => Accepting::Proved(Proved::Session(session.hash)),
                    None => self.prove_invited(&user, &yes, origin).await?,
                };
                let proved = match &accepting {
                    Accepting::Proved(proved) => proved.clone(),
                    Accepting::Chose(hash) => Proved::Password { hash: hash.clone(), totp_secret: None },
                };
                let (author, now) = (newcomer(Some(user.id), origin), self.now());
                let joined =
                    self.people().accept_invitation(hash, user.id, accepting, own_account, author, now).await;
                (user.id, joined.map_err(unaccepted)?, proved)
            }
            None => {
                let name = yes.name.as_deref().ok_or_else(|| missing("name", "say what you are called"));
                let name = wrong.take(name.and_then(|name| check_name("name", name)))?.unwrap_or_default();
                wrong.take(chosen(&yes, &invitation.email, &name))?;
                wrong.told()?;
                let password_hash = Some(self.choose_password(&yes, &invitation.email, &name).await?);
                let new = NewUser { email: invitation.email.clone(), name, password_hash };
                let author = newcomer(None, origin);
                let joined =
                    self.people().join_by_invitation(hash, new, own_account, author, self.now()).await;
                let (user, account) = joined.map_err(unaccepted)?;
                (user.id, account, by_password(&user))
            }
        };
        self.begin_session(user, proved, Some(account.id), origin).await
    }

    /// Those who are known prove that the invitation has reached them and nobody else, or choose a password where nothing
    /// lets them in.
    async fn prove_invited(
        &self,
        user: &UserRecord,
        yes: &Acceptance,
        origin: &Origin,
    ) -> Result<Accepting, OperationError> {
        match self.proof(user).await? {
            Proof::Password => {}
            Proof::NewPassword => {
                return self.choose_password(yes, &user.email, &user.name).await.map(Accepting::Chose);
            }
            Proof::SignIn => {
                let message = "sign in first, and accept then: this person has no password to prove it with";
                return Err(not_recognised("sign_in_first", message));
            }
        }
        let password =
            yes.password.clone().ok_or_else(|| missing("password", "send the one that you sign in with"))?;
        let credentials =
            Credentials { email: user.email.clone(), password, code: yes.code.clone(), account: None };
        let user = self.prove(&credentials, origin).await?;
        match self.second_factor(&user, yes.code.as_deref()).await? {
            Factor::Proved => Ok(Accepting::Proved(by_password(&user))),
            Factor::Needed => Err(not_recognised("code_needed", "send the code of your second factor too")),
        }
    }

    /// What the link alone does not prove.
    async fn proof(&self, user: &UserRecord) -> Result<Proof, OperationError> {
        if user.password_hash.is_some() {
            return Ok(Proof::Password);
        }
        let people = self.people();
        let has_no_way_in = user.disabled_at.is_none()
            && user.totp_secret.is_none()
            && people.passkeys(user.id).await?.is_empty()
            && people.external_identities(user.id).await?.is_empty();
        // Whoever made the link may hold it: it must not open any account that the person belongs to.
        let belongs = !people.memberships(user.id).await?.is_empty();
        Ok(if has_no_way_in && !belongs { Proof::NewPassword } else { Proof::SignIn })
    }

    /// The hash of a new password.
    async fn choose_password(
        &self,
        yes: &Acceptance,
        email: &str,
        name: &str,
    ) -> Result<String, OperationError> {
        let password = chosen(yes, email, name)?;
        self.0.passwords.hash(password, Place::Strange).await
    }

    /// What an account of their own shall be called. A name that the server's file gives a plan to would be a plan of
    /// one's own choice, and so is as good as taken; one like `a7` could be taken for the id of another.
    fn own_account_name(&self, yes: &Acceptance) -> Result<String, OperationError> {
        let name = yes.account_name.as_deref();
        let name = name.ok_or_else(|| missing("account_name", "say what your account shall be called"))?;
        let name = check_name("account_name", name)?;
        if name.parse::<AccountId>().is_ok() {
            let message = format!("`account_name` is `{name}`, which reads like the id of an account");
            return Err(invalid("account_name", "bad_name", message, "choose another name"));
        }
        if self.settings().plans.names(&name) { Err(name_taken()) } else { Ok(name) }
    }

    /// The invitation behind a link, if it still waits.
    async fn waiting(&self, secret: &str) -> Result<(SecretHash, InvitationRecord), OperationError> {
        let hash = bearer::read(BearerKind::Invitation, secret).map(SecretHash).map_err(|_| ended())?;
        let invitation = self.people().invitation(hash).await?;
        let waits = |invitation: &InvitationRecord| {
            invitation.used_at.is_none() && self.now() < invitation.expires_at
        };
        invitation.filter(waits).map(|invitation| (hash, invitation)).ok_or_else(ended)
    }

    async fn refuse_members(&self, caller: &Caller, email: &str) -> Result<(), OperationError> {
        let members = self.account(caller).members().await?;
        if members.iter().any(|member| member.user.email.to_lowercase() == email.to_lowercase()) {
            let message = format!("{email} is a member already: change the role instead");
            return Err(OperationError::Conflict { code: "already_member", message });
        }
        Ok(())
    }

    fn may_invite_to_own_account(&self, caller: &Caller) -> bool {
        self.settings().accounts == Accounts::Multi
            && caller.account == AccountId::DEFAULT
            && caller.access.allows(OWN)
    }

    fn require_own_accounts(&self, caller: &Caller) -> Result<(), OperationError> {
        if self.settings().accounts == Accounts::Single {
            let message = "this server has one account: set `server.accounts: multi` for more".to_owned();
            return Err(OperationError::Conflict { code: "single_account", message });
        }
        if self.may_invite_to_own_account(caller) { Ok(()) } else { Err(OperationError::Denied(OWN)) }
    }
}

/// How somebody who is here already proves that the invitation has reached them and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// They choose a password: they have no way in.
    NewPassword,
    /// With their password, and the code of their second factor.
    Password,
    /// They sign in first: they have another way in than a password, or belong elsewhere.
    SignIn,
}

/// Long enough for a holiday week, short enough for a link in a mailbox.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
const OWN: Policy = Policy::new(Resource::Account, Level::Own);

/// Where the page behind the link is.
#[must_use]
pub fn path_of(secret: &Secret<String>) -> String {
    format!("/invite/{}", secret.reveal())
}

/// The password that somebody chooses.
fn chosen<'y>(yes: &'y Acceptance, email: &str, name: &str) -> Result<&'y Secret<String>, OperationError> {
    let password = yes.password.as_ref().ok_or_else(|| missing("password", "choose one"))?;
    password::check_new("password", password, email, name)?;
    Ok(password)
}

fn missing(field: &str, remedy: &str) -> OperationError {
    invalid(field, "missing", format!("`{field}` is missing"), remedy)
}

fn ended() -> OperationError {
    not_recognised(
        "invitation_ended",
        "the invitation was used, taken back or has expired: ask for a new one",
    )
}

fn unaccepted(error: StoreError) -> OperationError {
    refused(error, |no| match no {
        No::Missing => Some(ended()),
        No::Taken => Some(name_taken()),
        No::Conflict => Some(not_recognised(
            "changed_meanwhile",
            "how this person signs in was changed just now: sign in as it is now, and accept then",
        )),
    })
}

fn name_taken() -> OperationError {
    let message = "an account is called so already: choose another name".to_owned();
    OperationError::Conflict { code: "name_taken", message }
}

fn shown(invitation: &InvitationRecord) -> InvitationView {
    InvitationView {
        id: invitation.id,
        email: invitation.email.clone(),
        into: invitation.account.map_or(Into::OwnAccount, |_| Into::Account(invitation.role)),
        invited_by: invitation.invited_by.clone(),
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
    }
}
