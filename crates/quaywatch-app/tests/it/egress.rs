//! Accounts that do not know each other, and a corpus of what somebody would write who wants to see the inside of the
//! server's network: as monitors' hosts, as webhooks' addresses, in answers of a name server, in redirects. In a network
//! of the test's own, where the world would answer at every address, no packet goes anywhere but to the world's public
//! ones, and two hundred lawful names work meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_app::caller::{Actor, Caller};
use quaywatch_app::observe::{Reading, Wanted};
use quaywatch_app::operations::{OperationError, Operations};
use quaywatch_app::server::{Options, Server};
use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::Node;
use quaywatch_core::{AccountId, Clock as _, ErrorCode, UserId};
use quaywatch_net::SystemClock;
use quaywatch_store::{SqliteStore, Store as _};
use quaywatch_testkit::netns::{NetNs, join};
use serde::Deserialize;

/// Only used up where the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The world listens here, at each of its addresses.
const PORT: u16 = 7_000;
/// Names that anybody may watch and be told at.
const LAWFUL: usize = 200;
/// How many channels one monitor tells.
const CHANNELS_EACH: usize = 50;

/// `tests/data/egress.json`.
#[derive(Deserialize)]
struct Corpus {
    /// What is written as a host, by the trick.
    hosts: BTreeMap<String, Vec<String>>,
    /// Names, and what the name server says of them: nothing that may be dialled.
    names: BTreeMap<String, Vec<IpAddr>>,
    /// Names of which some addresses may be dialled.
    mixed: BTreeMap<String, Vec<IpAddr>>,
    /// Names with a lawful address first, and another one whenever they are asked for again.
    turning: BTreeMap<String, [IpAddr; 2]>,
    /// What is written as a webhook's URL.
    urls: Vec<String>,
    /// Where a lawful receiver redirects to.
    redirects: Vec<String>,
}

impl Corpus {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/egress.json");
        let text = std::fs::read_to_string(path).expect("the corpus is there");
        serde_json::from_str(&text).expect("it has this form")
    }

    /// Everything that may stand where a host stands, and may not be dialled.
    fn forbidden(&self) -> Vec<&str> {
        self.hosts.values().flatten().chain(self.names.keys()).map(String::as_str).collect()
    }

    fn addresses(&self) -> HashMap<String, Vec<IpAddr>> {
        let plain = |(name, ips): (&String, &Vec<IpAddr>)| {
            (name.trim_end_matches('.').to_ascii_lowercase(), ips.clone())
        };
        let mut known: HashMap<_, _> = self.names.iter().chain(&self.mixed).map(plain).collect();
        known.extend((1..=LAWFUL).map(|n| (lawful(n), vec![lawful_address(n)])));
        known
    }
}

fn lawful(n: usize) -> String {
    format!("n{n}.lawful.test")
}

/// Every fourth has an IPv6 address.
fn lawful_address(n: usize) -> IpAddr {
    let text = if n.is_multiple_of(4) {
        format!("2a00:45:1::{n:x}")
    } else {
        format!("45.1.{}.{}", n / 100, n % 100 + 1)
    };
    text.parse().expect("an address")
}

/// The watcher, and a world that answers at 45.1.0.0/16 and 2a00:45:1::/48 and would be asked for all else.
struct Network {
    watcher: NetNs,
    world: NetNs,
}

impl Network {
    fn new() -> Self {
        let (watcher, world) = (NetNs::new("w"), NetNs::new("o"));
        join(&watcher, "eth0", &world, "eth0");
        for (namespace, n) in [(&watcher, 1), (&world, 2)] {
            namespace.address("eth0", &format!("45.0.0.{n}/24"));
            namespace.address("eth0", &format!("2a00:45::{n}/64"));
        }
        watcher.route("default", "45.0.0.2");
        watcher.route("default", "2a00:45::2");
        world.ok("ip", &["route", "add", "local", "45.1.0.0/16", "dev", "lo"]);
        world.ok("ip", &["-6", "route", "add", "local", "2a00:45:1::/48", "dev", "lo"]);
        // Not only what leaves: a packet to the machine itself is one too. The resolver, which is also the gateway and
        // so proves our own health, is the server's setting and not an account's; whether half-open handshakes work is
        // found out at high ports of loopback. A URL with 010.0.0.1 is one with 8.0.0.1, which is public.
        watcher.nft(
            "table inet watch {\n\
             set leaked { type ipv4_addr . inet_service; flags dynamic; size 1024; }\n\
             set leaked6 { type ipv6_addr . inet_service; flags dynamic; size 1024; }\n\
             chain out { type filter hook output priority 0; policy accept;\n\
             ip daddr { 45.0.0.2, 45.1.0.0/16 } accept\n\
             ip6 daddr { 2a00:45::2, 2a00:45:1::/48 } accept\n\
             icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept\n\
             ip daddr 127.0.0.1 th dport >= 32768 accept\n\
             ip daddr 8.0.0.1 accept\n\
             meta nfproto ipv4 add @leaked { ip daddr . th dport }\n\
             meta nfproto ipv6 add @leaked6 { ip6 daddr . th dport }\n\
             }\n}\n",
        );
        Self { watcher, world }
    }

