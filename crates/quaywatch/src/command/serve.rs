//! `quaywatch serve`: wires server and listener, obeys signals, shuts down softly, then hard.
//!
//! SIGTERM and SIGINT end it: checks stop, what is judged is committed, open requests finish. A second one ends it at
//! once; nothing is lost then either. SIGHUP reads the file again.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use quaywatch_api::Api;
use quaywatch_app::server::{self, Options, Server};
use quaywatch_core::Clock;
use quaywatch_net::SystemClock;
use quaywatch_web::{Gate, Limits, Listener, Rates, Settings};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::arguments::{LogFormat, Serve};
use crate::{front, logging, memory, panics, terminal};

/// Worker threads of tokio for lookups, dialogues and delivery; clients have a runtime of their own ([`front`]).
const WORKERS: usize = 2;
/// How often memory that is free is given back.
const GIVE_BACK: Duration = Duration::from_secs(30);
/// For what still runs once all is over.
const LAST_MOMENT: Duration = Duration::from_secs(1);

pub(crate) fn run(arguments: Serve) -> ExitCode {
    let (level, format) = arguments.config.as_deref().map_or((None, None), server::logging_of);
    let filter = arguments.log.as_deref().or(level).unwrap_or("info");
    let format = arguments.log_format.or(format.map(LogFormat::from)).unwrap_or(LogFormat::Text);
    if let Err(error) = logging::start(filter, format) {
        terminal::complain(&error);
        return ExitCode::from(terminal::USAGE);
    }
    panics::end_with_vital_threads();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    let front = match front::start() {
        Ok(front) => front,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    let served = runtime.block_on(serve(arguments, front.handle()));
    front.shutdown_timeout(LAST_MOMENT);
    runtime.shutdown_timeout(LAST_MOMENT);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&error),
    }
}

async fn serve(arguments: Serve, clients: &Handle) -> Result<(), String> {
    let mut signals = Signals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let options = Options {
        config: arguments.config,
        data_dir: arguments.data_dir,
        listen: arguments.listen,
        probe_threads: arguments.probe_threads.map(usize::from),
    };
    let bind = async |address| {
        // Bound where it is served: a socket belongs to the runtime that made it.
        let bound = clients.spawn(Listener::bind(address, Limits::default())).await;
        bound.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    };
    let (server, listener) = Server::start(options, bind).await.map_err(|error| error.to_string())?;
    let address = listener.address().ok();
    if let Some(address) = address {
        tracing::info!(%address, "listening: /api/v1, /api/docs, /metrics, /healthz, /readyz");
    }
    let stop = CancellationToken::new();
    let router = quaywatch_web::router(server.observatory()).merge(gated(&server, &stop));
    invite_the_first(&server, address).await;
    let served = clients.spawn(listener.serve(router, stop.clone()));

    let server = Arc::new(server);
    let watching = tokio::spawn({
        let (server, stop) = (Arc::clone(&server), stop.clone());
        async move { server.watch_file(stop).await }
    });
    let tidying = tokio::spawn(async {
        loop {
            tokio::time::sleep(GIVE_BACK).await;
            memory::give_back();
        }
    });
    while signals.next().await == Asked::Reload {
        let server = Arc::clone(&server);
        // Beside: a reload that waits for a store that takes nothing must not keep the server from being stopped.
        tokio::spawn(async move { server.reload().await });
    }
    tracing::info!("shutting down");
    tidying.abort();
    stop.cancel();
    let soft = async {
        server.shutdown().await;
        // Both end by themselves once `stop` is cancelled.
        let _ = tokio::join!(served, watching);
    };
    tokio::select! {
        () = soft => {}
        () = async { while signals.next().await == Asked::Reload {} } => tracing::warn!("asked twice: ending at once"),
    }
    Ok(())
}

/// What people and programs meet, with the gate around it.
fn gated(server: &Server, stop: &CancellationToken) -> Router {
    let (operations, identity) = (server.operations(), server.identity());
    let file = operations.clone();
    let settings = move || {
        let front = file.front();
        Settings {
            trusted_proxies: Arc::clone(&front.trusted_proxies),
            public_url: front.public_url.clone(),
            rates: Rates::of_callers(front.requests_per_second),
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let gate = Gate::following(settings, Arc::new(identity.clone()), Arc::clone(&clock));
    gate.around(Api::router(quaywatch_api::Parts { operations, identity, clock, stop: stop.clone() }))
}

/// Where nobody can sign in yet: a link for the first owner, on the terminal and not in the log.
async fn invite_the_first(server: &Server, address: Option<SocketAddr>) {
    match server.identity().new_setup_key().await {
        Ok(None) => {}
        Ok(Some(key)) => {
            let here = || address.map_or_else(String::new, |address| format!("http://{address}"));
            let begin = server.operations().front().public_url.clone().unwrap_or_else(here);
            let path = quaywatch_app::identity::first_start::path_of(&key);
            terminal::say(&format!(
                "Nobody can sign in yet. Make the first account within 24 hours, once, at\n\n    {begin}{path}\n"
            ));
        }
        Err(error) => tracing::warn!(%error, "no set-up link can be made"),
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
        }
    }
}
