//! Whose fault is it that a name does not resolve? What every upstream said becomes one outcome here, and addresses
//! get the order in which they are dialled. Pure: the questions are asked by the resolver in `quaywatch-net`.
//!
//! The rules, from the strongest word to the weakest: addresses from anybody win, whatever the others say; then "no"
//! (the name or its addresses do not exist), then errors, then silence. An error counts against the name only if the
//! upstream that gave it can answer something at all (it is asked for the root's name servers); silence never does.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::code::ErrorCode;

/// The most addresses of one name that are dialled: as many attempts as one result can carry.
pub const MAX_ADDRESSES: usize = 16;

/// What one upstream said about a name and one record type, or about both types after [`Said::both`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Here they are, for so many seconds.
    Addresses {
        /// In the upstream's order.
        addresses: Vec<IpAddr>,
        /// The smallest TTL on the way.
        ttl: u32,
        /// False if the other family's answer is missing: ask again soon.
        complete: bool,
    },
    /// There is no such name.
    NxDomain {
        /// It is the target of an alias (CNAME) that is missing.
        alias: bool,
        /// How long the "no" may be kept, where the zone says so (RFC 2308).
        ttl: Option<u32>,
    },
    /// The name exists and has no address of this family.
    NoData {
        /// How the "no" came about.
        tail: Tail,
        /// How long the "no" may be kept, where the zone says so.
        ttl: Option<u32>,
    },
    /// An error, with the extended error (RFC 8914) if it gave one.
    Error {
        /// Which.
        rcode: Rcode,
        /// Extended DNS error.
        ede: Option<u16>,
    },
    /// Nothing, or nothing that can be read, within the time allowed.
    Silence,
    /// The upstream's host refused the question (ICMP port unreachable, or no route to it).
    Unreachable,
    /// The question could not be asked for want of something of our own.
    Own(ErrorCode),
}

/// What stands at the end of an answer without addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// The name itself: it is no alias.
    Plain,
    /// The target of an alias, which exists by the word of its zone (an SOA came along).
    Alias,
    /// The target of an alias, of which nothing is said.
    Dangling,
}

/// An error code of a name server (RFC 1035, RFC 6895).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// Any other, by number.
    Other(u16),
}

impl Said {
    /// What an upstream said about both families, from what it said about each. `None`: was not asked.
    #[must_use]
    pub fn both(v4: Option<Self>, v6: Option<Self>) -> Self {
        match (v4, v6) {
            (None, None) => Self::Silence,
            (Some(one), None) | (None, Some(one)) => one.alone(),
            (Some(v4), Some(v6)) => Self::pair(v4, v6),
        }
    }

    fn alone(self) -> Self {
        // Of an alias asked for one family only, an empty end that its zone vouches for may just mean the other family.
        if let Self::NoData { tail: Tail::Dangling, ttl } = self {
            return Self::NxDomain { alias: true, ttl };
        }
        self
    }

    fn pair(v4: Self, v6: Self) -> Self {
        match (v4, v6) {
            (
                Self::Addresses { mut addresses, ttl, complete },
                Self::Addresses { addresses: more, ttl: other_ttl, complete: other_complete },
            ) => {
                addresses.extend(more);
                let complete = complete && other_complete;
                Self::Addresses { addresses, ttl: ttl.min(other_ttl), complete }
            }
            (Self::Addresses { addresses, ttl, complete }, other)
            | (other, Self::Addresses { addresses, ttl, complete }) => {
                Self::Addresses { addresses, ttl, complete: complete && other.is_no() }
            }
            // A name that does not exist has no records of any type.
            (no @ Self::NxDomain { .. }, _) | (_, no @ Self::NxDomain { .. }) => no,
            (Self::NoData { tail, ttl }, Self::NoData { tail: other_tail, ttl: other_ttl }) => {
                let ttl = [ttl, other_ttl].into_iter().flatten().min();
                match (tail, other_tail) {
                    (Tail::Plain, _) | (_, Tail::Plain) => Self::NoData { tail: Tail::Plain, ttl },
                    (Tail::Alias | Tail::Dangling, Tail::Alias | Tail::Dangling) => {
                        Self::NxDomain { alias: true, ttl }
                    }
                }
            }
            // "No" for one family and no answer for the other decides nothing.
            (Self::NoData { .. }, other) | (other, Self::NoData { .. }) => other,
            (v4, v6) => {
                if v6.rank() < v4.rank() {
                    v6
                } else {
                    v4
                }
            }
        }
    }

