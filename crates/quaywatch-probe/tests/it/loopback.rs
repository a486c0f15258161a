//! What needs no network: answers, closes, deadlines, queues.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::{BootTime, Clock, ErrorCode, Signal, Stage, Timestamp};
use quaywatch_net::SystemClock;
use quaywatch_probe::{Bulk, BulkConfig, Dial};
use quaywatch_testkit::port::{ClosedPort, FullPort, Manner, Port};
use quaywatch_testkit::wait;

use crate::watcher::{Watcher, evidence, full, half_open, times};

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

#[test]
fn half_open_checks_are_right_and_the_program_never_sees_them() {
    let port = Port::open(Manner::Silent);
    let watcher = Watcher::here();
    for report in watcher.look(times(5_000, half_open(port.address))) {
        assert_eq!((report.code, report.full, report.syn_retransmits), (ErrorCode::Ok, false, 0));
        let latency = report.latency_us.expect("a success has a latency").get();
        assert!(latency <= report.elapsed_us, "{report:?}");
        assert_eq!((report.detail, report.first_bytes), (None, None));
    }
    // A connect of the test's own comes after them all, and is the first that the program is given.
    let _own = socket2::SockRef::from(&plain_connect(port.address)).local_addr();
    wait::until("the test's own connect is accepted", Duration::from_secs(5), || port.accepted() > 0);
    assert_eq!(port.accepted(), 1);
    let stats = watcher.bulk.stats();
    assert_eq!((stats.late_close.read(), stats.dials.read(), stats.in_flight.read()), (0, 5_000, 0));
    assert_eq!(stats.close_lag.read().count(), 5_000);
    assert!(stats.sockets.read() <= 128, "sockets are used again: {}", stats.sockets.read());
}

#[expect(clippy::disallowed_methods, reason = "the test is a client of its own port")]
fn plain_connect(address: SocketAddr) -> std::net::TcpStream {
    std::net::TcpStream::connect(address).expect("the port is open")
}

#[test]
fn two_threads_share_the_work() {
    let port = Port::open(Manner::Silent);
    let watcher = Watcher::with(&BulkConfig { threads: 2, ..BulkConfig::default() }, &system());
    let reports = watcher.look(times(2_000, half_open(port.address)));
    assert!(reports.iter().all(|report| report.code == ErrorCode::Ok));
    assert_eq!(reports.iter().map(|report| report.token).collect::<Vec<_>>(), (0..2_000).collect::<Vec<_>>());
}

#[test]
fn t20_a_closed_port_is_refused() {
    let port = ClosedPort::new();
    let watcher = Watcher::here();
    for dial in [half_open(port.address), full(port.address)] {
        let report = watcher.see(dial);
        let attempt = evidence(&report);
        assert_eq!((report.code, report.latency_us, report.full), (ErrorCode::TcpRefused, None, false));
        assert_eq!((attempt.error_code, attempt.address), (ErrorCode::TcpRefused, port.address));
        assert_eq!((attempt.stage, attempt.signal), (Stage::Connect, Signal::Rst));
        assert_eq!((attempt.errno.as_deref(), attempt.icmp), (Some("ECONNREFUSED"), None));
    }
}

#[test]
fn t21_a_full_accept_queue_is_a_timeout_after_the_time_allowed() {
    let port = FullPort::at(loopback());
    let watcher = Watcher::here();
    for dial in [half_open(port.address), full(port.address)] {
        let report = watcher.see(Dial { timeout: Duration::from_millis(300), ..dial });
        let attempt = evidence(&report);
        assert_eq!((report.code, attempt.signal), (ErrorCode::TcpTimeout, Signal::Silence));
        assert_eq!((attempt.stage, attempt.errno.as_deref()), (Stage::Connect, None));
        assert!((300_000..1_300_000).contains(&report.elapsed_us), "{report:?}");
    }
}

