//! What an attempt's outcome means: a closed set of classes, each with one consequence.
//!
//! Getting a class wrong either loses an alert (a passing fault taken for a final one) or hammers a receiver (the
//! reverse), so the rules are a pure function with a test for each.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use quaywatch_core::Timestamp;

use crate::Outcome;
use crate::clean;
use crate::wire::{Answer, Fault, WireError};

/// The longest that a receiver's "try again later" is obeyed.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How much of an answer is kept in the delivery log.
pub const ANSWER_BYTES: usize = 4_096;

/// What an attempt's outcome means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The receiver has it.
    Sent,
    /// It may work the next time.
    Transient,
    /// The receiver wants to be left alone for a while; no attempt is used up.
    Limited,
    /// The connection was lost after the request was written: the receiver may have it.
    Unknown,
    /// The receiver rejects the form: once more, shorter, then never.
    Payload,
    /// This one recipient is gone.
    Recipient,
    /// The receiver does not accept our credentials.
    Credentials,
    /// The settings are wrong: another address, a redirect, forbidden.
    Config,
    /// The receiver is gone for good.
    Gone,
    /// The egress policy forbids the address.
    RefusedByPolicy,
    /// Given up: too old.
    Expired,
}

impl Class {
    /// Every class.
    pub const ALL: &[Self] = &[
        Self::Sent,
        Self::Transient,
        Self::Limited,
        Self::Unknown,
        Self::Payload,
        Self::Recipient,
        Self::Credentials,
        Self::Config,
        Self::Gone,
        Self::RefusedByPolicy,
        Self::Expired,
    ];

    /// The word as written in logs, metrics and the delivery log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Transient => "transient",
            Self::Limited => "limited",
            Self::Unknown => "unknown",
            Self::Payload => "payload",
            Self::Recipient => "recipient",
            Self::Credentials => "credentials",
            Self::Config => "config",
            Self::Gone => "gone",
            Self::RefusedByPolicy => "refused_by_policy",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outcome of a plain HTTP delivery, where the status alone decides.
#[must_use]
pub fn classify(result: &Result<Answer, WireError>, now: Timestamp) -> Outcome {
    match result {
        Ok(answer) => {
            let class = by_status(answer.status);
            let mut outcome = Outcome::new(class, answer_text(answer));
            if class == Class::Limited {
                outcome.retry_after = retry_after(&answer.headers, now);
            }
            outcome
        }
        Err(error) => Outcome::new(by_fault(error), clean::line(&error.text, ANSWER_BYTES)),
    }
}

fn by_status(status: StatusCode) -> Class {
    match status.as_u16() {
        200..=299 => Class::Sent,
        400 | 405 | 406 | 411 | 413 | 415 | 422 | 431 => Class::Payload,
        401 => Class::Credentials,
        300..=399 | 402 | 403 | 404 | 407 => Class::Config,
        408 | 425 => Class::Transient,
        410 => Class::Gone,
        429 => Class::Limited,
        400..=499 => Class::Config,
        // 5xx, and codes that nobody has defined.
        _ => Class::Transient,
    }
}

const fn by_fault(error: &WireError) -> Class {
    match error.fault {
        Fault::Policy => Class::RefusedByPolicy,
        Fault::Settings => Class::Config,
        Fault::BeforeRequest => Class::Transient,
        Fault::AfterRequest => Class::Unknown,
    }
}

fn answer_text(answer: &Answer) -> String {
    let body = clean::line(&String::from_utf8_lossy(&answer.body), ANSWER_BYTES - 8);
    if body.is_empty() {
        answer.status.as_u16().to_string()
    } else {
        format!("{} {body}", answer.status.as_u16())
    }
}

/// How long the receiver wants to be left alone: `Retry-After` as seconds or as a date, or `X-RateLimit-Reset-After`.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let from = |name| text(name).and_then(|text| seconds(text).or_else(|| until_date(text, now)));
    from("retry-after").or_else(|| from("x-ratelimit-reset-after")).map(|wait| wait.min(LONGEST_WAIT))
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn until_date(text: &str, now: Timestamp) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp(date.as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &str)]) -> Outcome {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header value"));
        }
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: map,
            body: Bytes::from_static(b"say\r\nwhat"),
        };
        classify(&Ok(answer), Timestamp::from_secs(1_777_652_100))
    }

    fn failed(fault: Fault) -> Class {
        classify(&Err(WireError { fault, text: "lost".into() }), Timestamp(0)).class
    }

    #[test]
    fn every_rule_of_the_table_has_its_class() {
        let cases = [
            (200, Class::Sent),
            (202, Class::Sent),
            (204, Class::Sent),
            (301, Class::Config),
            (302, Class::Config),
            (400, Class::Payload),
            (401, Class::Credentials),
            (403, Class::Config),
            (404, Class::Config),
            (408, Class::Transient),
            (410, Class::Gone),
            (413, Class::Payload),
            (418, Class::Config),
            (422, Class::Payload),
            (425, Class::Transient),
            (429, Class::Limited),
            (500, Class::Transient),
            (503, Class::Transient),
            (599, Class::Transient),
        ];
        for (status, class) in cases {
            assert_eq!(answered(status, &[]).class, class, "{status}");
        }
        assert_eq!(failed(Fault::BeforeRequest), Class::Transient);
        assert_eq!(failed(Fault::AfterRequest), Class::Unknown);
        assert_eq!(failed(Fault::Policy), Class::RefusedByPolicy);
        assert_eq!(failed(Fault::Settings), Class::Config);
    }

    #[test]
    fn a_limit_is_read_in_every_form_and_capped() {
        let wait = |headers: &[(&'static str, &str)]| answered(429, headers).retry_after;
        assert_eq!(wait(&[("retry-after", "17")]), Some(Duration::from_secs(17)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(wait(&[("retry-after", "Fri, 01 May 2026 16:15:30 GMT")]), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[("x-ratelimit-reset-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", "86400")]), Some(LONGEST_WAIT));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-4")]), None);
        assert_eq!(answered(503, &[("retry-after", "17")]).retry_after, None);
    }

    #[test]
    fn the_answer_is_one_clean_line() {
        assert_eq!(answered(500, &[]).answer, "500 say what");
    }
}
