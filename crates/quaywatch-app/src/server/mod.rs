//! The server as a whole: its parts made, wired together, kept in step with its file, and ended in order.
//!
//! Start: read the file → open the store → decide which configuration runs → write what changed → engine and runner.
//! A file with errors never stops a server that ran before: the last accepted configuration goes on, and log, metrics
//! and `/readyz` say so.

mod channels;
mod choose;
mod names;
mod parts;
#[cfg(test)]
mod tests;
mod watch;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quaywatch_core::{AccountId, Clock};
use quaywatch_net::SystemClock;
use quaywatch_store::records::{Applied, ChangeSet};
use quaywatch_store::{Sealer, SqliteStore, Store, StoreError};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, LogFormat, Look};
use crate::identity::{self, Identity};
use crate::observe::{ChangesSource, ConfigState, EngineSource, Observatory, RunnerSource, StoreSource};
use crate::operations::Operations;
use crate::operations::changes::Turn;
use crate::operations::sealed::Vault;
use crate::operations::settings::Settings;
use choose::{Choice, File, Refused};
use parts::Parts;
use watch::{FileWatch, LOOK_EVERY};

/// Where data is kept where nobody says otherwise.
pub const DEFAULT_DATA_DIR: &str = "data";

/// Where the server listens where nobody says otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What the command line and the environment say; both win over the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The directory of the database.
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Threads that check.
    pub probe_threads: Option<usize>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file cannot be used, and there is none before it that could.
    #[error("{0}")]
    Config(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of sealed secrets cannot be had.
    #[error("{0}")]
    Key(String),
    /// The listener's address cannot be had.
    #[error("{0}")]
    Listen(String),
    /// The machine refuses something.
    #[error("{what}: {error}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// What the machine said.
        error: std::io::Error,
    },
}

