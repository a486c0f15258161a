//! DNS messages: the question as it goes out, and what an answer says in the words of [`quaywatch_core::dns`].
//!
//! Messages are built and read here rather than by a resolver library because the verdict needs what such a library
//! throws away: extended errors (RFC 8914), and whether an answer without addresses went through an alias. See
//! docs/adr/0001-own-dns-lookups.md.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use quaywatch_core::dns::{Rcode, Said, Tail};

/// What fits into one unfragmented datagram on any path (DNS flag day 2020).
pub(super) const MAX_DATAGRAM: u16 = 1_232;

/// Longer chains of aliases are a loop (the large resolvers stop at 8 to 16).
const MAX_ALIASES: usize = 16;

/// EDNS option "extended DNS error" (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// One question: a name and a type, under a random id.
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) id: u16,
    pub(super) bytes: Vec<u8>,
}

/// An answer to one of our questions.
pub(super) enum Reply {
    /// The whole answer.
    Whole(Message),
    /// The answer did not fit: ask over TCP.
    Truncated,
    /// The upstream does not know EDNS: ask without.
    NoEdns,
}

impl Question {
    /// The question for `kind` records of an absolute name. `None`: the name does not fit into a message.
    pub(super) fn new(name: &Name, kind: RecordType, edns: bool) -> Option<Self> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), kind));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_DATAGRAM);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().ok()?;
        Some(Self { name: name.clone(), kind, id: message.metadata.id, bytes })
    }

    /// What `bytes` say to this question; `None` if they are no answer to it (then the right one may still come).
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Reply> {
        if bytes.first_chunk::<2>() != Some(&self.id.to_be_bytes()) {
            return None;
        }
        // Servers that do not know EDNS may answer FORMERR with a bare header, without the question.
        let header_only = bytes.len() == 12;
        let message = Message::from_vec(bytes).ok()?;
        if message.metadata.message_type != MessageType::Response || message.metadata.op_code != OpCode::Query
        {
            return None;
        }
        let asked = message.queries.first().is_some_and(|query| {
            query.query_type() == self.kind
                && query.query_class() == DNSClass::IN
                && query.name().eq_ignore_root(&self.name)
        });
        let code = message.metadata.response_code;
        if matches!(code, ResponseCode::FormErr | ResponseCode::NotImp)
            && (asked || header_only)
            && message.edns.is_none()
        {
            return Some(Reply::NoEdns);
        }
        if !asked {
            return None;
        }
        Some(if message.metadata.truncation { Reply::Truncated } else { Reply::Whole(message) })
    }

    /// What the answer to a question for addresses says.
    pub(super) fn said(&self, message: &Message) -> Said {
        let code = message.metadata.response_code;
        if code == ResponseCode::NoError {
            return self.found(message);
        }
        if code == ResponseCode::NXDomain {
            return Said::NxDomain { alias: self.follow(message).is_some(), ttl: negative_ttl(message) };
        }
        let rcode = if code == ResponseCode::ServFail {
            Rcode::ServFail
        } else if code == ResponseCode::Refused {
            Rcode::Refused
        } else {
            Rcode::Other(code.into())
        };
        Said::Error { rcode, ede: extended_error(message) }
    }

    fn found(&self, message: &Message) -> Said {
        let alias = self.follow(message);
        let (owner, mut ttl) = alias.map_or((&self.name, u32::MAX), |(name, ttl)| (name, ttl));
        let mut addresses = Vec::new();
        for record in message.answers.iter().filter(|record| record.name.eq_ignore_root(owner)) {
            if let Some(ip) = self.address(&record.data) {
                ttl = ttl.min(record.ttl);
                addresses.push(ip);
            }
        }
        if !addresses.is_empty() {
            return Said::Addresses { addresses, ttl, complete: true };
        }
        let ttl = negative_ttl(message);
        let tail = match (alias, ttl) {
            (None, _) => Tail::Plain,
            (Some(_), Some(_)) => Tail::Alias,
            (Some(_), None) => Tail::Dangling,
        };
        Said::NoData { tail, ttl }
    }

    fn address(&self, data: &RData) -> Option<IpAddr> {
        if let RData::A(ip) = data {
            (self.kind == RecordType::A).then_some(IpAddr::V4(ip.0))
        } else if let RData::AAAA(ip) = data {
            (self.kind == RecordType::AAAA).then_some(IpAddr::V6(ip.0))
        } else {
            None
        }
    }

    /// The end of the chain of aliases and the smallest TTL on it; `None` if the name is no alias.
    fn follow<'m>(&'m self, message: &'m Message) -> Option<(&'m Name, u32)> {
        let mut end: Option<(&Name, u32)> = None;
        for _ in 0..MAX_ALIASES {
            let (owner, least) = end.unwrap_or((&self.name, u32::MAX));
            let next = message.answers.iter().find_map(|record| {
                let RData::CNAME(target) = &record.data else { return None };
                record.name.eq_ignore_root(owner).then(|| (&target.0, record.ttl.min(least)))
            });
            if next.is_none() {
                break;
            }
            end = next;
        }
        end
    }
}

/// How long a "no" may be kept (RFC 2308 section 5): the smaller of the SOA's own TTL and its last field.
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| {
        let RData::SOA(soa) = &record.data else { return None };
        Some(record.ttl.min(soa.minimum))
    })
}

fn extended_error(message: &Message) -> Option<u16> {
    let options = message.edns.as_ref()?.options();
    options.as_ref().iter().find_map(|(code, option)| {
        let EdnsOption::Unknown(_, data) = option else { return None };
        let info = data.first_chunk::<2>().filter(|_| *code == EdnsCode::Unknown(EXTENDED_ERROR))?;
        Some(u16::from_be_bytes(*info))
    })
}
