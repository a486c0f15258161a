//! Secrets at rest: sealed with a key that does not lie in the database, so that whoever gets a copy of the database
//! alone, or of a backup of it, has none of them.
//!
//! What is sealed is bound to its place: moved into another row it does not open. It names the key it was sealed with,
//! so a key can be replaced: the new one stands in the first line of the key file, older ones follow for as long as
//! something is sealed with them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The key file's name in the data directory.
const FILE: &str = "key";
/// Holds the keys in place of the file.
const VARIABLE: &str = "QUAYWATCH_KEY";
const KEY: usize = 32;
/// version, key id, nonce
const VERSION: u8 = 1;
const ID: usize = 4;
const NONCE: usize = 24;
const HEAD: usize = 1 + ID + NONCE;
/// For whoever reads the file.
const HEADLINE: &str = "# The key that secrets in quaywatch.db are sealed with. Without it they cannot be read: keep a copy\n\
    # apart from the database's.\n";

/// Why something could not be sealed or opened. Names the file and what to do, and holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealError(String);

/// Seals and opens.
pub struct Sealer {
    /// The first one seals, all open.
    keys: Vec<([u8; ID], XChaCha20Poly1305)>,
    /// Of the first one, for what is recognised and never read again.
    print: Zeroizing<[u8; KEY]>,
    /// Where they came from, for errors.
    source: String,
}

impl Sealer {
    /// The keys of a data directory, or of the environment; makes a key where there is none. Only for the server, which
    /// has the directory for itself.
    pub fn open_or_create(data_dir: &Path) -> Result<Self, SealError> {
        if let Some(from_environment) = Self::from_environment()? {
            return Ok(from_environment);
        }
        let path = data_dir.join(FILE);
        if !path.exists() {
            create(&path)
                .map_err(|e| SealError(format!("cannot make the key file {}: {e}", path.display())))?;
        }
        Self::open_file(&path)
    }

    /// As [`Sealer::open_or_create`], but a key that is missing is an error: for commands beside a server.
    pub fn open_existing(data_dir: &Path) -> Result<Self, SealError> {
        match Self::from_environment()? {
            Some(from_environment) => Ok(from_environment),
            None => Self::open_file(&data_dir.join(FILE)),
        }
    }

    fn from_environment() -> Result<Option<Self>, SealError> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.trim().is_empty() => {
                Self::read(&Zeroizing::new(text), format!("the environment variable {VARIABLE}")).map(Some)
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    fn open_file(path: &Path) -> Result<Self, SealError> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(SealError(format!(
                    "there is no key file {shown}: restore it from a backup, or put its key into {VARIABLE}"
                )));
            }
            Err(e) => return Err(SealError(format!("cannot read the key file {shown}: {e}"))),
        };
        if fs::metadata(path).is_ok_and(|file| file.mode() & 0o007 != 0) {
            return Err(SealError(format!("everybody may read the key file {shown}: chmod 600 {shown}")));
        }
        Self::read(&text, format!("the key file {shown}"))
    }

    /// A key a word; lines that begin with `#` are for people.
    fn read(text: &str, source: String) -> Result<Self, SealError> {
        let words = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let (mut keys, mut print) = (Vec::new(), None);
        for word in words {
            let key = STANDARD.decode(word).map(Zeroizing::new).ok().filter(|key| key.len() == KEY);
            let key = key.ok_or_else(|| {
                SealError(format!(
                    "{source} holds something that is no key (32 bytes in base64): restore it from a backup"
                ))
            })?;
            print.get_or_insert_with(|| print_of(&key));
            keys.push((id_of(&key), cipher(&key)));
        }
        let print =
            print.ok_or_else(|| SealError(format!("{source} holds no key: restore it from a backup")))?;
        Ok(Self { keys, print, source })
    }

    /// Seals what may only be opened under the same `place`: `table/id/column` or the like.
    pub fn seal(&self, place: &str, clear: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| SealError(format!("no randomness to seal with: {e}")))?;
        let (id, cipher) = &self.keys[0];
        let payload = Payload { msg: clear, aad: place.as_bytes() };
        let text = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError("too much to be sealed".to_owned()))?;
        let mut sealed = Vec::with_capacity(HEAD + text.len());
        sealed.push(VERSION);
        sealed.extend(id);
        sealed.extend(nonce);
        sealed.extend(text);
        Ok(sealed)
    }

    /// What was sealed under this `place`.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let damaged = || SealError(format!("a sealed value is damaged ({place}): enter it again"));
        let (head, text) = sealed.split_at_checked(HEAD).ok_or_else(damaged)?;
        if head[0] != VERSION {
            return Err(SealError(format!("a newer Quaywatch sealed a value ({place}): use that version")));
        }
        let (id, nonce) = head[1..].split_at(ID);
        let (_, cipher) = self.keys.iter().find(|(known, _)| known == id).ok_or_else(|| {
            SealError(format!(
                "a value ({place}) was sealed with the key {}, which {} does not hold: restore that key from a \
                 backup, or enter the value again",
                hex(id),
                self.source
            ))
        })?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| damaged())?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| damaged())
    }

    /// The fingerprint of something that is only to be recognised when it comes again: HMAC-SHA-256 with a key derived
    /// from the first one, so that who has the database alone cannot try out what it might have been.
    #[must_use]
    pub fn fingerprint(&self, place: &str, clear: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.print.as_slice()).expect("any length of key will do");
        mac.update(&(place.len() as u64).to_be_bytes());
        mac.update(place.as_bytes());
        mac.update(clear);
        mac.finalize().into_bytes().into()
    }

    /// Whether a value was sealed with an older key than the one in force: it should be sealed anew.
    #[must_use]
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=ID) != Some(self.keys[0].0.as_slice())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("source", &self.source).finish_non_exhaustive()
    }
}