/// A running server.
pub struct Server {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    observatory: Arc<Observatory>,
    operations: Operations,
    identity: Identity,
    file: Option<PathBuf>,
    /// The file as it was before it was read, so that no change is missed while the server starts.
    watch: Option<FileWatch>,
    /// Reloads come one after the other.
    parts: Mutex<Option<Parts>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts everything; `bind` binds the listener, as soon as it is known where, and before anything is written or
    /// checked. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], in words for people.
    pub async fn start<L>(
        options: Options,
        bind: impl AsyncFnOnce(SocketAddr) -> Result<L, String>,
    ) -> Result<(Self, L), StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let watch = options.config.as_deref().map(FileWatch::new);
        let file = options.config.as_deref().map(File::read);
        let data_dir = data_dir(&options, file.as_ref());
        let choose = |file, accepted| choose::choose(file, accepted, clock.now()).map_err(StartError::Config);
        let (store, choice): (Arc<dyn Store>, Choice) = if SqliteStore::exists(&data_dir) {
            let store = SqliteStore::open_serving(&data_dir, Arc::clone(&clock))?;
            let accepted = store.system().accepted_config().await?;
            let choice = choose(file, accepted)?;
            (store, choice)
        } else {
            // A file that cannot run leaves no data behind where there was none.
            let choice = choose(file, None)?;
            (SqliteStore::open_serving(&data_dir, Arc::clone(&clock))?, choice)
        };
        let listen = options.listen.or(choice.config.server.listen).unwrap_or(DEFAULT_LISTEN);
        let listener = bind(listen).await.map_err(StartError::Listen)?;
        let sealer = Sealer::open_or_create(&data_dir).map_err(|error| StartError::Key(error.to_string()))?;
        let sealer = Arc::new(sealer);
        let vault: Arc<dyn Vault> = Arc::<Sealer>::clone(&sealer);
        if let Some(told) = &choice.told {
            told.log();
        }
        let observatory = Arc::new(Observatory::default());
        observatory.add(Arc::new(StoreSource(Arc::clone(&store))));
        let settings = Arc::new(Settings::new(&choice.config));
        let operations = Operations::new(Arc::clone(&store), Arc::clone(&clock), settings);
        let signing_in = identity::Settings::of(&choice.config);
        let identity = Identity::new(Arc::clone(&store), Arc::clone(&clock), signing_in);
        identity.attach_sealer(sealer);
        let (file, parts) = (options.config.clone(), Mutex::new(None));
        let server = Self { file, watch, store, clock, observatory, operations, identity, parts };
        server.take(&choice).await?;
        let mut parts = Parts::start(&choice.config, &options, &server.store, &server.clock, vault).await?;
        server.operations.attach_delivery(parts.delivery());
        server.operations.attach(parts.engine());
        server.operations.attach_net(parts.net());
        server.identity.attach_client(parts.client());
        server.observatory.add(Arc::new(ChangesSource(server.operations())));
        server.observatory.add(Arc::new(EngineSource(parts.engine_stats())));
        server.observatory.add(Arc::new(RunnerSource(parts.runner_stats())));
        parts.observe(&server.observatory, &choice.config);
        let operations = server.operations();
        parts.look_after(tokio::spawn(async move { operations.end_pauses().await }));
        let operations = server.operations();
        parts.look_after(tokio::spawn(async move { operations.keep_bins_small().await }));
        let changes = Arc::clone(&server.operations.changes);
        parts.look_after(tokio::spawn(async move { changes.make_good().await }));
        *server.parts.lock().await = Some(parts);
        server.settle(choice);
        tracing::info!(data_dir = %data_dir.display(), "watching");
        Ok((server, listener))
    }

    /// What the server says of itself.
    #[must_use]
    pub fn observatory(&self) -> Arc<Observatory> {
        Arc::clone(&self.observatory)
    }

    /// Everything that people and programs can do here, while the server runs.
    #[must_use]
    pub fn operations(&self) -> Operations {
        self.operations.clone()
    }

    /// Who people and programs are.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// Reads the file again. What did not change keeps its phase and its streaks; a file with errors changes nothing.
    pub async fn reload(&self) {
        let Some(path) = &self.file else {
            tracing::info!("there is no configuration file to read again");
            return;
        };
        let file = File::read(path);
        match file.config() {
            Err(refused) => {
                refused.log();
                self.observatory.readiness.refused(refused.state(self.clock.now()));
            }
            Ok(config) => {
                if let Err(error) = self.replace(&config, &file).await {
                    tracing::error!(%error, "the configuration could not be written; the old one stays");
                    let refused = Refused::unwritable(&error);
                    self.observatory.readiness.refused(refused.state(self.clock.now()));
                }
            }
        }
    }

    async fn replace(&self, config: &Config, file: &File) -> Result<(), StoreError> {
        let parts = self.parts.lock().await;
        let turn = self.operations.changes.turn().await;
        let applied = self.write(&turn, config, Some(file)).await?;
        tracing::info!(
            monitors = config.monitors.len(),
            changed = applied.monitors.len(),
            removed = applied.removed_monitors.len(),
            "configuration accepted"
        );
        self.operations.settings.replace(config);
        if let Some(parts) = parts.as_ref() {
            // What may be dialled is known before there is more to dial.
            parts.bind(config);
            self.identity.attach_client(parts.client());
        }
        self.identity.replace_settings(identity::Settings::of(config));
        turn.follow(AccountId::DEFAULT, applied).await;
        drop(turn);
        if let Some(parts) = parts.as_ref() {
            parts.refresh(config, &self.store).await?;
        }
        self.observe(config);
        self.observatory.readiness.accepted(ConfigState::Fresh { since: self.clock.now() });
        warn(config, file.text());
        Ok(())
    }

    /// Looks at the file each second, and reads it again when it changed, until `stop`.
    pub async fn watch_file(&self, stop: CancellationToken) {
        let Some(mut watch) = self.watch.clone() else { return };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if watch.look() {
                self.reload().await;
            }
        }
    }

    /// Ends checks, writes what was judged, and closes the store.
    pub async fn shutdown(&self) {
        self.operations.followers.close();
        self.operations.changes.close().await;
        if let Some(parts) = self.parts.lock().await.take() {
            parts.shutdown().await;
        }
        if let Err(error) = self.store.system().close().await {
            tracing::warn!(%error, "the store was not closed cleanly");
        }
    }

    /// Writes what a chosen configuration changes, unless it is the one that is stored.
    async fn take(&self, choice: &Choice) -> Result<(), StoreError> {
        if choice.is_stored {
            self.store.system().declare_locations(choice.config.locations.clone()).await?;
            return Ok(());
        }
        let turn = self.operations.changes.turn().await;
        self.write(&turn, &choice.config, choice.file.as_ref()).await.map(drop)
    }

    /// Writes what a configuration changes.
    async fn write(
        &self,
        turn: &Turn<'_>,
        config: &Config,
        file: Option<&File>,
    ) -> Result<Applied, StoreError> {
        self.store.system().declare_locations(config.locations.clone()).await?;
        let account = self.store.account(AccountId::DEFAULT);
        let now = self.clock.now();
        let changes = ChangeSet {
            accepted: file.and_then(File::text).map(|text| config.accepted(text, now)),
            ..config::diff(config, &account.monitors().await?, &account.channels().await?)
        };
        turn.write(AccountId::DEFAULT, changes, now).await
    }

    fn settle(&self, choice: Choice) {
        self.observe(&choice.config);
        warn(&choice.config, choice.file.as_ref().and_then(File::text));
        match choice.state {
            state @ ConfigState::Stale { .. } => self.observatory.readiness.refused(state),
            state @ (ConfigState::Loading | ConfigState::None | ConfigState::Fresh { .. }) => {
                self.observatory.readiness.accepted(state);
            }
        }
    }

    fn observe(&self, config: &Config) {
        *self.observatory.metrics_token.write().expect("no holder of this lock panics") =
            config.server.metrics_token.clone();
        self.observatory.limit_monitors(config.server.monitor_series);
    }
}

/// Shows what works but is probably not meant.
fn warn(config: &Config, text: Option<&str>) {
    if config.warnings.warnings() > 0 {
        let shown = config::render(&config.warnings, text.unwrap_or_default(), &config.path, Look::default());
        tracing::warn!("the configuration has warnings:\n{shown}");
    }
}

fn data_dir(options: &Options, file: Option<&File>) -> PathBuf {
    options
        .data_dir
        .clone()
        .or_else(|| file.and_then(File::data_dir))
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
}

/// How the file wants the server to log: for whoever sets up logging before the server starts, which then reads the
/// file in earnest. A file that cannot be read says nothing here.
#[must_use]
pub fn logging_of(path: &Path) -> (Option<&'static str>, Option<LogFormat>) {
    File::read(path)
        .known()
        .map_or((None, None), |config| (config.server.log_level, config.server.log_format))
}

/// What a file says of signing in, for commands beside a server; what holds without a file where it cannot be read.
#[must_use]
pub fn sign_in_of(path: &Path) -> identity::Settings {
    File::read(path)
        .known()
        .map_or_else(identity::Settings::default, |config| identity::Settings::of(&config))
}

/// The data directory that a file names, if it does: for commands that only read.
///
/// # Errors
/// Where the file cannot be read at all, in words for people.
pub fn data_dir_of(path: &Path) -> Result<Option<PathBuf>, String> {
    let file = File::read(path);
    if file.text().is_none() {
        return Err(format!("cannot read {}: {}", path.display(), file.unreadable()));
    }
    Ok(file.data_dir())
}
