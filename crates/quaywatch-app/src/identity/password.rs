//! Passwords: which may be chosen, and how they are kept and compared. Argon2id with OWASP's least parameters, two at
//! once at most (19 MiB each), so that a flood of sign-ins takes neither memory nor the cores from the checks.
//!
//! Whether an address has an account must not be told by time either: where there is no hash to compare with, one of
//! nobody's is compared.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use quaywatch_core::Secret;
use tokio::sync::{OnceCell, Semaphore};

use super::bearer;
use super::sign_in::Place;
use crate::operations::OperationError;
use crate::operations::refuse::invalid;

/// At least this many characters.
pub const LEAST: usize = 10;
/// At most this many bytes: more is no better password, only more work.
pub const MOST_BYTES: usize = 1_000;
/// Hashes at once: the memory of each is counted in the server's.
const AT_ONCE: usize = 2;
/// Who may wait for a turn: with 30 ms a hash, the last of them waits about a second.
const WAITING: usize = 64;
/// As many more may wait of those who try from where they are signed in: a crowd of strangers does not take their room.
const WAITING_KNOWN: usize = 16;

/// Hashes and compares.
#[derive(Debug)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    known_waiting: Semaphore,
    /// What is compared for people who are not there.
    nobody: OnceCell<String>,
}

/// What a comparison showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// It is another password.
    Wrong,
    /// It is the one; with a new hash where the stored one was made with weaker parameters.
    Right(Option<String>),
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(WAITING),
            known_waiting: Semaphore::new(WAITING_KNOWN),
            nobody: OnceCell::new(),
        }
    }

    /// The hash to keep, as PHC text.
    pub(super) async fn hash(
        &self,
        password: &Secret<String>,
        place: Place,
    ) -> Result<String, OperationError> {
        let password = password.clone();
        self.turn(place, move || hash(password.reveal().as_bytes())).await
    }

    /// Compares; without a stored hash it takes as long and is wrong.
    pub(super) async fn compare(
        &self,
        password: &Secret<String>,
        stored: Option<String>,
        place: Place,
    ) -> Result<Compared, OperationError> {
        let known = stored.is_some();
        let stored = match stored {
            Some(stored) => stored,
            None => self.nobody().await?,
        };
        let password = password.clone();
        let compared = self.turn(place, move || compare(password.reveal().as_bytes(), &stored)).await?;
        Ok(if known { compared } else { Compared::Wrong })
    }

    async fn nobody(&self) -> Result<String, OperationError> {
        let password = Secret::new(bearer::hex(&bearer::random::<16>()));
        self.nobody.get_or_try_init(|| self.hash(&password, Place::Strange)).await.cloned()
    }

    async fn turn<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OperationError> {
        let room = match place {
            Place::Known => &self.known_waiting,
            Place::Strange => &self.waiting,
        };
        let _waiting = room.try_acquire().map_err(|_| OperationError::Throttled(Duration::from_secs(1)))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("nobody closes this semaphore");
        let work = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that goes away does not make room while the memory is in use.
            let _turn = turn;
            work()
        });
        work.await.map_err(|_| OperationError::Unavailable("the server is shutting down".to_owned()))
    }
}

/// Whether a password may be chosen by whoever is called `email` and `name`; `field` is where it was given.
pub(super) fn check_new(
    field: &str,
    password: &Secret<String>,
    email: &str,
    name: &str,
) -> Result<(), OperationError> {
    let text = password.reveal();
    let refuse = |code, message: String, remedy: &str| Err(invalid(field, code, message, remedy));
    if text.chars().count() < LEAST {
        let message = format!("the password has fewer than {LEAST} characters");
        return refuse("too_short", message, "a few words in a row are easy to remember and hard to guess");
    }
    if text.len() > MOST_BYTES {
        return refuse(
            "too_long",
            format!("the password has more than {MOST_BYTES} bytes"),
            "choose a shorter one",
        );
    }
    let lower = text.to_lowercase();
    let local = email.split('@').next().unwrap_or_default().to_lowercase();
    let tells = |word: &str| !word.is_empty() && lower.trim_matches(|c: char| !c.is_alphabetic()) == word;
    if lower == email.to_lowercase() || tells(&local) || tells(&name.to_lowercase()) {
        let message = "the password is your own name or address".to_owned();
        return refuse("common_password", message, "choose one that says nothing of you");
    }
    if is_common(&lower) {
        let message = "the password is among the first that anybody would try".to_owned();
        return refuse(
            "common_password",
            message,
            "a few words in a row are easy to remember and hard to guess",
        );
    }
    Ok(())
}

/// Words that make up most of the long passwords in published lists; with digits or marks around them, or repeated,
/// they are no better.
const COMMON: [&str; 40] = [
    "abc",
    "abcdef",
    "admin",
    "administrator",
    "asdf",
    "asdfgh",
    "asdfghjkl",
    "baseball",
    "changeme",
    "charlie",
    "computer",
    "default",
    "dragon",
    "football",
    "hello",
    "iloveyou",
    "internet",
    "letmein",
    "liverpool",
    "login",
    "master",
    "michael",
    "monkey",
    "mustang",
    "password",
    "passw",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "quaywatch",
    "qwer",
    "qwerty",
    "qwertyuiop",
    "root",
    "secret",
    "starwars",
    "sunshine",
    "superman",
    "trustno",
    "welcome",
];

