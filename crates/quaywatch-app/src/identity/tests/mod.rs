//! Identity over a real store: what people and programs do, one after the other, under a clock of the test's own.

mod accounts;
mod intruders;
mod people;
mod proofs;
mod sessions;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::egress::Accounts;
use quaywatch_core::{AccountId, Clock, Secret, UserId};
use quaywatch_store::{Sealer, SqliteStore, Store};
use quaywatch_testkit::clock::ManualClock;

use super::first_start::FirstOwner;
use super::host::{AddedUser, Whom};
use super::sign_in::{Credentials, NewSession, SignIn};
use super::{Identity, Origin, Settings};
use crate::caller::Caller;
use crate::operations::OperationError;

const PASSWORD: &str = "tugboats at dawn";
const DAY: Duration = Duration::from_secs(86_400);

/// A server's identity, with nobody in it.
struct Kit {
    identity: Identity,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
}

impl Kit {
    fn new() -> Self {
        Self::with(Settings {
            public_url: Some("https://watch.example.com".to_owned()),
            ..Settings::default()
        })
    }

    fn multi() -> Self {
        Self::with(Settings { accounts: Accounts::Multi, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(ManualClock::new());
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let store =
            SqliteStore::open_serving(directory.path(), Arc::clone(&shared)).expect("the store opens");
        let store: Arc<dyn Store> = store;
        let identity = Identity::new(Arc::clone(&store), shared, settings);
        identity.attach_sealer(Arc::new(Sealer::open_or_create(directory.path()).expect("a key")));
        Self { identity, store, clock, directory }
    }

    /// The command line, in the first account.
    fn host(&self) -> Caller {
        Caller::host(0, AccountId::DEFAULT)
    }

    /// Adds somebody to the first account.
    async fn person(&self, email: &str, role: Role) {
        let added =
            AddedUser { email: email.to_owned(), name: None, role, whom: Whom::New(Some(secret(PASSWORD))) };
        self.identity.add_user(&self.host(), added).await.expect("added");
    }

    /// Somebody of the first account whom nothing lets in yet.
    async fn without_password(&self, email: &str, role: Role) -> UserId {
        let added = AddedUser { email: email.to_owned(), name: None, role, whom: Whom::New(None) };
        self.identity.add_user(&self.host(), added).await.expect("added").id
    }

    async fn sign_in(&self, email: &str) -> NewSession {
        match self.try_sign_in(email, PASSWORD, None).await.expect("signed in") {
            SignIn::Done(session) => session,
            SignIn::SecondFactorNeeded => panic!("a code is asked for"),
        }
    }

    async fn try_sign_in(
        &self,
        email: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SignIn, OperationError> {
        // Tests try more often than people.
        self.clock.advance(Duration::from_secs(60));
        let credentials = Credentials {
            email: email.to_owned(),
            password: secret(password),
            code: code.map(str::to_owned),
            account: None,
        };
        self.identity.sign_in(credentials, &origin()).await
    }

    /// Somebody of the first account, signed in.
    async fn caller(&self, email: &str, role: Role) -> Caller {
        self.person(email, role).await;
        self.as_caller(&self.sign_in(email).await).await
    }

    async fn as_caller(&self, session: &NewSession) -> Caller {
        self.recognise(session).await.expect("the session is good")
    }

    async fn recognise(&self, session: &NewSession) -> Result<Caller, OperationError> {
        self.identity.authenticate_session(session.secret.reveal(), origin().address).await
    }

    async fn set_up(&self) -> NewSession {
        let key = self.identity.new_setup_key().await.expect("asked").expect("nobody is here yet");
        let first = FirstOwner {
            key: key.reveal().clone(),
            email: "kim@example.com".to_owned(),
            name: "Kim".to_owned(),
            password: secret(PASSWORD),
        };
        self.identity.set_up(first, &origin()).await.expect("set up")
    }
}

/// Whoever serves people moves what they wait for from thread to thread.
#[test]
fn everything_that_is_waited_for_may_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let check = |identity: &Identity, caller: &Caller, origin: &Origin| {
        moves(identity.depart("", Some(caller), origin));
        let back = super::oidc::Return { state: String::new(), code: String::new(), binding: String::new() };
        moves(identity.arrive("", back, origin));
        moves(identity.sign_in_with_passkey("", &serde_json::Value::Null, origin));
    };
    let _ = check;
}

fn origin() -> Origin {
    let address: IpAddr = "192.0.2.7".parse().expect("an address");
    Origin { address, agent: Some("Firefox 151".to_owned()), request_id: None }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// Waits until something that goes on beside is done.
async fn eventually(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let done = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The stable word of a refusal.
fn code<T: std::fmt::Debug>(result: Result<T, OperationError>) -> &'static str {
    match result {
        Err(OperationError::NotRecognised { code, .. } | OperationError::Conflict { code, .. }) => code,
        Err(OperationError::Invalid(problems)) => problems.iter().next().map_or("", |problem| problem.code),
        Err(OperationError::Denied(_)) => "denied",
        Err(OperationError::NotFound { .. }) => "not_found",
        Err(OperationError::Throttled(_)) => "throttled",
        other => panic!("{other:?}"),
    }
}
