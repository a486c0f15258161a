//! What a check can see: a closed set of outcomes in two levels, and the verdict that each one carries.
//!
//! [`ErrorCode`] is the fine word, [`ErrorStatus`] the public one that a person, a route or another system matches
//! on. Codes are added, never renamed, and their numbers are written to disk for ever. The words for people
//! (sentence, likely cause, remedy) are in the `reason` module.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an outcome means for the monitor, before anything is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The target answered as it should.
    Up,
    /// The target answered, but not as well as it should.
    Degraded,
    /// The target did not answer as it should.
    Down,
    /// The watcher could not look: its own fault, never the target's.
    Unknown,
    /// The egress policy forbids to look.
    Blocked,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $verdict:ident,)*) => {
        /// The public word for an outcome. `ok` has none: where it is shown, it is `null`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorStatus {
            $($(#[$doc])* $name,)*
        }

        impl ErrorStatus {
            /// Every status, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The verdict that goes with every code of this status.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)* }
            }
        }
    };
}

statuses! {
    /// The target answered a SYN with RST.
    TcpRefused = "tcp_refused" => Down,
    /// Silence within the time allowed.
    Timeout = "timeout" => Down,
    /// The name does not resolve, and its own name servers say so.
    HostNotFound = "host_not_found" => Down,
    /// The name's own servers answer with an error.
    DnsError = "dns_error" => Down,
    /// The connection failed in another way that the target or a router told.
    TcpError = "tcp_error" => Down,
    /// TLS failed.
    TlsError = "tls_error" => Down,
    /// HTTP failed.
    HttpError = "http_error" => Down,
    /// The content was not what was asked for.
    ContentError = "content_error" => Down,
    /// The service answered with an error of its own.
    ServiceError = "service_error" => Down,
    /// A warning; never downtime alone.
    Advisory = "advisory" => Degraded,
    /// The watcher's own fault.
    SelfError = "self_error" => Unknown,
    /// Forbidden by the egress policy.
    Blocked = "blocked" => Blocked,
}

