//! Bodies become specs: read by the reader of the file, a change laid over what is stored first.

use std::borrow::Cow;

use quaywatch_core::doc::{Key, Level, Node, Path, Problem, Problems, Span, Style, Value};
use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::spec::{Context, Defaults, fields};
use quaywatch_core::{AccountId, MonitorSpec};
use quaywatch_store::records::MonitorRecord;

use super::hidden::{self, Sealing};
use super::refuse::invalid;
use super::{OperationError, Operations, advice};

/// What specs of an account may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) locations: Vec<String>,
    /// Names, keys and ids.
    pub(super) channels: Vec<String>,
    /// What the account may dial.
    pub(super) egress: EgressPolicy,
    /// What a monitor has that does not say it.
    pub(super) defaults: Defaults,
    /// Takes its secrets in.
    pub(super) sealing: Sealing,
}

impl Known {
    pub(super) fn context(&self) -> Context<'_> {
        Context { locations: &self.locations, channels: &self.channels, keeper: &self.sealing }
    }
}

impl Operations {
    /// What takes in the secrets of this account's checks.
    pub(super) fn sealing(&self, account: AccountId) -> Sealing {
        Sealing::new(self.delivery.get().and_then(|delivery| delivery.vault.clone()), account)
    }

    /// What specs of this account may name now.
    pub(super) async fn known(&self, account: AccountId) -> Result<Known, OperationError> {
        let locations = self.store.system().locations().await?;
        let mut channels = Vec::new();
        for channel in self.store.account(account).channels().await? {
            channels.push(channel.id.to_string());
            if channel.key != channel.name {
                channels.push(channel.key);
            }
            channels.push(channel.name);
        }
        let locations = locations.into_iter().map(|location| location.name).collect();
        // Who names no interval asks for none that their plan forbids.
        let least = self.plan_of(account).await?.min_interval.unwrap_or_default();
        let defaults = Defaults::of_interval(MonitorSpec::CHECK_INTERVAL.max(least));
        let egress = self.settings.now().egress.of(account);
        Ok(Known { locations, channels, egress, defaults, sealing: self.sealing(account) })
    }
}

/// A spec that was read, with what is probably not meant.
#[derive(Debug, Clone)]
pub(super) struct ReadSpec {
    pub(super) spec: MonitorSpec,
    pub(super) warnings: Vec<Problem>,
}

/// Reads one monitor.
pub(super) fn one(body: &Node<'_>, known: &Known) -> Result<ReadSpec, OperationError> {
    let mut problems = Problems::new();
    let spec = MonitorSpec::read(body, &Path::Root, &known.defaults, &known.context(), &mut problems);
    match spec {
        Some(spec) if problems.is_fine() => {
            let mut warnings = warnings(&problems);
            warnings.extend(advice::barred(&spec, &known.egress));
            Ok(ReadSpec { spec, warnings })
        }
        Some(_) | None => Err(OperationError::Invalid(one_at_a_time(body, problems))),
    }
}

/// Several at once are made elsewhere.
fn one_at_a_time(body: &Node<'_>, problems: Problems) -> Problems {
    let Some(found) = problems.iter().find(|one| one.code == "too_many" && one.pointer.is_empty()) else {
        return problems;
    };
    let mut told = Problems::new();
    let remedy = "name one `host` and one `port`, or make several with `POST /api/v1/monitors/bulk`";
    told.error(&Path::Root, body.span, "too_many", found.message.clone(), remedy);
    told
}

/// Reads an entry that may stand for several monitors.
pub(super) fn several(
    body: &Node<'_>,
    known: &Known,
) -> Result<(Vec<MonitorSpec>, Vec<Problem>), OperationError> {
    let mut problems = Problems::new();
    let mut specs = Vec::new();
    let mut sink = |spec| specs.push(spec);
    MonitorSpec::read_all(body, &Path::Root, &known.defaults, &known.context(), &mut problems, &mut sink);
    if !problems.is_fine() {
        return Err(OperationError::Invalid(problems));
    }
    let mut warnings = warnings(&problems);
    warnings.extend(specs.iter().filter_map(|spec| advice::barred(spec, &known.egress)));
    Ok((specs, warnings))
}

/// Reads a stored monitor with a change laid over it. Its identity stays what it is.
pub(super) fn patched(
    record: &MonitorRecord,
    patch: &Node<'_>,
    known: &Known,
) -> Result<ReadSpec, OperationError> {
    let stored = stored(record)?;
    if let Some(id) = patch.get("id")
        && !matches!(&id.value, Value::Scalar(text, _) if *text == record.key)
    {
        let message = format!("`id` is by what documents know the monitor: it stays `{}`", record.key);
        return Err(invalid("id", "fixed", message, "make another monitor, or leave `id` out"));
    }
    // A monitor keeps the channels and locations that it names, also those that are gone by now.
    let old = record.to_spec()?;
    let mut known = known.clone();
    known.channels.extend(old.channels.iter().cloned());
    known.locations.extend(old.locations.iter().cloned());
    changed(stored, &old, Some(patch), known)
}

