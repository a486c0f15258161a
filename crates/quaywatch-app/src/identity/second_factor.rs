//! Turning the second factor on and off. It is on from the first code that was right, so that nobody locks themselves
//! out with an app that did not take the secret; turning it off asks for the password again.

use quaywatch_core::{Secret, UserId};
use quaywatch_store::records::SecretHash;

use super::again::unasked;
use super::{Identity, codes};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::invalid;
use crate::operations::sealed::Vault;

/// What an app needs.
#[derive(Debug)]
pub struct Enrolment {
    /// To be typed.
    pub secret: Secret<String>,
    /// `otpauth://…`, to be shown as a QR code.
    pub link: Secret<String>,
}

impl Identity {
    /// Makes a secret for an app; nothing changes yet. Good for ten minutes.
    ///
    /// # Errors
    /// [`OperationError::Conflict`] where the second factor is on, [`OperationError::Denied`] to a token.
    pub async fn begin_second_factor(&self, caller: &Caller) -> Result<Enrolment, OperationError> {
        let user = self.themselves(caller).await?;
        // Whoever has the app keeps the others out.
        self.require_recent(caller)?;
        if user.totp_secret.is_some() {
            let message = "the second factor is on: turn it off first".to_owned();
            return Err(OperationError::Conflict { code: "second_factor_on", message });
        }
        if user.password_hash.is_none() {
            let message = "codes go with a password, and you have none: set one first".to_owned();
            return Err(OperationError::Conflict { code: "no_password", message });
        }
        self.vault()?;
        let secret = codes::new_secret();
        let (typed, link) = codes::enrolment(&secret, &user.email).ok_or_else(|| {
            OperationError::Unavailable("the address cannot stand in a link for apps".to_owned())
        })?;
        self.0.enrolments.begin(user.id.to_string(), self.0.clock.boot(), secret);
        Ok(Enrolment { secret: typed, link })
    }

    /// Turns the second factor on with the first right code; the recovery codes, shown once. Other sessions than the
    /// caller's end.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong code.
    pub async fn confirm_second_factor(
        &self,
        caller: &Caller,
        code: &str,
    ) -> Result<Vec<Secret<String>>, OperationError> {
        let user = self.themselves(caller).await?;
        self.count_again(caller)?;
        let key = user.id.to_string();
        let secret = self.0.enrolments.look(&key, self.0.clock.boot()).ok_or_else(|| {
            let message = "nothing was begun, or it took too long: begin again".to_owned();
            OperationError::Conflict { code: "nothing_begun", message }
        })?;
        let step = match codes::read(code) {
            codes::Code::Timed(code) => codes::matching_step(&secret, &code, self.now(), None),
            codes::Code::Recovery(_) | codes::Code::Neither => None,
        };
        let step = step.ok_or_else(|| {
            let remedy = "type the six digits that the app shows now; if they are always wrong, look at the phone's clock";
            invalid("code", "wrong_code", "the code is wrong", remedy)
        })?;
        let sealed =
            self.vault()?.seal(&place(user.id), secret.reveal()).map_err(OperationError::Unavailable)?;
        let (shown, kept) = codes::new_recovery_codes();
        let people = self.people();
        let (factor, asks) = ((sealed, hashes(kept)), caller.session.map(|session| session.hash));
        let set = people.set_totp(user.id, Some(factor), asks, caller.author(), self.now()).await;
        set.map_err(unasked)?;
        people.advance_totp(user.id, step).await?;
        self.0.enrolments.take(&key, self.0.clock.boot());
        Ok(shown)
    }

    /// Turns it off.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong password.
    pub async fn end_second_factor(
        &self,
        caller: &Caller,
        password: Secret<String>,
    ) -> Result<(), OperationError> {
        let user = self.themselves(caller).await?;
        self.ask_again(caller, &user, "password", &password).await?;
        let asks = caller.session.map(|session| session.hash);
        self.people().set_totp(user.id, None, asks, caller.author(), self.now()).await.map_err(unasked)
    }

    /// New recovery codes; those before no longer work.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong password, [`OperationError::Conflict`] where the second factor is off.
    pub async fn new_recovery_codes(
        &self,
        caller: &Caller,
        password: Secret<String>,
    ) -> Result<Vec<Secret<String>>, OperationError> {
        let user = self.themselves(caller).await?;
        self.ask_again(caller, &user, "password", &password).await?;
        if user.totp_secret.is_none() {
            let message = "the second factor is off: there is nothing to recover".to_owned();
            return Err(OperationError::Conflict { code: "second_factor_off", message });
        }
        let (shown, kept) = codes::new_recovery_codes();
        self.people().replace_recovery_codes(user.id, hashes(kept), caller.author(), self.now()).await?;
        Ok(shown)
    }

    /// Opens the sealed secret of somebody.
    pub(super) fn open_secret(&self, user: UserId, sealed: &[u8]) -> Result<Secret<Vec<u8>>, OperationError> {
        let opened = self.vault()?.open(&place(user), sealed);
        opened.map(Secret::new).map_err(OperationError::Unavailable)
    }

    fn vault(&self) -> Result<&dyn Vault, OperationError> {
        self.0.vault.get().map(|vault| &**vault).ok_or_else(|| {
            OperationError::Unavailable(
                "there is no key to seal secrets with: see the server's log".to_owned(),
            )
        })
    }
}

/// Where a secret is at home: sealed for one person, it does not open for another.
fn place(user: UserId) -> String {
    format!("user/{}/totp_secret", user.0)
}

fn hashes(codes: Vec<[u8; 32]>) -> Vec<SecretHash> {
    codes.into_iter().map(SecretHash).collect()
}
