//! What a person may write as a host, and the one form it is kept in.
//!
//! Literal addresses and names only. What a web address has beside its host (scheme, port, path) is refused with the
//! right form shown, because a silent repair would hide a misunderstanding. A name that ends in a number is refused:
//! libc would dial `127.1` as 127.0.0.1, and no rule about addresses would have seen it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A name or an address, checked and in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A name in ASCII (punycode where it was international), lower case, without a trailing dot.
    Name(Box<str>),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// What is wrong, as the end of a sentence that begins with the text.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
    /// The host and port that were probably meant, where the text had more than a host.
    pub split: Option<(Host, Option<u16>)>,
}

const FORMS: &str =
    "write a name such as `db.example.com`, or an address such as `192.0.2.10` or `2001:db8::10`";

impl Host {
    /// Reads a host as people write it.
    ///
    /// # Errors
    /// It is no host, or more than one.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(error("is empty", FORMS));
        }
        if let Some(error) = more_than_a_host(text) {
            return Err(error);
        }
        if let Some(ip) = address(text)? {
            return Ok(Self::Ip(ip));
        }
        name(text)
    }

    /// Reads what `Display` wrote, without checking a name again: for texts from the store.
    #[must_use]
    pub(crate) fn from_canonical(text: &str) -> Self {
        // Names never end in a digit-only label and never hold a colon, so the last byte decides almost always.
        if (text.contains(':') || text.ends_with(|c: char| c.is_ascii_digit()))
            && let Ok(ip) = text.parse()
        {
            return Self::Ip(ip);
        }
        Self::Name(text.into())
    }

    /// The canonical text.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Ip(ip) => Cow::Owned(ip.to_string()),
            Self::Name(name) => Cow::Borrowed(name),
        }
    }

    /// With the port, as one writes it: `db:5432`, `[2001:db8::10]:5432`.
    #[must_use]
    pub fn with_port(&self, port: u16) -> String {
        match self {
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            Self::Ip(IpAddr::V4(ip)) => format!("{ip}:{port}"),
            Self::Name(name) => format!("{name}:{port}"),
        }
    }
}

/// Splits `host:port`, `[v6]:port`, `host:service`: the target of `quaywatch check`, and what people paste.
/// The part behind the last colon is returned as written; an IPv6 address without brackets has no port.
#[must_use]
pub fn split_target(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, behind) = rest.split_once(']')?;
        return behind.strip_prefix(':').map(|port| (inside, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

fn error(message: impl Into<String>, remedy: impl Into<String>) -> HostError {
    HostError { message: message.into(), remedy: remedy.into(), split: None }
}

/// Scheme, credentials, path, or port around a host.
fn more_than_a_host(text: &str) -> Option<HostError> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let rest = rest.rsplit('@').next().unwrap_or_default();
        let found = split(rest).map(|(host, port)| (host, port.or_else(|| port_of_scheme(scheme))));
        return Some(right_form(format!("has a scheme (`{scheme}://`)"), found));
    }
    if let Some((_, rest)) = text.split_once('@') {
        return Some(right_form("has a user name".to_owned(), split(rest)));
    }
    if let Some(at) = text.find(['/', '\\', '?', '#']) {
        if text[at..].strip_prefix('/').is_some_and(|bits| bits.parse::<u8>().is_ok()) {
            return Some(error(
                "is a network, not one host",
                "write one address; several go into `hosts: [192.0.2.10, 192.0.2.11]`",
            ));
        }
        return Some(right_form(format!("has a path (`{}`)", &text[at..]), split(&text[..at])));
    }
    if text.contains(',') || text.contains(char::is_whitespace) {
        let word = if text.contains(',') { "a comma" } else { "a space" };
        return Some(error(
            format!("has {word} in it"),
            "write one host; several go into `hosts: [db-1.example.com, db-2.example.com]`",
        ));
    }
    let (_, port) = split_target(text)?;
    Some(right_form(format!("has a port (`:{port}`)"), split(text)))
}

/// Host and port of a pasted text, for the right form.
fn split(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = split_target(text).map_or((text, None), |(host, port)| (host, Some(port)));
    let host = address(host).ok().flatten().map(Host::Ip).or_else(|| name(host).ok())?;
    Some((host, port.and_then(|p| p.parse().ok().filter(|p| *p != 0).or_else(|| port_of_scheme(p)))))
}

fn port_of_scheme(scheme: &str) -> Option<u16> {
    crate::ports::by_name(scheme).map(|service| service.port)
}

fn right_form(message: String, found: Option<(Host, Option<u16>)>) -> HostError {
    let remedy = match &found {
        Some((host, Some(port))) => format!("write `host: {host}` and `port: {port}`"),
        Some((host, None)) => format!("write only the host: `{host}`"),
        None => FORMS.to_owned(),
    };
    HostError { message, remedy, split: found }
}

