//! The second factor: codes by time (RFC 6238, as every app makes them: SHA-1, six digits, thirty seconds), and ten
//! recovery codes for the day on which the phone is lost. A code is taken once: the step of the last one is kept, and
//! nothing at or before it is believed again.

use quaywatch_core::{Secret, Timestamp};
use totp_rs::{Builder, Totp};

use super::bearer;

/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 10;
/// Who the code is for, as apps show it.
const ISSUER: &str = "Quaywatch";
/// Letters and digits that nobody takes for one another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Code {
    /// Six digits of an app.
    Timed(String),
    /// A recovery code, by its hash.
    Recovery([u8; 32]),
    /// Neither.
    Neither,
}

/// Reads a code as people type and paste them: with spaces, dashes, capital letters.
pub(super) fn read(typed: &str) -> Code {
    let bare: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect();
    if bare.len() == 6 && bare.bytes().all(|c| c.is_ascii_digit()) {
        Code::Timed(bare)
    } else if bare.len() == 16 && bare.bytes().all(|c| LETTERS.contains(&c)) {
        Code::Recovery(bearer::hash(&bare))
    } else {
        Code::Neither
    }
}

/// A new secret of 160 bits, as RFC 4226 recommends.
pub(super) fn new_secret() -> Secret<Vec<u8>> {
    Secret::new(bearer::random::<20>().to_vec())
}

/// The secret as people type it, and as a link for a QR code.
pub(super) fn enrolment(secret: &Secret<Vec<u8>>, email: &str) -> Option<(Secret<String>, Secret<String>)> {
    let totp = totp(secret, email)?;
    Some((Secret::new(totp.secret().to_base32()), Secret::new(totp.to_url().ok()?)))
}

/// The step that a code is right for, one step early or late allowed; `last` is the step of the last one used.
pub(super) fn matching_step(
    secret: &Secret<Vec<u8>>,
    code: &str,
    now: Timestamp,
    last: Option<i64>,
) -> Option<i64> {
    let totp = totp(secret, "somebody")?;
    let step = totp.check(code, u64::try_from(now.secs()).ok()?)?;
    let step = i64::try_from(step).ok()?;
    last.is_none_or(|last| step > last).then_some(step)
}

/// Ten recovery codes of 80 bits, in four groups of four, and what is kept of them.
pub(super) fn new_recovery_codes() -> (Vec<Secret<String>>, Vec<[u8; 32]>) {
    (0..RECOVERY_CODES)
        .map(|_| {
            let bare: String = bearer::random::<16>()
                .iter()
                .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
                .collect();
            let shown = [&bare[..4], &bare[4..8], &bare[8..12], &bare[12..]].join("-");
            (Secret::new(shown), bearer::hash(&bare))
        })
        .unzip()
}

fn totp(secret: &Secret<Vec<u8>>, email: &str) -> Option<Totp> {
    Builder::new()
        .with_secret(secret.reveal().as_slice())
        .with_account_name(email.replace(':', "."))
        .with_issuer(Some(ISSUER))
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret<Vec<u8>> {
        Secret::new(b"12345678901234567890".to_vec())
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits.
        for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            let step = matching_step(&secret(), code, Timestamp::from_secs(at), None);
            assert_eq!(step, Some(at / 30), "at {at}");
        }
    }

    #[test]
    fn a_code_is_believed_once_and_within_a_step() {
        let at = Timestamp::from_secs(1_111_111_109);
        let step = matching_step(&secret(), "081804", at, None).expect("right");
        assert_eq!(matching_step(&secret(), "081804", at, Some(step)), None, "replayed");
        assert_eq!(matching_step(&secret(), "081804", at, Some(step - 1)), Some(step));
        let later = |s: i64| Timestamp::from_secs(1_111_111_109 + s);
        assert_eq!(matching_step(&secret(), "081804", later(30), None), Some(step), "one step late");
        assert_eq!(matching_step(&secret(), "081804", later(62), None), None, "two steps late");
        assert_eq!(matching_step(&secret(), "081804", later(-60), None), None, "two steps early");
        assert_eq!(matching_step(&secret(), "081805", at, None), None);
    }

    #[test]
    fn apps_get_a_link_that_names_server_and_person() {
        let (typed, link) = enrolment(&secret(), "kim@example.com").expect("made");
        assert_eq!(typed.reveal(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let link = link.reveal();
        assert!(link.starts_with("otpauth://totp/Quaywatch:kim%40example.com?"), "{link}");
        assert!(link.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{link}");
        assert!(link.contains("issuer=Quaywatch"), "{link}");
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(read(" 287 082\n"), Code::Timed("287082".to_owned()));
        let (shown, kept) = new_recovery_codes();
        assert_eq!(shown.len(), RECOVERY_CODES);
        for (shown, kept) in shown.iter().zip(kept) {
            assert_eq!(read(shown.reveal()), Code::Recovery(kept));
            assert_eq!(read(&shown.reveal().replace('-', " ").to_uppercase()), Code::Recovery(kept));
        }
        for typed in ["", "28708", "2870821", "١٢٣٤٥٦", "abcd-efgh-jkmn-pqr0"] {
            assert_eq!(read(typed), Code::Neither, "{typed}");
        }
    }
}
