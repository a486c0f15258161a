//! The proof of the last failure, as it is kept in memory while the failure lasts. A hundred thousand monitors may be
//! down at once, and nearly all of their proofs are one dial of one address with a few numbers: that is kept flat, in
//! a tenth of the room, and a failure like the one before replaces it without asking for memory.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use quaywatch_core::{Attempt, ErrorCode, Evidence, Signal, Stage};

/// The names of errnos that dials end with. A name that is missing here costs memory, nothing else.
const ERRNOS: [&str; 12] = [
    "ECONNREFUSED",
    "ETIMEDOUT",
    "ECONNRESET",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "ECONNABORTED",
    "EPIPE",
    "EHOSTDOWN",
    "EACCES",
    "EPERM",
    "EPROTO",
    "ENETDOWN",
];

/// A packed [`Evidence`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Proof {
    Plain(Plain),
    Whole(Box<Evidence>),
}

/// One dial, and nothing said beyond it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plain {
    ip: IpAddr,
    port: u16,
    code: ErrorCode,
    stage: Stage,
    signal: Signal,
    retransmits: u8,
    /// Its place among [`ERRNOS`].
    errno: Option<u8>,
    latency_us: Option<NonZeroU32>,
    elapsed_us: u32,
    /// Of the check as a whole.
    whole_us: u32,
    dns_us: Option<u32>,
}

impl Proof {
    pub(crate) fn pack(mut evidence: Box<Evidence>) -> Self {
        match Plain::of(&evidence) {
            Some(plain) => Self::Plain(plain),
            None => {
                evidence.attempts.shrink_to_fit();
                Self::Whole(evidence)
            }
        }
    }

    /// What was packed.
    pub(crate) fn evidence(&self) -> Evidence {
        match self {
            Self::Plain(plain) => plain.evidence(),
            Self::Whole(evidence) => Evidence::clone(evidence),
        }
    }

    /// The address of the attempt that decided.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(plain) => Some(SocketAddr::new(plain.ip, plain.port)),
            Self::Whole(evidence) => evidence.deciding().map(|attempt| attempt.address),
        }
    }

    /// As [`Evidence::tells_the_same_as`].
    pub(crate) fn tells_the_same_as(&self, other: &Evidence) -> bool {
        match self {
            Self::Plain(plain) => plain.tells_the_same_as(other),
            Self::Whole(evidence) => evidence.tells_the_same_as(other),
        }
    }
}

impl Plain {
    /// `None` where the evidence says more than fits.
    fn of(evidence: &Evidence) -> Option<Self> {
        let Evidence { attempts, stage: None, elapsed_us, dns_us, detail: None, first_bytes: None } =
            evidence
        else {
            return None;
        };
        let [attempt] = &attempts[..] else { return None };
        let Attempt {
            address,
            error_code,
            stage,
            signal,
            latency_us,
            elapsed_us: dialled_us,
            syn_retransmits,
            errno,
            icmp: None,
        } = attempt
        else {
            return None;
        };
        if matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0 || v6.flowinfo() != 0) {
            return None;
        }
        Some(Self {
            ip: address.ip(),
            port: address.port(),
            code: *error_code,
            stage: *stage,
            signal: *signal,
            retransmits: *syn_retransmits,
            errno: match errno {
                Some(name) => Some(ERRNOS.iter().position(|known| known == name)? as u8),
                None => None,
            },
            latency_us: match latency_us {
                Some(latency) => Some(NonZeroU32::new(*latency)?),
                None => None,
            },
            elapsed_us: *dialled_us,
            whole_us: *elapsed_us,
            dns_us: *dns_us,
        })
    }

    fn evidence(&self) -> Evidence {
        let attempt = Attempt {
            address: SocketAddr::new(self.ip, self.port),
            error_code: self.code,
            stage: self.stage,
            signal: self.signal,
            latency_us: self.latency_us.map(NonZeroU32::get),
            elapsed_us: self.elapsed_us,
            syn_retransmits: self.retransmits,
            errno: self.errno.map(|place| ERRNOS[usize::from(place)].to_owned()),
            icmp: None,
        };
        Evidence {
            attempts: vec![attempt],
            elapsed_us: self.whole_us,
            dns_us: self.dns_us,
            ..Evidence::default()
        }
    }

    fn tells_the_same_as(&self, other: &Evidence) -> bool {
        other.stage.is_none()
            && other.detail.is_none()
            && other.deciding().is_some_and(|attempt| {
                attempt.icmp.is_none()
                    && attempt.address == SocketAddr::new(self.ip, self.port)
                    && (attempt.stage, attempt.error_code, attempt.signal)
                        == (self.stage, self.code, self.signal)
            })
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_core::Icmp;

    use super::*;

    fn refused() -> Evidence {
        let attempt = Attempt {
            address: "192.0.2.10:5432".parse().expect("an address"),
            error_code: ErrorCode::TcpRefused,
            stage: Stage::Connect,
            signal: Signal::Rst,
            latency_us: None,
            elapsed_us: 300,
            syn_retransmits: 1,
            errno: Some("ECONNREFUSED".to_owned()),
            icmp: None,
        };
        Evidence { attempts: vec![attempt], elapsed_us: 310, dns_us: Some(7), ..Evidence::default() }
    }

    fn edited(edit: impl FnOnce(&mut Evidence)) -> Evidence {
        let mut evidence = refused();
        edit(&mut evidence);
        evidence
    }

    #[test]
    fn whatever_is_packed_comes_out_again_and_tells_the_same_of_the_same() {
        let icmp = Icmp { v6: false, kind: 3, code: 13, sender: None };
        let all = [
            refused(),
            edited(|e| e.attempts[0].elapsed_us = 4),
            edited(|e| e.elapsed_us = 4),
            edited(|e| e.dns_us = None),
            edited(|e| e.attempts[0].errno = None),
            edited(|e| e.attempts[0].errno = Some("ENOTKNOWN".to_owned())),
            edited(|e| e.attempts[0].syn_retransmits = 0),
            edited(|e| e.attempts[0].latency_us = Some(0)),
            edited(|e| e.attempts[0].latency_us = Some(9)),
            edited(|e| e.attempts[0].icmp = Some(icmp)),
            edited(|e| e.attempts[0].stage = Stage::Settle),
            edited(|e| e.attempts[0].signal = Signal::Silence),
            edited(|e| e.attempts[0].error_code = ErrorCode::TcpTimeout),
            edited(|e| e.attempts[0].address.set_port(1)),
            edited(|e| e.attempts[0].address = "[2001:db8::1]:5432".parse().expect("an address")),
            edited(|e| e.attempts[0].address = "[fe80::1%2]:5432".parse().expect("an address")),
            edited(|e| e.attempts.push(e.attempts[0].clone())),
            edited(|e| e.attempts.clear()),
            edited(|e| e.stage = Some(Stage::Resolve)),
            edited(|e| e.detail = Some("NXDOMAIN".to_owned())),
            edited(|e| e.first_bytes = Some("220".to_owned())),
        ];
        for evidence in &all {
            let proof = Proof::pack(Box::new(evidence.clone()));
            assert_eq!(proof.evidence(), *evidence);
            assert_eq!(proof.address(), evidence.deciding().map(|attempt| attempt.address));
            for other in &all {
                assert_eq!(
                    proof.tells_the_same_as(other),
                    evidence.tells_the_same_as(other),
                    "{evidence:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_plain_one_is_small() {
        assert!(matches!(Proof::pack(Box::new(refused())), Proof::Plain(_)));
        assert!(size_of::<Proof>() <= 56, "{}", size_of::<Proof>());
    }
}
