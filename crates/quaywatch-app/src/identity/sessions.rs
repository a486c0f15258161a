//! Sessions: kept in the store by the hash of their secret, ended by disuse, by age, by their owner, and by a new
//! password.

use std::net::IpAddr;

use std::time::Duration;

use quaywatch_core::access::Access;
use quaywatch_core::{AccountId, Timestamp};
use quaywatch_store::records::{SecretHash, SessionRecord};

use super::bearer::{self, BearerKind};
use super::{Identity, Origin, newcomer, not_recognised, person};
use crate::caller::{Actor, Caller, LiveSession};
use crate::operations::OperationError;
use crate::operations::refuse::not_found;

/// A session, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Names it, for ending it; no secret.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// From where it was last used.
    pub address: Option<IpAddr>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Identity {
    /// Whose session it is. Its use is written down at most once a minute.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where there is none, or no more.
    pub async fn authenticate_session(
        &self,
        secret: &str,
        address: IpAddr,
    ) -> Result<Caller, OperationError> {
        let (session, caller) = self.alive(secret).await?;
        let (now, people) = (self.now(), self.people());
        if now.since(session.last_seen_at) >= WRITTEN_EVERY {
            // Beside: a store that takes nothing at the moment must not keep people from looking.
            tokio::spawn(async move {
                if let Err(error) = people.touch_session(session.hash, Some(address), now).await {
                    tracing::debug!(%error, "the use of a session was not written down");
                }
            });
        }
        Ok(Caller { address: Some(address), ..caller })
    }

    /// The session of this secret and whom it makes, if it has not ended.
    pub(super) async fn alive(&self, secret: &str) -> Result<(SessionRecord, Caller), OperationError> {
        let ended = || not_recognised("session_ended", "the session has ended: sign in again");
        let Ok(hash) = bearer::read(BearerKind::Session, secret).map(SecretHash) else { return Err(ended()) };
        let people = self.people();
        let session = people.session(hash).await?.ok_or_else(ended)?;
        let now = self.now();
        if now >= session.expires_at || now.since(session.last_seen_at) >= self.settings().session_idle {
            people.end_session(hash, None, now).await?;
            return Err(ended());
        }
        let user = people.user(session.user).await?.filter(|user| user.disabled_at.is_none());
        let memberships = people.memberships(session.user).await?;
        let here = memberships.iter().find(|membership| membership.account.id == session.account);
        let (Some(user), Some(here)) = (user, here) else {
            people.end_session(hash, None, now).await?;
            return Err(ended());
        };
        let caller = Caller {
            account: session.account,
            actor: Actor::User(user.id),
            access: Access::Role(here.role),
            session: Some(LiveSession { hash, began_at: session.created_at }),
            address: None,
            request_id: None,
        };
        Ok((session, caller))
    }

    /// Ends the session of this secret. One that is not there has ended.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sign_out(&self, secret: &str, origin: &Origin) -> Result<(), OperationError> {
        let Ok(hash) = bearer::read(BearerKind::Session, secret).map(SecretHash) else { return Ok(()) };
        let Some(session) = self.people().session(hash).await? else { return Ok(()) };
        let author = newcomer(Some(session.user), origin);
        self.people().end_session(hash, Some(author), self.now()).await?;
        Ok(())
    }

    /// The caller's own sessions, the one used last first; `current` is the secret of the one that asks.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        current: &str,
    ) -> Result<Vec<SessionView>, OperationError> {
        let current = SecretHash(bearer::hash(current));
        Ok(self.live_sessions(caller).await?.iter().map(|session| shown(session, current)).collect())
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// [`OperationError::NotFound`], [`OperationError::Denied`] to a token.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<(), OperationError> {
        let sessions = self.live_sessions(caller).await?;
        let session =
            sessions.iter().find(|session| id_of(session) == id).ok_or_else(|| not_found("session", id))?;
        self.people().end_session(session.hash, Some(caller.author()), self.now()).await?;
        Ok(())
    }

    /// Ends all of the caller's own sessions, but not the one of `except`; how many.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn sign_out_everywhere(
        &self,
        caller: &Caller,
        except: Option<&str>,
    ) -> Result<u64, OperationError> {
        let user = person(caller)?;
        let except = except.map(|secret| SecretHash(bearer::hash(secret)));
        Ok(self.people().end_sessions(user, except, caller.author(), self.now()).await?)
    }

    /// Goes on in another account that the caller belongs to, in the same session.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] for an account that is not theirs.
    pub async fn switch_account(
        &self,
        caller: &Caller,
        secret: &str,
        account: AccountId,
    ) -> Result<(), OperationError> {
        let user = person(caller)?;
        let theirs = self.people().memberships(user).await?;
        if !theirs.iter().any(|membership| membership.account.id == account) {
            return Err(not_found("account", account));
        }
        let hash = SecretHash(bearer::hash(secret));
        let session = self.people().session(hash).await?.filter(|session| session.user == user);
        if session.is_none() {
            return Err(not_found("session", "this one"));
        }
        Ok(self.people().move_session(hash, account, caller.author(), self.now()).await?)
    }

    /// The caller's sessions that have not ended.
    async fn live_sessions(&self, caller: &Caller) -> Result<Vec<SessionRecord>, OperationError> {
        let user = person(caller)?;
        let (now, idle) = (self.now(), self.settings().session_idle);
        let mut sessions = self.people().sessions(user).await?;
        sessions.retain(|session| now < session.expires_at && now.since(session.last_seen_at) < idle);
        Ok(sessions)
    }
}

/// How exactly the last use is known: written at every use, it would be the busiest row of the store.
pub(super) const WRITTEN_EVERY: Duration = Duration::from_secs(60);

fn id_of(session: &SessionRecord) -> String {
    format!("ses{}", session.id)
}

fn shown(session: &SessionRecord, current: SecretHash) -> SessionView {
    SessionView {
        id: id_of(session),
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.expires_at,
        address: session.address,
        agent: Some(session.agent.clone()).filter(|agent| !agent.is_empty()),
        current: session.hash == current,
    }
}
