//! Texts that are as good as a person: whoever holds one is believed. API tokens, sessions, invitations and set-up
//! keys share one form, `qw_` + a letter for the kind + 256 random bits + a checksum, both in base62: found by secret
//! scanners, selected whole by a double click, and told apart from a mistyped one without asking anybody.
//!
//! At rest there is only the SHA-256 of the whole text. A slow hash protects what people can remember; 256 random bits
//! need none.

use std::fmt::Write as _;

use quaywatch_core::Secret;
use sha2::{Digest as _, Sha256};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerKind {
    /// An API token.
    Token,
    /// A person's session, in a cookie.
    Session,
    /// An invitation, in a link.
    Invitation,
    /// The key of the set-up link that a new server prints.
    SetupKey,
}

impl BearerKind {
    const ALL: [Self; 4] = [Self::Token, Self::Session, Self::Invitation, Self::SetupKey];

    const fn letter(self) -> char {
        match self {
            Self::Token => 't',
            Self::Session => 's',
            Self::Invitation => 'i',
            Self::SetupKey => 'k',
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Token => "an API token",
            Self::Session => "a session",
            Self::Invitation => "an invitation",
            Self::SetupKey => "a set-up key",
        }
    }
}

/// Why a text cannot be one of ours; known without looking anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It has another form.
    #[error("it has not the form of one of ours, which begin with `{BEGIN}`")]
    Foreign,
    /// It has our form, but a character is wrong or missing.
    #[error("it is mistyped or cut off: its checksum does not fit")]
    Mistyped,
    /// It is one of ours, for something else.
    #[error("it is {}, not {}", .found.word(), .wanted.word())]
    OtherKind {
        /// What it is.
        found: BearerKind,
        /// What is wanted here.
        wanted: BearerKind,
    },
}

/// A new text, shown once.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) text: Secret<String>,
    /// What is kept of it.
    pub(crate) hash: [u8; 32],
    /// Its first characters, by which people tell theirs apart.
    pub(crate) prefix: String,
}

const BEGIN: &str = "qw_";
/// Base62 digits of 256 bits.
const BODY: usize = 43;
/// Base62 digits of 32 bits.
const CHECKSUM: usize = 6;
/// How much of a text is shown: the beginning and six of 43 random characters.
const SHOWN: usize = 10;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a text from 256 random bits.
pub(crate) fn mint(kind: BearerKind, random: [u8; 32]) -> Minted {
    let mut text = format!("{BEGIN}{}", kind.letter());
    text.push_str(&base62::<BODY>(&random));
    let checksum = checksum(&text);
    text.push_str(&checksum);
    let prefix = text[..SHOWN].to_owned();
    Minted { hash: hash(&text), prefix, text: Secret::new(text) }
}

/// What to look up for a text, if it can be one of that kind at all.
///
/// # Errors
/// [`Misread`], in words for whoever sent it.
pub fn read(wanted: BearerKind, text: &str) -> Result<[u8; 32], Misread> {
    let rest = text.strip_prefix(BEGIN).ok_or(Misread::Foreign)?;
    let letter = rest.chars().next().ok_or(Misread::Mistyped)?;
    let found = BearerKind::ALL.into_iter().find(|kind| kind.letter() == letter).ok_or(Misread::Foreign)?;
    let whole = BEGIN.len() + 1 + BODY + CHECKSUM;
    if text.len() != whole || !text.is_ascii() || !text[BEGIN.len()..].bytes().all(|c| DIGITS.contains(&c)) {
        return Err(Misread::Mistyped);
    }
    let (signed, sum) = text.split_at(whole - CHECKSUM);
    if checksum(signed) != sum {
        return Err(Misread::Mistyped);
    }
    if found == wanted { Ok(hash(text)) } else { Err(Misread::OtherKind { found, wanted }) }
}

/// The hash under which a text is kept.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Bytes in hex, for what is a name and no secret.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes to whoever asks");
    bytes
}

fn checksum(text: &str) -> String {
    base62::<CHECKSUM>(&crc32fast::hash(text.as_bytes()).to_be_bytes())
}

/// A number written big-endian in bytes, in `N` digits of base 62.
fn base62<const N: usize>(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_shows_only_its_beginning() {
        let minted = mint(BearerKind::Token, [0xff; 32]);
        let text = minted.text.reveal();
        // 2^256 - 1 in base 62, the largest body there is.
        assert_eq!(text, "qw_tyhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10KeOMY");
        assert_eq!(text.len(), 53);
        assert_eq!(read(BearerKind::Token, text), Ok(minted.hash));
        assert_eq!(minted.prefix, &text[..10]);
        assert_eq!(format!("{minted:?}").matches(&text[10..]).count(), 0);
    }

    #[test]
    fn every_single_mistyped_character_is_noticed() {
        let minted = mint(BearerKind::Token, random());
        let text = minted.text.reveal();
        for at in 4..text.len() {
            let mut wrong: Vec<u8> = text.bytes().collect();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).expect("still ASCII");
            assert_eq!(read(BearerKind::Token, &wrong), Err(Misread::Mistyped), "at {at}");
        }
        for at in 4..text.len() - 1 {
            let mut wrong: Vec<u8> = text.bytes().collect();
            wrong.swap(at, at + 1);
            let wrong = String::from_utf8(wrong).expect("still ASCII");
            if wrong != *text {
                assert_eq!(read(BearerKind::Token, &wrong), Err(Misread::Mistyped), "swapped at {at}");
            }
        }
        for cut in 4..text.len() {
            assert_eq!(read(BearerKind::Token, &text[..cut]), Err(Misread::Mistyped), "cut to {cut}");
        }
        assert_eq!(read(BearerKind::Token, &format!("{text} ")), Err(Misread::Mistyped));
        assert_eq!(read(BearerKind::Token, &format!("{}é", &text[..51])), Err(Misread::Mistyped));
    }

    #[test]
    fn what_is_something_else_says_what_it_is() {
        let session = mint(BearerKind::Session, [7; 32]);
        let error = read(BearerKind::Token, session.text.reveal()).expect_err("no token");
        assert_eq!(error.to_string(), "it is a session, not an API token");
        for foreign in ["", "hunter2", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "qw_!"] {
            assert_eq!(read(BearerKind::Token, foreign), Err(Misread::Foreign), "{foreign}");
        }
    }

    #[test]
    fn small_numbers_keep_their_leading_zeros() {
        assert_eq!(base62::<6>(&[0, 0, 0, 62]), "000010");
        assert_eq!(base62::<6>(&u32::MAX.to_be_bytes()), "4gfFC3");
    }
}