    /// Whether this ends the lookup without asking the other upstreams.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Addresses { .. })
    }

    /// Whether the upstream said "no" as one who knows.
    #[must_use]
    pub const fn is_no(&self) -> bool {
        matches!(self, Self::NxDomain { .. } | Self::NoData { .. })
    }

    /// Whether the upstream said anything at all.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        !matches!(self, Self::Silence | Self::Unreachable | Self::Own(_))
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Addresses { .. } => 0,
            Self::NxDomain { .. } => 1,
            Self::NoData { .. } => 2,
            Self::Error { .. } => 3,
            Self::Silence => 4,
            Self::Unreachable => 5,
            Self::Own(_) => 6,
        }
    }
}

/// One upstream and its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who.
    pub upstream: SocketAddr,
    /// What it said.
    pub said: Said,
    /// Whether it answered for the root afterwards; `None`: it was not asked.
    pub root: Option<bool>,
}

impl Word {
    /// A word without a question for the root.
    #[must_use]
    pub const fn new(upstream: SocketAddr, said: Said) -> Self {
        Self { upstream, said, root: None }
    }
}

/// What all upstreams' words amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Ok` with addresses; else what to report.
    pub code: ErrorCode,
    /// The addresses, in the upstream's order.
    pub addresses: Vec<IpAddr>,
    /// How long it may be kept, where somebody said so, in seconds.
    pub ttl: Option<u32>,
    /// Whether every family asked for was answered.
    pub complete: bool,
}

impl Outcome {
    /// An outcome without addresses.
    #[must_use]
    pub const fn failed(code: ErrorCode, ttl: Option<u32>) -> Self {
        Self { code, addresses: Vec::new(), ttl, complete: true }
    }
}

/// Whether the upstreams must be asked for the root's name servers before [`outcome`] can tell whose fault it is:
/// errors are the best that any of them said.
#[must_use]
pub fn asks_root(words: &[Word]) -> bool {
    best(words).is_some_and(|word| matches!(word.said, Said::Error { .. }))
}

/// The outcome of a lookup, from the words of all upstreams that were asked.
#[must_use]
pub fn outcome(words: &[Word]) -> Outcome {
    let Some(best) = best(words) else {
        return Outcome::failed(ErrorCode::SelfDns, None);
    };
    match &best.said {
        Said::Addresses { addresses, ttl, complete } => Outcome {
            code: ErrorCode::Ok,
            addresses: addresses.clone(),
            ttl: Some(*ttl),
            complete: *complete,
        },
        Said::NxDomain { alias: true, ttl } => Outcome::failed(ErrorCode::DnsCnameBroken, *ttl),
        Said::NxDomain { alias: false, ttl } => Outcome::failed(ErrorCode::DnsNxdomain, *ttl),
        Said::NoData { ttl, .. } => Outcome::failed(ErrorCode::DnsNodata, *ttl),
        Said::Error { .. } => Outcome::failed(blame(words), None),
        Said::Silence | Said::Unreachable => Outcome::failed(ErrorCode::SelfDns, None),
        Said::Own(code) => Outcome::failed(*code, None),
    }
}

fn best(words: &[Word]) -> Option<&Word> {
    words.iter().min_by_key(|word| word.said.rank())
}