fn cipher(key: &[u8]) -> XChaCha20Poly1305 {
    let key: &[u8; KEY] = key.try_into().expect("whoever calls has looked at its length");
    XChaCha20Poly1305::new(<&Key>::from(key))
}

/// The key of fingerprints.
fn print_of(key: &[u8]) -> Zeroizing<[u8; KEY]> {
    let digest = Sha256::new().chain_update(b"quaywatch fingerprints").chain_update(key).finalize();
    Zeroizing::new(digest.into())
}

/// Says which key it is, and nothing else about it.
fn id_of(key: &[u8]) -> [u8; ID] {
    let digest = Sha256::new().chain_update(b"quaywatch key id").chain_update(key).finalize();
    digest[..ID].try_into().expect("a digest is longer")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a key. The file is there whole or not at all: half a key would be worse than none.
fn create(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *key).map_err(io::Error::other)?;
    let text = Zeroizing::new(format!("{HEADLINE}{}\n", STANDARD.encode(key.as_slice())));
    let new: PathBuf = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sealer(keys: &[u8]) -> Sealer {
        let text: Vec<String> = keys.iter().map(|key| STANDARD.encode([*key; KEY])).collect();
        Sealer::read(&text.join("\n"), "the test".to_owned()).expect("keys")
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only_and_is_never_the_same_twice() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal("channel/a1/url", b"PLANTED").expect("sealed");
        assert!(!sealed.windows(7).any(|part| part == b"PLANTED"));
        assert_eq!(sealer.open("channel/a1/url", &sealed).expect("opens").as_slice(), b"PLANTED");
        assert_ne!(sealer.seal("channel/a1/url", b"PLANTED").expect("sealed"), sealed);
        sealer.open("channel/a2/url", &sealed).expect_err("another place");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            sealer.open("channel/a1/url", &bent).expect_err("bent");
        }
        sealer.open("channel/a1/url", &sealed[..HEAD - 1]).expect_err("cut");
    }

    #[test]
    fn a_key_that_was_replaced_still_opens_and_one_that_is_lost_is_named() {
        let sealed = sealer(&[1]).seal("p", b"x").expect("sealed");
        let both = sealer(&[2, 1]);
        assert_eq!(both.open("p", &sealed).expect("opens").as_slice(), b"x");
        assert!(both.is_outdated(&sealed));
        assert!(!both.is_outdated(&both.seal("p", b"x").expect("sealed")));
        let lost = sealer(&[2]).open("p", &sealed).expect_err("lost").to_string();
        assert!(lost.contains("the test") && lost.contains(&hex(&id_of(&[1; KEY]))), "{lost}");
        assert!(lost.contains("restore"), "{lost}");
    }

    #[test]
    fn a_fingerprint_is_the_same_again_and_of_no_use_without_the_key() {
        let print = |keys: &[u8], place: &str, clear: &[u8]| sealer(keys).fingerprint(place, clear);
        assert_eq!(print(&[1], "p", b"x"), print(&[1, 2], "p", b"x"), "the first key makes it");
        for other in [
            print(&[2, 1], "p", b"x"),
            print(&[1], "q", b"x"),
            print(&[1], "p", b"y"),
            print(&[1], "px", b""),
        ] {
            assert_ne!(print(&[1], "p", b"x"), other);
        }
        assert_ne!(print(&[1], "p", b"x"), <[u8; 32]>::from(Sha256::digest(b"x")));
    }

    #[test]
    fn the_key_file_is_made_once_for_its_owner_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let missing = Sealer::open_existing(place.path()).expect_err("none yet").to_string();
        assert!(missing.contains("/key") && missing.contains(VARIABLE), "{missing}");
        let sealed = Sealer::open_or_create(place.path()).expect("made").seal("p", b"x").expect("sealed");
        let path = place.path().join(FILE);
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let again = Sealer::open_or_create(place.path()).expect("there");
        assert_eq!(again.open("p", &sealed).expect("the same key").as_slice(), b"x");
        let held = format!("{again:?}{}", fs::read_to_string(&path).expect("text").lines().count());
        assert!(held.ends_with('3') && !held.contains('='), "{held}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let open = Sealer::open_existing(place.path()).expect_err("everybody's").to_string();
        assert!(open.contains("chmod 600"), "{open}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        for text in ["", "# nothing\n", "c2hvcnQ=\n", "no base64!\n"] {
            fs::write(&path, text).expect("written");
            let refused = Sealer::open_or_create(place.path()).expect_err(text).to_string();
            assert!(refused.contains("/key") && refused.contains("backup"), "{refused}");
        }
    }
}
