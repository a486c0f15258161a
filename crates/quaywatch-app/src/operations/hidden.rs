//! Secrets that checks send: sealed when they come in, opened when they are sent, and shown by name only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use quaywatch_core::doc::Style;
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Hidden, Keeper, Kind, Message, Refusal, sealed_text};
use quaywatch_core::{AccountId, BootTime, MonitorSpec, Secret};

use super::OperationError;
use super::refuse::invalid;
use super::sealed::Vault;
use crate::config::is_reference;

/// The setting's name.
pub(crate) const NAME: &str = "send_secret";

/// Takes the secrets of one account's checks in, each sealed anew. A reference is refused, since resolving it would read
/// the server's environment for whoever writes a monitor.
#[derive(Clone)]
pub(super) struct Sealing {
    vault: Option<Arc<dyn Vault>>,
    account: AccountId,
    /// The seal that comes back where a change says nothing of the secret.
    kept: Option<Box<str>>,
    /// Whether a document is read, which may leave secrets out.
    of_document: bool,
    guesses: Guesses,
}

impl Sealing {
    pub(super) fn new(vault: Option<Arc<dyn Vault>>, account: AccountId) -> Self {
        Self { vault, account, kept: None, of_document: false, guesses: Guesses::default() }
    }

    /// Lets the seal of this spec come back as it is, whether it opens or not: for changes that say nothing of it.
    pub(super) fn keeping(self, stored: &MonitorSpec) -> Self {
        Self { kept: hidden_of(stored).and_then(sealed_of).map(Into::into), ..self }
    }

    /// Counts what is compared and differs.
    pub(super) fn counting(self, guesses: &Guesses) -> Self {
        Self { guesses: guesses.clone(), ..self }
    }

    /// Reads a document: what it leaves out is looked for afterwards, and references may stand in it for what a file
    /// owns, as exports have them.
    pub(super) fn of_document(self) -> Self {
        Self { of_document: true, ..self }
    }