/// Errors were the best there was: the name's fault if an upstream that gave one answers for the root, else ours.
fn blame(words: &[Word]) -> ErrorCode {
    let errors = || {
        words.iter().filter_map(|word| match word.said {
            Said::Error { rcode, ede } if word.root == Some(true) => Some((rcode, ede)),
            Said::Error { .. }
            | Said::Addresses { .. }
            | Said::NxDomain { .. }
            | Said::NoData { .. }
            | Said::Silence
            | Said::Unreachable
            | Said::Own(_) => None,
        })
    };
    let says = |wanted: fn(u16) -> bool| errors().any(|(_, ede)| ede.is_some_and(wanted));
    if says(is_target_silent) {
        ErrorCode::DnsTimeout
    } else if says(is_bogus) {
        ErrorCode::DnsBogus
    } else if errors().any(|(rcode, _)| rcode != Rcode::Refused) {
        ErrorCode::DnsServfail
    } else if errors().next().is_some() {
        ErrorCode::DnsRefused
    } else {
        ErrorCode::SelfDns
    }
}

/// RFC 8914: 22 = no reachable authority, 23 = network error.
const fn is_target_silent(ede: u16) -> bool {
    matches!(ede, 22 | 23)
}

/// RFC 8914: 6 to 12 are the ways in which DNSSEC validation fails.
const fn is_bogus(ede: u16) -> bool {
    matches!(ede, 6..=12)
}

/// Who said what, for evidence: `NXDOMAIN from 192.0.2.53`, in the order of the upstreams and without times, so that
/// the same failure reads the same each time.
#[must_use]
pub fn describe(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push_str("; ");
        }
        describe_one(&mut text, word);
    }
    text
}

fn describe_one(text: &mut String, word: &Word) {
    let upstream = Shown(word.upstream);
    // Writing to a String cannot fail.
    let _ = match &word.said {
        Said::Addresses { addresses, .. } => write!(text, "{} addresses from {upstream}", addresses.len()),
        Said::NxDomain { alias: false, .. } => write!(text, "NXDOMAIN from {upstream}"),
        Said::NxDomain { alias: true, .. } => write!(text, "an alias (CNAME) to nothing from {upstream}"),
        Said::NoData { .. } => write!(text, "no address (NODATA) from {upstream}"),
        Said::Error { rcode, ede } => {
            let _ = match rcode {
                Rcode::ServFail => write!(text, "SERVFAIL"),
                Rcode::Refused => write!(text, "REFUSED"),
                Rcode::Other(number) => write!(text, "error code {number}"),
            };
            if let Some(ede) = ede {
                let _ = write!(text, " (extended error {ede}{})", ede_words(*ede));
            }
            write!(text, " from {upstream}")
        }
        Said::Silence => write!(text, "silence from {upstream}"),
        Said::Unreachable => write!(text, "{upstream} is unreachable"),
        Said::Own(code) => write!(text, "{upstream} was not asked ({code})"),
    };
    if let Some(root) = word.root {
        text.push_str(if root {
            ", which answers for the root"
        } else {
            ", which does not answer for the root either"
        });
    }
}

const fn ede_words(ede: u16) -> &'static str {
    match ede {
        6..=12 => ": DNSSEC bogus",
        15 => ": blocked",
        18 => ": prohibited",
        22 => ": no reachable authority",
        23 => ": network error",
        _ => "",
    }
}

/// An upstream as people know it: without the port everybody uses.
struct Shown(SocketAddr);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.port() == 53 { write!(f, "{}", self.0.ip()) } else { write!(f, "{}", self.0) }
    }
}

/// The order in which addresses are dialled: the last good one first, then by RFC 6724 as far as the destination
/// alone tells it (precedence of its kind, then smaller scope; otherwise the resolver's order stands), families
/// alternating (RFC 8305 section 4). At most [`MAX_ADDRESSES`], doubles dropped.
#[must_use]
pub fn order(addresses: &[IpAddr], last_good: Option<IpAddr>) -> Vec<IpAddr> {
    let mut sorted: Vec<IpAddr> = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let ip = ip.to_canonical();
        if !sorted.contains(&ip) {
            sorted.push(ip);
        }
    }
    if sorted.len() < 2 {
        return sorted;
    }
    sorted.sort_by_key(|ip| (last_good.map(|good| good.to_canonical()) != Some(*ip), rank(*ip)));
    let first_is_v6 = sorted[0].is_ipv6();
    let (mut first, mut second): (Vec<IpAddr>, Vec<IpAddr>) =
        sorted.iter().partition(|ip| ip.is_ipv6() == first_is_v6);
    first.truncate(MAX_ADDRESSES);
    second.truncate(MAX_ADDRESSES);
    let mut out = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => break,
            (one, other) => out.extend(one.into_iter().chain(other)),
        }
    }
    out.truncate(MAX_ADDRESSES);
    out
}