    /// Where packets went that should go nowhere.
    fn leaked(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for set in ["leaked", "leaked6"] {
            let listed = self.watcher.ok("nft", &["list", "set", "inet", "watch", set]);
            let elements = listed.split("elements = {").nth(1).and_then(|rest| rest.split('}').next());
            all.extend(
                elements.into_iter().flat_map(|list| list.split(',')).map(|one| one.trim().to_owned()),
            );
        }
        all
    }
}

/// What the world does until it is dropped.
struct World {
    stop: Arc<AtomicBool>,
    /// The paths that were posted to.
    posted: Arc<Mutex<BTreeSet<String>>>,
}

impl World {
    fn start(namespace: &NetNs, corpus: &Corpus) -> Self {
        let (stop, posted) = (Arc::default(), Arc::default());
        let world = Self { stop: Arc::clone(&stop), posted: Arc::clone(&posted) };
        let (names, receiver) = namespace.enter(|| {
            let names = UdpSocket::bind("45.0.0.2:53").expect("port 53 of a new namespace");
            (names, TcpListener::bind(("::", PORT)).expect("both families"))
        });
        names.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
        let mut zone = Zone { known: corpus.addresses(), turning: HashMap::new() };
        zone.turning.extend(corpus.turning.iter().map(|(name, turns)| (name.clone(), (*turns, 0))));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut packet = [0; 1_500];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = names.recv_from(&mut packet) else { continue };
                if let Some(answer) = zone.answer(&packet[..length]) {
                    // Whoever asked may be gone.
                    let _ = names.send_to(&answer, from);
                }
            }
        });
        receiver.set_nonblocking(true).expect("a flag");
        let redirects = corpus.redirects.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, _)) = receiver.accept() else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let (posted, redirects) = (Arc::clone(&posted), redirects.clone());
                std::thread::spawn(move || receive(&stream, &posted, &redirects));
            }
        });
        world
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Takes a webhook, or redirects it: `/redirect/3` to the corpus's fourth. A plain check sends nothing at all.
fn receive(stream: &TcpStream, posted: &Mutex<BTreeSet<String>>, redirects: &[String]) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    posted.lock().expect("no holder panics").insert(path.clone());
    let to = path.strip_prefix("/redirect/").and_then(|n| redirects.get(n.parse::<usize>().ok()?));
    let answer = match to {
        Some(to) => format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
        None => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    };
    { stream }.write_all(answer.as_bytes()).ok()
}

/// What the name server knows.
struct Zone {
    known: HashMap<String, Vec<IpAddr>>,
    /// Two addresses, and how often the name was asked for.
    turning: HashMap<String, ([IpAddr; 2], u32)>,
}

impl Zone {
    /// The answer to a question (RFC 1035 section 4), for no time at all, so that each look is a new question.
    fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        const HEADER: usize = 12;
        let (mut end, mut labels) = (HEADER, Vec::new());
        while *question.get(end)? != 0 {
            let label = question.get(end + 1..=end + usize::from(question[end]))?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            end += 1 + label.len();
        }
        let asked = question.get(HEADER..end + 5)?;
        let kind = asked[asked.len() - 3];
        let ips = self.addresses(&labels.join("."), kind == 1);
        let of_kind = ips.iter().flatten().filter(|ip| if ip.is_ipv4() { kind == 1 } else { kind == 28 });
        let of_kind: Vec<_> = of_kind.collect();
        let mut answer = question.get(..2)?.to_vec();
        // A response, recursion desired and available; no such name, where it is none of ours.
        let code = if ips.is_none() && !labels.is_empty() { 3 } else { 0 };
        answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(of_kind.len()).ok()?, 0, 0, 0, 0]);
        answer.extend(asked);
        for ip in of_kind {
            answer.extend([0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 0]);
            match ip {
                IpAddr::V4(ip) => answer.extend([&[0, 4][..], &ip.octets()].concat()),
                IpAddr::V6(ip) => answer.extend([&[0, 16][..], &ip.octets()].concat()),
            }
        }
        Some(answer)
    }

    fn addresses(&mut self, name: &str, counts: bool) -> Option<Vec<IpAddr>> {
        let Some((turns, asked)) = self.turning.get_mut(name) else { return self.known.get(name).cloned() };
        *asked += u32::from(counts);
        Some(vec![turns[usize::from(*asked > 1)]])
    }
}

