//! Fair use between accounts: how late one account's checks are while another adds very many monitors, by calls like
//! anybody's. The targets of the first note when they are reached, so its checks are told from the other's.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaywatch_core::schedule::Grid;
use quaywatch_core::{Clock as _, MonitorId, Timestamp};
use quaywatch_net::SystemClock;
use quaywatch_net::descriptors::raise_limit;
use socket2::{Domain, Socket, Type};

use crate::acceptor::Acceptor;
use crate::client::Client;
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

/// Monitors that the second account adds, where nobody says otherwise.
pub(crate) const MANY: u32 = 100_000;

/// Monitors of the account whose checks are timed, and how often each is checked.
const FEW: u32 = 1_000;
const INTERVAL: Duration = Duration::from_secs(1);
/// Monitors that one call makes.
const A_CALL: u32 = 1_000;
/// What the first account bears while nothing else happens is taken over so long, before and after.
const ALONE: Duration = Duration::from_secs(20);
/// First checks of what was added are due within this time.
const FIRST_LOOKS: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// By so much the second account may make the first one's checks later.
const BEARABLE: Duration = Duration::from_millis(50);

const PASSWORD: &str = "a harbour at night 7";
const GUEST: &str = "Guest";

/// Times one account's checks before, while and after another adds `many` monitors.
///
/// # Errors
/// Where the server does not run, or answers otherwise than it should.
pub(crate) fn run(binary: &Path, many: u32) -> io::Result<()> {
    let scratch = Scratch::new("fairness")?;
    let file = "server: {accounts: multi, egress: {allow: [127.0.0.0/8]}}\nmonitors: []\n";
    std::fs::write(scratch.0.join("quaywatch.yaml"), file)?;
    let acceptor = Acceptor::start()?;
    let arrivals = Arrivals::listen()?;
    let server = Server::resume(binary, &scratch.0, PATIENCE)?;
    let mut own = Client::connect(server.listen, &server.token(binary, None)?)?;
    invite_guest(binary, &server)?;
    let guests = server.token(binary, Some(GUEST))?;
    let ids = watch_few(&mut own, arrivals.port)?;
    pass(3 * INTERVAL);

    let alone = arrivals.during(&ids, || pause(ALONE))?;
    let missed = server.scrape()?.value("quaywatch_missed_total");
    let (mut took, mut slowest) = (Duration::ZERO, Duration::ZERO);
    // A connection that asks for nothing would have been closed meanwhile.
    let mut guest = Client::connect(server.listen, &guests)?;
    let beside = arrivals.during(&ids, || {
        let began = SystemClock.boot();
        for first in (0..many).step_by(A_CALL as usize) {
            let body = others(first..many.min(first + A_CALL), acceptor.port);
            slowest = slowest.max(guest.timed("POST", "/api/v1/monitors/bulk", &body)?.0);
        }
        took = SystemClock.boot().since(began);
        pause(FIRST_LOOKS)
    })?;
    let after = arrivals.during(&ids, || pause(ALONE))?;
    let missed = server.scrape()?.value("quaywatch_missed_total") - missed;

    print::table(&format!("{FEW} monitors at 1 s of one account, while another adds {many}"));
    let row = |what: &str, percent, target: &str, met| {
        let words = [&alone, &beside, &after].map(|seen| print::seconds(seen.late(percent).as_secs_f64()));
        print::row(what, &words.join(" / "), target, met);
    };
    let is_borne = beside.late(99) <= alone.late(99).max(after.late(99)) + BEARABLE;
    row("lateness p50: before / while / after", 50, "", None);
    row("lateness p99: before / while / after", 99, "while: at most 50 ms more", Some(is_borne));
    row("lateness max: before / while / after", 100, "", None);
    let (seen, wanted) = (beside.late.len(), beside.wanted());
    print::row(
        "checks seen while, of those wanted",
        &format!("{seen} of {wanted}"),
        "all",
        Some(seen >= wanted),
    );
    print::row("slots missed, of both accounts", &format!("{missed:.0}"), "0", Some(missed == 0.0));
    print::row("adding them; the slowest call of 1,000", &adding(took, slowest), "", None);
    server.stop()
}

fn pause(time: Duration) -> io::Result<()> {
    pass(time);
    Ok(())
}

fn adding(took: Duration, slowest: Duration) -> String {
    format!("{}; {}", print::seconds(took.as_secs_f64()), print::seconds(slowest.as_secs_f64()))
}