/// Reads a stored spec with a change laid over it. Where the change says nothing of the secret that is sent, it stays;
/// where it says anything at all, what was stored has no part in it: nothing may be mixed with a seal.
fn changed(
    mut stored: Node<'_>,
    old: &MonitorSpec,
    change: Option<&Node<'_>>,
    mut known: Known,
) -> Result<ReadSpec, OperationError> {
    let is_kept = change.is_none_or(|change| change.get(hidden::NAME).is_none());
    if is_kept {
        known.sealing = known.sealing.keeping(old);
    } else {
        remove(&mut stored, hidden::NAME);
    }
    let read = match change {
        Some(change) => one(&overlay(stored, change), &known)?,
        None => one(&stored, &known)?,
    };
    if is_kept {
        hidden::expect_given_again(old, &read.spec)?;
    }
    Ok(read)
}

/// A copy of a stored monitor with changes laid over it: without an identity of its own unless it is given one.
pub(super) fn copied(
    record: &MonitorRecord,
    over: Option<&Node<'_>>,
    known: &Known,
) -> Result<ReadSpec, OperationError> {
    let old = record.to_spec()?;
    if over.is_none_or(|over| over.get(hidden::NAME).is_none()) {
        hidden::expect_no_reference(&old)?;
    }
    let mut node = stored(record)?;
    if let Value::Mapping(pairs) = &mut node.value {
        pairs.retain(|(key, _)| key.text != "id");
    }
    let name = Node {
        value: Value::Scalar(Cow::Owned(copy_name(&record.name)), Style::Quoted),
        span: Span::default(),
    };
    set(&mut node, "name", Some(name));
    changed(node, &old, over, known.clone())
}

/// `db` → `db (copy)`, within the length that names may have.
fn copy_name(name: &str) -> String {
    const LONGEST: usize = 200 - " (copy)".len();
    let cut: String = name.chars().take(LONGEST).collect();
    format!("{cut} (copy)")
}

/// The stored settings, with the interval that is left out where it is the built-in one: a plan's own default is for
/// monitors that are new.
fn stored(record: &MonitorRecord) -> Result<Node<'_>, OperationError> {
    let mut node = Node::from_json(&record.spec).map_err(|error| {
        OperationError::Store(quaywatch_store::StoreError::Damaged {
            table: "monitor",
            detail: format!("the spec of {}: {error}", record.id),
        })
    })?;
    if node.get("check_interval").is_none() {
        let seconds = MonitorSpec::CHECK_INTERVAL.as_secs().to_string();
        push(&mut node, Cow::Borrowed("check_interval"), Node::plain(seconds));
    }
    Ok(node)
}

/// The stored spec.
pub(super) trait ToSpec {
    fn to_spec(&self) -> Result<MonitorSpec, OperationError>;
}

impl ToSpec for MonitorRecord {
    fn to_spec(&self) -> Result<MonitorSpec, OperationError> {
        super::past::spec(self).map_err(OperationError::Store)
    }
}

/// Lays a change over a mapping (RFC 7396): `null` takes a value away, mappings are laid over mappings, everything
/// else takes the place of what was there. Other names of a setting count as the setting.
pub(super) fn overlay<'n>(mut base: Node<'n>, patch: &Node<'n>) -> Node<'n> {
    let Value::Mapping(changes) = &patch.value else {
        // Its reader says what is wrong with it.
        return patch.clone();
    };
    // Twice the same key is wrong; laying both over would hide it.
    let mut seen: Vec<&str> = Vec::with_capacity(changes.len());
    for (key, value) in changes {
        let name = fields::by_name(&key.text).map_or(key.text.as_ref(), |field| field.name);
        if seen.contains(&name) {
            push(&mut base, key.text.clone(), value.clone());
            continue;
        }
        seen.push(name);
        let merged = match (&value.value, base.get(name)) {
            _ if value.is_null() => None,
            (Value::Mapping(_), Some(old @ Node { value: Value::Mapping(_), .. })) => {
                Some(overlay_plain(old.clone(), value))
            }
            (Value::Mapping(_) | Value::Scalar(..) | Value::Sequence(_), _) => Some(value.clone()),
        };
        // As it was written, so that a mistake is told in the words of its writer.
        let word = if merged.is_some() { key.text.clone() } else { Cow::Owned(name.to_owned()) };
        remove(&mut base, name);
        if let Some(value) = merged {
            push(&mut base, word, value);
        }
    }
    base
}

/// The same for a mapping whose keys are its owner's own (`tags`).
fn overlay_plain<'n>(mut base: Node<'n>, patch: &Node<'n>) -> Node<'n> {
    let Value::Mapping(changes) = &patch.value else { return patch.clone() };
    for (key, value) in changes {
        remove(&mut base, &key.text);
        if !value.is_null() {
            push(&mut base, key.text.clone(), value.clone());
        }
    }
    base
}

fn remove(node: &mut Node<'_>, name: &str) {
    if let Value::Mapping(pairs) = &mut node.value {
        pairs.retain(|(key, _)| key.text != name);
    }
}

