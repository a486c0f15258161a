//! From what each address said to what the check saw. One function for every place that checks: the server, an agent,
//! and the command line.

use crate::code::{ErrorCode, Verdict};
use crate::evidence::Attempt;
use crate::job::Plan;
use crate::spec::{Addresses, Expectation};

/// The outcome of a check from its attempts, and which of them decided.
///
/// `first`: one good address is enough; of bad ones, the one that says most names the outcome. `all`: every address
/// must be good; one that is not is a finding, and all of them together are down. Addresses that we could not look
/// at, or must not, count only where there is no other.
///
/// # Panics
/// Without attempts: a check that dialled nothing has its outcome from whatever kept it from dialling.
#[must_use]
pub fn verdict(plan: &Plan, attempts: &[Attempt]) -> (ErrorCode, usize) {
    assert!(!attempts.is_empty(), "a verdict needs an attempt");
    let seen = || attempts.iter().map(|attempt| expected(plan.expectation, attempt)).enumerate();
    // A port that must not be open and is, is a finding whatever its siblings say.
    if let Some((index, code)) = seen().find(|(_, code)| *code == ErrorCode::TcpOpenUnexpected) {
        return (code, index);
    }
    let good = seen().find(|(_, code)| *code == ErrorCode::Ok).map(|(index, _)| index);
    let worst = seen()
        .filter(|(_, code)| *code != ErrorCode::Ok)
        .min_by_key(|(_, code)| rank(*code))
        .map(|(index, code)| (code, index));
    match (good, worst) {
        (Some(_), Some((code, index)))
            if plan.addresses == Addresses::All && code.verdict() == Verdict::Down =>
        {
            (ErrorCode::AddressPartial, index)
        }
        (Some(index), _) => (ErrorCode::Ok, index),
        (None, Some(worst)) => worst,
        (None, None) => unreachable!("every attempt is either good or not"),
    }
}

/// What one attempt means to a monitor that expects the port to be open, closed, or filtered.
#[must_use]
pub fn expected(expectation: Expectation, attempt: &Attempt) -> ErrorCode {
    let code = attempt.error_code;
    let is_open = code == ErrorCode::Ok || attempt.latency_us.is_some();
    match expectation {
        Expectation::Open => code,
        Expectation::Closed | Expectation::Filtered if is_open => ErrorCode::TcpOpenUnexpected,
        Expectation::Closed if is_closed(code) => ErrorCode::Ok,
        Expectation::Filtered if is_closed(code) => ErrorCode::TcpClosedUnexpected,
        Expectation::Filtered if is_filtered(code) => ErrorCode::Ok,
        Expectation::Closed | Expectation::Filtered => code,
    }
}

fn is_closed(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::TcpRefused | ErrorCode::TcpReset)
}

fn is_filtered(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(code, E::TcpTimeout | E::AdminProhibited | E::HostUnreachable | E::NetUnreachable)
}

/// Whether this outcome of an attempt is the word of the target itself or of its neighbours, so that our own way out
/// needs no proof. Silence and errors of the way could as well be our own fault.
#[must_use]
pub fn proves_our_network(code: ErrorCode) -> bool {
    !is_filtered(code) && code.verdict() != Verdict::Unknown
}

/// Which failure names the outcome: the one that says most. Refused, reset, then what came later in the connection,
/// then ICMP, then silence; our own faults and what is forbidden last.
fn rank(code: ErrorCode) -> u8 {
    use ErrorCode as E;
    if code == E::TcpRefused {
        0
    } else if code == E::TcpReset {
        1
    } else if is_filtered(code) {
        match code == E::TcpTimeout {
            true => 5,
            false => icmp_rank(code),
        }
    } else {
        match code.verdict() {
            Verdict::Up | Verdict::Down | Verdict::Degraded => 2,
            Verdict::Unknown => 7,
            Verdict::Blocked => 8,
        }
    }
}