/// The address that the text is; `None` where it is none but may be a name.
fn address(text: &str) -> Result<Option<IpAddr>, HostError> {
    if text.starts_with('[') || text.ends_with(']') {
        let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        return match inside.map(str::parse::<Ipv6Addr>) {
            Some(Ok(ip)) => Ok(Some(IpAddr::V6(ip))),
            Some(Err(_)) | None => Err(error(
                "is not an IPv6 address in brackets",
                "write `[2001:db8::10]` or `2001:db8::10`; brackets are for IPv6 addresses only",
            )),
        };
    }
    if let Some((ip, zone)) = text.split_once('%').filter(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok()) {
        return Err(error(
            format!("names a network interface (`%{zone}`)"),
            format!("write an address that is reachable by routing alone; `{ip}` depends on the interface"),
        ));
    }
    if text.contains(':') {
        return text.parse().map(|ip| Some(IpAddr::V6(ip))).map_err(|_| {
            error(
                "is not an IPv6 address",
                "write it like `2001:db8::10`: at most eight groups of hexadecimal digits",
            )
        });
    }
    Ok(text.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
}

fn name(text: &str) -> Result<Host, HostError> {
    let trimmed = text.strip_suffix('.').unwrap_or(text);
    if trimmed.is_empty() || trimmed.split('.').any(str::is_empty) {
        let joined = trimmed.split('.').filter(|l| !l.is_empty()).collect::<Vec<_>>().join(".");
        let remedy = if joined.is_empty() { FORMS.to_owned() } else { format!("did you mean `{joined}`?") };
        return Err(error("has an empty label (nothing between two dots)", remedy));
    }
    if let Some(bad) =
        trimmed.chars().find(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.".contains(*c))
    {
        return Err(wrong_character(bad));
    }
    if let Some(label) = trimmed.split('.').find(|l| l.len() > 63 && l.is_ascii()) {
        return Err(error(format!("has a label of {} characters", label.len()), "a label has at most 63"));
    }
    let ascii = Uts46::new()
        .to_ascii(trimmed.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::VerifyAllowRootDot)
        .map_err(|_| not_a_name(trimmed))?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if numeric(last) {
        return Err(error(
            "ends in a number, so it is no name, and it is no complete IPv4 address",
            "write all four numbers from 0 to 255, without leading zeros, such as `127.0.0.1`",
        ));
    }
    Ok(Host::Name(ascii.to_ascii_lowercase().into()))
}

fn not_a_name(text: &str) -> HostError {
    if text.len() > 253 {
        return error(format!("is {} characters long", text.len()), "a host name has at most 253");
    }
    if text.split('.').any(|label| label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--"))) {
        return error(
            "has a label beginning with `xn--` that is not valid punycode",
            "write the name in its own letters, such as `пример.рф`, or check the punycode",
        );
    }
    error("is not a host name that can be looked up", FORMS)
}

fn wrong_character(bad: char) -> HostError {
    let remedy = match bad {
        '$' | '{' | '}' => "references such as `${NAME}` are not read here; write the host itself",
        '*' => "a pattern cannot be watched; write one name per monitor, or several in `hosts: […]`",
        _ => FORMS,
    };
    error(format!("has `{}` in it", bad.escape_default()), remedy)
}

/// What libc's parsers would take for a number: `1`, `0x7f`, `017`.
fn numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        || (!label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(host: &str) -> String {
        Host::parse(host).map_or_else(|e| format!("{} → {}", e.message, e.remedy), |h| h.to_string())
    }

    #[test]
    fn names_and_addresses_take_one_form() {
        for (written, kept) in [
            ("db.example.com", "db.example.com"),
            (" DB.Example.COM. ", "db.example.com"),
            ("localhost", "localhost"),
            ("_dmarc.a_b.example", "_dmarc.a_b.example"),
            ("3com.com", "3com.com"),
            ("192.0.2.10", "192.0.2.10"),
            ("2001:DB8::0:10", "2001:db8::10"),
            ("[2001:db8::10]", "2001:db8::10"),
            ("[::1]", "::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("ПРИМЕР.РФ", "xn--e1afmkfd.xn--p1ai"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text(written), kept, "{written}");
            assert_eq!(Host::from_canonical(kept).to_string(), kept);
            assert_eq!(Host::from_canonical(kept), Host::parse(kept).expect("canonical texts are hosts"));
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_right_form() {
        let bad = [
            "",
            "https://db.example.com",
            "https://user:pw@db.example.com:8443/path?x#y",
            "postgres://db.example.com/orders",
            "ftp://",
            "user@db.example.com",
            "db.example.com/path",
            "192.0.2.0/24",
            "db.example.com:5432",
            "db.example.com:postgres",
            "[::1]:22",
            "db 1.example.com",
            "a,b",
            "db..example.com",
            ".example.com",
            ".",
            "db_1!.example.com",
            "${DB_HOST}",
            "*.example.com",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "192.168.1.300",
            "010.0.0.1",
            "1.2.3.4.5",
            "１２７.１",
            "[db.example.com]",
            "[::1",
            "::1]",
            "fe80::1%eth0",
            "2001:db8:::10",
            "xn--zz--.example",
            &"a".repeat(64),
            &format!("{}example", "abcdefgh.".repeat(28)),
        ];
        let told: Vec<String> = bad.iter().map(|host| format!("{host:.40} → {}", text(host))).collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn targets_split_at_their_last_colon() {
        assert_eq!(split_target("db:5432"), Some(("db", "5432")));
        assert_eq!(split_target("db:postgresql"), Some(("db", "postgresql")));
        assert_eq!(split_target("[::1]:22"), Some(("::1", "22")));
        assert_eq!(split_target("::1"), None);
        assert_eq!(split_target("[::1]"), None);
        assert_eq!(split_target("db"), None);
    }
}
