//! Signing in with a password, and with the second factor where there is one.

use quaywatch_core::{AccountId, Secret, Timestamp, UserId};

use quaywatch_store::records::{Membership, NewSession as SessionToKeep, Proved, SecretHash, UserRecord};

use super::bearer::{self, BearerKind};
use super::codes::{self, Code};
use super::password::Compared;
use super::throttle::network;
use super::{Identity, No, Origin, newcomer, not_recognised, refused};
use crate::operations::OperationError;

/// What somebody says to be let in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The address of mail.
    pub email: String,
    /// The password.
    pub password: Secret<String>,
    /// The code of an app, or a recovery code, once it was asked for.
    pub code: Option<String>,
    /// The account to begin in; `None`: the one used last, or the first.
    pub account: Option<AccountId>,
}

/// How far somebody has come.
#[derive(Debug)]
pub enum SignIn {
    /// They are in.
    Done(NewSession),
    /// The password was right: now send it again with the code.
    SecondFactorNeeded,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct NewSession {
    /// For the cookie, shown once.
    pub secret: Secret<String>,
    /// Whose.
    pub user: UserId,
    /// In which account it begins.
    pub account: AccountId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Lets somebody in.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], the same for a wrong password and an unknown address;
    /// [`OperationError::Throttled`].
    pub async fn sign_in(&self, credentials: Credentials, origin: &Origin) -> Result<SignIn, OperationError> {
        let user = self.prove(&credentials, origin).await?;
        match self.second_factor(&user, credentials.code.as_deref()).await? {
            Factor::Proved => {}
            Factor::Needed => return Ok(SignIn::SecondFactorNeeded),
        }
        let proved = by_password(&user);
        self.begin_session(user.id, proved, credentials.account, origin).await.map(SignIn::Done)
    }

    /// Whose password that is, with its hash as it stands now. Counts the attempt.
    pub(super) async fn prove(
        &self,
        credentials: &Credentials,
        origin: &Origin,
    ) -> Result<UserRecord, OperationError> {
        let Credentials { email, password, .. } = credentials;
        self.0.throttle.address(origin.address)?;
        let user = self.people().user_by_email(email).await?.filter(|user| user.disabled_at.is_none());
        let place = self.place(user.as_ref(), origin).await?;
        self.0.throttle.person(email, origin.address, place)?;
        if password.reveal().len() > super::MOST_PASSWORD_BYTES {
            return Err(wrong_credentials());
        }
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        let compared = self.0.passwords.compare(password, stored, place).await?;
        match (user, compared) {
            (Some(mut user), Compared::Right(stronger)) => {
                if let (Some(known), Some(hash)) = (user.password_hash.clone(), stronger) {
                    self.people().rehash_password(user.id, known, hash.clone()).await?;
                    user.password_hash = Some(hash);
                }
                Ok(user)
            }
            (None, _) | (_, Compared::Wrong) => Err(wrong_credentials()),
        }
    }

    /// Whether that person has a session that was last used from there.
    async fn place(&self, user: Option<&UserRecord>, origin: &Origin) -> Result<Place, OperationError> {
        let Some(user) = user else { return Ok(Place::Strange) };
        let (here, now) = (network(origin.address), self.now());
        let sessions = self.people().sessions(user.id).await?;
        let known = sessions
            .iter()
            .any(|session| session.address.map(network) == Some(here) && now < session.expires_at);
        Ok(if known { Place::Known } else { Place::Strange })
    }

    /// Asks for the second factor of those who have one. A code that was right once is wrong from then on.
    pub(super) async fn second_factor(
        &self,
        user: &UserRecord,
        typed: Option<&str>,
    ) -> Result<Factor, OperationError> {
        let Some(sealed) = &user.totp_secret else { return Ok(Factor::Proved) };
        let Some(typed) = typed.filter(|typed| !typed.trim().is_empty()) else { return Ok(Factor::Needed) };
        let right = match codes::read(typed) {
            Code::Timed(code) => {
                let secret = self.open_secret(user.id, sealed)?;
                match codes::matching_step(&secret, &code, self.now(), Some(user.totp_last_step)) {
                    Some(step) => self.people().advance_totp(user.id, step).await?,
                    None => false,
                }
            }
            Code::Recovery(hash) => {
                self.people().use_recovery_code(user.id, SecretHash(hash), self.now()).await?
            }
            Code::Neither => false,
        };
        if right {
            Ok(Factor::Proved)
        } else {
            Err(not_recognised("wrong_code", "the code is wrong, or was used before"))
        }
    }

    /// Begins a session of somebody who has proved who they are, if what they proved it with is theirs still.
    pub(super) async fn begin_session(
        &self,
        user: UserId,
        proved: Proved,
        wanted: Option<AccountId>,
        origin: &Origin,
    ) -> Result<NewSession, OperationError> {
        let memberships = self.people().memberships(user).await?;
        let account = match wanted {
            Some(wanted) => {
                memberships.iter().map(|membership| membership.account.id).find(|id| *id == wanted)
            }
            None => self.usual_account(user, &memberships).await?,
        };
        let account = account.ok_or_else(|| {
            not_recognised("no_account", "you belong to no account here: ask its owner for an invitation")
        })?;
        let minted = bearer::mint(BearerKind::Session, bearer::random());
        let (created_at, settings) = (self.now(), self.settings());
        let expires_at = created_at + settings.session_absolute;
        let kept = SessionToKeep {
            hash: SecretHash(minted.hash),
            user,
            account,
            created_at,
            expires_at,
            address: Some(origin.address),
            agent: origin.agent.as_deref().unwrap_or_default().chars().take(MOST_OF_AGENT).collect(),
            proved,
        };
        self.people().create_session(kept, newcomer(Some(user), origin)).await.map_err(outdated)?;
        Ok(NewSession { secret: minted.text, user, account, expires_at })
    }

    /// The account that somebody was in last, or the first of theirs.
    async fn usual_account(
        &self,
        user: UserId,
        memberships: &[Membership],
    ) -> Result<Option<AccountId>, OperationError> {
        let first = memberships.first().map(|membership| membership.account.id);
        if memberships.len() < 2 {
            return Ok(first);
        }
        let sessions = self.people().sessions(user).await?;
        let theirs =
            |account: AccountId| memberships.iter().any(|membership| membership.account.id == account);
        Ok(sessions.iter().map(|session| session.account).find(|account| theirs(*account)).or(first))
    }
}

/// How the second factor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// Proved, or not asked for.
    Proved,
    /// Asked for, and not given.
    Needed,
}

/// From where somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// From where they are signed in.
    Known,
    /// From anywhere else.
    Strange,
}

/// By the password and the second factor that were just compared.
pub(super) fn by_password(user: &UserRecord) -> Proved {
    let hash = user.password_hash.clone().unwrap_or_default();
    Proved::Password { hash, totp_secret: user.totp_secret.clone() }
}

/// What was right when it was compared, and is not any more.
pub(super) fn outdated(error: quaywatch_store::StoreError) -> OperationError {
    refused(error, |no| match no {
        No::Conflict => Some(not_recognised(
            "changed_meanwhile",
            "how you sign in was changed just now: sign in as it is now",
        )),
        No::Missing | No::Taken => None,
    })
}

/// Names of browsers grow; nobody reads more of one.
const MOST_OF_AGENT: usize = 300;

/// The same for a wrong password and for nobody.
fn wrong_credentials() -> OperationError {
    not_recognised("wrong_credentials", "address or password is wrong")
}
