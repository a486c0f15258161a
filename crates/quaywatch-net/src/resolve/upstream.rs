//! One upstream: a question goes out, an answer or nothing comes back.
//!
//! Each exchange has a socket of its own, connected to the upstream: the kernel picks a random port, drops what comes
//! from anybody else, and passes on an ICMP refusal at once, so a dead upstream is known without waiting.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use quaywatch_core::dns::Said;
use quaywatch_core::spec::IpFamily;
use quaywatch_core::{BootTime, Clock, ErrorCode};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use super::message::{MAX_DATAGRAM, Question, Reply};
use crate::descriptors::Descriptors;

/// A question without an answer is sent again after this time, then after twice as much, and so on.
const RESEND_AFTER: Duration = Duration::from_millis(500);

/// Once one family was answered, the other gets this long: some name servers never answer for AAAA.
const OTHER_FAMILY_GRACE: Duration = Duration::from_secs(1);

/// An upstream that was silent is asked last for this long.
const SICK_FOR: Duration = Duration::from_secs(30);

/// How long the answer for the root stands: many names can fail at once.
const ROOT_KEPT: Duration = Duration::from_secs(3);

/// One name server and what is known of its health.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    sick_until: AtomicU64,
    /// Until when the last answer for the root stands; its lowest bit says what it was.
    root: AtomicU64,
}

