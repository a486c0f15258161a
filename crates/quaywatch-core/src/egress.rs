//! Where this server may dial: the one rule that every dial caused by an account's data goes through, checks and
//! notices alike. Judged on the address that is dialled, never on a name, after taking off the wrappings (mapped,
//! NAT64, 6to4, Teredo) under which an address can travel: otherwise `::ffff:169.254.169.254` is a way to the cloud's
//! credentials.
//!
//! Order: never > deny > allow > default. "Never" is what no monitor can need and an attacker wants most (metadata
//! services), and what is no unicast address at all; no setting lifts it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::id::AccountId;

/// What the policy says about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// It may be dialled.
    Allowed,
    /// It may not.
    Denied {
        /// The rule that forbids it, in words for evidence and logs.
        rule: Cow<'static, str>,
    },
}

impl Egress {
    /// Whether the address may be dialled.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Whether one owner or many use this server (`accounts:`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Accounts {
    /// A self-hosted server: its own network is what it is there to watch.
    #[default]
    Single,
    /// Accounts that do not know each other: all but the server's own see only public unicast addresses.
    Multi,
}

/// Who may dial what. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EgressPolicy {
    accounts: Accounts,
    public_only: bool,
    lists: Arc<Lists>,
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Lists {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl EgressPolicy {
    /// The server's own policy; [`EgressPolicy::of`] narrows it to an account.
    #[must_use]
    pub fn new(accounts: Accounts, allow: Vec<Network>, deny: Vec<Network>) -> Self {
        Self { accounts, public_only: false, lists: Arc::new(Lists { allow, deny }) }
    }

    /// The most that a setting can allow: what this one denies, no other allows.
    #[must_use]
    pub fn lenient() -> Self {
        let all = vec![Network::v4(0, 0, 0, 0, 0), Network::v6([0; 4], [0; 4], 0)];
        Self::new(Accounts::Single, all, Vec::new())
    }

    /// The policy that binds `account`: with several accounts, all but the server's own are held to public addresses.
    #[must_use]
    pub fn of(&self, account: AccountId) -> Self {
        let public_only = self.accounts == Accounts::Multi && account != AccountId::DEFAULT;
        Self { public_only, ..self.clone() }
    }

    /// Whether `ip` may be dialled, and if not, by which rule. Does not allocate for an allowed address.
    #[must_use]
    pub fn judge(&self, ip: IpAddr) -> Egress {
        let inner = unwrapped(ip);
        let faces = [Some(ip), inner];
        let faces = || faces.iter().flatten().copied();
        if let Some(rule) = faces().find_map(never) {
            return Egress::Denied { rule: Cow::Borrowed(rule) };
        }
        if let Some(network) = self.lists.deny.iter().find(|network| faces().any(|ip| network.contains(ip))) {
            return Egress::Denied { rule: Cow::Owned(format!("deny {network}")) };
        }
        if self.lists.allow.iter().any(|network| network.contains(inner.unwrap_or(ip))) {
            return Egress::Allowed;
        }
        match faces().find_map(by_default).or_else(|| self.public_rule(inner.unwrap_or(ip))) {
            Some(rule) => Egress::Denied { rule: Cow::Borrowed(rule) },
            None => Egress::Allowed,
        }
    }

    fn public_rule(&self, ip: IpAddr) -> Option<&'static str> {
        if self.public_only { not_public(ip) } else { None }
    }
}

/// What no setting lifts.
fn never(ip: IpAddr) -> Option<&'static str> {
    NEVER.iter().find(|(network, _)| network.contains(ip)).map(|(_, rule)| *rule)
}

/// What is denied until the server's file allows it.
fn by_default(ip: IpAddr) -> Option<&'static str> {
    LINK_LOCAL_V6.contains(ip).then_some("fe80::/10 (link-local) is denied until the server's file allows it")
}

fn not_public(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(_) => {
            NOT_PUBLIC_V4.iter().find(|(network, _)| network.contains(ip)).map(|(_, rule)| *rule)
        }
        IpAddr::V6(_) if !GLOBAL_V6.contains(ip) => Some("not a public address (outside 2000::/3)"),
        IpAddr::V6(_) => {
            NOT_PUBLIC_V6.iter().find(|(network, _)| network.contains(ip)).map(|(_, rule)| *rule)
        }
    }
}

