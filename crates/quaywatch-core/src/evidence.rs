//! What proves an outcome: who answered what, when, and how. Kept for failures only, and only where it tells
//! something new (the engine decides); everything that a person sees as "evidence" is made from these records.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::code::ErrorCode;

/// How far a check came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything was sent: policy, descriptors, own network.
    Prepare,
    /// Resolving the name.
    Resolve,
    /// Waiting for the answer to our SYN.
    Connect,
    /// Looking at the established connection (`settle`).
    Settle,
    /// Sending what the monitor asked to send.
    Send,
    /// Waiting for the answer that the monitor expects.
    Expect,
}

/// What the network said: the fact, apart from any judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SYN-ACK: the port is open.
    SynAck,
    /// RST in answer to our SYN, or after.
    Rst,
    /// FIN: the peer closed the connection.
    Fin,
    /// Bytes of the peer.
    Data,
    /// An ICMP message (see [`Attempt::icmp`]).
    Icmp,
    /// Nothing at all.
    Silence,
    /// An answer of a name server.
    Dns,
    /// An error of this machine's own.
    Local,
}

/// An ICMP answer as the socket's error queue tells it (ip(7), `IP_RECVERR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Icmp {
    /// True for ICMPv6 (RFC 4443), false for ICMP (RFC 792).
    pub v6: bool,
    /// The type, e.g. 3 = destination unreachable (ICMP), 1 (ICMPv6).
    #[serde(rename = "type")]
    pub kind: u8,
    /// The code, e.g. 13 = communication administratively prohibited (ICMP).
    pub code: u8,
    /// Who sent it; `None` where the kernel does not say.
    pub sender: Option<IpAddr>,
}

/// One dial of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The address that was dialled.
    pub address: SocketAddr,
    /// What came of it.
    pub error_code: ErrorCode,
    /// How far it came.
    pub stage: Stage,
    /// What the network said.
    pub signal: Signal,
    /// Handshake time in microseconds; `None` if the handshake was not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u32>,
    /// From the first SYN to the verdict, in microseconds.
    pub elapsed_us: u32,
    /// SYNs sent again.
    #[serde(default)]
    pub syn_retransmits: u8,
    /// The name of the errno (`ECONNREFUSED`), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The ICMP answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
}

/// Everything that proves a result. The deciding attempt stands first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Evidence {
    /// 0 to 16 attempts, the deciding one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// How far the check came where no attempt says it (resolving, policy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// From the start of the check to its verdict, in microseconds.
    #[serde(default)]
    pub elapsed_us: u32,
    /// Time to resolve the name, in microseconds; absent for literal addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u32>,
    /// What the resolver said (`NXDOMAIN from 192.0.2.53`), or which rule forbade the dial, or the anchors' state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The first bytes of the peer, at most 256, as text with escapes (`\x00`); foreign text: quote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bytes: Option<String>,
}

impl Evidence {
    /// The attempt that decided, if any address was dialled.
    #[must_use]
    pub fn deciding(&self) -> Option<&Attempt> {
        self.attempts.first()
    }

    /// Whether `other` tells nothing new beside `self`: the same stage, code, address and signal.
    #[must_use]
    pub fn tells_the_same_as(&self, other: &Self) -> bool {
        let decided = |e: &Self| e.deciding().map(|a| (a.stage, a.error_code, a.address, a.signal, a.icmp));
        self.stage == other.stage && decided(self) == decided(other) && self.detail == other.detail
    }
}
