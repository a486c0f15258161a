//! Checks that talk.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use quaywatch_core::spec::Pattern;
use quaywatch_core::{ErrorCode, Signal, Stage};
use quaywatch_net::SystemClock;
use quaywatch_probe::{Dial, Dialogue, Report};
use quaywatch_testkit::netns::{NetNs, Pair, Routed};
use quaywatch_testkit::port::{ClosedPort, FullPort, Manner, Port};
use quaywatch_testkit::wait;

use crate::watcher::{evidence, full};

/// Talks in the namespace of the calling thread.
fn talk(dial: Dial, send: Option<&[u8]>, expect: Option<&str>) -> Report {
    let pattern = expect.map(|text| Pattern(text.into()).compile().expect("a pattern"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let dialogue = Dialogue::new(Arc::new(SystemClock));
    runtime.block_on(dialogue.run(&dial, send, pattern.as_ref()))
}

fn short(address: SocketAddr) -> Dial {
    Dial { timeout: Duration::from_millis(400), ..full(address) }
}

#[test]
fn t25_a_banner_that_matches_is_ok() {
    let port = Port::open(Manner::Say(b"220 mail.example.com ESMTP\r\n".to_vec()));
    let report = talk(full(port.address), None, Some("^220 .*ESMTP"));
    assert_eq!((report.code, report.full), (ErrorCode::Ok, true));
    assert_eq!(report.first_bytes.as_deref(), Some(r"220 mail.example.com ESMTP\r\n"));
    assert!(report.latency_us.is_some() && report.detail.is_none());
}

#[test]
fn an_answer_to_what_was_sent_is_expected() {
    let port = Port::open(Manner::Answer(b"+PONG\r\n".to_vec()));
    assert_eq!(talk(full(port.address), Some(b"PING\r\n"), Some(r"^\+PONG")).code, ErrorCode::Ok);
    let silent = talk(short(port.address), None, Some(r"^\+PONG"));
    assert_eq!(silent.code, ErrorCode::TcpBannerTimeout, "without a question no answer");
}

#[test]
fn a_banner_that_does_not_match_is_a_mismatch_with_its_first_bytes() {
    let port = Port::open(Manner::Say(b"-ERR \x00\xff go away".to_vec()));
    let report = talk(short(port.address), None, Some("^220"));
    let attempt = evidence(&report);
    assert_eq!((report.code, report.latency_us), (ErrorCode::TcpBannerMismatch, None));
    assert_eq!((attempt.stage, attempt.signal), (Stage::Expect, Signal::Data));
    assert!(attempt.latency_us.is_some());
    assert_eq!(report.first_bytes.as_deref(), Some(r"-ERR \x00\xff go away"));
    assert!(report.elapsed_us >= 400_000, "more might have come: {report:?}");
}

#[test]
fn no_more_than_the_first_four_kibibytes_are_read() {
    let mut flood = vec![b'a'; 5_000];
    flood.extend_from_slice(b"needle");
    let port = Port::open(Manner::Say(flood));
    let report = talk(full(port.address), None, Some("needle"));
    assert_eq!(report.code, ErrorCode::TcpBannerMismatch);
    assert!(report.elapsed_us < 5_000_000, "decided once they are full: {report:?}");
    assert_eq!(report.first_bytes.as_deref().map(str::len), Some(256));
    let at_the_end = [vec![b'a'; 4_090], b"needle".to_vec()].concat();
    let port = Port::open(Manner::Say(at_the_end));
    assert_eq!(talk(full(port.address), None, Some("needle")).code, ErrorCode::Ok);
}

#[test]
fn silence_is_a_banner_timeout() {
    let port = Port::open(Manner::Silent);
    let report = talk(short(port.address), None, Some("."));
    let attempt = evidence(&report);
    assert_eq!((report.code, attempt.signal), (ErrorCode::TcpBannerTimeout, Signal::Silence));
    assert_eq!((attempt.stage, report.first_bytes.as_deref()), (Stage::Expect, None));
    assert!((400_000..1_400_000).contains(&report.elapsed_us), "{report:?}");
}

#[test]
fn an_end_without_an_answer_is_told_as_what_it_was() {
    for (manner, code, signal) in [
        (Manner::Close, ErrorCode::TcpClosedEarly, Signal::Fin),
        (Manner::Reset, ErrorCode::TcpReset, Signal::Rst),
        (Manner::ResetAfter(Duration::from_millis(30)), ErrorCode::TcpReset, Signal::Rst),
    ] {
        let port = Port::open(manner.clone());
        let report = talk(full(port.address), None, Some("."));
        assert_eq!((report.code, evidence(&report).signal), (code, signal), "{manner:?}: {report:?}");
        let settled = talk(Dial { settle: Duration::from_secs(5), ..full(port.address) }, None, None);
        assert_eq!(
            (settled.code, evidence(&settled).stage),
            (code, Stage::Settle),
            "{manner:?}: {settled:?}"
        );
        assert!(settled.elapsed_us < 4_000_000);
    }
}

#[test]
fn an_answer_and_a_goodbye_are_ok_at_once() {
    let port = Port::open(Manner::AnswerOnce(b"221 bye\r\n".to_vec()));
    let report = in_time(move || {
        talk(Dial { settle: Duration::from_secs(4), ..full(port.address) }, Some(b"QUIT\r\n"), None)
    });
    assert_eq!((report.code, report.full), (ErrorCode::Ok, true), "{report:?}");
    assert!(report.elapsed_us < 3_000_000, "{report:?}");
}

#[test]
fn a_peer_that_never_stops_talking_holds_up_nobody_else() {
    let port = Port::open(Manner::Flood(vec![b'.'; 65_536]));
    let (report, ticks) = in_time(move || {
        let dial = Dial { settle: Duration::from_millis(300), ..full(port.address) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let ticks = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&ticks);
            tokio::spawn(async move {
                let mut tick = tokio::time::interval(Duration::from_millis(10));
                loop {
                    tick.tick().await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            let report = Dialogue::new(Arc::new(SystemClock)).run(&dial, None, None).await;
            (report, ticks.load(Ordering::Relaxed))
        })
    });
    assert_eq!(report.code, ErrorCode::Ok, "{report:?}");
    assert!(ticks >= 5, "others had {ticks} turns in 300 ms");
}

/// What would never end fails the test in place of stopping it: only a thread of its own can be left behind.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    is_done.recv_timeout(Duration::from_secs(20)).expect("it ends")
}

#[test]
fn without_a_script_it_settles_and_leaves_politely() {
    let port = Port::open(Manner::Say(b"hello".to_vec()));
    let report = talk(full(port.address), None, None);
    assert_eq!((report.code, report.full), (ErrorCode::Ok, true));
    assert!((50_000..1_050_000).contains(&report.elapsed_us), "{report:?}");
    wait::until("the program was given the connection", Duration::from_secs(5), || port.accepted() == 1);
}

#[test]
fn t20_t21_what_keeps_a_connect_from_its_answer_is_named_as_in_bulk() {
    let closed = ClosedPort::new();
    assert_eq!(talk(full(closed.address), None, Some(".")).code, ErrorCode::TcpRefused);
    let silent = FullPort::at(SocketAddr::from(([127, 0, 0, 1], 0)));
    let report = talk(short(silent.address), None, Some("."));
    assert_eq!((report.code, evidence(&report).stage), (ErrorCode::TcpTimeout, Stage::Connect));

    let network = Routed::new();
    network.router.filter("forward", "tcp dport 7000 reject with icmp type admin-prohibited");
    let report = network.watcher.enter(|| talk(full(([198, 51, 100, 2], 7_000).into()), None, Some(".")));
    assert_eq!(report.code, ErrorCode::AdminProhibited);
    let icmp = evidence(&report).icmp.expect("the error queue tells");
    assert_eq!((icmp.kind, icmp.code, icmp.sender), (3, 13, "192.0.2.254".parse().ok()));

    let pair = Pair::new();
    pair.watcher.filter("output", "tcp dport 7000 reject");
    let report = pair.watcher.enter(|| talk(full(([192, 0, 2, 2], 7_000).into()), None, Some(".")));
    assert_eq!(report.code, ErrorCode::SelfFirewall);
}

#[test]
fn our_own_faults_are_ours() {
    let network = NetNs::new("alone");
    network.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
    let report = network.enter(|| talk(full(([203, 0, 113, 1], 80).into()), None, None));
    assert_eq!((report.code, evidence(&report).stage), (ErrorCode::SelfNetwork, Stage::Prepare));
    let report = network.enter(|| talk(full(([127, 0, 0, 1], 40_000).into()), None, None));
    assert_eq!((report.code, report.full), (ErrorCode::TcpRefused, false), "met itself: {report:?}");
}
