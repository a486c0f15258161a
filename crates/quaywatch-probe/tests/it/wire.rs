//! Latency is the network's: what is reported must be what a capture with the kernel's timestamps sees between SYN and
//! SYN-ACK, however busy the watcher's processors are.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quaywatch_core::ErrorCode;
use quaywatch_probe::Dial;
use quaywatch_testkit::netns::{NetNs, Pair};
use quaywatch_testkit::port::{Manner, Port};
use quaywatch_testkit::wait;

use crate::watcher::{Watcher, half_open};

/// Addresses of the server, so that each dial of a round has a destination of its own to be found by.
const TARGETS: u8 = 200;
const ROUNDS: usize = 10;
/// What the reported latency may differ from the capture's.
const TOLERANCE_NS: u64 = 100_000;

/// A running capture of what begins connections.
struct Capture {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Capture {
    fn start(namespace: &NetNs) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut command = namespace.command("tcpdump");
        command.args([
            "-n",
            "-i",
            "eth0",
            "--time-stamp-precision",
            "nano",
            "-B",
            "16384",
            "-U",
            "-Z",
            "root",
        ]);
        command.arg("-w").arg(file.path()).arg("tcp[tcpflags] & tcp-syn != 0").stderr(Stdio::piped());
        let mut child = command.spawn().expect("tcpdump: ./test installs it");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("text") > 0, "tcpdump ended");
        }
        Self { child, file }
    }

    /// Waits for this many packets; for each destination the times from SYN to SYN-ACK, in order, in nanoseconds.
    fn handshakes(&self, packets: usize) -> BTreeMap<SocketAddr, Vec<u64>> {
        let mut lines = Vec::new();
        wait::until("all is captured", Duration::from_secs(20), || {
            lines = self.lines();
            lines.len() >= packets
        });
        handshakes(&lines)
    }

    fn lines(&self) -> Vec<String> {
        let mut command = Command::new("tcpdump");
        command.args(["-n", "-tt", "--time-stamp-precision", "nano", "-r"]).arg(self.file.path());
        let output = command.output().expect("tcpdump: ./test installs it");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From lines such as `1700000000.123456789 IP 192.0.2.1.40000 > 203.0.113.7.7000: Flags [S], seq …`.
fn handshakes(lines: &[String]) -> BTreeMap<SocketAddr, Vec<u64>> {
    let mut syns: BTreeMap<(SocketAddr, SocketAddr), u64> = BTreeMap::new();
    let mut times: BTreeMap<SocketAddr, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [time, "IP", from, ">", to, "Flags", flags, ..] = words[..] else { panic!("{line}") };
        let (from, to) = (endpoint(from), endpoint(to.trim_end_matches(':')));
        let at = nanoseconds(time);
        if flags == "[S]," {
            assert_eq!(syns.insert((from, to), at), None, "a SYN was sent twice: {line}");
        } else {
            let syn = syns.remove(&(to, from)).expect("a SYN-ACK answers a SYN");
            times.entry(from).or_default().push(at - syn);
        }
    }
    times
}

fn endpoint(text: &str) -> SocketAddr {
    let (ip, port) = text.rsplit_once('.').expect("address.port");
    SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"))
}

fn nanoseconds(text: &str) -> u64 {
    let (seconds, nanos) = text.split_once('.').expect("seconds.nanoseconds");
    seconds.parse::<u64>().expect("a number") * 1_000_000_000 + nanos.parse::<u64>().expect("nine digits")
}

/// Keeps every processor busy, twice over, while `work` runs.
fn under_load<T>(work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..2 * processors {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn reported_latency_is_the_wires_within_100_us_under_load() {
    let network = Pair::new();
    network.server.ok("ip", &["route", "add", "local", "203.0.113.0/24", "dev", "lo"]);
    network.watcher.route("203.0.113.0/24", "192.0.2.2");
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7_000));
    let _port = network.server.enter(|| Port::open_at(any, Manner::Silent));
    let watcher = Watcher::inside(&network.watcher);
    let target = |n: u8| SocketAddr::from((Ipv4Addr::new(203, 0, 113, n), 7_000));
    // Both hosts learn each other's hardware address before it counts.
    assert_eq!(watcher.see(half_open(target(250))).code, ErrorCode::Ok);

    let capture = Capture::start(&network.watcher);
    let dials = || (1..=TARGETS).map(|n| Dial { token: n.into(), ..half_open(target(n)) }).collect();
    let rounds: Vec<_> = under_load(|| (0..ROUNDS).map(|_| watcher.look(dials())).collect());
    let reported = rounds.iter().flatten().filter(|report| report.code == ErrorCode::Ok).count();
    assert_eq!(reported, ROUNDS * usize::from(TARGETS), "every check is answered");
    assert!(rounds.iter().flatten().all(|report| report.syn_retransmits == 0));
    let captured = capture.handshakes(2 * reported);

    let mut errors: Vec<u64> = Vec::new();
    for (round, reports) in rounds.iter().enumerate() {
        for (n, report) in (1..=TARGETS).zip(reports) {
            let wire = captured.get(&target(n)).and_then(|times| times.get(round)).expect("it was captured");
            let latency = u64::from(report.latency_us.expect("a latency").get()) * 1_000;
            errors.push(latency.abs_diff(*wire));
        }
    }
    errors.sort_unstable();
    let at = |share: usize| errors[(errors.len() - 1) * share / 100];
    let waited = rounds.iter().flatten().map(|report| report.elapsed_us).max();
    println!(
        "error p50 {} ns, p99 {} ns, max {} ns; the longest elapsed time of the loop's own clock: {waited:?} us",
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) <= TOLERANCE_NS, "99th percentile: {} ns", at(99));
}