fn push<'n>(node: &mut Node<'n>, name: Cow<'n, str>, value: Node<'n>) {
    if let Value::Mapping(pairs) = &mut node.value {
        pairs.push((Key { text: name, span: Span::default() }, value));
    }
}

/// Sets or takes away one value.
pub(super) fn set<'n>(node: &mut Node<'n>, name: &'n str, value: Option<Node<'n>>) {
    remove(node, name);
    if let Some(value) = value {
        push(node, Cow::Borrowed(name), value);
    }
}

/// What works but is probably not meant.
pub(super) fn warnings(problems: &Problems) -> Vec<Problem> {
    problems.iter().filter(|problem| problem.level == Level::Warning).cloned().collect()
}

/// A warning of an operation's own.
pub(super) fn warning(
    field: &str,
    code: &'static str,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Problem {
    Problem {
        level: Level::Warning,
        path: field.to_owned(),
        pointer: Path::Root.key(field).pointer(),
        span: Span::default(),
        code,
        message: message.into(),
        remedy: remedy.into(),
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{MonitorId, Timestamp};
    use quaywatch_store::records::Owner;

    use super::*;

    fn record(spec: &str) -> MonitorRecord {
        MonitorRecord {
            id: MonitorId(1),
            account: AccountId(1),
            owner: Owner::Api,
            key: "db".into(),
            name: "db".into(),
            revision: 1,
            spec: spec.into(),
            paused: false,
            created_at: Timestamp(0),
        }
    }

    fn patch(stored: &str, change: &str) -> Result<String, String> {
        let node = Node::from_json(change).expect("the change is JSON");
        let known = Known { channels: vec!["ops".into()], ..Known::default() };
        patched(&record(stored), &node, &known)
            .map(|read| read.spec.to_canonical())
            .map_err(|error| error.to_string())
    }

    const STORED: &str = r#"{"name":"db","monitor_type":"tcp","host":"db.example.com","port":5432,"check_interval":30,"tags":{"env":"prod","team":"a"}}"#;

    #[test]
    fn what_is_not_named_stays_and_null_takes_a_setting_back() {
        let changed = patch(STORED, r#"{"port":5433,"check_interval":null,"tags":{"team":null,"tier":"1"}}"#);
        let wanted = r#"{"name":"db","monitor_type":"tcp","host":"db.example.com","port":5433,"tags":{"env":"prod","tier":"1"}}"#;
        assert_eq!(changed.as_deref(), Ok(wanted));
        assert_eq!(patch(STORED, "{}").as_deref(), Ok(STORED));
    }

    #[test]
    fn other_names_of_a_setting_count_as_the_setting() {
        let changed = patch(STORED, r#"{"period":"2m","url":"other.example.com"}"#).expect("both are known");
        assert!(
            changed.contains(r#""check_interval":120"#) && changed.contains("other.example.com"),
            "{changed}"
        );
        let both = patch(STORED, r#"{"period":60,"check_interval":30}"#).expect_err("both at once");
        assert!(both.contains("check_interval"), "{both}");
    }

    #[test]
    fn a_change_that_makes_no_sense_is_refused_in_the_words_of_the_file() {
        assert!(patch(STORED, r#"{"port":0}"#).expect_err("no port").contains("1 to 65535"));
        assert!(patch(STORED, r#"{"prot":1}"#).expect_err("unknown").contains("did you mean `port`?"));
        assert!(patch(STORED, r#"{"id":"other"}"#).expect_err("fixed").contains("stays `db`"));
        assert!(patch(STORED, r#"{"channels":["nobody"]}"#).is_err());
        assert!(patch(STORED, "[]").is_err());
        let several = Node::from_json(r#"{"name":"x","host":"a","ports":[1,2]}"#).expect("JSON");
        let refused = one(&several, &Known::default()).expect_err("two").to_string();
        assert!(refused.contains("2 monitors") && refused.contains("/monitors/bulk"), "{refused}");
        assert!(patch(STORED, r#"{"host":null}"#).expect_err("required").contains("no `host`"));
    }

    #[test]
    fn a_monitor_may_keep_a_channel_that_is_gone() {
        let stored = r#"{"name":"db","monitor_type":"tcp","host":"a","port":1,"channels":["gone"]}"#;
        assert!(patch(stored, r#"{"port":2}"#).is_ok());
    }

    #[test]
    fn a_copy_has_a_name_of_its_own_and_no_identity() {
        let stored = r#"{"id":"x","name":"db","monitor_type":"tcp","host":"a","port":1}"#;
        let copy = copied(&record(stored), None, &Known::default()).expect("a copy").spec;
        assert_eq!((copy.name.as_str(), copy.key), ("db (copy)", None));
        let over = Node::from_json(r#"{"name":"replica","port":2}"#).expect("JSON");
        let copy = copied(&record(stored), Some(&over), &Known::default()).expect("a copy").spec;
        assert_eq!((copy.name.as_str(), copy.host_and_port().1), ("replica", 2));
    }
}
