//! What the command line does to people on the server's own host, where whoever may write the data directory may
//! everything: the way in for machines, and the way back in for people who lost theirs.

use quaywatch_core::access::Role;
use quaywatch_core::{Secret, Timestamp, UserId};
use quaywatch_store::StoreError;
use quaywatch_store::records::{NewUser, Reset, ResetRecord, UserRecord};

use super::members::MemberView;
use super::password;
use super::profile::Membership;
use super::sign_in::Place;
use super::{Identity, PERSON, check_email, check_name};
use crate::caller::{Actor, Caller};
use crate::operations::OperationError;
use crate::operations::refuse::not_found;

/// Somebody, as the host sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Their number.
    pub id: UserId,
    /// Their address of mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Where they belong.
    pub accounts: Vec<Membership>,
    /// Whether codes of an app are asked for.
    pub second_factor: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

/// Somebody to be added to the caller's account.
#[derive(Debug, Clone)]
pub struct AddedUser {
    /// Their address of mail.
    pub email: String,
    /// What they are called; `None`: the part of the address before the `@`.
    pub name: Option<String>,
    /// What they become.
    pub role: Role,
    /// Who that is.
    pub whom: Whom,
}

/// Whether whoever is added is here already. An address says nothing of who holds it: somebody may have been invited
/// with it, and whoever held the link chose their password.
#[derive(Debug, Clone)]
pub enum Whom {
    /// Nobody is here with that address: with a password, or without any way in.
    New(Option<Secret<String>>),
    /// Somebody is, as they are: whoever asks knows them.
    Existing,
}

impl Identity {
    /// Everybody on this server.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host.
    pub async fn list_users(&self, caller: &Caller) -> Result<Vec<UserView>, OperationError> {
        require_host(caller)?;
        let mut users = Vec::new();
        for user in self.people().users().await? {
            users.push(self.seen(user).await?);
        }
        Ok(users)
    }

    /// Somebody by their address of mail.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host.
    pub async fn find_user(&self, caller: &Caller, email: &str) -> Result<Option<UserView>, OperationError> {
        require_host(caller)?;
        match self.people().user_by_email(email).await? {
            Some(user) => self.seen(user).await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes somebody a member of the caller's account.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host; [`OperationError::Conflict`] for members, and for people of
    /// other accounts who were not said to exist; [`OperationError::NotFound`]; [`OperationError::Invalid`].
    pub async fn add_user(&self, caller: &Caller, added: AddedUser) -> Result<MemberView, OperationError> {
        require_host(caller)?;
        let email = check_email("email", &added.email)?;
        let (people, now) = (self.people(), self.now());
        let user = match people.user_by_email(&email).await? {
            Some(user) => {
                let theirs = people.memberships(user.id).await?;
                if theirs.iter().any(|membership| membership.account.id == caller.account) {
                    let message = format!(
                        "{email} is a member already; `quaywatch user reset-password` sets a password"
                    );
                    return Err(OperationError::Conflict { code: "already_member", message });
                }
                match &added.whom {
                    Whom::New(_) => return Err(known(&email, theirs.len())),
                    Whom::Existing => user,
                }
            }
            None => match &added.whom {
                Whom::Existing => return Err(not_found("user", &email)),
                Whom::New(password) => {
                    let new = self.new_user(email.clone(), &added, password.as_ref()).await?;
                    match people.create_user(new, caller.author(), now).await {
                        Err(StoreError::Taken(_)) => return Err(known(&email, 0)),
                        created => created?,
                    }
                }
            },
        };
        self.account(caller).set_role(user.id, added.role, caller.author(), now).await?;
        Ok(MemberView {
            id: user.id,
            email: user.email,
            name: user.name,
            role: added.role,
            second_factor: user.totp_secret.is_some(),
            last_seen_at: None,
        })
    }

    /// Sets a password and ends all sessions, passkeys, links to providers, tokens and invitations of theirs, whoever made
    /// them; with `only_password` those other ways in stay. Where the phone is lost too, `and_second_factor` turns the
    /// codes off.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host; [`OperationError::NotFound`]; [`OperationError::Invalid`].
    pub async fn reset_password(
        &self,
        caller: &Caller,
        email: &str,
        password: &Secret<String>,
        and_second_factor: bool,
        only_password: bool,
    ) -> Result<ResetRecord, OperationError> {
        require_host(caller)?;
        let people = self.people();
        let user = people.user_by_email(email).await?.ok_or_else(|| not_found("user", email))?;
        password::check_new("password", password, &user.email, &user.name)?;
        let hash = self.0.passwords.hash(password, Place::Known).await?;
        let reset = Reset { hash, second_factor: and_second_factor, other_ways: !only_password };
        Ok(people.reset(user.id, reset, caller.author(), self.now()).await?)
    }

    async fn new_user(
        &self,
        email: String,
        added: &AddedUser,
        password: Option<&Secret<String>>,
    ) -> Result<NewUser, OperationError> {
        let local = email.split('@').next().unwrap_or_default();
        let name = check_name("name", added.name.as_deref().unwrap_or(local))?;
        let password_hash = match password {
            Some(password) => {
                password::check_new("password", password, &email, &name)?;
                Some(self.0.passwords.hash(password, Place::Known).await?)
            }
            None => None,
        };
        Ok(NewUser { email, name, password_hash })
    }

    async fn seen(&self, user: UserRecord) -> Result<UserView, OperationError> {
        let accounts = self.people().memberships(user.id).await?;
        Ok(UserView {
            id: user.id,
            email: user.email,
            name: user.name,
            accounts: accounts
                .into_iter()
                .map(|each| Membership { account: each.account.id, name: each.account.name, role: each.role })
                .collect(),
            second_factor: user.totp_secret.is_some(),
            created_at: user.created_at,
            disabled_at: user.disabled_at,
        })
    }
}

fn known(email: &str, accounts: usize) -> OperationError {
    let message = format!(
        "{email} is here already, a member of {accounts} other accounts: whoever invited them there may have chosen \
         their password. If you know that it is them, add them with --existing; \
         `quaywatch user reset-password {email}` first makes sure that nobody else signs in as them"
    );
    OperationError::Conflict { code: "known_elsewhere", message }
}

pub(super) fn require_host(caller: &Caller) -> Result<(), OperationError> {
    match caller.actor {
        Actor::Host(_) => Ok(()),
        Actor::User(_) | Actor::Token(_) => Err(OperationError::Denied(PERSON)),
    }
}
