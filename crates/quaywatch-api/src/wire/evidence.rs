//! What proves an outcome, and what a test of a spec came to.

use std::net::SocketAddr;

use quaywatch_app::operations::test::TestedSpec;
use quaywatch_core::{Signal, Stage, evidence};
use schemars::JsonSchema;
use serde::Serialize;

use super::monitors::{Warning, warnings};
use super::time::Seconds;
use super::words::{Outcome, Verdict};

/// One dial of one address.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Attempt {
    /// The address that was dialled, with its port.
    address: String,
    #[serde(flatten)]
    outcome: Outcome,
    /// How far it came: `connect`, `settle`, `send`, `expect`.
    stage: &'static str,
    /// What the network said: `syn_ack`, `rst`, `fin`, `data`, `icmp`, `silence`, `dns`, `local`.
    signal: &'static str,
    /// From SYN to SYN-ACK; null where it was not answered.
    latency_us: Option<u32>,
    /// From the first SYN to the verdict.
    elapsed_us: u32,
    /// SYNs sent again.
    syn_retransmits: u8,
    /// The name of the error, where there was one.
    errno: Option<String>,
    /// The ICMP answer, where there was one.
    icmp: Option<Icmp>,
}

/// An ICMP answer.
#[derive(Debug, Serialize, JsonSchema)]
struct Icmp {
    v6: bool,
    r#type: u8,
    code: u8,
    sender: Option<String>,
}

/// Everything that proves a result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Evidence {
    /// Up to 16, the deciding one first.
    attempts: Vec<Attempt>,
    /// How far the check came where no attempt says it.
    stage: Option<&'static str>,
    /// From the start of the check to its verdict.
    elapsed_us: u32,
    /// Time to resolve the name; null for literal addresses.
    dns_us: Option<u32>,
    /// What the resolver said, which rule forbade it, how the anchors were.
    detail: Option<String>,
    /// The first bytes of the peer, as text with escapes.
    first_bytes: Option<String>,
}

impl From<&evidence::Attempt> for Attempt {
    fn from(attempt: &evidence::Attempt) -> Self {
        Self {
            address: shown(attempt.address),
            outcome: attempt.error_code.into(),
            stage: stage(attempt.stage),
            signal: signal(attempt.signal),
            latency_us: attempt.latency_us,
            elapsed_us: attempt.elapsed_us,
            syn_retransmits: attempt.syn_retransmits,
            errno: attempt.errno.clone(),
            icmp: attempt.icmp.map(|icmp| Icmp {
                v6: icmp.v6,
                r#type: icmp.kind,
                code: icmp.code,
                sender: icmp.sender.map(|sender| sender.to_string()),
            }),
        }
    }
}

impl From<&evidence::Evidence> for Evidence {
    fn from(evidence: &evidence::Evidence) -> Self {
        Self {
            attempts: evidence.attempts.iter().map(Attempt::from).collect(),
            stage: evidence.stage.map(stage),
            elapsed_us: evidence.elapsed_us,
            dns_us: evidence.dns_us,
            detail: evidence.detail.clone(),
            first_bytes: evidence.first_bytes.clone(),
        }
    }
}

fn shown(address: SocketAddr) -> String {
    address.to_string()
}

const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Prepare => "prepare",
        Stage::Resolve => "resolve",
        Stage::Connect => "connect",
        Stage::Settle => "settle",
        Stage::Send => "send",
        Stage::Expect => "expect",
    }
}

const fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::SynAck => "syn_ack",
        Signal::Rst => "rst",
        Signal::Fin => "fin",
        Signal::Data => "data",
        Signal::Icmp => "icmp",
        Signal::Silence => "silence",
        Signal::Dns => "dns",
        Signal::Local => "local",
    }
}

/// What a test of a spec came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TestReport {
    /// `host:port`.
    target: String,
    /// What the check means.
    status: Verdict,
    #[serde(flatten)]
    outcome: Outcome,
    /// One sentence for people.
    message: String,
    /// What may be the cause; empty when ok.
    cause: &'static str,
    /// What to do first; empty when ok.
    remedy: String,
    /// The address that decided.
    address: Option<String>,
    latency_us: Option<u32>,
    /// Time to resolve the name; null for literal addresses.
    dns_us: Option<u32>,
    /// `half_open` or `full`: what was really done.
    handshake: &'static str,
    syn_retransmits: u8,
    evidence: Evidence,
    /// Every address of the host, and what came of it.
    addresses: Vec<Attempt>,
    /// What its owner should know.
    warnings: Vec<Warning>,
    /// A timeout that fits what was seen; null where nothing answered.
    suggested_timeout: Option<Seconds>,
}

impl From<TestedSpec> for TestReport {
    fn from(tested: TestedSpec) -> Self {
        let report = tested.report;
        Self {
            target: report.target,
            status: report.status.into(),
            outcome: report.error_code.into(),
            message: report.message,
            cause: report.cause,
            remedy: report.remedy,
            address: report.address,
            latency_us: report.latency_us,
            dns_us: report.dns_us,
            handshake: report.handshake,
            syn_retransmits: report.syn_retransmits,
            evidence: Evidence::from(&report.evidence),
            addresses: tested.addresses.iter().map(Attempt::from).collect(),
            warnings: warnings(&tested.warnings),
            suggested_timeout: tested.suggested_timeout.map(Seconds),
        }
    }
}