/// A filter's word says more than a router's.
fn icmp_rank(code: ErrorCode) -> u8 {
    if code == ErrorCode::AdminProhibited { 3 } else { 4 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::evidence::{Signal, Stage};
    use crate::spec::{Handshake, IpFamily};
    use ErrorCode as E;

    fn plan(addresses: Addresses, expectation: Expectation) -> Plan {
        Plan {
            check_interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            dns_timeout: Duration::from_secs(5),
            ip_family: IpFamily::Any,
            addresses,
            handshake: Handshake::HalfOpen,
            settle: Duration::ZERO,
            expectation,
            send: None,
            expect: None,
        }
    }

    fn attempt(code: ErrorCode, answered: bool) -> Attempt {
        Attempt {
            address: "192.0.2.1:5432".parse().unwrap(),
            error_code: code,
            stage: Stage::Connect,
            signal: Signal::Silence,
            latency_us: answered.then_some(900),
            elapsed_us: 1_000,
            syn_retransmits: 0,
            errno: None,
            icmp: None,
        }
    }

    fn of(addresses: Addresses, expectation: Expectation, codes: &[ErrorCode]) -> (ErrorCode, usize) {
        let attempts: Vec<_> = codes.iter().map(|code| attempt(*code, *code == E::Ok)).collect();
        verdict(&plan(addresses, expectation), &attempts)
    }

    #[test]
    fn first_means_that_one_good_address_is_enough() {
        for (codes, wanted) in [
            (&[E::Ok][..], (E::Ok, 0)),
            (&[E::TcpRefused, E::Ok], (E::Ok, 1)),
            (&[E::TcpTimeout, E::TcpRefused], (E::TcpRefused, 1)),
            (&[E::TcpTimeout, E::HostUnreachable, E::TcpReset], (E::TcpReset, 2)),
            (&[E::TcpTimeout, E::NetUnreachable, E::AdminProhibited], (E::AdminProhibited, 2)),
            (&[E::HostUnreachable, E::TcpClosedEarly], (E::TcpClosedEarly, 1)),
            (&[E::SelfNetwork, E::TcpTimeout], (E::TcpTimeout, 1)),
            (&[E::PolicyBlocked, E::SelfNetwork], (E::SelfNetwork, 1)),
        ] {
            assert_eq!(of(Addresses::First, Expectation::Open, codes), wanted, "{codes:?}");
        }
    }

    #[test]
    fn all_means_that_one_dead_address_is_a_finding() {
        for (codes, wanted) in [
            (&[E::Ok, E::Ok][..], (E::Ok, 0)),
            (&[E::Ok, E::TcpTimeout, E::TcpRefused], (E::AddressPartial, 2)),
            (&[E::TcpTimeout, E::TcpTimeout], (E::TcpTimeout, 0)),
            // We have no IPv6 here: that is nobody's finding.
            (&[E::SelfNetwork, E::Ok], (E::Ok, 1)),
            (&[E::PolicyBlocked, E::Ok], (E::Ok, 1)),
            (&[E::SelfNetwork, E::SelfNetwork], (E::SelfNetwork, 0)),
        ] {
            assert_eq!(of(Addresses::All, Expectation::Open, codes), wanted, "{codes:?}");
        }
    }

    #[test]
    fn a_port_can_be_expected_closed_or_filtered() {
        for (expectation, code, wanted) in [
            (Expectation::Closed, E::TcpRefused, E::Ok),
            (Expectation::Closed, E::Ok, E::TcpOpenUnexpected),
            (Expectation::Closed, E::TcpTimeout, E::TcpTimeout),
            (Expectation::Closed, E::SelfFirewall, E::SelfFirewall),
            (Expectation::Filtered, E::TcpTimeout, E::Ok),
            (Expectation::Filtered, E::AdminProhibited, E::Ok),
            (Expectation::Filtered, E::TcpRefused, E::TcpClosedUnexpected),
            (Expectation::Filtered, E::Ok, E::TcpOpenUnexpected),
            (Expectation::Filtered, E::SelfNetwork, E::SelfNetwork),
        ] {
            assert_eq!(of(Addresses::First, expectation, &[code]), (wanted, 0), "{expectation:?} {code}");
        }
        let open_then_reset = [attempt(E::TcpRefused, false), attempt(E::TcpReset, true)];
        let plan = plan(Addresses::First, Expectation::Closed);
        assert_eq!(verdict(&plan, &open_then_reset), (E::TcpOpenUnexpected, 1));
    }
}