/// Somebody gets an account of their own, in the way of everybody: the owner of the server invites them.
fn invite_guest(binary: &Path, server: &Server) -> io::Result<()> {
    let mut adding = Command::new(binary)
        .args(["user", "add", "kim@example.com", "--data-dir"])
        .arg(server.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = adding.stdin.take() {
        writeln!(stdin, "{PASSWORD}")?;
    }
    let added = adding.wait_with_output()?;
    if !added.status.success() {
        let why = String::from_utf8_lossy(&added.stderr).into_owned();
        return Err(io::Error::other(format!("nobody could be added: {why}")));
    }
    let mut kim = Client::stranger(server.listen)?;
    let sign_in = format!(r#"{{"email":"kim@example.com","password":"{PASSWORD}"}}"#);
    let session = kim.post("/api/v1/session", &sign_in)?;
    kim.become_signed_in(&session)?;
    let invited = kim.post("/api/v1/invitations", r#"{"email":"eve@example.com"}"#)?;
    let accept = format!(
        r#"{{"secret":"{}","name":"Eve","password":"{PASSWORD}","account_name":"{GUEST}"}}"#,
        invited.text("secret")?
    );
    Client::stranger(server.listen)?.post("/api/v1/invitations/accept", &accept).map(drop)
}

/// Makes the monitors that are timed; by their addresses.
fn watch_few(client: &mut Client, port: u16) -> io::Result<HashMap<IpAddr, MonitorId>> {
    let more = format!(r#""check_interval":{},"handshake":"full""#, INTERVAL.as_secs());
    let body = body(0..FEW, port, &more);
    let (_, answer) = client.timed("POST", "/api/v1/monitors/bulk", &body)?;
    let number = |text: &str| text.split_once('"')?.0.parse().ok().map(MonitorId);
    let ids: Vec<MonitorId> = answer.split("\"id\":\"m").skip(1).filter_map(number).collect();
    if ids.len() != FEW as usize {
        return Err(io::Error::other(format!("{} monitors were made: {answer}", ids.len())));
    }
    Ok((0..FEW).map(|n| IpAddr::V4(Load::address(n))).zip(ids).collect())
}

/// A call that makes some of the other account's monitors.
fn others(numbers: std::ops::Range<u32>, port: u16) -> String {
    body(numbers.start + FEW..numbers.end + FEW, port, r#""check_interval":300"#)
}

fn body(numbers: std::ops::Range<u32>, port: u16, more: &str) -> String {
    let mut text = "{\"create\":[".to_owned();
    for n in numbers.clone() {
        let comma = if n == numbers.start { "" } else { "," };
        let host = Load::address(n);
        let _ = write!(text, "{comma}{{\"name\":\"b{n}\",\"host\":\"{host}\",\"port\":{port},{more}}}");
    }
    text.push_str("]}");
    text
}

/// Which address was reached, and when. Half-open handshakes do not come so far.
struct Arrivals {
    port: u16,
    seen: Arc<Mutex<Vec<(IpAddr, Timestamp)>>>,
}

/// What was seen of one stretch of time.
struct Seen {
    /// In order.
    late: Vec<Duration>,
    took: Duration,
}

/// The accept queue: large enough that a burst never makes the kernel drop a SYN.
const BACKLOG: i32 = 8_192;
/// Connections held open for longer than a check looks at them.
const HELD: usize = 2 * FEW as usize;

impl Arrivals {
    /// Listens at one port of every address of this machine, until this process ends.
    fn listen() -> io::Result<Self> {
        raise_limit()?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        socket.listen(BACKLOG)?;
        let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let inner = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut held = std::collections::VecDeque::with_capacity(HELD);
            while let Ok((stream, _)) = socket.accept() {
                let now = SystemClock.now();
                let to = stream.local_addr().ok().and_then(|address| address.as_socket());
                if let Some(to) = to {
                    inner.lock().unwrap_or_else(PoisonError::into_inner).push((to.ip(), now));
                }
                if held.len() == HELD {
                    held.pop_front();
                }
                held.push_back(stream);
            }
        });
        Ok(Self { port, seen })
    }

    fn take(&self) -> Vec<(IpAddr, Timestamp)> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How late the checks of these monitors were while something was done: from slot to arrival.
    fn during(
        &self,
        ids: &HashMap<IpAddr, MonitorId>,
        act: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Seen> {
        self.take();
        let began = SystemClock.boot();
        act()?;
        let took = SystemClock.boot().since(began);
        let late = |(ip, at): &(IpAddr, Timestamp)| {
            let grid = Grid::new(*ids.get(ip)?, INTERVAL);
            Some(at.since(Timestamp::from_millis(grid.at_or_before(at.millis()))))
        };
        let mut late: Vec<Duration> = self.take().iter().filter_map(late).collect();
        late.sort();
        if late.is_empty() {
            return Err(io::Error::other("nobody came"));
        }
        Ok(Seen { late, took })
    }
}

impl Seen {
    /// So many in a hundred were no later.
    fn late(&self, percent: usize) -> Duration {
        self.late[(self.late.len() - 1) * percent / 100]
    }

    /// As many as there were slots, but for those on their way at either end.
    fn wanted(&self) -> usize {
        let slots = self.took.as_secs_f64() / INTERVAL.as_secs_f64() - 0.1;
        (slots * f64::from(FEW)) as usize
    }
}
