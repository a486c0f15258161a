//! `/metrics` in the Prometheus text format, version 0.0.4.
//!
//! Off loopback it asks for the token of `metrics.token`: targets and their names are nobody else's business. What a
//! proxy on this machine passes on comes from loopback too, and is not of this machine: it is known by its headers.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quaywatch_app::observe::{Family, Observatory, Reading, Wanted};
use quaywatch_core::meter::{BOUNDS_US, HistogramReading};

use crate::listener::Peer;

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Parameters {
    monitor: Option<String>,
}

pub(crate) async fn show(
    State(observatory): State<Arc<Observatory>>,
    Query(parameters): Query<Parameters>,
    axum::Extension(Peer(peer)): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let is_local = peer.is_loopback() && !is_passed_on(&headers);
    if !is_local && !has_token(&observatory, &headers) {
        let remedy = "metrics are shown to loopback, or with `Authorization: Bearer` and the token of \
                      `server.metrics.token`\n";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], remedy).into_response();
    }
    let families = observatory.families(&Wanted { monitor: parameters.monitor }).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&families)).into_response()
}

/// Whether a proxy says that it speaks for somebody else, trusted or not: who lies here is only asked for more.
fn is_passed_on(headers: &HeaderMap) -> bool {
    let is_of_proxies =
        |name: &str| matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-");
    headers.keys().any(|name| is_of_proxies(name.as_str()))
}

fn has_token(observatory: &Observatory, headers: &HeaderMap) -> bool {
    let token = observatory.metrics_token.read().expect("no holder of this lock panics");
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match (token.as_ref(), given) {
        (Some(wanted), Some(given)) => {
            equal_in_constant_time(wanted.reveal().as_bytes(), given.trim().as_bytes())
        }
        (None, _) | (_, None) => false,
    }
}

/// Takes the same time wherever two texts of equal length differ, so that a token cannot be guessed byte by byte.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

fn render(families: &[Family]) -> String {
    let mut text = String::with_capacity(families.len() * 256);
    for family in families {
        let Some(first) = family.samples.first() else { continue };
        let (kind, suffix) = match first.reading {
            Reading::Counter(_) => ("counter", "_total"),
            Reading::Gauge(_) => ("gauge", ""),
            Reading::Histogram(_) => ("histogram", ""),
        };
        let name = family.name;
        let _ = writeln!(text, "# HELP {name}{suffix} {}\n# TYPE {name}{suffix} {kind}", family.help);
        for sample in &family.samples {
            match &sample.reading {
                Reading::Counter(value) => line(&mut text, name, suffix, &sample.labels, None, *value),
                Reading::Gauge(value) => line(&mut text, name, suffix, &sample.labels, None, *value),
                Reading::Histogram(reading) => histogram(&mut text, name, &sample.labels, reading),
            }
        }
    }
    text
}

type Labels = [(&'static str, String)];

fn line(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &Labels,
    bound: Option<&str>,
    value: impl std::fmt::Display,
) {
    text.push_str(name);
    text.push_str(suffix);
    let mut separator = '{';
    for (label, value) in labels.iter().map(|(l, v)| (*l, v.as_str())).chain(bound.map(|b| ("le", b))) {
        let _ = write!(text, "{separator}{label}=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

fn histogram(text: &mut String, name: &str, labels: &Labels, reading: &HistogramReading) {
    let mut below = 0;
    for (count, bound) in reading.buckets.iter().zip(BOUNDS_US) {
        below += count;
        line(text, name, "_bucket", labels, Some(&seconds(bound).to_string()), below);
    }
    line(text, name, "_bucket", labels, Some("+Inf"), reading.count());
    line(text, name, "_sum", labels, None, seconds(reading.sum_us));
    line(text, name, "_count", labels, None, reading.count());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric in seconds needs no more than 53 bits of microseconds"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use quaywatch_core::meter::Histogram;

    use super::*;

    #[test]
    fn what_a_proxy_passes_on_is_not_local() {
        let headers = |name: &'static str| {
            HeaderMap::from_iter([(name.parse().expect("a name"), "x".parse().expect("a value"))])
        };
        for name in ["x-forwarded-for", "X-Forwarded-Proto", "forwarded", "via", "x-real-ip"] {
            assert!(is_passed_on(&headers(name)), "{name}");
        }
        assert!(!is_passed_on(&headers("user-agent")));
    }

    #[test]
    fn the_text_format_names_types_escapes_labels_and_cumulates_buckets() {
        let spread = Histogram::default();
        spread.observe_us(60);
        spread.observe_us(200_000_000);
        let families = [
            Family::by("quaywatch_results", "Results.", "code", [("ok".to_owned(), Reading::Counter(7))]),
            Family::by(
                "probe_success",
                "1 if up.",
                "monitor",
                [("a \"b\"\\\n".to_owned(), Reading::Gauge(1.0))],
            ),
            Family::single("quaywatch_x_seconds", "X.", Reading::Histogram(Box::new(spread.read()))),
        ];
        let text = render(&families);
        assert!(
            text.contains("# TYPE quaywatch_results_total counter\nquaywatch_results_total{code=\"ok\"} 7\n")
        );
        assert!(text.contains("probe_success{monitor=\"a \\\"b\\\"\\\\\\n\"} 1\n"));
        assert!(text.contains("quaywatch_x_seconds_bucket{le=\"0.00005\"} 0\n"));
        assert!(text.contains("quaywatch_x_seconds_bucket{le=\"120\"} 1\n"));
        assert!(text.contains("quaywatch_x_seconds_bucket{le=\"+Inf\"} 2\n"));
        assert!(text.contains("quaywatch_x_seconds_count 2\n"));
    }

    #[test]
    fn a_token_is_compared_whole() {
        assert!(equal_in_constant_time(b"abc", b"abc"));
        assert!(!equal_in_constant_time(b"abc", b"abd") && !equal_in_constant_time(b"abc", b"ab"));
    }
}
