//! The first start: a server without people prints a link that makes its first owner. It works once and for a day, and
//! each start without people makes a new one. There is never a password that somebody else knows.

use std::time::Duration;

use quaywatch_core::{AccountId, Secret};
use quaywatch_store::records::{NewUser, SecretHash};

use super::bearer::{self, BearerKind};
use super::password;
use super::sign_in::{NewSession, Place, by_password};
use super::{Identity, No, Origin, check_email, check_name, newcomer, not_recognised, refused};
use crate::operations::OperationError;
use crate::operations::refuse::Wrong;

/// Who takes a new server into their hands.
#[derive(Debug, Clone)]
pub struct FirstOwner {
    /// The link's key.
    pub key: String,
    /// Their address of mail, which is only their name here.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Their password.
    pub password: Secret<String>,
}

impl Identity {
    /// Whether nobody is here yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_new(&self) -> Result<bool, OperationError> {
        Ok(self.people().count_users().await? == 0)
    }

    /// A key for the set-up link, where nobody is here yet; those made before no longer work.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn new_setup_key(&self) -> Result<Option<Secret<String>>, OperationError> {
        if !self.is_new().await? {
            return Ok(None);
        }
        let minted = bearer::mint(BearerKind::SetupKey, bearer::random());
        let now = self.now();
        self.people().put_setup_key(SecretHash(minted.hash), now + LIFETIME, now).await?;
        Ok(Some(minted.text))
    }

    /// Whether the link still works, for the page behind it.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where it does not.
    pub async fn check_setup_key(&self, key: &str, origin: &Origin) -> Result<(), OperationError> {
        self.0.throttle.address(origin.address)?;
        let hash = bearer::read(BearerKind::SetupKey, key).map(SecretHash).map_err(|_| ended())?;
        let opens = self.people().setup_key_opens(hash, self.now()).await?;
        if opens && self.is_new().await? { Ok(()) } else { Err(ended()) }
    }

    /// Makes the first owner of the account `default`, and signs them in.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], [`OperationError::Invalid`].
    pub async fn set_up(&self, first: FirstOwner, origin: &Origin) -> Result<NewSession, OperationError> {
        self.check_setup_key(&first.key, origin).await?;
        let mut wrong = Wrong::default();
        let email = wrong.take(check_email("email", &first.email))?.unwrap_or_default();
        let name = wrong.take(check_name("name", &first.name))?.unwrap_or_default();
        wrong.take(password::check_new("password", &first.password, &email, &name))?;
        wrong.told()?;
        let password_hash = Some(self.0.passwords.hash(&first.password, Place::Strange).await?);
        let new = NewUser { email, name, password_hash };
        let hash = SecretHash(bearer::hash(&first.key));
        let made = self.people().set_up(hash, new, newcomer(None, origin), self.now()).await;
        let user = made.map_err(|error| {
            refused(error, |no| match no {
                No::Missing | No::Conflict => Some(ended()),
                No::Taken => None,
            })
        })?;
        self.begin_session(user.id, by_password(&user), Some(AccountId::DEFAULT), origin).await
    }
}

/// The link works this long.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Where the page behind the link is.
#[must_use]
pub fn path_of(key: &Secret<String>) -> String {
    format!("/setup?key={}", key.reveal())
}

fn ended() -> OperationError {
    let message = "the set-up link was used or has expired: start the server again for a new one, or run `quaywatch user add`";
    not_recognised("setup_ended", message)
}