    /// Whether this seal holds what that one does, so that it need not be exchanged. One of an older key is better
    /// exchanged: else that key could never be put away.
    ///
    /// Whoever brings documents learns from the answer whether they know a secret. So an account has few wrong answers an
    /// hour; after these nothing is compared, and everything that is given counts as another secret.
    pub(super) fn stands_for(&self, stored: &Hidden, given: &Hidden, now: BootTime) -> bool {
        let (Some(stored), Some(given)) = (sealed_of(stored), sealed_of(given)) else { return false };
        let vault = self.vault.as_deref();
        let is_outdated = |sealed: &str| {
            let bytes = STANDARD_NO_PAD.decode(sealed).unwrap_or_default();
            vault.is_none_or(|vault| vault.is_outdated(&bytes))
        };
        if !self.guesses.may_compare(self.account, now) {
            return false;
        }
        match (open(vault, self.account, stored), open(vault, self.account, given)) {
            (Ok(one), Ok(other)) if one == other => !is_outdated(stored),
            (Ok(_), Ok(_)) => {
                self.guesses.was_wrong(self.account, now);
                false
            }
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

/// Comparisons of an account in an hour that may come out wrong: documents in which many passwords change are rare, and
/// what is not compared is only sealed anew.
const WRONG_AN_HOUR: u32 = 60;
const HOUR: Duration = Duration::from_secs(3_600);

/// How often accounts were told that a secret is another one, and since when it is counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guesses(Arc<Mutex<BTreeMap<AccountId, (u32, BootTime)>>>);

impl Guesses {
    fn may_compare(&self, account: AccountId, now: BootTime) -> bool {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.get(&account).is_some_and(|(_, since)| now.since(*since) >= HOUR) {
            wrong.remove(&account);
        }
        wrong.get(&account).is_none_or(|(count, _)| *count < WRONG_AN_HOUR)
    }

    fn was_wrong(&self, account: AccountId, now: BootTime) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.entry(account).or_insert((0, now)).0 += 1;
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
        if let Some(sealed) = sealed_text(written.node).filter(|sealed| self.kept.as_deref() == Some(*sealed))
        {
            return Ok(Hidden::Sealed(sealed.into()));
        }
        let text = written.expect_text()?;
        if !self.of_document && !matches!(written.scalar(), Some((_, Style::Quoted))) {
            let message = format!("`{}` must be a text, not {}", written.key, written.node.describe());
            return Err(Refusal::new("wrong_type", message, "send it in quotes"));
        }
        if is_reference(text) {
            if self.of_document {
                return Ok(Hidden::Reference(text.into()));
            }
            let message = format!("`{}` is a reference to a secret, which is not read here", written.key);
            let remedy =
                "send the value itself: it is sealed and never shown again; `\\x24{` stands for `${` itself";
            return Err(Refusal::new("reference", message, remedy));
        }
        let message = Message::read_secret(written.key, text)?;
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

/// Secrets are written, never read. One that was kept while the monitor is led to another target would be told there to
/// whoever changed it; kept under another `expect`, a target that repeats what it is told would answer questions about
/// it, one at a time. So a secret that is kept belongs to both: whoever changes them has to give it again.
pub(super) fn expect_given_again(old: &MonitorSpec, new: &MonitorSpec) -> Result<(), OperationError> {
    if hidden_of(new).is_none() || is_asked_alike(old, new) {
        return Ok(());
    }
    let (message, remedy) = words_of_again(&old.target());
    Err(invalid(NAME, "secret_again", message, remedy))
}

/// Whether a secret that was given for one may be kept for the other.
pub(super) fn is_asked_alike(old: &MonitorSpec, new: &MonitorSpec) -> bool {
    let (Kind::Tcp(before), Kind::Tcp(after)) = (&old.kind, &new.kind);
    old.host_and_port() == new.host_and_port() && (after.expect.is_none() || before.expect == after.expect)
}

/// The secret was given for that target: what is wrong, and what to do.
pub(super) fn words_of_again(target: &str) -> (String, String) {
    let message =
        format!("`{NAME}` was given for {target} and the `expect` there, and one of them is another now");
    let remedy = format!("give `{NAME}` again together with what changes, or take it out");
    (message, remedy)
}

/// Whether a canonical text has a secret.
pub(super) fn is_in(spec: &str) -> bool {
    spec.contains("\"send_secret\":")
}

/// A copy has no part in what the server's file refers to.
pub(super) fn expect_no_reference(old: &MonitorSpec) -> Result<(), OperationError> {
    match hidden_of(old) {
        Some(Hidden::Reference(_)) => {
            let message = format!("`{NAME}` of this monitor is a reference in the server's own file");
            let remedy = format!("send `{NAME}` itself for the copy, or `null` where the copy needs none");
            Err(invalid(NAME, "secret_again", message, remedy))
        }
        Some(_) | None => Ok(()),
    }
}

fn place(account: AccountId) -> String {
    format!("monitor/{account}/send")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use quaywatch_core::doc::{Node, Path, Span, Value};

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
    fn a_seal_comes_back_where_it_was_kept_and_is_no_seal_anywhere_else() {
        let mut spec = MonitorSpec::tcp("x", quaywatch_core::spec::Host::Name("x".into()), 1);
        let Kind::Tcp(tcp) = &mut spec.kind;
        tcp.send = Some(Message::Hidden(sealed(AccountId(7), b"hunter2")));
        let sealing = |account| Sealing::new(Some(Arc::new(Mirror)), AccountId(account));
        let at = |json: &str, sealing: &Sealing| {
            let node = Node::from_json(json).expect("JSON");
            sealing.keep(&At { node: &node, path: Path::Root.key(NAME), key: NAME })
        };
        let Hidden::Sealed(text) = sealed(AccountId(7), b"hunter2") else { panic!("sealed") };
        let json = format!(r#"{{"$sealed":"{text}"}}"#);
        assert_eq!(at(&json, &sealing(7).keeping(&spec)), Ok(Hidden::Sealed(text)));
        for sealing in [sealing(7), sealing(7).of_document(), sealing(8)] {
            assert_eq!(at(&json, &sealing).expect_err("nobody's").code, "wrong_type");
        }
    }

    #[test]
    fn a_seal_stands_for_another_of_the_same_unless_its_key_is_an_older_one() {
        let sealing = Sealing::new(Some(Arc::new(Mirror)), AccountId(7));
        let (one, other) = (sealed(AccountId(7), b"hunter2"), sealed(AccountId(7), b"hunter3"));
        let at = |seconds: u64| BootTime::default() + Duration::from_secs(seconds);
        assert!(sealing.stands_for(&one, &one, at(0)) && !sealing.stands_for(&one, &other, at(0)));
        let foreign = sealed(AccountId(8), b"hunter2");
        assert!(!sealing.stands_for(&foreign, &foreign, at(0)), "it does not open here");
        assert!(!sealing.stands_for(&Hidden::LeftOut, &one, at(0)));
        assert!(!Sealing::new(None, AccountId(7)).stands_for(&one, &one, at(0)), "no key");
        // Who guesses too often is told nothing any more, for an hour from their first guess on.
        (1..WRONG_AN_HOUR).for_each(|_| assert!(!sealing.stands_for(&one, &other, at(10))));
        assert!(!sealing.stands_for(&one, &one, at(20)));
        let elsewhere = Sealing::new(Some(Arc::new(Mirror)), AccountId(8)).counting(&sealing.guesses);
        assert!(elsewhere.stands_for(&foreign, &foreign, at(20)), "another account's guesses");
        assert!(sealing.stands_for(&one, &one, at(3_600)));
    }
}
