//! Opens the secrets that checks send, in memory and at the moment they are sent: what is sealed with the server's
//! key, references from the server's environment and files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use quaywatch_core::spec::Hidden;
use quaywatch_core::{AccountId, Opener, Secret};

use crate::config::Sources;
use crate::operations::hidden;
use crate::operations::sealed::Vault;

type Opened = Result<Secret<Box<[u8]>>, String>;

/// Secrets that do not open are told in the log once, and no more of them than this until the next configuration.
const TOLD: usize = 1_000;

/// Where secrets of checks come from.
pub(crate) struct Secrets {
    vault: Option<Arc<dyn Vault>>,
    env: fn(&str) -> Option<String>,
    /// Where `file:` references with relative paths begin.
    directory: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Counts configurations: what began to resolve under an older one is not kept.
    generation: u64,
    /// References, as they resolved when they were first needed: a check must not wait for a disk each time. One that
    /// did not resolve is tried again by the next check.
    resolved: BTreeMap<Box<str>, Secret<Box<[u8]>>>,
    /// What was told.
    told: BTreeSet<Hidden>,
}

impl Secrets {
    /// Of a server with this key and a configuration in this directory; without a key only references open.
    pub(crate) fn new(vault: Option<Arc<dyn Vault>>, directory: PathBuf) -> Self {
        Self { vault, env: |name| std::env::var(name).ok(), directory, seen: Mutex::default() }
    }

    /// References are resolved anew: a secret may have changed where its reference did not.
    pub(crate) fn forget(&self) {
        let mut seen = self.seen();
        *seen = Seen { generation: seen.generation + 1, ..Seen::default() };
    }

    fn resolve(&self, text: &str) -> Opened {
        let generation = {
            let seen = self.seen();
            if let Some(known) = seen.resolved.get(text) {
                return Ok(known.clone());
            }
            seen.generation
        };
        let sources = Sources { env: &self.env, dir: self.directory.clone() };
        let opened = sources.message(hidden::NAME, text).map_err(|refusal| refusal.message)?;
        let mut seen = self.seen();
        if seen.generation == generation {
            seen.resolved.insert(text.into(), opened.clone());
        }
        Ok(opened)
    }

    fn tell(&self, account: AccountId, hidden: &Hidden, why: &str) {
        let mut seen = self.seen();
        if seen.told.len() < TOLD && seen.told.insert(hidden.clone()) {
            tracing::error!(%account, %why, "the secret that a check sends cannot be had: it does not check");
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opener for Secrets {
    fn open(&self, account: AccountId, hidden: &Hidden) -> Opened {
        let opened = match hidden {
            Hidden::Sealed(sealed) => hidden::open(self.vault.as_deref(), account, sealed),
            // Files belong to the first account; a reference of another would read what is not its own.
            Hidden::Reference(text) if account == AccountId::DEFAULT => self.resolve(text),
            Hidden::Reference(_) => Err("only the server's own file may refer to its secrets".to_owned()),
            Hidden::LeftOut => Err("it was left out, and never given".to_owned()),
        };
        if let Err(why) = &opened {
            self.tell(account, hidden, why);
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::sealed::tests::Mirror;

    fn secrets(directory: &std::path::Path) -> Secrets {
        Secrets {
            env: |name| (name == "PW").then(|| "hunter2".to_owned()),
            ..Secrets::new(Some(Arc::new(Mirror)), directory.to_owned())
        }
    }

    #[test]
    fn references_open_for_the_file_alone_and_anew_after_each_configuration() {
        let directory = tempfile::tempdir().expect("a directory");
        let secrets = secrets(directory.path());
        let reference = |text: &str| Hidden::Reference(text.into());
        let opened = secrets.open(AccountId::DEFAULT, &reference("AUTH ${PW}")).expect("set");
        assert_eq!(&**opened.reveal(), b"AUTH hunter2");
        secrets.open(AccountId(2), &reference("AUTH ${PW}")).expect_err("another account's");
        secrets.open(AccountId::DEFAULT, &Hidden::LeftOut).expect_err("nothing");

        let file = directory.path().join("hush");
        std::fs::write(&file, "one").expect("written");
        let open = || secrets.open(AccountId::DEFAULT, &reference("file:hush")).map(|s| s.reveal().to_vec());
        assert_eq!(open().as_deref(), Ok(&b"one"[..]));
        std::fs::write(&file, "two").expect("written");
        assert_eq!(open().as_deref(), Ok(&b"one"[..]), "no check waits for the disk");
        secrets.forget();
        assert_eq!(open().as_deref(), Ok(&b"two"[..]));
        std::fs::remove_file(&file).expect("removed");
        secrets.forget();
        open().expect_err("gone");
        std::fs::write(&file, "three").expect("written");
        assert_eq!(open().as_deref(), Ok(&b"three"[..]), "what failed once is tried again");
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_account() {
        let directory = tempfile::tempdir().expect("a directory");
        let secrets = secrets(directory.path());
        let sealed = hidden::tests::sealed(AccountId(2), b"AUTH hunter2");
        let opened = secrets.open(AccountId(2), &sealed).expect("its own");
        assert_eq!(&**opened.reveal(), b"AUTH hunter2");
        let why = secrets.open(AccountId::DEFAULT, &sealed).expect_err("another's");
        assert!(!why.contains("hunter2"), "{why}");
        let none = Secrets::new(None, directory.path().to_owned());
        none.open(AccountId(2), &sealed).expect_err("no key");
    }
}