/// Smaller is better: 255 − precedence of RFC 6724 section 2.1, then scope (rule 8).
fn rank(ip: IpAddr) -> (u8, u8) {
    let v6 = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    (255 - precedence(v6), scope(ip))
}

fn precedence(ip: Ipv6Addr) -> u8 {
    let segments = ip.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => 50,
        [0, 0, 0, 0, 0, 0xffff, _, _] => 35,
        [0x2002, ..] => 30,
        [0x2001, 0, ..] => 5,
        [high, ..] if high & 0xfe00 == 0xfc00 => 3,
        [high, ..] if high & 0xffc0 == 0xfec0 => 1,
        [0x3ffe, ..] => 1,
        [0, 0, 0, 0, 0, 0, ..] => 1,
        _ => 40,
    }
}

fn scope(ip: IpAddr) -> u8 {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    if link_local { 2 } else { 14 }
}

/// Why a name is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty labels, spaces, forbidden signs, bad punycode, labels or names too long.
    #[error("not a host name")]
    Malformed,
    /// `127.1`, `0x7f.1`: other programs take it for an address, so it must not depend on a name server.
    #[error("looks like an address in an unusual notation; write it as 192.0.2.7")]
    Numeric,
}

/// A name as it is asked for: ASCII (punycode where it was international), lower case, without a trailing dot.
///
/// # Errors
/// If it is not a name that may be asked for.
pub fn question(name: &str) -> Result<String, NameError> {
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
    let ascii = Uts46::new()
        .to_ascii(name.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::VerifyAllowRootDot)
        .map_err(|_| NameError::Malformed)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() {
        return Err(NameError::Malformed);
    }
    if name.rsplit('.').next().is_some_and(is_numeric) {
        return Err(NameError::Numeric);
    }
    Ok(name.to_owned())
}

/// Whether a name is already in the shape that [`question`] gives, so that nothing has to be copied.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    name.len() <= 253
        && name.bytes().all(plain)
        && name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && !label.starts_with("xn--"))
        && !name.rsplit('.').next().is_some_and(is_numeric)
}