/// What an exchange needs of the rest of the server.
#[derive(Clone, Copy)]
pub(super) struct Tools<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) descriptors: Option<&'a Descriptors>,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, sick_until: AtomicU64::new(0), root: AtomicU64::new(0) }
    }

    pub(super) fn is_sick(&self, now: BootTime) -> bool {
        self.sick_until.load(Ordering::Relaxed) > now.0
    }

    /// Takes note of whether it answered at all.
    pub(super) fn note(&self, said: &Said, now: BootTime) {
        if matches!(said, Said::Own(_)) {
            return;
        }
        let until = if said.is_answer() { BootTime(0) } else { now + SICK_FOR };
        self.sick_until.store(until.0, Ordering::Relaxed);
    }

    /// Asks for the addresses of `name`; ends within `limit`.
    pub(super) async fn addresses(
        &self,
        tools: Tools<'_>,
        name: &Name,
        family: IpFamily,
        limit: Duration,
    ) -> Said {
        let kinds: &[RecordType] = match family {
            IpFamily::Any => &[RecordType::A, RecordType::AAAA],
            IpFamily::Ipv4 => &[RecordType::A],
            IpFamily::Ipv6 => &[RecordType::AAAA],
        };
        let Some(mut asked) = kinds.iter().map(|kind| Asked::new(name, *kind)).collect::<Option<Vec<_>>>()
        else {
            return Said::NxDomain { alias: false, ttl: None };
        };
        let failure = self.exchange(tools, &mut asked, limit).await.err();
        let of = |kind| {
            let asked = asked.iter().find(|asked| asked.question.kind == kind)?;
            Some(match &asked.answer {
                Some(message) => asked.question.said(message),
                None => failure.clone().unwrap_or(Said::Silence),
            })
        };
        Said::both(of(RecordType::A), of(RecordType::AAAA))
    }

    /// Whether it answers for the root's name servers: the proof that it works at all. Kept for a moment.
    pub(super) async fn answers_root(&self, tools: Tools<'_>, limit: Duration) -> bool {
        let kept = self.root.load(Ordering::Relaxed);
        if kept > tools.clock.boot().0 {
            return kept & 1 == 1;
        }
        let code = self.ask_root(tools, limit).await;
        let answers = code == Some(ResponseCode::NoError);
        let until = (tools.clock.boot() + ROOT_KEPT).0 & !1 | u64::from(answers);
        self.root.store(until, Ordering::Relaxed);
        answers
    }

    /// Asks for the root's name servers afresh. Any answer is some code.
    pub(super) async fn ask_root(&self, tools: Tools<'_>, limit: Duration) -> Option<ResponseCode> {
        let mut asked = [Asked::new(&Name::root(), RecordType::NS)?];
        // A failed exchange leaves no answer behind.
        let _ = self.exchange(tools, &mut asked, limit).await;
        let [asked] = asked;
        asked.answer.map(|message| message.metadata.response_code)
    }

    /// Sends the questions and collects answers until all are there or time is up. `Err`: it could not go on.
    async fn exchange(&self, tools: Tools<'_>, asked: &mut [Asked], limit: Duration) -> Result<(), Said> {
        let _permit = match tools.descriptors.map(|budget| budget.try_take(1)) {
            Some(None) => return Err(Said::Own(ErrorCode::SelfResource)),
            permit => permit,
        };
        let socket = connect_udp(self.address).map_err(|error| said(&error))?;
        let start = tools.clock.boot();
        let elapsed = || tools.clock.boot().since(start);
        let mut buffer = vec![0; usize::from(MAX_DATAGRAM) * 2];
        let (mut end, mut resend_every, mut resend_at) = (limit, RESEND_AFTER, Duration::ZERO);
        while asked.iter().any(|asked| asked.answer.is_none()) {
            let now = elapsed();
            if now >= end {
                return Err(Said::Silence);
            }
            if now >= resend_at {
                send_open(&socket, asked).await.map_err(|error| said(&error))?;
                resend_at = now + resend_every;
                resend_every *= 2;
            }
            let wake = end.min(resend_at).saturating_sub(now);
            let Ok(received) = timeout(wake, receive(&socket, &mut buffer)).await else { continue };
            let length = received.map_err(|error| said(&error))?;
            let left = end.saturating_sub(elapsed());
            if self.take(asked, &buffer[..length], &socket, left).await.map_err(|error| said(&error))? {
                end = end.min(elapsed() + OTHER_FAMILY_GRACE);
            }
        }
        Ok(())
    }

    /// Gives a datagram to the question it answers. True if a question is done with.
    async fn take(
        &self,
        asked: &mut [Asked],
        bytes: &[u8],
        socket: &UdpSocket,
        left: Duration,
    ) -> io::Result<bool> {
        for one in asked.iter_mut().filter(|one| one.answer.is_none()) {
            match one.question.read(bytes) {
                None => {}
                Some(Reply::Whole(message)) => {
                    one.answer = Some(message);
                    return Ok(true);
                }
                Some(Reply::Truncated) => {
                    one.answer = ask_tcp(self.address, &one.question, left).await?;
                    return Ok(one.answer.is_some());
                }
                Some(Reply::NoEdns) => {
                    if let Some(question) = Question::new(&one.question.name, one.question.kind, false) {
                        socket.send(&question.bytes).await?;
                        one.question = question;
                    }
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }
}

/// A question and, in time, its answer.
struct Asked {
    question: Question,
    answer: Option<Message>,
}

impl Asked {
    fn new(name: &Name, kind: RecordType) -> Option<Self> {
        Some(Self { question: Question::new(name, kind, true)?, answer: None })
    }
}

async fn send_open(socket: &UdpSocket, asked: &[Asked]) -> io::Result<()> {
    for one in asked.iter().filter(|one| one.answer.is_none()) {
        socket.send(&one.question.bytes).await?;
    }
    Ok(())
}

/// Waits for a datagram or a refusal: tokio's own `recv` does not wake up for a refusal alone.
async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    socket
        .async_io(Interest::READABLE | Interest::ERROR, || {
            Ok(nix::sys::socket::recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?)
        })
        .await
}

fn connect_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.connect(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// The same question over TCP (RFC 7766): for answers that do not fit into a datagram.
async fn ask_tcp(address: SocketAddr, question: &Question, left: Duration) -> io::Result<Option<Message>> {
    let talk = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        let mut stream = socket.connect(address).await?;
        let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &question.bytes].concat()).await?;
        let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut bytes).await?;
        Ok(match question.read(&bytes) {
            Some(Reply::Whole(message)) => Some(message),
            Some(Reply::Truncated | Reply::NoEdns) | None => None,
        })
    };
    match timeout(left, talk).await {
        Ok(answer) => answer,
        // The exchange's own deadline says "silence".
        Err(_) => Ok(None),
    }
}

/// What an error of our socket says about the upstream, or about ourselves.
fn said(error: &io::Error) -> Said {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(
            Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EADDRNOTAVAIL
            | Errno::EAGAIN,
        ) => Said::Own(ErrorCode::SelfResource),
        Some(Errno::EACCES | Errno::EPERM) => Said::Own(ErrorCode::SelfFirewall),
        _ => Said::Unreachable,
    }
}
