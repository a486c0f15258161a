//! Operations on a whole server: real checks of real sockets.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::Node;
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, MonitorId, UserId};

use super::{Options, Server};
use crate::caller::{Actor, Caller};
use crate::operations::OperationError;
use crate::operations::monitors::MonitorView;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn owner() -> Caller {
    Caller {
        account: AccountId::DEFAULT,
        actor: Actor::User(UserId(1)),
        access: Access::Role(Role::Owner),
        session: None,
        address: None,
        request_id: None,
    }
}

async fn start(directory: &Path, config: Option<&Path>) -> Server {
    let options = Options {
        config: config.map(Path::to_owned),
        data_dir: Some(directory.join("data")),
        listen: None,
        probe_threads: Some(1),
    };
    Server::start(options, async |_| Ok(())).await.expect("it starts").0
}

/// Somebody who listens, and what they do with whom they accept.
fn listener(then: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || listener.incoming().flatten().for_each(then));
    address
}

async fn until(server: &Server, id: MonitorId, what: impl Fn(&MonitorView) -> bool) -> MonitorView {
    let mut last = None;
    let seen = async {
        loop {
            let view = server.operations().read_monitor(&owner(), id).await.expect("it is there");
            if what(&view) {
                return view;
            }
            last = Some(view);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    seen.unwrap_or_else(|_| panic!("still {last:?}"))
}

fn body(json: &str) -> Node<'_> {
    Node::from_json(json).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s02_a_monitor_made_by_a_call_is_watched_looked_at_now_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), None).await;
    let operations = server.operations();
    let address = listener(drop);
    let spec =
        format!(r#"{{"name":"a","host":"127.0.0.1","port":{},"check_interval":"1h"}}"#, address.port());
    let id = operations.create_monitor(&owner(), &body(&spec)).await.expect("made").monitor.id;

    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            match operations.check_now(&owner(), id).await {
                Ok(asked) => return asked,
                Err(OperationError::Throttled(_) | OperationError::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    let asked = asked.await.expect("in time");
    let seen = until(&server, id, |view| view.last.is_some_and(|last| last.at >= asked)).await;
    assert_eq!(seen.last.map(|last| last.code), Some(ErrorCode::Ok));
    until(&server, id, |view| view.status == Status::Up).await;

    let paused = operations.pause_monitor(&owner(), id, &Default::default()).await.expect("paused");
    assert_eq!(paused.status, Status::Paused);
    let refused = operations.check_now(&owner(), id).await;
    assert!(matches!(refused, Err(OperationError::Conflict { code: "paused", .. })), "{refused:?}");
    operations.resume_monitor(&owner(), id).await.expect("resumed");
    until(&server, id, |view| view.status != Status::Paused).await;

    server.shutdown().await;
    let late = operations.delete_monitor(&owner(), id, None).await;
    assert!(late.is_err(), "nobody would follow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a31_a_test_says_what_was_seen_and_what_its_owner_should_know() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), None).await;
    let operations = server.operations();
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let holds = listener(move |stream| kept.lock().expect("no panic").push(stream));
    let hangs_up = listener(drop);
    let test = async |address: SocketAddr| {
        let spec = format!(r#"{{"host":"127.0.0.1","port":{}}}"#, address.port());
        operations.test_monitor(&owner(), &body(&spec)).await.expect("tested")
    };
    let codes = |tested: &crate::operations::test::TestedSpec| {
        tested.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    let good = test(holds).await;
    assert_eq!((good.report.error_code, codes(&good)), (ErrorCode::Ok, vec!["loopback"]));
    assert_eq!(good.addresses.len(), 1);
    assert_eq!(good.suggested_timeout, Some(Duration::from_secs(5)));
    assert_eq!(codes(&test(hangs_up).await), ["loopback", "hangs_up"]);

    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a free port");
    let refused = test(nobody).await;
    assert_eq!(refused.report.error_code, ErrorCode::TcpRefused);
    assert_eq!(refused.suggested_timeout, None);
    assert!(
        operations.list_monitors(&owner(), &Default::default()).await.expect("a list").page.items.is_empty()
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_kept_over_a_reload_and_plans_are_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("q.yaml");
    let port = listener(drop).port();
    let text = |server: &str, interval: u32| {
        format!(
            "server: {{{server}}}\nmonitors:\n  - {{name: a, host: 127.0.0.1, port: {port}, check_interval: {interval}m}}\n"
        )
    };
    std::fs::write(&file, text("", 5)).expect("written");
    let server = start(directory.path(), Some(&file)).await;
    let operations = server.operations();
    let id = operations.find_monitor(&owner(), "a").await.expect("from the file");
    operations.pause_monitor(&owner(), id, &Default::default()).await.expect("paused");
    std::fs::write(&file, text("plans: {one: {max_urls: 1}}, default_plan: one", 7)).expect("written");
    server.reload().await;
    let view = operations.read_monitor(&owner(), id).await.expect("still there");
    assert_eq!((view.status, view.spec.check_interval.as_secs()), (Status::Paused, 420));
    assert_eq!(view.source.and_then(|source| source.line), Some(3));
    let full =
        operations.create_monitor(&owner(), &body(r#"{"name":"b","host":"127.0.0.1","port":1}"#)).await;
    assert!(matches!(full, Err(OperationError::Limit { limit: "max_urls", .. })), "{full:?}");
    server.shutdown().await;
}
