//! Engine, runner and the way out to the network, made for a configuration and changed with it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use quaywatch_core::egress::Accounts;
use quaywatch_core::{AccountId, ChannelId, Clock, LocationId};
use quaywatch_engine::{Engine, EngineConfig, EngineStats};
use quaywatch_net::http::{HttpClient, tls};
use quaywatch_net::{Descriptors, Dialler, Resolver, ResolverConfig, descriptors};
use quaywatch_notify::notice::ServerWords;
use quaywatch_probe::half_open_works;
use quaywatch_runner::{NetParts, Runner, RunnerConfig, RunnerStats, TargetBudget};
use quaywatch_store::{Store, StoreError};
use tokio::task::JoinHandle;

use super::{Options, StartError, channels, names};
use crate::config::Config;
use crate::observe::{BulkSource, Monitors, Observatory, ResolverSource};
use crate::opener::Secrets;
use crate::operations::delivery::Delivery;
use crate::operations::sealed::Vault;

/// Descriptors that checks may not take: database, listener (1,024 connections and some that are turned away),
/// deliveries, name lookups, logs.
const RESERVE: u64 = 1_600;

/// Everything that runs.
pub(super) struct Parts {
    engine: Arc<Engine>,
    runner: Runner,
    resolver: Resolver,
    net: NetParts,
    /// What checks say in secret.
    secrets: Arc<Secrets>,
    /// How operations reach channels.
    delivery: Delivery,
    /// The way to web servers, under the server's own policy at the start.
    client: HttpClient,
    /// What channels may dial.
    egress: channels::InForce,
    /// What looks after things beside; ended with everything else.
    tasks: Vec<JoinHandle<()>>,
}

impl Parts {
    /// Starts everything for `config`; monitors are read from the store, shard by shard.
    pub(super) async fn start(
        config: &Config,
        options: &Options,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        vault: Arc<dyn Vault>,
    ) -> Result<Self, StartError> {
        let secrets = Arc::new(Secrets::new(Some(Arc::clone(&vault)), directory(config)));
        let net = net_parts(config, clock, &secrets)?;
        let resolver = net.resolver.clone();
        let dialler = Dialler::new(net.resolver.clone(), net.egress.clone(), Arc::clone(clock));
        let egress: channels::InForce = Arc::new(RwLock::new(net.egress.clone()));
        let roots = tls::client_config(tls::roots());
        let client = HttpClient::new(dialler, roots, Arc::clone(clock));
        let factory = channels::factory(
            client.clone(),
            Arc::clone(&egress),
            Arc::clone(clock),
            directory(config),
            Some(Arc::clone(&vault)),
        );
        let settings = engine_config(config, store).await?;
        let delivery =
            Delivery { factory: Arc::clone(&factory), server: settings.server.clone(), vault: Some(vault) };
        let parts =
            quaywatch_engine::Parts { store: Arc::clone(store), clock: Arc::clone(clock), channels: factory };
        let runner_config = runner_config(config, options);
        let mut started = None;
        let engine = Engine::start(settings, parts, |sink| {
            let runner = Runner::start(runner_config, &net, Arc::clone(clock), Box::new(sink))?;
            started = Some(runner.clone());
            Ok::<_, std::io::Error>(runner)
        });
        let engine = engine.await.map_err(|error| match error {
            quaywatch_engine::StartError::Store(error) => StartError::Store(error),
            quaywatch_engine::StartError::Runner(error) => {
                StartError::Machine { what: "starting the runner", error }
            }
            quaywatch_engine::StartError::Thread(error) => {
                StartError::Machine { what: "starting the engine", error }
            }
        })?;
        let runner = started.expect("an engine that started has started its runner");
        let engine = Arc::new(engine);
        let names = tokio::spawn(names::watch(resolver.clone(), Arc::clone(&engine), Arc::clone(clock)));
        Ok(Self { engine, runner, resolver, net, secrets, delivery, client, egress, tasks: vec![names] })
    }

    /// What may be dialled from now on: by checks at once, by channels when they are made anew.
    pub(super) fn bind(&self, config: &Config) {
        *self.egress.write().unwrap_or_else(PoisonError::into_inner) = config.server.egress.clone();
        self.runner.bind(config.server.egress.clone());
    }

    /// Follows what a new configuration says beside monitors and channels. What belongs to the process (resolvers,
    /// anchors, retention) changes at a restart, and is said to.
    pub(super) async fn refresh(&self, config: &Config, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        // A secret may have changed where its reference did not.
        self.secrets.forget();
        self.engine.refresh_channels(store.system().channels().await?);
        self.engine.set_operators(operators(config, store).await?);
        self.engine.set_public_url(config.server.public_url.clone());
        Ok(())
    }