fn is_common(lower: &str) -> bool {
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    let plain: String = core.replace('@', "a").replace('$', "s").replace('0', "o");
    let letters = |text: &str| -> String { text.chars().filter(|c| c.is_alphabetic()).collect() };
    let (bare, plain) = (letters(lower), letters(&plain));
    few_characters(lower)
        || in_a_row(lower)
        || bare.is_empty()
        || [bare, plain].iter().any(|letters| COMMON.iter().any(|word| is_only(letters, word)))
}

/// `word`, or `word` again and again.
fn is_only(letters: &str, word: &str) -> bool {
    !letters.is_empty() && letters.len().is_multiple_of(word.len()) && letters.replace(word, "").is_empty()
}

/// `aaaaaaaaaa`, `ababababab`.
fn few_characters(text: &str) -> bool {
    let mut seen: Vec<char> = text.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len() < 4
}

/// `abcdefghij`, `9876543210`.
fn in_a_row(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps = |by: i64| codes.windows(2).filter(|pair| pair[1] - pair[0] == by).count();
    let most = codes.len().saturating_sub(2);
    steps(1) >= most || steps(-1) >= most
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn hash(password: &[u8]) -> String {
    argon2()
        .hash_password_with_salt(password, &bearer::random::<16>())
        .expect("the parameters are valid and a password is shorter than 4 GiB")
        .to_string()
}

fn compare(password: &[u8], stored: &str) -> Compared {
    let Ok(parsed) = PasswordHash::new(stored) else { return Compared::Wrong };
    if argon2().verify_password(password, &parsed).is_err() {
        return Compared::Wrong;
    }
    Compared::Right(is_weaker(&parsed).then(|| hash(password)))
}

fn is_weaker(stored: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(stored) else { return true };
    let now = Params::DEFAULT;
    stored.algorithm != Algorithm::Argon2id.ident()
        || params.m_cost() < now.m_cost()
        || params.t_cost() < now.t_cost()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::new();
        let stored = passwords.hash(&secret("tugboats at dawn"), Place::Strange).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        for (text, compared) in
            [("tugboats at dawn", Compared::Right(None)), ("tugboats at dusk", Compared::Wrong)]
        {
            let found = passwords
                .compare(&secret(text), Some(stored.clone()), Place::Strange)
                .await
                .expect("compared");
            assert_eq!(found, compared, "{text}");
        }
        let nobody =
            passwords.compare(&secret("tugboats at dawn"), None, Place::Strange).await.expect("compared");
        assert_eq!(nobody, Compared::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_made_anew() {
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).expect("valid"));
        let stored = weak.hash_password_with_salt(b"tugboats at dawn", &[1; 16]).expect("hashed").to_string();
        let passwords = Passwords::new();
        let compared = passwords
            .compare(&secret("tugboats at dawn"), Some(stored), Place::Strange)
            .await
            .expect("compared");
        let Compared::Right(Some(new)) = compared else { panic!("{compared:?}") };
        assert!(new.contains("m=19456,t=2"), "{new}");
        let again = passwords
            .compare(&secret("tugboats at dawn"), Some(new), Place::Strange)
            .await
            .expect("compared");
        assert_eq!(again, Compared::Right(None));
    }

    #[test]
    fn what_anybody_would_try_first_is_refused() {
        let code =
            |text: &str| match check_new("password", &secret(text), "kim.marsh@example.com", "Kim Marsh") {
                Ok(()) => None,
                Err(OperationError::Invalid(problems)) => problems.iter().next().map(|problem| problem.code),
                Err(other) => panic!("{other}"),
            };
        for text in ["short", "nine char"] {
            assert_eq!(code(text), Some("too_short"), "{text}");
        }
        for text in [
            "1234567890",
            "password123",
            "P@ssw0rd2026!",
            "qwertyuiop",
            "aaaaaaaaaa",
            "abcdefghijk",
            "passwordpassword",
            "administrator1",
            "kim.marsh@example.com",
            "Kim Marsh 1",
            "kim.marsh99",
            "0987654321",
            "abcabcabcabc",
            "20261121-1335",
        ] {
            assert_eq!(code(text), Some("common_password"), "{text}");
        }
        assert_eq!(code(&"é".repeat(501)), Some("too_long"));
        for text in ["tugboats at dawn", "vYx7#kQ2pLm", "четыре старых якоря"] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_sent_away_instead_of_kept_waiting() {
        let passwords = Arc::new(Passwords::new());
        let _turns = passwords.turns.acquire_many(AT_ONCE as u32).await.expect("open");
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.hash(&secret("tugboats at dawn"), Place::Strange).await })
            })
            .collect();
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let sent_away = passwords.hash(&secret("tugboats at dawn"), Place::Strange).await;
        assert!(matches!(sent_away, Err(OperationError::Throttled(_))), "{sent_away:?}");
        let known = Arc::clone(&passwords);
        let known = tokio::spawn(async move { known.hash(&secret("tugboats at dawn"), Place::Known).await });
        while passwords.known_waiting.available_permits() == WAITING_KNOWN {
            assert!(!known.is_finished(), "who is known here is sent away by a crowd of strangers");
            tokio::task::yield_now().await;
        }
        known.abort();
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
