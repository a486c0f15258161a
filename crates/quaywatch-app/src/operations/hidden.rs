//! Secrets that checks send: sealed when they come in, opened when they are sent, and shown by name only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use quaywatch_core::doc::Node;
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Hidden, Keeper, Kind, Message, Refusal, sealed_text};
use quaywatch_core::{AccountId, MonitorSpec, Secret};
use sha2::{Digest, Sha256};

use super::OperationError;
use super::refuse::invalid;
use super::sealed::Vault;
use crate::config::is_reference;

/// The setting's name.
pub(crate) const NAME: &str = "send_secret";

/// Takes the secrets of one account's checks in: sealed with the server's key, or as they are sealed already. A
/// reference is refused, since resolving it would read the server's environment for whoever writes a monitor.
#[derive(Clone)]
pub(super) struct Sealing {
    vault: Option<Arc<dyn Vault>>,
    account: AccountId,
    /// What is sealed already, by the digest of what is in it. The same secret stays the same text, so that a document
    /// which is applied twice changes nothing the second time.
    kept: Arc<BTreeMap<[u8; 32], Box<str>>>,
    /// Whether a document is read, which may leave secrets out.
    of_document: bool,
}

impl Sealing {
    pub(super) fn new(vault: Option<Arc<dyn Vault>>, account: AccountId) -> Self {
        Self { vault, account, kept: Arc::default(), of_document: false }
    }

    /// Knows the secrets of these specs again. What does not open is not known.
    pub(super) fn knowing<'s>(mut self, specs: impl Iterator<Item = &'s MonitorSpec>) -> Self {
        let mut kept = BTreeMap::new();
        for sealed in specs.filter_map(hidden_of).filter_map(sealed_of) {
            if let Ok(message) = open(self.vault.as_deref(), self.account, sealed) {
                kept.insert(digest(message.reveal()), sealed.into());
            }
        }
        self.kept = Arc::new(kept);
        self
    }

    /// Reads a document: what it leaves out is looked for afterwards, and references may stand in it for what a file
    /// owns, as exports have them.
    pub(super) fn of_document(self) -> Self {
        Self { of_document: true, ..self }
    }
}

