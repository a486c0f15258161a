//! Passkeys (WebAuthn): a key in a device, for this server's address alone, which no other site can ask for. Messages
//! pass through as JSON, for the browser's own functions.

mod ceremony;

use quaywatch_core::{Timestamp, UserId};
use quaywatch_store::StoreError;
use quaywatch_store::records::{NewPasskey, PasskeyRecord, Proved};
use serde_json::Value;
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration};

use super::again::unasked;
use super::ceremonies::Ceremonies;
use super::profile::Way;
use super::sign_in::NewSession;
use super::{Identity, Origin, bearer, check_name, not_recognised, person};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::{invalid, not_found};
use ceremony::Server;

/// A ceremony that waits for the device's answer.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Names it, for the answer.
    pub ceremony: String,
    /// For `navigator.credentials.create` or `.get`.
    pub options: Value,
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its number.
    pub id: i64,
    /// What they call it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Ceremonies that were begun.
#[derive(Debug, Default)]
pub(super) struct Begun {
    registrations: Ceremonies<(UserId, PasskeyRegistration)>,
    sign_ins: Ceremonies<DiscoverableAuthentication>,
}

/// Devices of one person: a list that people still read, and a bound for what a browser is told to leave out.
const MOST: usize = 20;

impl Identity {
    /// The caller's own passkeys.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn list_passkeys(&self, caller: &Caller) -> Result<Vec<PasskeyView>, OperationError> {
        let user = person(caller)?;
        Ok(self.people().passkeys(user).await?.iter().map(shown).collect())
    }

    /// Begins to add one, of somebody who signed in just now.
    ///
    /// # Errors
    /// [`OperationError::Conflict`] where they did not, or where nobody said how the server is reached.
    pub async fn begin_passkey(&self, caller: &Caller) -> Result<Challenge, OperationError> {
        let user = self.themselves(caller).await?;
        self.require_recent(caller)?;
        let server = self.server()?;
        let known = self.people().passkeys(user.id).await?;
        if known.len() >= MOST {
            let message = format!("you have {MOST} passkeys: remove one that you no longer use");
            return Err(OperationError::Conflict { code: "too_many_passkeys", message });
        }
        let known = known.into_iter().map(|passkey| passkey.credential_id).collect();
        let (options, begun) = server.begin_registration(user.id, &user.email, &user.name, known)?;
        let ceremony = bearer::hex(&bearer::random::<16>());
        self.0.passkeys.registrations.begin(ceremony.clone(), self.0.clock.boot(), (user.id, begun));
        Ok(Challenge { ceremony, options })
    }

    /// Adds it, under a name.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] where the answer does not fit.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        ceremony: &str,
        name: &str,
        answer: &Value,
    ) -> Result<PasskeyView, OperationError> {
        let user = person(caller)?;
        let name = check_name("name", name)?;
        let begun = self.0.passkeys.registrations.take(ceremony, self.0.clock.boot());
        let (_, begun) = begun.filter(|(of, _)| *of == user).ok_or_else(|| {
            let message = "nothing was begun, or it took too long: begin again".to_owned();
            OperationError::Conflict { code: "nothing_begun", message }
        })?;
        let registered = self.server()?.finish_registration(&begun, answer).map_err(|why| {
            tracing::info!(%user, %why, "a passkey was not added");
            let message = "the answer does not fit what was asked";
            invalid("answer", "passkey_refused", message, "begin again, on the address of this server")
        })?;
        let new = NewPasskey {
            credential_id: registered.credential_id,
            credential: registered.credential,
            name,
            counter: registered.counter,
        };
        let asks = caller.session.map(|session| session.hash);
        match self.people().add_passkey(user, new, asks, caller.author(), self.now()).await {
            Ok(passkey) => Ok(shown(&passkey)),
            Err(StoreError::Taken(_)) => Err(OperationError::Conflict {
                code: "passkey_known",
                message: "this passkey is known already".to_owned(),
            }),
            Err(error) => Err(unasked(error)),
        }
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] where it is the last way to sign in.
    pub async fn remove_passkey(&self, caller: &Caller, id: i64) -> Result<(), OperationError> {
        let user = self.themselves(caller).await?;
        let passkeys = self.people().passkeys(user.id).await?;
        if !passkeys.iter().any(|passkey| passkey.id == id) {
            return Err(not_found("passkey", id));
        }
        if passkeys.len() == 1 {
            self.keep_a_way_in(&user, Way::Passkey).await?;
        }
        Ok(self.people().remove_passkey(user.id, id, caller.author(), self.now()).await?)
    }

    /// Begins to sign in: the device knows who it is for.
    ///
    /// # Errors
    /// [`OperationError::Throttled`]; [`OperationError::Unavailable`] as above.
    #[expect(clippy::unused_async, reason = "one of a family: whoever serves it waits for all alike")]
    pub async fn begin_passkey_sign_in(&self, origin: &Origin) -> Result<Challenge, OperationError> {
        self.0.throttle.address(origin.address)?;
        let (options, begun) = self.server()?.begin_sign_in()?;
        let ceremony = bearer::hex(&bearer::random::<16>());
        self.0.passkeys.sign_ins.begin(ceremony.clone(), self.0.clock.boot(), begun);
        Ok(Challenge { ceremony, options })
    }

    /// Signs in with the device's answer. A passkey is two factors: no code is asked for.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`].
    pub async fn sign_in_with_passkey(
        &self,
        ceremony: &str,
        answer: &Value,
        origin: &Origin,
    ) -> Result<NewSession, OperationError> {
        self.0.throttle.address(origin.address)?;
        let refused = |why: String| {
            tracing::info!(address = %origin.address, %why, "a passkey was refused");
            not_recognised(
                "passkey_refused",
                "the passkey was not recognised: try again, or sign in another way",
            )
        };
        let begun = self.0.passkeys.sign_ins.take(ceremony, self.0.clock.boot());
        let begun = begun.ok_or_else(|| refused("nothing was begun, or it took too long".to_owned()))?;
        let server = self.server()?;
        let named = server.named(answer).map_err(refused)?;
        let people = self.people();
        let kept = people.passkey(named.credential_id.clone()).await?;
        let kept =
            kept.filter(|kept| kept.user == named.user).ok_or_else(|| refused("it is unknown".to_owned()))?;
        let user = people.user(kept.user).await?.filter(|user| user.disabled_at.is_none());
        let user = user.ok_or_else(|| refused("its owner may not sign in".to_owned()))?;
        let proved = server.finish_sign_in(begun, &named, &kept.credential).map_err(refused)?;
        let credential = proved.credential.unwrap_or(kept.credential);
        if !people.touch_passkey(kept.id, credential, proved.counter, self.now()).await? {
            return Err(refused("its counter did not go on: there may be a copy of it".to_owned()));
        }
        self.begin_session(user.id, Proved::Passkey(kept.id), None, origin).await
    }

    fn server(&self) -> Result<Server, OperationError> {
        Server::at(self.settings().public_url.as_deref())
    }
}

fn shown(passkey: &PasskeyRecord) -> PasskeyView {
    PasskeyView {
        id: passkey.id,
        name: passkey.name.clone(),
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    }
}
