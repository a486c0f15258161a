//! Looking once: a target as a person writes it, a spec read by the same reader as the file, a check by the same code
//! as the runner's, and a report. Serves `quaywatch check`, and the Test button of forms later.

use std::borrow::Cow;
use std::path::PathBuf;

use quaywatch_core::doc::{Key, Node, Path, Problems, Span, Style, Value};
use quaywatch_core::spec::Host;
use quaywatch_core::spec::host::split_target;
use quaywatch_core::spec::{Context, Defaults};
use quaywatch_core::{Attempt, ErrorCode, ErrorStatus, Evidence, MonitorSpec, Verdict, reason};
use serde::Serialize;

use crate::config::{References, Sources};

/// The options of a check, by the names of the file, as written. Absent ones have the file's defaults.
pub type Options<'o> = [(&'static str, &'o str)];

/// Reads `host:port`, `[v6]:port` or `host:service` with its options, and reports everything that is wrong.
///
/// # Errors
/// The problems, in the words of the file's reader.
pub fn spec(target: &str, options: &Options<'_>) -> Result<MonitorSpec, Problems> {
    let mut problems = Problems::new();
    if let Some((message, remedy)) = scheme(target) {
        problems.error(&Path::Root, Span::default(), "scheme", message, remedy);
        return Err(problems);
    }
    let Some((host, port)) = split_target(target) else {
        problems.error(
            &Path::Root,
            Span::default(),
            "no_port",
            format!("`{target}` names no port"),
            "write `host:port`, `[v6]:port` or `host:service`, such as `db.example.com:5432` or `[2001:db8::10]:ssh`",
        );
        return Err(problems);
    };
    let mut pairs = vec![pair("name", target, Style::Quoted), pair("host", host, Style::Quoted)];
    pairs.push(pair("port", port, Style::Plain));
    pairs.extend(options.iter().map(|(name, value)| pair(name, value, style(name))));
    let node = Node { value: Value::Mapping(pairs), span: Span::default() };
    let env = |name: &str| std::env::var(name).ok();
    let sources = Sources { env: &env, dir: PathBuf::new() };
    let context = Context { keeper: &References(&sources), ..Context::default() };
    let read = MonitorSpec::read(&node, &Path::Root, &Defaults::default(), &context, &mut problems);
    match read {
        Some(spec) if problems.errors() == 0 => Ok(spec),
        Some(_) | None => Err(problems),
    }
}

/// What is wrong with a pasted `http://db:80`, and what to write instead.
fn scheme(target: &str) -> Option<(String, String)> {
    let (scheme, _) = target.split_once("://")?;
    let found = Host::parse(target).err().and_then(|error| error.split);
    let remedy = match found {
        Some((host, Some(port))) => format!("write `{}`", host.with_port(port)),
        Some((host, None)) => format!("write `{host}:` and the port"),
        None => "write `host:port`".to_owned(),
    };
    Some((format!("`{target}` has a scheme (`{scheme}://`)"), remedy))
}

/// What is always text is never taken for a number.
fn style(name: &str) -> Style {
    if matches!(name, "send" | "send_secret" | "expect") { Style::Quoted } else { Style::Plain }
}

fn pair<'a>(name: &'a str, value: &'a str, style: Style) -> (Key<'a>, Node<'a>) {
    let key = Key { text: Cow::Borrowed(name), span: Span::default() };
    (key, Node { value: Value::Scalar(Cow::Borrowed(value), style), span: Span::default() })
}

/// What a check saw, in the shape of `--output json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// As asked for.
    pub target: String,
    /// `up`, `degraded`, `down`, `unknown` or `blocked`.
    pub status: Verdict,
    /// The public word; `null` when ok.
    pub error_status: Option<&'static str>,
    /// The fine word; `ok` when ok.
    pub error_code: ErrorCode,
    /// One sentence for people.
    pub message: String,
    /// What may be the cause; empty when ok.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cause: &'static str,
    /// What to do first; empty when ok.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// The address that decided.
    pub address: Option<String>,
    /// Handshake time in microseconds.
    pub latency_us: Option<u32>,
    /// Time to resolve the name in microseconds; `null` for literal addresses.
    pub dns_us: Option<u32>,
    /// `half_open` or `full`: what was really done.
    pub handshake: &'static str,
    /// SYNs sent again.
    pub syn_retransmits: u8,
    /// The proof.
    pub evidence: Evidence,
}

/// What a check came to, before it is a report.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The outcome, slowness apart.
    pub code: ErrorCode,
    /// The proof, the deciding attempt first.
    pub evidence: Evidence,
    /// Whether the handshake was completed.
    pub full: bool,
}

