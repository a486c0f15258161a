//! What `user`, `account` and `token` share: the store beside a server that may be running, identity over it, and who acts.

use std::process::ExitCode;
use std::sync::Arc;

use quaywatch_app::caller::Caller;
use quaywatch_app::identity::{Identity, Settings};
use quaywatch_app::operations::OperationError;
use quaywatch_app::server;
use quaywatch_core::{AccountId, Clock};
use quaywatch_store::Store;

use crate::arguments::Data;
use crate::command::data;
use crate::terminal;

/// An opened store with what recognises people over it.
pub(crate) struct Host {
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    uid: u32,
}

/// Opens the data, does the work, closes it.
pub(crate) fn run(data: &Data, work: impl AsyncFnOnce(Host) -> Result<(), String>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    // Before the data is opened: opening it as root makes this process act as its owner.
    let uid = nix::unistd::getuid().as_raw();
    let done = Host::open(data, uid).and_then(|host| {
        runtime.block_on(async {
            let store = Arc::clone(&host.store);
            let done = work(host).await;
            let closed = store.system().close().await.map_err(|error| error.to_string());
            done.and(closed)
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&error),
    }
}

impl Host {
    fn open(data: &Data, uid: u32) -> Result<Self, String> {
        let opened = data::open(data)?;
        let settings = data.config.as_deref().map_or_else(Settings::default, server::sign_in_of);
        let identity = Identity::new(Arc::clone(&opened.store), Arc::clone(&opened.clock), settings);
        Ok(Self { identity, clock: opened.clock, store: opened.store, uid })
    }

    /// The command line, acting in an account; `default` where none is named.
    pub(crate) async fn in_account(&self, name: Option<&str>) -> Result<Caller, String> {
        let account = match name {
            None => AccountId::DEFAULT,
            Some(name) => {
                let accounts = self.store.system().accounts().await.map_err(|error| error.to_string())?;
                let found =
                    accounts.iter().find(|account| account.name == name || account.id.to_string() == name);
                let known: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
                let unknown = || format!("there is no account `{name}`: there are {}", known.join(", "));
                found.map(|account| account.id).ok_or_else(unknown)?
            }
        };
        Ok(Caller::host(self.uid, account))
    }
}

/// An error of an operation, for people at a terminal.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn told(error: OperationError) -> String {
    error.to_string()
}
