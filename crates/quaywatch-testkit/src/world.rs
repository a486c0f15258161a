//! What somebody would write who wants to see the inside of a server's network: hosts, names, addresses of webhooks,
//! redirects. And a network in which the world would answer at every address, so that what leaves is seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use crate::netns::{NetNs, join};

/// The world listens here, at each of its addresses.
pub const PORT: u16 = 7_000;
/// Names that anybody may watch and be told at.
pub const LAWFUL: usize = 200;
/// The world's name server.
pub const RESOLVER: &str = "45.0.0.2:53";

/// `data/egress.json`.
#[derive(Debug, Deserialize)]
pub struct Corpus {
    /// What is written as a host, by the trick.
    pub hosts: BTreeMap<String, Vec<String>>,
    /// Names, and what the name server says of them: nothing that may be dialled.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Names of which some addresses may be dialled.
    pub mixed: BTreeMap<String, Vec<IpAddr>>,
    /// Names with a lawful address first, and another one whenever they are asked for again.
    pub turning: BTreeMap<String, [IpAddr; 2]>,
    /// What is written as a webhook's URL.
    pub urls: Vec<String>,
    /// Where a lawful receiver redirects to.
    pub redirects: Vec<String>,
}

impl Corpus {
    /// Reads it.
    ///
    /// # Panics
    /// Where it has not the form of this type.
    #[must_use]
    pub fn read() -> Self {
        serde_json::from_str(include_str!("../data/egress.json")).expect("it has this form")
    }

    /// How many spellings there are.
    #[must_use]
    pub fn spellings(&self) -> usize {
        self.forbidden().len() + self.urls.len() + self.redirects.len() + self.turning.len()
    }

    /// Everything that may stand where a host stands, and may not be dialled.
    #[must_use]
    pub fn forbidden(&self) -> Vec<&str> {
        self.hosts.values().flatten().chain(self.names.keys()).map(String::as_str).collect()
    }

    /// Where a guest would like to be told: forbidden places, redirecting ones, and at the end the lawful ones.
    #[must_use]
    pub fn webhooks(&self) -> Vec<String> {
        let of_host = |host: &str| {
            let bracketed = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            format!("http://{bracketed}:{PORT}/forbidden")
        };
        let mut urls: Vec<String> = self.forbidden().into_iter().map(of_host).collect();
        urls.extend(self.urls.iter().cloned());
        urls.extend(self.turning.keys().map(|name| format!("http://{name}:{PORT}/turning")));
        urls.extend((0..self.redirects.len()).map(|n| format!("http://n1.lawful.test:{PORT}/redirect/{n}")));
        urls.extend((1..=LAWFUL).map(|n| format!("http://{}:{PORT}/n{n}", lawful(n))));
        urls
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

/// A name that anybody may watch and be told at, of [`LAWFUL`].
#[must_use]
pub fn lawful(n: usize) -> String {
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
#[derive(Debug)]
pub struct Network {
    /// Where the server under test runs.
    pub watcher: NetNs,
    world: NetNs,
}

impl Network {
    /// A new one, with its packets counted.
    #[must_use]
    pub fn new() -> Self {
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
    #[must_use]
    pub fn leaked(&self) -> BTreeSet<String> {
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

/// What the world does until it is dropped: it answers questions for names at [`RESOLVER`], and takes webhooks.
#[derive(Debug)]
pub struct World {
    stop: Arc<AtomicBool>,
    posted: Arc<Mutex<BTreeSet<String>>>,
}

impl World {
    /// Begins.
    ///
    /// # Panics
    /// Where the namespace is not new.
    #[must_use]
    pub fn start(network: &Network, corpus: &Corpus) -> Self {
        let (stop, posted) = (Arc::default(), Arc::default());
        let world = Self { stop: Arc::clone(&stop), posted: Arc::clone(&posted) };
        let (names, receiver) = network.world.enter(|| {
            let names = UdpSocket::bind(RESOLVER).expect("port 53 of a new namespace");
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

    /// The paths that were posted to.
    ///
    /// # Panics
    /// Where a thread of the world panicked.
    #[must_use]
    pub fn posted(&self) -> BTreeSet<String> {
        self.posted.lock().expect("no holder panics").clone()
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

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_name_server_of_this_test_turns() {
        let turns = ["45.1.201.1".parse().expect("an address"), "10.0.0.1".parse().expect("an address")];
        let mut zone =
            Zone { known: HashMap::new(), turning: HashMap::from([("t.test".to_owned(), (turns, 0))]) };
        let mut question = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(b"\x01T\x04test\x00\x00\x01\x00\x01");
        let mut last = || {
            let said = zone.answer(&question).expect("an answer");
            Ipv4Addr::new(
                said[said.len() - 4],
                said[said.len() - 3],
                said[said.len() - 2],
                said[said.len() - 1],
            )
        };
        assert_eq!(
            (last(), last(), last()),
            ([45, 1, 201, 1].into(), [10, 0, 0, 1].into(), [10, 0, 0, 1].into())
        );
        let other = zone.answer(&[&question[..13], b"X\x00\x00\x1c\x00\x01"].concat()).expect("an answer");
        assert_eq!((other[3] & 0xf, other[7]), (3, 0), "a name of nobody");
    }
}
