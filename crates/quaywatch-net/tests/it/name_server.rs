//! A name server of the tests' own, over UDP and TCP on loopback: what it says is a function of the question.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What the server says to one question.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Addresses of the family asked for (NODATA if there are none), with a TTL.
    Addresses(&'static [&'static str], u32),
    /// An alias to a name that the same answer resolves.
    Alias(&'static str, &'static [&'static str]),
    /// An alias to a name of which the answer says nothing.
    Dangling(&'static str),
    /// An alias to a name that does not exist.
    AliasToNothing(&'static str),
    NxDomain,
    NoData,
    Error(ResponseCode, Option<u16>),
    Silence,
    /// Truncated over UDP; these addresses over TCP.
    Truncated(&'static [&'static str]),
    /// FORMERR as long as the question has EDNS; these addresses without.
    NoEdns(&'static [&'static str]),
    /// Wrong id, then another name's answer, then the right one.
    Forged(&'static [&'static str]),
    /// The answer for the root.
    Root,
}

/// A question as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) kind: RecordType,
    pub(crate) tcp: bool,
}

type Behaviour = dyn Fn(&str, RecordType) -> Say + Send + Sync;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    silent: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    /// Starts one. It answers for the root by itself unless `say` has something to say to the empty name.
    pub(crate) fn start(say: impl Fn(&str, RecordType) -> Say + Send + Sync + 'static) -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        // The port is free for UDP, or nearly always: nobody else here takes such ports by number.
        let udp = UdpSocket::bind(address).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (seen, silent, stop) = <(Arc<Mutex<Vec<Seen>>>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let say: Arc<Behaviour> = Arc::new(say);
        let server = Server { say, seen: Arc::clone(&seen), silent: Arc::clone(&silent) };
        let (for_tcp, stopped) = (server.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                for answer in server.answers(&buffer[..length], false) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for stream in tcp.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).unwrap();
                for answer in for_tcp.answers(&question, true) {
                    stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                    stream.write_all(&answer).unwrap();
                }
            }
        });
        Self { address, seen, silent, stop }
    }

    /// Makes it swallow everything, or speak again.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// The questions so far, those for the root left out.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| !seen.name.is_empty()).cloned().collect()
    }

    /// How often `name` was asked for, any type.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.seen().iter().filter(|seen| seen.name == name).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = socket2::SockRef::from(&UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .send_to(&[], &self.address.into());
    }
}

#[derive(Clone)]
struct Server {
    say: Arc<Behaviour>,
    seen: Arc<Mutex<Vec<Seen>>>,
    silent: Arc<AtomicBool>,
}

impl Server {
    fn answers(&self, bytes: &[u8], tcp: bool) -> Vec<Vec<u8>> {
        let Ok(question) = Message::from_vec(bytes) else { return Vec::new() };
        let query = question.queries[0].clone();
        let name = query.name().to_ascii().trim_end_matches('.').to_owned();
        let kind = query.query_type();
        self.seen.lock().unwrap().push(Seen { name: name.clone(), kind, tcp });
        if self.silent.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let said = (self.say)(&name, kind);
        let mut answer = base(&question);
        fill(&mut answer, query.name(), kind, &said, question.edns.is_some(), tcp);
        let right = answer.to_vec().unwrap();
        if matches!(said, Say::Silence) {
            return Vec::new();
        }
        if !matches!(said, Say::Forged(_)) {
            return vec![right];
        }
        let mut wrong_id = right.clone();
        wrong_id[0] ^= 0x55;
        let mut other = base(&question);
        other.queries[0].set_name(Name::from_ascii("other.test.").unwrap());
        other.metadata.response_code = ResponseCode::NXDomain;
        vec![wrong_id, other.to_vec().unwrap(), b"nonsense".to_vec(), right]
    }
}

fn base(question: &Message) -> Message {
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.add_query(question.queries[0].clone());
    if question.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    answer
}

fn fill(answer: &mut Message, name: &Name, kind: RecordType, said: &Say, edns: bool, tcp: bool) {
    let absolute = |text: &str| Name::from_ascii(format!("{text}.")).unwrap();
    match said {
        Say::Addresses(ips, ttl) => addresses(answer, name, kind, ips, *ttl),
        Say::Forged(ips) => addresses(answer, name, kind, ips, 60),
        Say::Alias(target, ips) => {
            alias(answer, name, &absolute(target), 30);
            addresses(answer, &absolute(target), kind, ips, 60);
        }
        Say::Dangling(target) => alias(answer, name, &absolute(target), 30),
        Say::AliasToNothing(target) => {
            alias(answer, name, &absolute(target), 30);
            no(answer, ResponseCode::NXDomain);
        }
        Say::NxDomain => no(answer, ResponseCode::NXDomain),
        Say::NoData => no(answer, ResponseCode::NoError),
        Say::Error(code, ede) => {
            answer.metadata.response_code = *code;
            if let (Some(ede), Some(edns)) = (ede, &mut answer.edns) {
                edns.options_mut().insert(EdnsOption::Unknown(15, ede.to_be_bytes().to_vec()));
            }
        }
        Say::Silence => {}
        Say::Truncated(_) if !tcp => answer.metadata.truncation = true,
        Say::Truncated(ips) => addresses(answer, name, kind, ips, 60),
        Say::NoEdns(_) if edns => {
            answer.edns = None;
            answer.metadata.response_code = ResponseCode::FormErr;
        }
        Say::NoEdns(ips) => addresses(answer, name, kind, ips, 60),
        Say::Root => {
            let server = Name::from_ascii("a.root.test.").unwrap();
            answer.add_answer(Record::from_rdata(Name::root(), 60, RData::NS(NS(server))));
        }
    }
}

fn addresses(answer: &mut Message, owner: &Name, kind: RecordType, ips: &[&str], ttl: u32) {
    for ip in ips {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) if kind == RecordType::A => RData::A(A(ip)),
            IpAddr::V6(ip) if kind == RecordType::AAAA => RData::AAAA(AAAA(ip)),
            IpAddr::V4(_) | IpAddr::V6(_) => continue,
        };
        answer.add_answer(Record::from_rdata(owner.clone(), ttl, data));
    }
    if answer.answers.is_empty() {
        no(answer, ResponseCode::NoError);
    }
}

fn alias(answer: &mut Message, owner: &Name, target: &Name, ttl: u32) {
    answer.add_answer(Record::from_rdata(owner.clone(), ttl, RData::CNAME(CNAME(target.clone()))));
}

fn no(answer: &mut Message, code: ResponseCode) {
    answer.metadata.response_code = code;
    let name = Name::from_ascii("test.").unwrap();
    let soa = SOA::new(name.clone(), name.clone(), 1, 60, 60, 60, 3);
    answer.add_authority(Record::from_rdata(name, 60, RData::SOA(soa)));
}