fn caller(account: AccountId) -> Caller {
    let (actor, access) = (Actor::User(UserId(1)), Access::Role(Role::Owner));
    Caller { account, actor, access, address: None, request_id: None }
}

/// A monitor of a host, made as the API makes it. `None`: refused as it is written.
async fn create(
    operations: &Operations,
    account: AccountId,
    name: &str,
    host: &str,
    more: &str,
) -> Option<()> {
    let (name, host) = (serde_json::json!(name), serde_json::json!(host));
    let body = format!(
        r#"{{"name":{name},"host":{host},"port":{PORT},"check_interval":"1s","timeout":"500ms","dns_timeout":"1s",
        "retry_interval":"200ms"{more}}}"#
    );
    let node = Node::from_json(&body).expect("JSON");
    match operations.create_monitor(&caller(account), &node).await {
        Ok(_) => Some(()),
        Err(OperationError::Invalid(_)) => None,
        Err(error) => panic!("{host}: {error}"),
    }
}

/// Where the guest would like to be told: forbidden places, redirecting ones, lawful ones.
fn urls(corpus: &Corpus) -> Vec<String> {
    let of_host = |host: &str| {
        let bracketed =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        format!("http://{bracketed}:{PORT}/forbidden")
    };
    let mut urls: Vec<String> = corpus.forbidden().into_iter().map(of_host).collect();
    urls.extend(corpus.urls.iter().cloned());
    urls.extend(corpus.turning.keys().map(|name| format!("http://{name}:{PORT}/turning")));
    urls.extend((0..corpus.redirects.len()).map(|n| format!("http://n1.lawful.test:{PORT}/redirect/{n}")));
    urls.extend((1..=LAWFUL).map(|n| format!("http://{}:{PORT}/n{n}", lawful(n))));
    urls
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> Result<(), String>) {
    let began = SystemClock.boot();
    while let Err(left) = so().await {
        assert!(SystemClock.boot().since(began) < PATIENCE, "{what}: {left}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Attempts to deliver so far, by what came of them.
async fn attempts(server: &Server) -> BTreeMap<String, u64> {
    let families = server.observatory().families(&Wanted::default()).await;
    let family = families.into_iter().find(|family| family.name == "quaywatch_delivery_attempts");
    let samples = family.into_iter().flat_map(|family| family.samples);
    let count = |sample: quaywatch_app::observe::Sample| match sample.reading {
        Reading::Counter(count) => Some((sample.labels[0].1.clone(), count)),
        Reading::Gauge(_) | Reading::Histogram(_) => None,
    };
    samples.filter_map(count).collect()
}

#[test]
fn s03_a_guest_reaches_nothing_but_what_is_public_however_it_is_written() {
    let corpus = Corpus::read();
    let spellings =
        corpus.forbidden().len() + corpus.urls.len() + corpus.redirects.len() + corpus.turning.len();
    assert!(spellings >= 250, "{spellings}");
    let network = Network::new();
    let world = World::start(&network.world, &corpus);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("q.yaml");
    let text = "server: {accounts: multi}\nresolvers: [\"45.0.0.2:53\"]\nmonitors: []\n";
    std::fs::write(&file, text).expect("written");
    network.watcher.enter(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(play(&corpus, &network, &world, directory.path(), &file));
    });
}

async fn play(corpus: &Corpus, network: &Network, world: &World, directory: &Path, file: &Path) {
    let data = directory.join("data");
    let options =
        Options { config: Some(file.to_owned()), data_dir: Some(data.clone()), ..Options::default() };
    let (server, ()) = Server::start(options, async |_| Ok(())).await.expect("it starts");
    let operations = server.operations();
    let store = SqliteStore::open_beside(&data, Arc::new(SystemClock)).expect("a second way in");
    let guest = store.system().create_account("Guest".into(), SystemClock.now()).await.expect("free").id;

    // Webhooks: what goes down below tells them all.
    let wanted = urls(corpus);
    let mut channels = Vec::new();
    for (n, url) in wanted.iter().enumerate() {
        let body = serde_json::json!({ "name": format!("channel {n}"), "type": "webhook", "url": url });
        let body = body.to_string();
        match operations.create_channel(&caller(guest), &Node::from_json(&body).expect("JSON")).await {
            Ok(channel) => channels.push(channel.name),
            Err(OperationError::Invalid(_)) => {}
            Err(error) => panic!("{url}: {error}"),
        }
    }
    for (n, names) in channels.chunks(CHANNELS_EACH).enumerate() {
        let tells = format!(r#","expectation":"closed","channels":{}"#, serde_json::json!(names));
        let (name, host) = (format!("tells {n}"), format!("45.1.202.{}", n + 1));
        create(&operations, guest, &name, &host, &tells).await.expect("a lawful monitor");
    }

    let (mut accepted, mut refused) = (BTreeSet::new(), 0);
    for (n, host) in corpus.forbidden().into_iter().enumerate() {
        let name = format!("forbidden {n}: {host:?}");
        match create(&operations, guest, &name, host, "").await {
            Some(()) => drop(accepted.insert(name)),
            None => refused += 1,
        }
    }
    for name in corpus.mixed.keys().chain(corpus.turning.keys()) {
        create(&operations, guest, name, name, "").await.expect("a name like any other");
    }
    for n in 1..=LAWFUL {
        create(&operations, guest, &lawful(n), &lawful(n), "").await.expect("a lawful name");
    }
    assert!(accepted.len() >= 100 && refused >= 50, "{} {refused}: both ways are taken", accepted.len());

    until("what is forbidden is blocked, and all else is up", async || {
        let statuses = store.account(guest).statuses().await.map_err(|error| error.to_string())?;
        let wrong = |status: &quaywatch_store::records::StatusRecord| {
            let (name, code) = (&status.monitor.name, status.last.map(|row| row.code));
            let fits = match code {
                None => false,
                Some(code) if accepted.contains(name) || corpus.turning.contains_key(name) => {
                    code == ErrorCode::PolicyBlocked
                }
                Some(code) => name.starts_with("tells") || code == ErrorCode::Ok,
            };
            (!fits).then(|| format!("{name} {code:?}"))
        };
        let wrong: Vec<_> = statuses.iter().filter_map(wrong).collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} are not: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]))
        }
    })
    .await;
    until("every channel was tried, and every lawful one reached", async || {
        let posted = world.posted.lock().expect("no holder panics").clone();
        let missing: Vec<_> =
            (1..=LAWFUL).map(|n| format!("/n{n}")).filter(|path| !posted.contains(path)).collect();
        if !missing.is_empty() {
            return Err(format!("nothing was posted to {missing:?}"));
        }
        let attempts = attempts(&server).await;
        let tried: u64 = attempts.values().sum();
        if tried < channels.len() as u64 { Err(format!("{attempts:?}")) } else { Ok(()) }
    })
    .await;
    let attempts = attempts(&server).await;
    assert!(channels.len() < wanted.len(), "some are refused as written");
    assert!(attempts["refused_by_policy"] >= 100, "{attempts:?}");
    let posted = world.posted.lock().expect("no holder panics").clone();
    assert!(!posted.contains("/forbidden") && !posted.contains("/"), "{posted:?}");
    for n in 0..corpus.redirects.len() {
        assert!(posted.contains(&format!("/redirect/{n}")), "the redirect was received: {n}");
    }

    // Once more, each by a test that saves nothing.
    for host in corpus.forbidden() {
        let body = format!(r#"{{"host":{},"port":{PORT},"timeout":"500ms"}}"#, serde_json::json!(host));
        match operations.test_monitor(&caller(guest), &Node::from_json(&body).expect("JSON")).await {
            Ok(seen) => assert_eq!(seen.report.error_code, ErrorCode::PolicyBlocked, "{host}"),
            Err(OperationError::Invalid(_)) => {}
            Err(error) => panic!("{host}: {error}"),
        }
    }
    for channel in &channels {
        let tested = operations.test_channel(&caller(guest), channel).await.expect("tried");
        let number: usize = channel.trim_start_matches("channel ").parse().expect("named so above");
        let is_lawful = number >= wanted.len() - LAWFUL;
        assert_eq!(tested.sent, is_lawful, "{}: {}", wanted[number], tested.answer);
    }
    assert_eq!(network.leaked(), BTreeSet::new(), "no packet may go there");

    // That this would have been seen: the server's own account may look at its own network.
    create(&operations, AccountId::DEFAULT, "own", "10.9.9.9", "").await.expect("a lawful monitor");
    until("the packet is counted", async || {
        if network.leaked().contains("10.9.9.9 . 7000") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    server.shutdown().await;
    store.system().close().await.expect("closed");
}

#[test]
fn the_name_server_of_this_test_turns() {
    let turns = ["45.1.201.1".parse().expect("an address"), "10.0.0.1".parse().expect("an address")];
    let mut zone =
        Zone { known: HashMap::new(), turning: HashMap::from([("t.test".to_owned(), (turns, 0))]) };
    let mut question = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x01T\x04test\x00\x00\x01\x00\x01");
    let mut last = || {
        let said = zone.answer(&question).expect("an answer");
        Ipv4Addr::new(said[said.len() - 4], said[said.len() - 3], said[said.len() - 2], said[said.len() - 1])
    };
    assert_eq!(
        (last(), last(), last()),
        ([45, 1, 201, 1].into(), [10, 0, 0, 1].into(), [10, 0, 0, 1].into())
    );
    let other = zone.answer(&[&question[..13], b"X\x00\x00\x1c\x00\x01"].concat()).expect("an answer");
    assert_eq!((other[3] & 0xf, other[7]), (3, 0), "a name of nobody");
}