#[test]
fn a_full_handshake_is_accepted_and_ends_politely() {
    let port = Port::open(Manner::Say(b"220 hello\r\n".to_vec()));
    let watcher = Watcher::here();
    let report = watcher.see(full(port.address));
    assert_eq!((report.code, report.full), (ErrorCode::Ok, true));
    assert!(
        (50_000..1_050_000).contains(&report.elapsed_us),
        "it looks for as long as it should: {report:?}"
    );
    assert!(report.latency_us.expect("a latency").get() < 50_000);
    assert_eq!(port.accepted(), 1);
    let unsettled = watcher.see(Dial { settle: Duration::ZERO, ..full(port.address) });
    assert_eq!((unsettled.code, unsettled.full), (ErrorCode::Ok, true));
    assert!(unsettled.elapsed_us < 50_000, "{unsettled:?}");
    wait::until("the second accept", Duration::from_secs(5), || port.accepted() == 2);
}

#[test]
fn a_reset_after_accept_is_seen_by_full_and_not_by_half_open() {
    let watcher = Watcher::here();
    for manner in [Manner::Reset, Manner::ResetAfter(Duration::from_millis(15))] {
        let port = Port::open(manner);
        let report = watcher.see(Dial { settle: Duration::from_secs(5), ..full(port.address) });
        let attempt = evidence(&report);
        assert_eq!((report.code, report.full), (ErrorCode::TcpReset, true));
        assert_eq!((attempt.stage, attempt.signal), (Stage::Settle, Signal::Rst));
        assert!(attempt.latency_us.is_some() && report.latency_us.is_none(), "{report:?}");
        assert!(report.elapsed_us < 4_000_000, "it ends with the reset: {report:?}");
        assert_eq!(watcher.see(half_open(port.address)).code, ErrorCode::Ok);
        let unsettled = watcher.see(Dial { settle: Duration::ZERO, ..full(port.address) });
        assert_eq!(unsettled.code, ErrorCode::Ok, "who does not look does not see: {unsettled:?}");
    }
}

#[test]
fn a_goodbye_right_after_accept_is_closed_early() {
    let port = Port::open(Manner::Close);
    let watcher = Watcher::here();
    let report = watcher.see(Dial { settle: Duration::from_secs(5), ..full(port.address) });
    let attempt = evidence(&report);
    assert_eq!(report.code, ErrorCode::TcpClosedEarly);
    assert_eq!((attempt.stage, attempt.signal), (Stage::Settle, Signal::Fin));
    assert!(report.elapsed_us < 4_000_000, "{report:?}");
    assert_eq!(watcher.see(half_open(port.address)).code, ErrorCode::Ok);
}

#[test]
fn a_late_close_is_told_counted_and_polite() {
    let (closed, open) = (ClosedPort::new(), Port::open(Manner::Say(Vec::new())));
    let first = AtomicBool::new(true);
    let (sender, reports) = channel();
    let config = BulkConfig { batch_after: Duration::ZERO, ..BulkConfig::default() };
    // The thread is held up once, while an answered check waits for its close: past the kernel's delayed ACK.
    let bulk = Bulk::start(&config, &system(), move |batch| {
        if first.swap(false, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(400));
        }
        let _ = sender.send(batch);
    })
    .expect("threads and epoll");
    let mut dials = times(64, half_open(closed.address));
    dials.push(Dial { token: 99, ..half_open(open.address) });
    bulk.submit(dials);
    let report = std::iter::from_fn(|| reports.recv_timeout(Duration::from_secs(10)).ok())
        .flatten()
        .find(|report| report.token == 99)
        .expect("reported");
    assert_eq!((report.code, report.full), (ErrorCode::Ok, true));
    assert!(report.latency_us.expect("a latency").get() < 100_000, "the kernel's time, not ours: {report:?}");
    assert_eq!(bulk.stats().late_close.read(), 1);
    assert!(bulk.stats().close_lag.read().max_us > 200_000);
    wait::until("the program was given the connection", Duration::from_secs(5), || open.accepted() == 1);
}

