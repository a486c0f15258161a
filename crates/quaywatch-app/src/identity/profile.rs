//! What people see and change of themselves.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Secret, UserId};

use quaywatch_store::records::UserRecord;

use super::again::unasked;
use super::password::{self, Compared};
use super::sign_in::Place;
use super::{Identity, check_name, person};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::{invalid, not_found};

/// Somebody, as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Their number.
    pub id: UserId,
    /// Their address of mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Where they belong, the account that they are signed in to included.
    pub accounts: Vec<Membership>,
    /// Whether there is a password; those of a provider may have none.
    pub has_password: bool,
    /// Whether codes of an app are asked for.
    pub second_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// Names of the providers that may say who they are.
    pub providers: Vec<String>,
}

/// A way to sign in, of which everybody keeps at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By the last passkey.
    #[cfg(feature = "passkeys")]
    Passkey,
    /// By the last provider.
    #[cfg(feature = "oidc")]
    Provider,
}

/// Where somebody belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which account.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// As what.
    pub role: Role,
}

impl Identity {
    /// The caller themselves.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn read_profile(&self, caller: &Caller) -> Result<Profile, OperationError> {
        let user = self.themselves(caller).await?;
        let people = self.people();
        let accounts = people.memberships(user.id).await?;
        let linked = people.external_identities(user.id).await?;
        let settings = self.settings();
        let name_of = |issuer: &str| {
            let provider = settings.providers.iter().find(|provider| provider.issuer == issuer);
            provider.map_or_else(|| issuer.to_owned(), |provider| provider.name.clone())
        };
        Ok(Profile {
            id: user.id,
            accounts: accounts
                .into_iter()
                .map(|each| Membership { account: each.account.id, name: each.account.name, role: each.role })
                .collect(),
            has_password: user.password_hash.is_some(),
            second_factor: user.totp_secret.is_some(),
            recovery_codes: usize::try_from(people.unused_recovery_codes(user.id).await?)
                .unwrap_or(usize::MAX),
            providers: linked.iter().map(|identity| name_of(&identity.issuer)).collect(),
            email: user.email,
            name: user.name,
        })
    }

    /// Calls them something else.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token, [`OperationError::Invalid`].
    pub async fn rename(&self, caller: &Caller, name: &str) -> Result<(), OperationError> {
        let user = person(caller)?;
        let name = check_name("name", name)?;
        Ok(self.people().set_user_name(user, name, caller.author(), self.now()).await?)
    }

    /// Sets a new password, and ends every session but the caller's. `old` may be left out by those who have none yet:
    /// they must have signed in just now.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong or an unfit one, [`OperationError::Denied`] to a token.
    pub async fn change_password(
        &self,
        caller: &Caller,
        old: Option<Secret<String>>,
        new: Secret<String>,
    ) -> Result<(), OperationError> {
        let user = self.themselves(caller).await?;
        if user.password_hash.is_some() {
            let old = old.unwrap_or_else(|| Secret::new(String::new()));
            self.ask_again(caller, &user, "old_password", &old).await?;
        } else {
            self.require_recent(caller)?;
        }
        password::check_new("new_password", &new, &user.email, &user.name)?;
        let hash = self.0.passwords.hash(&new, Place::Known).await?;
        let asks = caller.session.map(|session| session.hash);
        let set = self.people().set_password(user.id, Some(hash), asks, caller.author(), self.now()).await;
        set.map_err(unasked)
    }

    /// The caller's own record.
    pub(super) async fn themselves(&self, caller: &Caller) -> Result<UserRecord, OperationError> {
        let user = person(caller)?;
        self.people().user(user).await?.ok_or_else(|| not_found("user", user))
    }

    /// Asks for the password again, before what a stolen session must not do. Attempts are counted by session: strangers
    /// who guess at a person keep nobody from changing the password who is in.
    pub(super) async fn ask_again(
        &self,
        caller: &Caller,
        user: &UserRecord,
        field: &str,
        password: &Secret<String>,
    ) -> Result<(), OperationError> {
        self.count_again(caller)?;
        let wrong = || {
            invalid(field, "wrong_password", "the password is wrong", "type the one that you sign in with")
        };
        if password.reveal().len() > password::MOST_BYTES {
            return Err(wrong());
        }
        match self.0.passwords.compare(password, user.password_hash.clone(), Place::Known).await? {
            Compared::Right(_) => Ok(()),
            Compared::Wrong => Err(wrong()),
        }
    }

    /// Goes on only where somebody can still sign in without that way.
    pub(super) async fn keep_a_way_in(&self, user: &UserRecord, without: Way) -> Result<(), OperationError> {
        let other = match without {
            #[cfg(feature = "passkeys")]
            Way::Passkey => !self.people().external_identities(user.id).await?.is_empty(),
            #[cfg(feature = "oidc")]
            Way::Provider => !self.people().passkeys(user.id).await?.is_empty(),
        };
        if user.password_hash.is_some() || other {
            return Ok(());
        }
        let message = "this is your last way to sign in: set a password first".to_owned();
        Err(OperationError::Conflict { code: "last_way_in", message })
    }
}