impl Default for Sealing {
    fn default() -> Self {
        Self::new(None, AccountId::DEFAULT)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Keeper for Sealing {
    fn keep(&self, written: &At<'_, '_>) -> Result<Hidden, Refusal> {
        // What is stored comes back when a change is laid over it. Nobody else can name it: it is never shown.
        if let Some(sealed) = sealed_text(written.node).filter(|_| !self.of_document)
            && self.kept.values().any(|kept| **kept == *sealed)
        {
            return Ok(Hidden::Sealed(sealed.into()));
        }
        let text = written.expect_text()?;
        if is_reference(text) {
            if self.of_document {
                return Ok(Hidden::Reference(text.into()));
            }
            let message = format!("`{}` is a reference to a secret, which is not read here", written.key);
            let remedy =
                "send the value itself: it is sealed and never shown again; `\\x24{` stands for `${` itself";
            return Err(Refusal::new("reference", message, remedy));
        }
        let message = Message::read(written.key, text)?;
        if let Some(sealed) = self.kept.get(&digest(&message)) {
            return Ok(Hidden::Sealed(sealed.clone()));
        }
        let no_key = |why: String| {
            let remedy = "try again once the server has its key, or use `send` for what is no secret";
            Refusal::new("no_key", format!("`{}` cannot be sealed: {why}", written.key), remedy)
        };
        let vault = self.vault.as_deref().ok_or_else(|| no_key("this server has no key yet".to_owned()))?;
        let sealed = vault.seal(&place(self.account), &message).map_err(no_key)?;
        Ok(Hidden::Sealed(STANDARD_NO_PAD.encode(sealed).into()))
    }

    fn left_out(&self, _: &At<'_, '_>) -> Result<Option<Hidden>, Refusal> {
        Ok(self.of_document.then_some(Hidden::LeftOut))
    }
}

/// What was sealed for a check of this account.
///
/// # Errors
/// Why it does not open, for people.
pub(crate) fn open(
    vault: Option<&dyn Vault>,
    account: AccountId,
    sealed: &str,
) -> Result<Secret<Box<[u8]>>, String> {
    let vault = vault.ok_or("it is sealed, and there is no key to open it")?;
    let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| "it is damaged: give it again")?;
    vault.open(&place(account), &bytes).map(|clear| Secret::new(clear.into_boxed_slice()))
}

/// How the secret that a monitor sends is kept.
pub(crate) fn hidden_of(spec: &MonitorSpec) -> Option<&Hidden> {
    let Kind::Tcp(tcp) = &spec.kind;
    tcp.send.as_ref().and_then(Message::hidden)
}

fn sealed_of(hidden: &Hidden) -> Option<&str> {
    match hidden {
        Hidden::Sealed(sealed) => Some(sealed),
        Hidden::Reference(_) | Hidden::LeftOut => None,
    }
}

/// Secrets are written, never read: one that was kept while the monitor is led to another target would be told there
/// to whoever changed it. So where the target changes, the secret has to be given again. `given` is what was sent.
pub(super) fn expect_given_again(
    old: &MonitorSpec,
    new: &MonitorSpec,
    given: Option<&Node<'_>>,
) -> Result<(), OperationError> {
    let is_given = given.and_then(|given| given.get(NAME)).is_some_and(|node| !node.is_null());
    if is_given || hidden_of(new).is_none() || old.host_and_port() == new.host_and_port() {
        return Ok(());
    }
    let (message, remedy) = words_of_again(&old.target());
    Err(invalid(NAME, "secret_again", message, remedy))
}

/// The secret was given for that target: what is wrong, and what to do.
pub(super) fn words_of_again(target: &str) -> (String, String) {
    let message = format!("`{NAME}` was given for {target}, which is not the target now");
    let remedy = format!("give `{NAME}` again together with the new target, or take it out");
    (message, remedy)
}

/// Whether a canonical text has a secret.
pub(super) fn is_in(spec: &str) -> bool {
    spec.contains("\"send_secret\":")
}

/// A copy has no part in what the server's file refers to.
pub(super) fn expect_no_reference(old: &MonitorSpec, given: Option<&Node<'_>>) -> Result<(), OperationError> {
    let is_said = given.is_some_and(|given| given.get(NAME).is_some() || given.get("send").is_some());
    match hidden_of(old) {
        Some(Hidden::Reference(_)) if !is_said => {
            let message = format!("`{NAME}` of this monitor is a reference in the server's own file");
            let remedy = format!("send `{NAME}` itself for the copy, or `null` where the copy needs none");
            Err(invalid(NAME, "secret_again", message, remedy))
        }
        Some(_) | None => Ok(()),
    }
}

fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

fn place(account: AccountId) -> String {
    format!("monitor/{account}/send")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use quaywatch_core::doc::{Path, Span, Style, Value};

    use super::*;
    use crate::operations::sealed::tests::Mirror;

    /// As it is kept of this account.
    pub(crate) fn sealed(account: AccountId, clear: &[u8]) -> Hidden {
        let sealed = Mirror.seal(&place(account), clear).expect("it seals everything");
        Hidden::Sealed(STANDARD_NO_PAD.encode(sealed).into())
    }

    fn keep(sealing: &Sealing, text: &str) -> Result<Hidden, Refusal> {
        let value = Value::Scalar(Cow::Borrowed(text), Style::Quoted);
        let node = Node { value, span: Span::default() };
        sealing.keep(&At { node: &node, path: Path::Root.key(NAME), key: NAME })
    }

    #[test]
    fn what_comes_in_is_sealed_for_its_account_and_a_reference_stays_outside() {
        let sealing = Sealing::new(Some(Arc::new(Mirror)), AccountId(7));
        let kept = keep(&sealing, "AUTH hunter2\\r\\n").expect("sealed");
        assert_eq!(kept, sealed(AccountId(7), b"AUTH hunter2\r\n"));
        for reference in ["${HOME}", "file:/etc/passwd", "AUTH ${PW}"] {
            assert_eq!(keep(&sealing, reference).expect_err(reference).code, "reference");
        }
        let literal = keep(&sealing, "a\\x24{b").expect("no reference");
        assert_eq!(literal, sealed(AccountId(7), b"a${b"));
        let none = keep(&Sealing::default(), "hunter2").expect_err("no key");
        assert!(none.code == "no_key" && !none.message.contains("hunter2"), "{none:?}");
    }

    #[test]
    fn a_secret_that_is_known_keeps_its_text_and_a_seal_that_is_not_is_no_seal() {
        let mut spec = MonitorSpec::tcp("x", quaywatch_core::spec::Host::Name("x".into()), 1);
        let Kind::Tcp(tcp) = &mut spec.kind;
        tcp.send = Some(Message::Hidden(sealed(AccountId(7), b"hunter2")));
        let vault = || -> Option<Arc<dyn Vault>> { Some(Arc::new(Mirror)) };
        let knows = Sealing::new(vault(), AccountId(7)).knowing(std::iter::once(&spec));
        assert_eq!(knows.kept.len(), 1);
        let Hidden::Sealed(text) = sealed(AccountId(7), b"hunter2") else { panic!("sealed") };
        let at = |node: &Node<'_>, sealing: &Sealing| {
            sealing.keep(&At { node, path: Path::Root.key(NAME), key: NAME })
        };
        let json = format!(r#"{{"$sealed":"{text}"}}"#);
        let own = Node::from_json(&json).expect("JSON");
        assert_eq!(at(&own, &knows), Ok(Hidden::Sealed(text.clone())));
        assert!(at(&own, &Sealing::new(vault(), AccountId(8))).is_err(), "it says nothing elsewhere");
        assert!(at(&own, &knows.clone().of_document()).is_err(), "documents have no seals");
        // Another account's key opens nothing here.
        let foreign = Sealing::new(vault(), AccountId(8)).knowing(std::iter::once(&spec));
        assert!(foreign.kept.is_empty());
    }
}
