//! Fair use between accounts, in real time: how late the checks of one are while another brings many monitors. A hundred
//! thousand, by calls over HTTP, are a benchmark: `cargo xtask bench fairness`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_app::caller::{Actor, Caller};
use quaywatch_app::operations::bulk::BulkAct;
use quaywatch_app::server::{Options, Server};
use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::Node;
use quaywatch_core::schedule::Grid;
use quaywatch_core::{AccountId, Clock as _, MonitorId, Timestamp, UserId};
use quaywatch_net::SystemClock;
use quaywatch_store::{SqliteStore, Store as _};

const INTERVAL: Duration = Duration::from_secs(1);
/// Monitors of the account that is watched here.
const SMALL: usize = 200;
/// In one call.
const A_CALL: usize = 1_000;

/// Which address was connected to, and when.
type Arrivals = Arc<Mutex<Vec<(IpAddr, Timestamp)>>>;

/// A port of every address of this machine that notes who comes. Half-open handshakes do not come so far.
fn listen() -> (u16, Arrivals) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let arrivals = Arrivals::default();
    let inner = Arc::clone(&arrivals);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let now = SystemClock.now();
            if let Ok(to) = stream.local_addr() {
                inner.lock().expect("no holder panics").push((to.ip(), now));
            }
        }
    });
    (port, arrivals)
}

fn caller(account: AccountId) -> Caller {
    let (actor, access) = (Actor::User(UserId(1)), Access::Role(Role::Owner));
    Caller { account, actor, access, session: None, address: None, request_id: None }
}

async fn create(server: &Server, account: AccountId, bodies: &[String]) -> Vec<MonitorId> {
    let mut ids = Vec::with_capacity(bodies.len());
    for bodies in bodies.chunks(A_CALL) {
        let nodes: Vec<_> = bodies.iter().map(|body| Node::from_json(body).expect("JSON")).collect();
        let (operations, caller) = (server.operations(), caller(account));
        let report = operations.bulk_monitors(&caller, BulkAct::Create(&nodes), false).await;
        for item in report.expect("taken").items {
            ids.extend(item.outcome.expect("made").iter().map(|done| done.id));
        }
    }
    ids
}

/// Takes how late each check was since the last call: from its slot to its arrival, in order.
fn lateness(arrivals: &Arrivals, ids: &HashMap<IpAddr, MonitorId>) -> Vec<Duration> {
    let arrivals = std::mem::take(&mut *arrivals.lock().expect("no holder panics"));
    let late = arrivals.iter().filter_map(|(ip, at)| {
        let grid = Grid::new(*ids.get(ip)?, INTERVAL);
        Some(at.since(Timestamp::from_millis(grid.at_or_before(at.millis()))))
    });
    let mut late: Vec<_> = late.collect();
    late.sort();
    late
}

fn quantile(late: &[Duration], percent: usize) -> Duration {
    late[(late.len() - 1) * percent / 100]
}

/// One account is checked each second, and another brings `many` monitors.
async fn play(many: usize) -> Figures {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, data) = (directory.path().join("q.yaml"), directory.path().join("data"));
    let text = "server: {accounts: multi, egress: {allow: [127.0.0.0/8]}}\nmonitors: []\n";
    std::fs::write(&file, text).expect("written");
    let options = Options { config: Some(file), data_dir: Some(data.clone()), ..Options::default() };
    let (server, ()) = Server::start(options, async |_| Ok(())).await.expect("it starts");
    let store = SqliteStore::open_beside(&data, Arc::new(SystemClock)).expect("a second way in");
    let account = async |name: &str| {
        store.system().create_account(name.into(), SystemClock.now()).await.expect("the name is free").id
    };
    let (small, large) = (account("Small").await, account("Large").await);
    let (port, arrivals) = listen();
    let hosts: Vec<Ipv4Addr> = (1..=SMALL).map(|n| Ipv4Addr::new(127, 1, 0, n as u8)).collect();
    let body =
        |host: &Ipv4Addr, more: &str| format!(r#"{{"name":"{host}","host":"{host}","port":{port},{more}}}"#);
    let bodies: Vec<_> =
        hosts.iter().map(|host| body(host, r#""check_interval":1,"handshake":"full""#)).collect();
    let ids = create(&server, small, &bodies).await;
    let ids: HashMap<_, _> = hosts.iter().map(|host| IpAddr::V4(*host)).zip(ids).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    lateness(&arrivals, &ids);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let alone = lateness(&arrivals, &ids);

    let began = SystemClock.boot();
    let host = |n: usize| Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 2, 0, 1)) + n as u32);
    let bodies: Vec<_> = (0..many).map(|n| body(&host(n), r#""check_interval":300"#)).collect();
    create(&server, large, &bodies).await;
    let took = SystemClock.boot().since(began);
    // And their first looks.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let whole = SystemClock.boot().since(began);
    let beside = lateness(&arrivals, &ids);
    let wanted = SMALL as u64 * whole.as_secs();
    assert!(beside.len() as u64 >= wanted * 99 / 100, "{} of {wanted}: no slot goes by", beside.len());
    server.shutdown().await;
    store.system().close().await.expect("closed");
    let [alone, beside] = [alone, beside].map(|late| [50, 99, 100].map(|percent| quantile(&late, percent)));
    Figures { alone, beside, took }
}

/// How late checks were: half of them at most, 99 in 100 at most, and at most.
#[derive(Debug)]
struct Figures {
    /// While nothing else happened.
    alone: [Duration; 3],
    /// While another account brought its monitors.
    beside: [Duration; 3],
    /// How long those took to be brought.
    took: Duration,
}

fn run(many: usize) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(play(many))
}

#[test]
fn bulk_changes_of_one_account_let_no_slot_of_another_go_by() {
    let figures = run(5_000);
    println!("alone {:?}, beside 5,000 made in {:?} {:?}", figures.alone, figures.took, figures.beside);
    // Far more than it takes, and far less than the changes take: other tests may be running beside this one.
    assert!(figures.beside[1] < Duration::from_millis(250), "{figures:?}");
}
