//! The cookie of a session. On HTTPS its name begins with `__Host-`: a browser then takes it only from this very host,
//! over HTTPS, for the whole of it, so that no neighbour under the same domain can plant one.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// The name of the session's cookie.
#[must_use]
pub const fn name(secure: bool) -> &'static str {
    if secure { "__Host-qw" } else { "qw" }
}

/// The secret in the session's cookie.
pub(crate) fn session_of(headers: &HeaderMap, secure: bool) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name(secure))
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// `Set-Cookie` for a session that began.
///
/// # Panics
/// Where the secret holds what no header may: secrets are letters and digits.
#[must_use]
pub fn begin(secret: &str, secure: bool, age: Duration) -> HeaderValue {
    set(secret, secure, age.as_secs())
}

/// `Set-Cookie` for a session that ended.
#[must_use]
pub fn end(secure: bool) -> HeaderValue {
    set("", secure, 0)
}

fn set(value: &str, secure: bool, seconds: u64) -> HeaderValue {
    let name = name(secure);
    let secure = if secure { "; Secure" } else { "" };
    // Lax and not Strict: whoever follows a link from a notice is still signed in. Changes are guarded apart.
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).expect("secrets are letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_https_only_the_hosts_own_cookie_counts() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("qw=planted; __Host-qw=real"));
        assert_eq!(session_of(&headers, true), Some("real"));
        assert_eq!(session_of(&headers, false), Some("planted"));
        assert!(
            begin("x", true, Duration::from_secs(5)).to_str().is_ok_and(|text| text.contains("; Secure"))
        );
    }
}