/// The IPv4 address that travels inside an IPv6 one, if one does.
#[must_use]
pub fn unwrapped(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    let octets = v6.octets();
    let four = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    // `::` and `::1` are addresses of their own, not wrappings.
    let compatible = COMPATIBLE.contains(ip) && octets[12] != 0;
    let inner = if MAPPED.contains(ip) || NAT64.contains(ip) || NAT64_LOCAL.contains(ip) || compatible {
        four(12)
    } else if SIX_TO_FOUR.contains(ip) {
        four(2)
    } else if TEREDO.contains(ip) {
        // The client's address stands last, every bit turned (RFC 4380 section 4).
        Ipv4Addr::from_bits(!four(12).to_bits())
    } else {
        return None;
    };
    Some(IpAddr::V4(inner))
}

/// A network in the notation of routers: `10.0.0.0/8`, `fd00::/8`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(high: [u16; 4], low: [u16; 4], prefix: u8) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (high, low);
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// The network of `prefix` leading bits around `address`; `None` if the family has fewer bits.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask_v4(prefix))),
            IpAddr::V6(v6) if prefix <= 128 => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask_v6(prefix)))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self { address, prefix })
    }

    /// Whether `ip` lies inside. Families never mix: unwrap first.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => (own.to_bits() ^ ip.to_bits()) & mask_v4(self.prefix) == 0,
            (IpAddr::V6(own), IpAddr::V6(ip)) => (own.to_bits() ^ ip.to_bits()) & mask_v6(self.prefix) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