impl fmt::Display for ErrorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal, $status:expr;)*) => {
        /// The fine word for an outcome. The numbers are on disk: never reused, never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the reason table documents every code in words for people")]
        pub enum ErrorCode {
            $($name = $number,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The public word; `None` for `ok`.
            #[must_use]
            pub const fn status(self) -> Option<ErrorStatus> {
                match self { $(Self::$name => $status,)* }
            }

            /// The code that a number on disk stands for.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

use ErrorStatus as S;

codes! {
    Ok = 0, "ok", None;
    TcpRefused = 1, "tcp_refused", Some(S::TcpRefused);
    TcpTimeout = 2, "tcp_timeout", Some(S::Timeout);
    TlsTimeout = 3, "tls_timeout", Some(S::Timeout);
    HttpTtfbTimeout = 4, "http_ttfb_timeout", Some(S::Timeout);
    HttpBodyTimeout = 5, "http_body_timeout", Some(S::Timeout);
    TcpBannerTimeout = 6, "tcp_banner_timeout", Some(S::Timeout);
    DnsTimeout = 7, "dns_timeout", Some(S::Timeout);
    DnsNxdomain = 10, "dns_nxdomain", Some(S::HostNotFound);
    DnsNodata = 11, "dns_nodata", Some(S::HostNotFound);
    DnsCnameBroken = 12, "dns_cname_broken", Some(S::HostNotFound);
    DnsServfail = 15, "dns_servfail", Some(S::DnsError);
    DnsRefused = 16, "dns_refused", Some(S::DnsError);
    DnsBogus = 17, "dns_bogus", Some(S::DnsError);
    DnsMismatch = 18, "dns_mismatch", Some(S::DnsError);
    TcpReset = 20, "tcp_reset", Some(S::TcpError);
    TcpClosedEarly = 21, "tcp_closed_early", Some(S::TcpError);
    TcpBannerMismatch = 22, "tcp_banner_mismatch", Some(S::TcpError);
    HostUnreachable = 23, "host_unreachable", Some(S::TcpError);
    NetUnreachable = 24, "net_unreachable", Some(S::TcpError);
    AdminProhibited = 25, "admin_prohibited", Some(S::TcpError);
    TcpOpenUnexpected = 26, "tcp_open_unexpected", Some(S::TcpError);
    TcpClosedUnexpected = 27, "tcp_closed_unexpected", Some(S::TcpError);
    TlsNotTls = 30, "tls_not_tls", Some(S::TlsError);
    TlsProtocolVersion = 31, "tls_protocol_version", Some(S::TlsError);
    TlsNoCipher = 32, "tls_no_cipher", Some(S::TlsError);
    TlsAlert = 33, "tls_alert", Some(S::TlsError);
    TlsExpired = 34, "tls_expired", Some(S::TlsError);
    TlsNotYetValid = 35, "tls_not_yet_valid", Some(S::TlsError);
    TlsNameMismatch = 36, "tls_name_mismatch", Some(S::TlsError);
    TlsSelfSigned = 37, "tls_self_signed", Some(S::TlsError);
    TlsUnknownIssuer = 38, "tls_unknown_issuer", Some(S::TlsError);
    TlsChainIncomplete = 39, "tls_chain_incomplete", Some(S::TlsError);
    TlsRevoked = 40, "tls_revoked", Some(S::TlsError);
    TlsChainTooLarge = 41, "tls_chain_too_large", Some(S::TlsError);
    HttpStatus = 50, "http_status", Some(S::HttpError);
    HttpTruncated = 51, "http_truncated", Some(S::HttpError);
    HttpBadFraming = 52, "http_bad_framing", Some(S::HttpError);
    HttpHeaderTooLarge = 53, "http_header_too_large", Some(S::HttpError);
    HttpRedirectLoop = 54, "http_redirect_loop", Some(S::HttpError);
    HttpRedirectLimit = 55, "http_redirect_limit", Some(S::HttpError);
    KeywordMissing = 60, "keyword_missing", Some(S::ContentError);
    KeywordForbidden = 61, "keyword_forbidden", Some(S::ContentError);
    JsonMismatch = 62, "json_mismatch", Some(S::ContentError);
    BodyEmpty = 63, "body_empty", Some(S::ContentError);
    BannerMismatch = 64, "banner_mismatch", Some(S::ContentError);
    AuthFailed = 70, "auth_failed", Some(S::ServiceError);
    ServiceStarting = 71, "service_starting", Some(S::ServiceError);
    TooManyConnections = 72, "too_many_connections", Some(S::ServiceError);
    ReadOnly = 73, "read_only", Some(S::ServiceError);
    QueryFailed = 74, "query_failed", Some(S::ServiceError);
    ProtocolError = 75, "protocol_error", Some(S::ServiceError);
    TcpSlow = 80, "tcp_slow", Some(S::Advisory);
    HttpSlow = 81, "http_slow", Some(S::Advisory);
    DnsSlow = 82, "dns_slow", Some(S::Advisory);
    DnsPartial = 83, "dns_partial", Some(S::Advisory);
    AddressPartial = 84, "address_partial", Some(S::Advisory);
    FamilyPartial = 85, "family_partial", Some(S::Advisory);
    TlsExpiring = 86, "tls_expiring", Some(S::Advisory);
    TlsDeprecated = 87, "tls_deprecated", Some(S::Advisory);
    SelfNetwork = 100, "self_network", Some(S::SelfError);
    SelfDns = 101, "self_dns", Some(S::SelfError);
    SelfResource = 102, "self_resource", Some(S::SelfError);
    SelfFirewall = 103, "self_firewall", Some(S::SelfError);
    SelfClock = 104, "self_clock", Some(S::SelfError);
    SelfStall = 105, "self_stall", Some(S::SelfError);
    SelfOverload = 106, "self_overload", Some(S::SelfError);
    SelfStorage = 107, "self_storage", Some(S::SelfError);
    AgentOffline = 108, "agent_offline", Some(S::SelfError);
    SelfBlocked = 109, "self_blocked", Some(S::SelfError);
    SelfSecret = 110, "self_secret", Some(S::SelfError);
    PolicyBlocked = 120, "policy_blocked", Some(S::Blocked);
}

impl ErrorCode {
    /// The verdict of a check with this outcome.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self.status() {
            None => Verdict::Up,
            Some(status) => status.verdict(),
        }
    }

    /// Whether this is a fault of the whole place, which the server tells once for all its monitors, and none by itself.
    #[must_use]
    pub const fn is_of_the_place(self) -> bool {
        matches!(self, Self::SelfDns)
    }

    /// The number that stands for this code on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// A word that is no error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an error code")]
pub struct UnknownCode(pub String);

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_text_and_number() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
    }

    #[test]
    fn t20_t21_t22_the_first_products_words_are_kept_letter_by_letter() {
        assert_eq!(ErrorCode::TcpRefused.status().map(ErrorStatus::as_str), Some("tcp_refused"));
        assert_eq!(ErrorCode::TcpTimeout.status().map(ErrorStatus::as_str), Some("timeout"));
        assert_eq!(ErrorCode::DnsNxdomain.status().map(ErrorStatus::as_str), Some("host_not_found"));
    }

    #[test]
    fn the_watchers_own_fault_is_unknown_never_down() {
        for code in ErrorCode::ALL.iter().filter(|c| c.as_str().starts_with("self_")) {
            assert_eq!(code.verdict(), Verdict::Unknown, "{code}");
        }
    }
}