/// As browsers decide it (WHATWG URL, "ends in a number"): all digits, or hexadecimal behind 0x.
fn is_numeric(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    !label.is_empty()
        && (digits(label) || label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")).is_some_and(hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 53))
    }

    fn good(ip: &str) -> Said {
        Said::Addresses { addresses: vec![ip.parse().unwrap()], ttl: 60, complete: true }
    }

    fn error(rcode: Rcode, ede: Option<u16>) -> Said {
        Said::Error { rcode, ede }
    }

    const NX: Said = Said::NxDomain { alias: false, ttl: Some(3) };
    const NODATA: Said = Said::NoData { tail: Tail::Plain, ttl: None };
    const SERVFAIL: Said = Said::Error { rcode: Rcode::ServFail, ede: None };
    const REFUSED: Said = Said::Error { rcode: Rcode::Refused, ede: None };

    fn code(words: &[(Said, Option<bool>)]) -> ErrorCode {
        let words: Vec<Word> = words
            .iter()
            .zip(1..)
            .map(|((said, root), n)| Word { upstream: upstream(n), said: said.clone(), root: *root })
            .collect();
        outcome(&words).code
    }

    #[test]
    fn t22_whose_fault_a_name_that_does_not_resolve_is() {
        use ErrorCode as E;
        let (yes, no) = (Some(true), Some(false));
        type Case = (Vec<(Said, Option<bool>)>, ErrorCode);
        let table: Vec<Case> = vec![
            (vec![(good("192.0.2.1"), None)], E::Ok),
            (vec![(NX, None)], E::DnsNxdomain),
            (vec![(NODATA, None)], E::DnsNodata),
            (vec![(Said::NxDomain { alias: true, ttl: None }, None)], E::DnsCnameBroken),
            // One sick upstream is never the name's fault.
            (vec![(SERVFAIL, None), (good("192.0.2.1"), None)], E::Ok),
            (vec![(NX, None), (good("192.0.2.1"), None)], E::Ok),
            (vec![(Said::Silence, None), (good("192.0.2.1"), None)], E::Ok),
            (vec![(SERVFAIL, None), (NX, None)], E::DnsNxdomain),
            (vec![(Said::Silence, None), (NODATA, None)], E::DnsNodata),
            // Errors count only from upstreams that can answer something.
            (vec![(SERVFAIL, yes), (SERVFAIL, yes)], E::DnsServfail),
            (vec![(SERVFAIL, no), (SERVFAIL, no)], E::SelfDns),
            (vec![(SERVFAIL, no), (REFUSED, yes)], E::DnsRefused),
            (vec![(REFUSED, yes), (SERVFAIL, yes)], E::DnsServfail),
            (vec![(REFUSED, no)], E::SelfDns),
            (vec![(SERVFAIL, None)], E::SelfDns),
            (vec![(error(Rcode::Other(1), None), yes)], E::DnsServfail),
            (vec![(Said::Silence, None), (SERVFAIL, yes)], E::DnsServfail),
            // Silence is ours, unless an upstream says that it is the target's.
            (vec![(Said::Silence, None), (Said::Silence, None)], E::SelfDns),
            (vec![(Said::Silence, None), (Said::Unreachable, None)], E::SelfDns),
            (vec![(error(Rcode::ServFail, Some(22)), yes)], E::DnsTimeout),
            (vec![(error(Rcode::ServFail, Some(23)), yes), (Said::Silence, None)], E::DnsTimeout),
            (vec![(error(Rcode::ServFail, Some(22)), no)], E::SelfDns),
            (vec![(error(Rcode::ServFail, Some(6)), yes)], E::DnsBogus),
            (vec![(Said::Own(E::SelfResource), None)], E::SelfResource),
            (vec![(Said::Own(E::SelfResource), None), (Said::Silence, None)], E::SelfDns),
            (vec![], E::SelfDns),
        ];
        for (words, wanted) in table {
            assert_eq!(code(&words), wanted, "{words:?}");
        }
    }

    #[test]
    fn two_families_make_one_word() {
        let both = |v4: &Said, v6: &Said| Said::both(Some(v4.clone()), Some(v6.clone()));
        let addresses = |said: Said| match said {
            Said::Addresses { addresses, complete, .. } => (addresses.len(), complete),
            Said::NxDomain { .. }
            | Said::NoData { .. }
            | Said::Error { .. }
            | Said::Silence
            | Said::Unreachable
            | Said::Own(_) => panic!("no addresses"),
        };
        assert_eq!(addresses(both(&good("192.0.2.1"), &good("2001:db8::1"))), (2, true));
        assert_eq!(addresses(both(&good("192.0.2.1"), &NODATA)), (1, true));
        assert_eq!(addresses(both(&Said::Silence, &good("2001:db8::1"))), (1, false));
        assert_eq!(addresses(both(&good("192.0.2.1"), &SERVFAIL)), (1, false));
        assert_eq!(both(&NX, &Said::Silence), NX);
        assert_eq!(both(&NODATA, &SERVFAIL), SERVFAIL);
        assert_eq!(both(&NODATA, &Said::Silence), Said::Silence);
        assert_eq!(both(&Said::Silence, &SERVFAIL), SERVFAIL);
        let tail = |tail| Said::NoData { tail, ttl: None };
        let broken = Said::NxDomain { alias: true, ttl: None };
        assert_eq!(both(&tail(Tail::Alias), &tail(Tail::Alias)), broken);
        assert_eq!(both(&tail(Tail::Dangling), &tail(Tail::Dangling)), broken);
        assert_eq!(Said::both(Some(tail(Tail::Dangling)), None), broken);
        assert_eq!(Said::both(None, Some(tail(Tail::Alias))), tail(Tail::Alias));
    }

    #[test]
    fn the_root_is_asked_for_only_when_errors_are_the_best_there_is() {
        let ask = |said: &[Said]| {
            asks_root(&said.iter().map(|said| Word::new(upstream(1), said.clone())).collect::<Vec<_>>())
        };
        assert!(ask(&[SERVFAIL, Said::Silence]));
        assert!(!ask(&[SERVFAIL, NX]));
        assert!(!ask(&[Said::Silence]));
        assert!(!ask(&[]));
    }

    #[test]
    fn evidence_names_who_said_what() {
        let words = [
            Word { upstream: upstream(53), said: error(Rcode::ServFail, Some(22)), root: Some(true) },
            Word::new(SocketAddr::from(([192, 0, 2, 54], 5353)), Said::Silence),
            Word::new(upstream(55), NX),
        ];
        assert_eq!(
            describe(&words),
            "SERVFAIL (extended error 22: no reachable authority) from 192.0.2.53, which answers for the root; \
             silence from 192.0.2.54:5353; NXDOMAIN from 192.0.2.55"
        );
    }

    fn ordered(addresses: &[&str], last_good: Option<&str>) -> Vec<String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        order(&addresses, last_good.map(|ip| ip.parse().unwrap())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_good_address_comes_first_and_families_alternate() {
        let four = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];
        assert_eq!(ordered(&four, None), ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]);
        assert_eq!(
            ordered(&four, Some("192.0.2.2")),
            ["192.0.2.2", "2001:db8::1", "192.0.2.1", "2001:db8::2"]
        );
        assert_eq!(ordered(&four, Some("192.0.2.9")), ordered(&four, None));
        // Unique local addresses rank below IPv4, 6to4 and Teredo as well (RFC 6724 section 2.1).
        assert_eq!(ordered(&["fd00::1", "192.0.2.1"], None), ["192.0.2.1", "fd00::1"]);
        assert_eq!(ordered(&["2002::1", "192.0.2.1"], None), ["192.0.2.1", "2002::1"]);
        assert_eq!(ordered(&["127.0.0.1", "::1"], None), ["::1", "127.0.0.1"]);
        assert_eq!(ordered(&["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], None), ["192.0.2.1"]);
        let many: Vec<String> = (1..=40).map(|n| format!("192.0.2.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ordered(&many, None), many[..MAX_ADDRESSES]);
    }

    #[test]
    fn names_are_asked_for_in_one_shape() {
        assert_eq!(question("DB.Example.COM."), Ok("db.example.com".to_owned()));
        assert_eq!(question("пример.рф"), Ok("xn--e1afmkfd.xn--p1ai".to_owned()));
        assert_eq!(question("_dmarc.a_b.example"), Ok("_dmarc.a_b.example".to_owned()));
        for wrong in ["", ".", "a..b", "a b", "a%b", "xn--\u{7f}", "a/b", &"a".repeat(64)] {
            assert_eq!(question(wrong), Err(NameError::Malformed), "{wrong}");
        }
        for numeric in ["127.1", "0x7f.1", "2130706433", "a.0x7f", "a.1", "1.2.3.4.5", "a.0x", "１.２"] {
            assert_eq!(question(numeric), Err(NameError::Numeric), "{numeric}");
        }
        for (name, plain) in
            [("db.example", true), ("Db.example", false), ("db.example.", false), ("127.1", false)]
        {
            assert_eq!(is_plain(name), plain, "{name}");
            assert!(!plain || question(name).as_deref() == Ok(name));
        }
    }
}