/// Puts what was seen into words.
#[must_use]
pub fn report(target: &str, spec: &MonitorSpec, seen: Seen) -> CheckReport {
    let deciding = seen.evidence.deciding();
    let latency_us = deciding.and_then(|attempt| attempt.latency_us);
    let code = slow(spec, seen.code, latency_us);
    let (host, port) = spec.host_and_port();
    CheckReport {
        target: target.to_owned(),
        status: code.verdict(),
        error_status: code.status().map(ErrorStatus::as_str),
        error_code: code,
        message: message(code, latency_us, spec),
        cause: if code == ErrorCode::Ok { "" } else { reason::of(code).cause },
        remedy: if code == ErrorCode::Ok {
            String::new()
        } else {
            reason::remedy(code, &host.to_text(), port)
        },
        address: deciding.map(|attempt: &Attempt| attempt.address.to_string()),
        latency_us,
        dns_us: seen.evidence.dns_us,
        handshake: if seen.full { "full" } else { "half_open" },
        syn_retransmits: deciding.map_or(0, |attempt| attempt.syn_retransmits),
        evidence: seen.evidence,
    }
}

fn slow(spec: &MonitorSpec, code: ErrorCode, latency_us: Option<u32>) -> ErrorCode {
    let over = spec
        .response_time_threshold
        .zip(latency_us)
        .is_some_and(|(threshold, latency)| u128::from(latency) > threshold.as_micros());
    if code == ErrorCode::Ok && over { ErrorCode::TcpSlow } else { code }
}

fn message(code: ErrorCode, latency_us: Option<u32>, spec: &MonitorSpec) -> String {
    match (code, latency_us) {
        (ErrorCode::Ok, Some(us)) => format!("TCP handshake answered in {}", milliseconds(us)),
        (ErrorCode::TcpSlow, Some(us)) => {
            let limit = spec.response_time_threshold.unwrap_or_default();
            format!("TCP handshake took {}, more than {} ms", milliseconds(us), limit.as_millis())
        }
        (code, _) => reason::of(code).sentence.to_owned(),
    }
}

fn milliseconds(us: u32) -> String {
    if us < 1_000 { format!("{us} µs") } else { format!("{}.{:01} ms", us / 1_000, us % 1_000 / 100) }
}

/// The exit status of a check of many targets: the worst by down > unknown, blocked > degraded > up, as monitoring
/// plugins number them (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN).
#[must_use]
pub fn exit_status(verdicts: impl IntoIterator<Item = Verdict>) -> u8 {
    match verdicts.into_iter().map(exit_rank).max().unwrap_or(0) {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => 2,
    }
}

/// The order in which verdicts count for the exit status, the worst highest.
#[must_use]
pub const fn exit_rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Up => 0,
        Verdict::Degraded => 1,
        Verdict::Unknown | Verdict::Blocked => 2,
        Verdict::Down => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port_by_number_or_by_name() {
        let read = |target| spec(target, &[]).expect("a target");
        assert_eq!(read("db.example.com:postgresql").target(), "db.example.com:5432");
        assert_eq!(read("[2001:db8::10]:22").target(), "[2001:db8::10]:22");
        for wrong in ["db.example.com", "2001:db8::10", "db:nosuch", "http://db:80", "db:0", ""] {
            assert!(spec(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pasted_address_of_a_page_is_answered_with_what_to_write() {
        let said = |target| {
            spec(target, &[])
                .expect_err("no target")
                .sorted()
                .iter()
                .map(ToString::to_string)
                .collect::<String>()
        };
        assert!(said("http://db/").ends_with("write `db:80`"), "{}", said("http://db/"));
        assert!(said("https://[2001:db8::1]:8443/x").ends_with("write `[2001:db8::1]:8443`"));
    }

    #[test]
    fn options_are_read_like_the_file() {
        let options = [("timeout", "2s"), ("send", "1"), ("expect", "^OK")];
        assert_eq!(spec("a:1", &options).expect("options").timeout.as_secs(), 2);
        let problems =
            spec("a:1", &[("handshake", "half_open"), ("send", "x")]).expect_err("a contradiction");
        assert!(problems.errors() > 0);
    }

    #[test]
    fn the_worst_target_names_the_exit_status() {
        use Verdict as V;
        assert_eq!(exit_status([V::Up, V::Degraded]), 1);
        assert_eq!(exit_status([V::Degraded, V::Blocked]), 3);
        assert_eq!(exit_status([V::Unknown, V::Down, V::Up]), 2);
        assert_eq!(exit_status([V::Up]), 0);
    }
}