#[test]
fn what_is_cancelled_is_not_reported() {
    let silent = FullPort::at(loopback());
    let watcher = Watcher::here();
    let dial = Dial { timeout: Duration::from_millis(500), ..half_open(silent.address) };
    watcher.bulk.submit(times(3, dial));
    let stats = watcher.bulk.stats();
    wait::until("all are under way", Duration::from_secs(5), || stats.in_flight.read() == 3);
    watcher.bulk.cancel(&[0, 2]);
    let report = watcher.wait_for(1).remove(0);
    assert_eq!((report.token, report.code), (1, ErrorCode::TcpTimeout));
    watcher.bulk.submit(times(3, dial));
    wait::until("all are under way", Duration::from_secs(5), || stats.in_flight.read() == 3);
    watcher.bulk.cancel_all();
    wait::until("none is under way", Duration::from_secs(5), || stats.in_flight.read() == 0);
    let after = Dial { token: 7, ..dial };
    assert_eq!(watcher.see(after).token, 7);
    assert!(watcher.hears_nothing(Duration::from_millis(600)));
}

#[test]
fn what_finds_no_room_waits_and_what_finds_no_place_to_wait_comes_back() {
    let silent = FullPort::at(loopback());
    let config = BulkConfig { max_in_flight: 4, max_waiting: 6, ..BulkConfig::default() };
    let watcher = Watcher::with(&config, &system());
    let dial = Dial { timeout: Duration::from_millis(200), ..half_open(silent.address) };
    let reports = watcher.look(times(10, dial));
    let count = |code| reports.iter().filter(|report| report.code == code).count();
    assert_eq!((count(ErrorCode::TcpTimeout), count(ErrorCode::SelfOverload)), (6, 4));
    // Four at once, then two.
    let started: Vec<BootTime> = reports[..6].iter().map(|report| report.started).collect();
    assert!(started[5].since(started[0]) >= Duration::from_millis(200), "{started:?}");
}

/// The system's clock, which a test may set forward.
struct BentClock(AtomicU64);

impl Clock for BentClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn boot(&self) -> BootTime {
        SystemClock.boot() + Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn silence_while_we_were_away_is_our_own_stall() {
    let silent = FullPort::at(loopback());
    let clock = Arc::new(BentClock(AtomicU64::new(0)));
    let watcher = Watcher::with(&BulkConfig::default(), &(Arc::clone(&clock) as Arc<dyn Clock>));
    let hasty = Dial { token: 1, timeout: Duration::from_secs(20), ..half_open(silent.address) };
    let patient = Dial { token: 2, timeout: Duration::from_secs(32), ..hasty };
    watcher.bulk.submit(vec![hasty, patient]);
    let stats = watcher.bulk.stats();
    wait::until("both are under way", Duration::from_secs(5), || stats.in_flight.read() == 2);
    clock.0.store(30_000_000, Ordering::Relaxed);
    let reports = watcher.wait_for(1);
    assert_eq!((reports[0].token, reports[0].code), (1, ErrorCode::SelfStall));
    assert_eq!(stats.stalls.read(), 1);
    // Its deadline came while we were here again.
    let reports = watcher.wait_for(1);
    assert_eq!((reports[0].token, reports[0].code), (2, ErrorCode::TcpTimeout));
}

#[test]
fn an_answer_that_came_while_we_were_away_still_counts() {
    let (closed, open) = (ClosedPort::new(), Port::open(Manner::Silent));
    let clock = Arc::new(BentClock(AtomicU64::new(0)));
    let bent = Arc::clone(&clock);
    let (sender, reports) = channel();
    let config = BulkConfig { batch_after: Duration::ZERO, ..BulkConfig::default() };
    // As in the test of the late close, with a clock that jumps past the deadline while the thread is held up.
    let bulk = Bulk::start(&config, &(Arc::clone(&clock) as Arc<dyn Clock>), move |batch| {
        bent.0.store(60_000_000, Ordering::Relaxed);
        let _ = sender.send(batch);
    })
    .expect("threads and epoll");
    let mut dials = times(64, half_open(closed.address));
    dials.push(Dial { token: 99, ..half_open(open.address) });
    bulk.submit(dials);
    let reports = Mutex::new(reports);
    let report = std::iter::from_fn(|| reports.lock().ok()?.recv_timeout(Duration::from_secs(10)).ok())
        .flatten()
        .find(|report| report.token == 99)
        .expect("reported");
    assert_eq!(report.code, ErrorCode::Ok, "{report:?}");
    assert_eq!(bulk.stats().stalls.read(), 1);
}
