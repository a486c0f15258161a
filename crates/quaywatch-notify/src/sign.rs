//! Proof that a request is ours: Standard Webhooks v1, and a simpler signature for receivers that know only that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use quaywatch_core::Secret;
use sha2::Sha256;

/// The start of a secret in the form of Standard Webhooks.
const PREFIX: &str = "whsec_";
/// The shortest secret that is not in that form.
const SHORTEST_PLAIN: usize = 16;

/// A channel's signing secret, in both of its uses.
#[derive(Debug, Clone)]
pub struct SigningSecret {
    text: Secret<String>,
    key: Secret<Vec<u8>>,
}

impl SigningSecret {
    /// Reads a secret: `whsec_` and base64 of 24 to 64 bytes, or any text of at least 16 characters, which is then
    /// used as it stands.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let key = match text.strip_prefix(PREFIX) {
            Some(encoded) => match STANDARD.decode(encoded) {
                Ok(key) if (24..=64).contains(&key.len()) => key,
                Ok(_) => {
                    return Err(
                        "must hold 24 to 64 bytes after `whsec_`: `echo whsec_$(openssl rand -base64 32)`",
                    );
                }
                Err(_) => {
                    return Err("must be base64 after `whsec_`: `echo whsec_$(openssl rand -base64 32)`");
                }
            },
            None if text.chars().count() >= SHORTEST_PLAIN => text.as_bytes().to_vec(),
            None => return Err("is too short: take `echo whsec_$(openssl rand -base64 32)`"),
        };
        Ok(Self { text: Secret::new(text.to_owned()), key: Secret::new(key) })
    }

    /// `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
    #[must_use]
    pub fn v1(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let start = format!("{id}.{timestamp_s}.");
        format!("v1,{}", STANDARD.encode(mac(self.key.reveal(), &[start.as_bytes(), body])))
    }

    /// `sha256=` and lower-case hex of HMAC-SHA256 over the body, keyed with the secret's text as it is shown. Does not
    /// stop replays.
    #[must_use]
    pub fn simple(&self, body: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut out = String::from("sha256=");
        for byte in mac(self.text.reveal().as_bytes(), &[body]) {
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t33_the_check_vector_of_standard_webhooks_holds() {
        let secret = SigningSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a good secret");
        let signature = secret.v1("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_simple_signature_is_plain_hmac_in_hex() {
        // printf '{"a":1}' | openssl dgst -sha256 -hmac 'a secret of some length'
        let secret = SigningSecret::read("a secret of some length").expect("long enough");
        assert_eq!(secret.simple(br#"{"a":1}"#), SIMPLE);
    }

    const SIMPLE: &str = "sha256=763c680f0c1cd88f64a750e65fc4d20cb29fa8ab300f0ba762884f95ede0d52b";

    #[test]
    fn weak_or_broken_secrets_are_refused_with_the_remedy() {
        for bad in ["", "short", "whsec_", "whsec_AAAA", "whsec_***"] {
            assert!(SigningSecret::read(bad).is_err_and(|e| e.contains("openssl")), "{bad}");
        }
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = SigningSecret::read("a secret of some length").expect("long enough");
        assert!(!format!("{secret:?}").contains("some length"));
    }
}