    /// Lets `/metrics` read every part.
    pub(super) fn observe(&self, observatory: &Observatory, config: &Config) {
        observatory.show_monitors(Monitors::new(self.engine.surveyor(), config.server.monitor_series));
        observatory.add(Arc::new(BulkSource(self.runner.bulk_stats())));
        observatory.add(Arc::new(ResolverSource(self.resolver.clone())));
    }

    /// The way to web servers that the file itself names, such as providers, under the policy in force.
    pub(super) fn client(&self) -> HttpClient {
        let egress = self.egress.read().unwrap_or_else(PoisonError::into_inner).of(AccountId::DEFAULT);
        self.client.with_dialler(self.client.dialler().under(egress))
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// Ends this with everything else.
    pub(super) fn look_after(&mut self, task: JoinHandle<()>) {
        self.tasks.push(task);
    }

    pub(super) fn net(&self) -> NetParts {
        self.net.clone()
    }

    pub(super) fn engine_stats(&self) -> Arc<EngineStats> {
        self.engine.stats()
    }

    pub(super) fn runner_stats(&self) -> Arc<RunnerStats> {
        self.runner.stats()
    }

    /// No more checks; what was seen is judged and written; attempts on their way get a few seconds.
    pub(super) async fn shutdown(self) {
        for task in &self.tasks {
            task.abort();
        }
        let runner = self.runner;
        // It ends a thread, which may take as long as a turn of its loop.
        let _ = tokio::task::spawn_blocking(move || runner.shutdown()).await;
        self.engine.shutdown().await;
    }
}

fn net_parts(
    config: &Config,
    clock: &Arc<dyn Clock>,
    secrets: &Arc<Secrets>,
) -> Result<NetParts, StartError> {
    let limit = descriptors::raise_limit()
        .map_err(|error| StartError::Machine { what: "reading the limit of open files", error })?;
    tracing::info!(descriptors = limit.soft, "open files are limited to this number");
    let descriptors = Descriptors::new(limit.soft, RESERVE.min(limit.soft / 2));
    let resolver = ResolverConfig {
        upstreams: config.resolvers.clone(),
        descriptors: Some(descriptors.clone()),
        ..ResolverConfig::default()
    };
    Ok(NetParts {
        resolver: Resolver::new(resolver, Arc::clone(clock)),
        egress: config.server.egress.clone(),
        descriptors,
        runtime: tokio::runtime::Handle::current(),
        opener: Arc::<Secrets>::clone(secrets),
    })
}

fn runner_config(config: &Config, options: &Options) -> RunnerConfig {
    let half_open = half_open_works();
    if half_open {
        tracing::info!("half-open handshakes work here: plain checks are not noticed by their targets");
    } else {
        tracing::warn!(
            "half-open handshakes do not work here (a sandbox, or no Linux): plain checks complete theirs"
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    RunnerConfig {
        // One thread carries more than ten thousand checks a second; on two cores a second one would only compete.
        threads: options.probe_threads.unwrap_or(if cores > 2 { 2 } else { 1 }),
        budget: Some(TargetBudget {
            per_port: config.server.target_per_port,
            per_address: config.server.target_per_address,
        }),
        anchors: config.anchors.clone(),
        half_open,
        reuse_sockets: config.server.accounts == Accounts::Single,
        ..RunnerConfig::new(LocationId::LOCAL)
    }
}

async fn engine_config(config: &Config, store: &Arc<dyn Store>) -> Result<EngineConfig, StartError> {
    let name = config.server.name.clone().unwrap_or_else(host_name);
    let words = ServerWords { name, version: env!("CARGO_PKG_VERSION").to_owned() };
    let mut settings = EngineConfig::new(words, seed()?);
    settings.public_url.clone_from(&config.server.public_url);
    settings.retention = config.server.retention;
    settings.operator_channels = operators(config, store).await?;
    Ok(settings)
}

/// Who hears of the server's own faults.
async fn operators(config: &Config, store: &Arc<dyn Store>) -> Result<Vec<ChannelId>, StoreError> {
    let wanted = &config.server.operator_channels;
    let known = store.account(AccountId::DEFAULT).channels().await?;
    let is_wanted = |name: &String, key: &String| wanted.contains(name) || wanted.contains(key);
    Ok(known
        .iter()
        .filter(|channel| is_wanted(&channel.name, &channel.key))
        .map(|channel| channel.id)
        .collect())
}

/// Randomness for ids and jitter.
fn seed() -> Result<u64, StartError> {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| StartError::Machine { what: "reading /dev/urandom", error })?;
    Ok(u64::from_le_bytes(bytes))
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "quaywatch".to_owned(), |n| n.trim().to_owned())
}

fn directory(config: &Config) -> PathBuf {
    std::path::Path::new(&config.path).parent().map_or_else(PathBuf::new, PathBuf::from)
}
