//! The whole runner over real sockets on loopback: its thread, the bulk prober, dialogues, the resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::spec::{Addresses, Expectation, Handshake, Hidden, Host, IpFamily, Pattern};
use quaywatch_core::{
    AccountId, CheckResult, Clock, ErrorCode, Job, LocationId, MonitorId, Opener, Plan, ResultFlags, Secret,
    Signal, Speech, Stage,
};
use quaywatch_net::{Descriptors, Resolver, ResolverConfig, SystemClock};
use quaywatch_probe::half_open_works;
use quaywatch_runner::{Batch, NetParts, OneShot, Runner, RunnerConfig, Sink};
use quaywatch_testkit::port::{ClosedPort, Manner, Port, Toggle};
use tokio::runtime::Runtime;

/// Long enough for a starved machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Collect(Sender<Batch>);

impl Sink for Collect {
    fn deliver(&mut self, batch: Batch) {
        let _ = self.0.send(batch);
    }
}

/// Opens the first account's secret.
struct Knows;

impl Opener for Knows {
    fn open(&self, account: AccountId, hidden: &Hidden) -> Result<Secret<Box<[u8]>>, String> {
        match (account, hidden) {
            (AccountId::DEFAULT, Hidden::Sealed(_)) => Ok(Secret::new((*b"AUTH hunter2\r\n").into())),
            _ => Err("it was sealed for another account".to_owned()),
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn parts(runtime: &Runtime, hosts: &str) -> NetParts {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(hosts.as_bytes()).expect("room for a line");
    // A name server that is not there: nothing may leave this machine.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let hosts = file.path().to_owned();
    let config = ResolverConfig { upstreams: Some(vec![nobody]), hosts, ..ResolverConfig::default() };
    // The file was read when the resolver was made, and is needed no more.
    NetParts {
        resolver: Resolver::new(config, clock),
        egress: EgressPolicy::default(),
        descriptors: Descriptors::new(10_000, 100),
        runtime: runtime.handle().clone(),
        opener: Arc::new(Knows),
    }
}

fn plan() -> Plan {
    Plan {
        check_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        dns_timeout: Duration::from_secs(2),
        ip_family: IpFamily::Any,
        addresses: Addresses::First,
        handshake: Handshake::HalfOpen,
        settle: Duration::ZERO,
        expectation: Expectation::Open,
        send: None,
        expect: None,
    }
}

fn job(id: i64, address: SocketAddr, plan: &Arc<Plan>) -> Job {
    Job {
        monitor: MonitorId(id),
        account: AccountId::DEFAULT,
        host: Host::Ip(address.ip()),
        port: address.port(),
        epoch: quaywatch_core::Epoch::default(),
        plan: Arc::clone(plan),
    }
}

fn start(runtime: &Runtime, half_open: bool) -> (Runner, Receiver<Batch>) {
    let (sender, receiver) = channel();
    let config = RunnerConfig { half_open, budget: None, ..RunnerConfig::new(LocationId::LOCAL) };
    let sink = Box::new(Collect(sender));
    let runner = Runner::start(config, &parts(runtime, ""), Arc::new(SystemClock), sink).expect("threads");
    (runner, receiver)
}

/// Results until each of `monitors` has one.
fn first_of_each(receiver: &Receiver<Batch>, monitors: usize) -> BTreeMap<MonitorId, CheckResult> {
    let mut first = BTreeMap::new();
    while first.len() < monitors {
        for result in receiver.recv_timeout(PATIENCE).expect("results keep coming").results {
            first.entry(result.monitor).or_insert(result);
        }
    }
    first
}

#[test]
fn open_and_closed_ports_are_told_apart() {
    let runtime = runtime();
    let (open, dead) = (Port::open(Manner::Silent), ClosedPort::new());
    let address = open.address;
    let (runner, receiver) = start(&runtime, half_open_works());
    let plain = Arc::new(plan());
    let full = Arc::new(Plan { handshake: Handshake::Full, settle: Duration::from_millis(10), ..plan() });
    let closed = Arc::new(Plan { expectation: Expectation::Closed, ..plan() });
    runner.upsert(vec![
        job(1, address, &plain),
        job(2, dead.address, &plain),
        job(3, address, &full),
        job(4, "169.254.169.254:80".parse().unwrap(), &plain),
        job(5, dead.address, &closed),
        job(6, address, &closed),
    ]);
    let results = first_of_each(&receiver, 6);
    let of = |id: i64| &results[&MonitorId(id)];
    assert_eq!(of(1).code, ErrorCode::Ok);
    assert!(of(1).latency_us.is_some_and(|us| us.get() < 1_000_000) && of(1).evidence.is_none());
    assert_eq!(of(1).flags.has(ResultFlags::FULL), !half_open_works());
    assert_eq!((of(2).code, of(2).latency_us), (ErrorCode::TcpRefused, None));
    let attempt = of(2).evidence.as_deref().unwrap().deciding().unwrap();
    assert_eq!((attempt.signal, attempt.stage), (Signal::Rst, Stage::Connect));
    assert_eq!(attempt.errno.as_deref(), Some("ECONNREFUSED"));
    assert_eq!(of(3).code, ErrorCode::Ok);
    assert!(of(3).flags.has(ResultFlags::FULL));
    assert_eq!(of(4).code, ErrorCode::PolicyBlocked);
    assert_eq!((of(5).code, of(6).code), (ErrorCode::Ok, ErrorCode::TcpOpenUnexpected));
    runner.shutdown();
    assert!(runner.stats().lateness.read().count() >= 5);
}

#[test]
fn a_port_that_goes_down_and_comes_back_is_seen_within_a_slot() {
    let runtime = runtime();
    let mut service = Toggle::new();
    service.open();
    let (runner, receiver) = start(&runtime, half_open_works());
    runner.upsert(vec![job(1, service.address(), &Arc::new(plan()))]);
    let wait_for = |code: ErrorCode| {
        for _ in 0..20 {
            let batch = receiver.recv_timeout(PATIENCE).expect("results keep coming");
            if batch.results.iter().any(|result| result.code == code) {
                return;
            }
        }
        panic!("{code} never came");
    };
    wait_for(ErrorCode::Ok);
    service.close();
    wait_for(ErrorCode::TcpRefused);
    service.open();
    wait_for(ErrorCode::Ok);
    runner.shutdown();
}

#[test]
fn what_talks_is_answered_by_the_rules_of_the_dialogue() {
    let runtime = runtime();
    let (server, dead) = (Port::open(Manner::Answer(b"+PONG\r\n".to_vec())), ClosedPort::new());
    let address = server.address;
    let (runner, receiver) = start(&runtime, true);
    let talk = |send: &[u8], expect: &str| {
        let handshake = Handshake::Full;
        Arc::new(Plan {
            handshake,
            send: Some(Speech::Open(send.into())),
            expect: Some(Pattern(expect.into())),
            ..plan()
        })
    };
    runner.upsert(vec![
        job(1, address, &talk(b"PING", r"^\+PONG")),
        job(2, address, &talk(b"PING", r"^-ERR")),
        job(3, dead.address, &talk(b"PING", r"^\+PONG")),
    ]);
    let results = first_of_each(&receiver, 3);
    let of = |id: i64| &results[&MonitorId(id)];
    assert_eq!(of(1).code, ErrorCode::Ok);
    assert_eq!(of(2).code, ErrorCode::TcpBannerMismatch);
    assert_eq!(of(2).evidence.as_deref().unwrap().first_bytes.as_deref(), Some(r"+PONG\r\n"));
    assert_eq!(of(3).code, ErrorCode::TcpRefused);
    runner.shutdown();
}

#[test]
fn a_secret_is_said_to_the_target_and_to_nobody_else() {
    let runtime = runtime();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    let heard = Arc::<Mutex<BTreeSet<Vec<u8>>>>::default();
    let memory = Arc::clone(&heard);
    // It says again what it was told, as servers do that know no such command. It is the check that hangs up.
    std::thread::spawn(move || {
        for mut peer in server.incoming().flatten() {
            let mut word = [0; 64];
            while let Some(length) = peer.read(&mut word).ok().filter(|length| *length > 0) {
                memory.lock().expect("no panic").insert(word[..length].to_vec());
                let _ = peer.write_all(&word[..length]);
            }
        }
    });
    let (runner, receiver) = start(&runtime, true);
    let hidden = |account: i64, expect: &str| {
        let speech = Speech::Hidden(AccountId(account), Hidden::Sealed("c2VhbGVk".into()));
        let (handshake, expect) = (Handshake::Full, Some(Pattern(expect.into())));
        Arc::new(Plan { handshake, send: Some(speech), expect, ..plan() })
    };
    runner.upsert(vec![
        job(1, address, &hidden(1, "hunter2")),
        job(2, address, &hidden(1, r"^\+OK")),
        job(3, address, &hidden(2, "hunter2")),
    ]);
    let results = first_of_each(&receiver, 3);
    runner.shutdown();
    assert_eq!(*heard.lock().expect("no panic"), BTreeSet::from([b"AUTH hunter2\r\n".to_vec()]));
    assert_eq!(results[&MonitorId(1)].code, ErrorCode::Ok);
    assert_eq!(results[&MonitorId(2)].code, ErrorCode::TcpBannerMismatch);
    let kept = results[&MonitorId(2)].evidence.as_deref().expect("evidence").first_bytes.as_deref();
    assert!(kept.is_some_and(|kept| kept.contains("not kept")), "{kept:?}");
    assert_eq!(results[&MonitorId(3)].code, ErrorCode::SelfSecret, "another account's does not open");
    assert!(!format!("{results:?}").contains("hunter2"), "{results:?}");
}

#[test]
fn two_thousand_checks_a_second_are_on_time() {
    let runtime = runtime();
    let any = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = any.local_addr().unwrap().port();
    let (runner, receiver) = start(&runtime, half_open_works());
    let plan = Arc::new(plan());
    let jobs = (1..=2_000_u32).map(|id| {
        let [_, a, b, c] = (id + 256).to_be_bytes();
        job(i64::from(id), SocketAddr::from(([127, a, b, c], port)), &plan)
    });
    runner.upsert(jobs.collect());
    let results = first_of_each(&receiver, 2_000);
    assert!(results.values().all(|result| result.code == ErrorCode::Ok));
    let mut slots: BTreeMap<(MonitorId, quaywatch_core::Timestamp), u32> = BTreeMap::new();
    let mut more = 0;
    while more < 4_000 {
        for result in receiver.recv_timeout(PATIENCE).expect("results keep coming").results {
            assert_eq!(result.code, ErrorCode::Ok);
            *slots.entry((result.monitor, result.slot)).or_default() += 1;
            more += 1;
        }
    }
    assert!(slots.values().all(|n| *n == 1), "a slot was checked twice");
    let stats = runner.stats();
    assert_eq!(stats.overlapped.read(), 0);
    runner.shutdown();
}

#[test]
fn removed_monitors_are_checked_no_more() {
    let runtime = runtime();
    let open = Port::open(Manner::Close);
    let address = open.address;
    let (runner, receiver) = start(&runtime, half_open_works());
    let plan = Arc::new(plan());
    runner.upsert((1..=10).map(|id| job(id, address, &plan)).collect());
    first_of_each(&receiver, 10);
    runner.remove((1..=9).map(MonitorId).collect());
    let clock = SystemClock;
    let removed = clock.boot();
    let mut tenth = 0;
    while tenth < 4 {
        for result in receiver.recv_timeout(PATIENCE).expect("results keep coming").results {
            // What was known before the order was carried out may still arrive.
            let is_old = clock.boot().since(removed) < Duration::from_millis(500);
            assert!(result.monitor == MonitorId(10) || is_old, "{result:?}");
            tenth += u32::from(result.monitor == MonitorId(10));
        }
    }
    runner.shutdown();
}

#[test]
fn a_single_check_tells_everything_it_saw() {
    let runtime = runtime();
    let (open, dead) = (Port::open(Manner::Close), ClosedPort::new());
    let address = open.address;
    let parts = parts(&runtime, "127.0.0.1 db.test\n");
    let check = OneShot::start(&parts, Arc::new(SystemClock), half_open_works()).unwrap();
    let plan = Arc::new(plan());
    let of = |job: Job| runtime.block_on(check.check(&job)).expect("nobody touched the clock");

    let seen = of(job(0, address, &plan));
    assert_eq!(seen.code, ErrorCode::Ok);
    let attempt = seen.evidence.as_deref().unwrap().deciding().unwrap().clone();
    assert_eq!((attempt.address, attempt.signal), (address, Signal::SynAck));
    assert_eq!(attempt.latency_us, seen.latency_us.map(std::num::NonZeroU32::get));

    let seen = of(job(0, dead.address, &plan));
    assert_eq!(seen.code, ErrorCode::TcpRefused);

    let named = Job { host: Host::Name("db.test".into()), ..job(0, address, &plan) };
    let seen = of(named.clone());
    assert_eq!(seen.code, ErrorCode::Ok);
    assert!(seen.evidence.as_deref().unwrap().dns_us.is_some());

    // Nobody answers for this name, and that is our own resolver's fault.
    let seen = of(Job { host: Host::Name("elsewhere.test".into()), ..named });
    assert_eq!(seen.code, ErrorCode::SelfDns);
    assert_eq!(seen.evidence.as_deref().unwrap().stage, Some(Stage::Resolve));
}

#[test]
fn many_single_checks_run_at_once() {
    let runtime = runtime();
    let open = Port::open(Manner::Close);
    let address = open.address;
    let check = OneShot::start(&parts(&runtime, ""), Arc::new(SystemClock), half_open_works()).unwrap();
    let plan = Arc::new(plan());
    let codes = runtime.block_on(async {
        let check = &check;
        let one = async |n: i64| check.check(&job(n, address, &plan)).await.map(|seen| seen.code);
        let mut codes = Vec::new();
        for n in 0..50 {
            let (a, b, c, d) = tokio::join!(one(n), one(n), one(n), one(n));
            codes.extend([a, b, c, d]);
        }
        codes
    });
    assert_eq!(codes, vec![Some(ErrorCode::Ok); 200]);
}