/// Why a text is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as `10.0.0.0/8`, `fd00::/8` or `192.0.2.7`")]
pub struct NetworkError(pub String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        Self::new(address, prefix.unwrap_or(whole)).ok_or_else(wrong)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

const MAPPED: Network = Network::v6([0, 0, 0, 0], [0, 0xffff, 0, 0], 96);
const COMPATIBLE: Network = Network::v6([0, 0, 0, 0], [0, 0, 0, 0], 96);
const NAT64: Network = Network::v6([0x64, 0xff9b, 0, 0], [0, 0, 0, 0], 96);
const NAT64_LOCAL: Network = Network::v6([0x64, 0xff9b, 1, 0], [0, 0, 0, 0], 48);
const SIX_TO_FOUR: Network = Network::v6([0x2002, 0, 0, 0], [0, 0, 0, 0], 16);
const TEREDO: Network = Network::v6([0x2001, 0, 0, 0], [0, 0, 0, 0], 32);
const LINK_LOCAL_V6: Network = Network::v6([0xfe80, 0, 0, 0], [0, 0, 0, 0], 10);
const GLOBAL_V6: Network = Network::v6([0x2000, 0, 0, 0], [0, 0, 0, 0], 3);

const NEVER: [(Network, &str); 11] = [
    (Network::v4(169, 254, 0, 0, 16), "never 169.254.0.0/16 (link-local, cloud metadata)"),
    (Network::v4(100, 100, 100, 200, 32), "never 100.100.100.200 (cloud metadata)"),
    (Network::v4(168, 63, 129, 16, 32), "never 168.63.129.16 (cloud metadata)"),
    (Network::v4(192, 0, 0, 192, 32), "never 192.0.0.192 (cloud metadata)"),
    (Network::v4(0, 0, 0, 0, 8), "never 0.0.0.0/8 (this host)"),
    (Network::v4(224, 0, 0, 0, 4), "never 224.0.0.0/4 (multicast)"),
    (Network::v4(240, 0, 0, 0, 4), "never 240.0.0.0/4 (reserved, broadcast)"),
    (Network::v6([0xfd00, 0xec2, 0, 0], [0, 0, 0, 0x254], 128), "never fd00:ec2::254 (cloud metadata)"),
    (Network::v6([0xfd20, 0xce, 0, 0], [0, 0, 0, 0x254], 128), "never fd20:ce::254 (cloud metadata)"),
    (Network::v6([0, 0, 0, 0], [0, 0, 0, 0], 128), "never :: (this host)"),
    (Network::v6([0xff00, 0, 0, 0], [0, 0, 0, 0], 8), "never ff00::/8 (multicast)"),
];

/// IANA's special-purpose registry as far as it is not "never" already (RFC 6890 and successors).
const NOT_PUBLIC_V4: [(Network, &str); 11] = [
    (Network::v4(10, 0, 0, 0, 8), "not a public address (10.0.0.0/8)"),
    (Network::v4(100, 64, 0, 0, 10), "not a public address (100.64.0.0/10)"),
    (Network::v4(127, 0, 0, 0, 8), "not a public address (loopback)"),
    (Network::v4(172, 16, 0, 0, 12), "not a public address (172.16.0.0/12)"),
    (Network::v4(192, 0, 0, 0, 24), "not a public address (192.0.0.0/24)"),
    (Network::v4(192, 0, 2, 0, 24), "not a public address (documentation)"),
    (Network::v4(192, 88, 99, 0, 24), "not a public address (6to4 relays)"),
    (Network::v4(192, 168, 0, 0, 16), "not a public address (192.168.0.0/16)"),
    (Network::v4(198, 18, 0, 0, 15), "not a public address (benchmarking)"),
    (Network::v4(198, 51, 100, 0, 24), "not a public address (documentation)"),
    (Network::v4(203, 0, 113, 0, 24), "not a public address (documentation)"),
];

const NOT_PUBLIC_V6: [(Network, &str); 3] = [
    (Network::v6([0x2001, 0, 0, 0], [0, 0, 0, 0], 23), "not a public address (2001::/23)"),
    (Network::v6([0x2001, 0xdb8, 0, 0], [0, 0, 0, 0], 32), "not a public address (documentation)"),
    (Network::v6([0x3fff, 0, 0, 0], [0, 0, 0, 0], 20), "not a public address (documentation)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Spelling, then the words of three policies: single, multi (the owner's), multi (another account's).
    const TABLE: &[(&str, &str)] = &[
        // Public.
        ("8.8.8.8", "+++"),
        ("2606:4700::1111", "+++"),
        ("::ffff:8.8.8.8", "+++"),
        ("64:ff9b::8.8.8.8", "+++"),
        ("2002:808:808::1", "+++"),
        ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "+++"), // Teredo of 8.8.8.8
        ("100.63.255.255", "+++"),
        ("100.128.0.0", "+++"),
        ("172.15.255.255", "+++"),
        ("172.32.0.0", "+++"),
        ("192.0.1.0", "+++"),
        ("198.17.255.255", "+++"),
        ("198.20.0.0", "+++"),
        ("223.255.255.255", "+++"),
        ("168.63.129.15", "+++"),
        ("169.253.255.255", "+++"),
        ("169.255.0.0", "+++"),
        ("2001:200::1", "+++"),
        ("2001:db9::1", "+++"),
        // Private: for the owner only.
        ("127.0.0.1", "++-"),
        ("127.255.255.254", "++-"),
        ("::1", "++-"),
        ("10.0.0.1", "++-"),
        ("172.16.0.1", "++-"),
        ("172.31.255.255", "++-"),
        ("192.168.1.1", "++-"),
        ("100.64.0.1", "++-"),
        ("100.100.100.199", "++-"),
        ("192.0.0.191", "++-"),
        ("192.0.2.1", "++-"),
        ("198.18.0.1", "++-"),
        ("198.51.100.7", "++-"),
        ("203.0.113.7", "++-"),
        ("192.88.99.1", "++-"),
        ("fd00::1", "++-"),
        ("fd00:ec2::253", "++-"),
        ("fc00::1", "++-"),
        ("fec0::1", "++-"),
        ("2001:db8::1", "++-"),
        ("2001:10::1", "++-"),
        ("3fff::1", "++-"),
        ("5f00::1", "++-"),
        ("100::1", "++-"),
        ("::ffff:127.0.0.1", "++-"),
        ("::ffff:10.1.2.3", "++-"),
        ("::127.0.0.1", "++-"),
        ("64:ff9b::192.168.0.1", "++-"),
        ("64:ff9b:1::10.0.0.1", "++-"),
        ("2002:7f00:1::", "++-"),
        ("2002:a00:1::1", "++-"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "++-"), // Teredo of 10.0.0.1
        // Denied until allowed.
        ("fe80::1", "---"),
        ("febf:ffff::1", "---"),
        // Never.
        ("169.254.169.254", "---"),
        ("169.254.0.1", "---"),
        ("169.254.170.2", "---"),
        ("::ffff:169.254.169.254", "---"),
        ("::ffff:a9fe:a9fe", "---"),
        ("::169.254.169.254", "---"),
        ("64:ff9b::a9fe:a9fe", "---"),
        ("64:ff9b:1::a9fe:a9fe", "---"),
        ("2002:a9fe:a9fe::", "---"),
        ("2002:a9fe:a9fe:1:2:3:4:5", "---"),
        ("2001:0:4136:e378:8000:63bf:5601:5601", "---"), // Teredo of 169.254.169.254
        ("fd00:ec2::254", "---"),
        ("fd20:ce::254", "---"),
        ("100.100.100.200", "---"),
        ("::ffff:100.100.100.200", "---"),
        ("168.63.129.16", "---"),
        ("2002:a83f:8110::1", "---"),
        ("192.0.0.192", "---"),
        ("0.0.0.0", "---"),
        ("0.1.2.3", "---"),
        ("::ffff:0.0.0.0", "---"),
        ("64:ff9b::", "---"),
        ("::", "---"),
        ("224.0.0.1", "---"),
        ("239.255.255.250", "---"),
        ("::ffff:224.0.0.1", "---"),
        ("240.0.0.1", "---"),
        ("255.255.255.255", "---"),
        ("ff02::1", "---"),
        ("ff0e::1", "---"),
    ];

    fn words(ip: IpAddr, allow: &[&str], deny: &[&str]) -> String {
        let networks =
            |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Network>>();
        let single = EgressPolicy::new(Accounts::Single, networks(allow), networks(deny));
        let multi = EgressPolicy::new(Accounts::Multi, networks(allow), networks(deny));
        [single.of(AccountId(7)), multi.of(AccountId::DEFAULT), multi.of(AccountId(7))]
            .iter()
            .map(|policy| if policy.judge(ip).is_allowed() { '+' } else { '-' })
            .collect()
    }

    #[test]
    fn every_spelling_of_an_address_is_judged_by_what_it_is() {
        for (spelling, wanted) in TABLE {
            let ip: IpAddr = spelling.parse().expect(spelling);
            assert_eq!(words(ip, &[], &[]), *wanted, "{spelling}");
            // "Never" and "deny" outrank "allow everything".
            let all = words(ip, &["0.0.0.0/0", "::/0"], &[]);
            let is_never = never(ip).or_else(|| unwrapped(ip).and_then(never)).is_some();
            assert_eq!(all, if is_never { "---" } else { "+++" }, "{spelling} with everything allowed");
            assert_eq!(words(ip, &["0.0.0.0/0", "::/0"], &["0.0.0.0/0", "::/0"]), "---", "{spelling} denied");
        }
    }

    #[test]
    fn mapped_spellings_follow_the_same_lists_as_the_plain_one() {
        for spelling in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::9"] {
            let ip: IpAddr = spelling.parse().unwrap();
            assert_eq!(words(ip, &[], &["10.0.0.0/8"]), "---", "{spelling}");
            assert_eq!(words(ip, &["10.1.0.0/16"], &[]), "+++", "{spelling}");
            assert_eq!(words(ip, &["10.1.0.0/16"], &["10.1.2.3"]), "---", "{spelling}");
        }
        assert_eq!(words("fe80::1".parse().unwrap(), &["fe80::/10"], &[]), "+++");
    }

    #[test]
    fn the_rule_is_named() {
        let policy = EgressPolicy::new(Accounts::Single, vec![], vec!["192.0.2.99/24".parse().unwrap()]);
        let rule = |ip: &str| match policy.judge(ip.parse().unwrap()) {
            Egress::Denied { rule } => rule.into_owned(),
            Egress::Allowed => "allowed".to_owned(),
        };
        assert_eq!(rule("192.0.2.1"), "deny 192.0.2.0/24");
        assert_eq!(rule("::ffff:169.254.169.254"), "never 169.254.0.0/16 (link-local, cloud metadata)");
        assert_eq!(rule("192.0.3.1"), "allowed");
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
