//! One test notice to one channel, now: through the same channel that alerts go through, without its queue and without
//! another attempt. Whoever tries it sees what was sent and what came back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaywatch_core::{AccountId, BootTime, ChannelId, Clock, DeliveryKey, IncidentId, Timestamp};
use quaywatch_engine::ChannelFactory;
use quaywatch_notify::notice::{ChannelWords, NamedWords, ServerWords};
use quaywatch_notify::{Attempt, Class, EventKind, Notice, Outcome, Rendered};
use quaywatch_store::records::{AccountRecord, ChannelRecord};

use super::OperationError;
use super::channels::TestedChannel;
use super::sealed::Vault;

/// A channel keeps to 15 s by itself; one that does not is cut off.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two tests of one channel.
const PAUSE: Duration = Duration::from_secs(5);
/// Tests that one account may have on their way.
const MOST_AT_ONCE: usize = 4;

/// What channels are made with, and who signs.
#[derive(Clone)]
pub struct Delivery {
    pub(crate) factory: ChannelFactory,
    pub(crate) server: ServerWords,
    pub(crate) vault: Option<Arc<dyn Vault>>,
}

/// Which channels were tried a moment ago, and how many tests are on their way.
#[derive(Debug, Default)]
pub(crate) struct Trials(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: BTreeMap<ChannelId, BootTime>,
    running: BTreeMap<AccountId, usize>,
}

/// One test on its way; counted until it is dropped.
struct Running<'t> {
    trials: &'t Trials,
    account: AccountId,
}

impl Trials {
    fn begin(&self, channel: &ChannelRecord, now: BootTime) -> Result<Running<'_>, OperationError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.retain(|_, at| now.since(*at) < PAUSE);
        if let Some(at) = state.last.get(&channel.id) {
            return Err(OperationError::Throttled(PAUSE.saturating_sub(now.since(*at))));
        }
        let running = state.running.entry(channel.account).or_default();
        if *running == MOST_AT_ONCE {
            return Err(OperationError::Throttled(PAUSE));
        }
        *running += 1;
        state.last.insert(channel.id, now);
        drop(state);
        Ok(Running { trials: self, account: channel.account })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.trials.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = state.running.get_mut(&self.account) {
            *running -= 1;
            if *running == 0 {
                state.running.remove(&self.account);
            }
        }
    }
}

impl Delivery {
    /// Makes the channel of its record and sends one test notice.
    pub(super) async fn test(
        &self,
        trials: &Trials,
        record: &ChannelRecord,
        account: &AccountRecord,
        clock: &dyn Clock,
    ) -> Result<TestedChannel, OperationError> {
        let _running = trials.begin(record, clock.boot())?;
        let channel = match (self.factory)(record) {
            Ok(channel) => channel,
            Err(why) => {
                let outcome = Outcome::new(Class::Config, why);
                return Ok(tested(&Rendered::default(), &outcome, Duration::ZERO));
            }
        };
        let (now, began) = (clock.now(), clock.boot());
        let notice = notice(record, account, self.server.clone(), now);
        let rendered = channel.render(&notice, &attempt(record.id, now, began));
        let sent = rendered.clone();
        let outcome = tokio::time::timeout(LONGEST, channel.deliver(rendered)).await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::new(Class::Unknown, "no answer in time"));
        Ok(tested(&sent, &outcome, clock.boot().since(began)))
    }
}

fn notice(record: &ChannelRecord, account: &AccountRecord, server: ServerWords, now: Timestamp) -> Notice {
    Notice {
        channel: Some(ChannelWords {
            id: record.id.to_string(),
            name: record.name.clone(),
            answer: String::new(),
            class: String::new(),
            waiting: 0,
            since: now,
            remedy: String::new(),
        }),
        account: Some(NamedWords { id: account.id.to_string(), name: account.name.clone() }),
        ..Notice::new(EventKind::NoticeTest, 0, now, server)
    }
}

/// A key that no other notice has: a test is its own incident of one event.
fn attempt(channel: ChannelId, now: Timestamp, boot: BootTime) -> Attempt {
    let ms = u64::try_from(now.millis()).unwrap_or(0);
    let mut unique = [0; 10];
    unique[..8].copy_from_slice(&boot.0.to_le_bytes());
    let key = DeliveryKey { incident: IncidentId::new(ms, unique), sequence: 0, channel };
    Attempt { key: key.to_string(), at: now, late: None, combined: false, reduced: false }
}

fn tested(sent: &Rendered, outcome: &Outcome, took: Duration) -> TestedChannel {
    let headers = sent.headers.iter().map(|(name, value)| {
        let shown = match value.to_str() {
            Ok(_) if value.is_sensitive() => "[secret]",
            Ok(text) => text,
            Err(_) => "[not text]",
        };
        (name.to_string(), shown.to_owned())
    });
    TestedChannel {
        sent: outcome.class == Class::Sent,
        class: outcome.class.as_str(),
        answer: outcome.answer.clone(),
        took,
        headers: headers.collect(),
        body: String::from_utf8_lossy(&sent.body).into_owned(),
        remedy: remedy(outcome.class),
    }
}

/// What to do about an outcome.
const fn remedy(class: Class) -> Option<&'static str> {
    match class {
        Class::Sent => None,
        Class::Transient => Some("The receiver cannot be reached now: look at its address, port and name."),
        Class::Limited => Some("The receiver wants to be left alone for a while: try again later."),
        Class::Unknown => {
            Some("The request was sent and no answer came: look at the receiver whether it has it.")
        }
        Class::Payload => Some("The receiver rejects the form of the message: is it the right address?"),
        Class::Recipient => Some("There is nobody there any more: check the recipient."),
        Class::Credentials => Some("The receiver does not accept the token or password: set a new one."),
        Class::Config => Some("The settings lead to the wrong place: check the address."),
        Class::Gone => Some("The receiver says that this address is gone for good: make a new one there."),
        Class::RefusedByPolicy => Some("The address is one that this server must not dial."),
        Class::Expired => Some("It was given up."),
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_store::records::Owner;

    use super::*;

    fn channel(id: i64, account: i64) -> ChannelRecord {
        ChannelRecord {
            id: ChannelId(id),
            account: AccountId(account),
            owner: Owner::Api,
            key: format!("c{id}"),
            name: format!("c{id}"),
            kind: "log".into(),
            settings: "{}".into(),
            revision: 1,
        }
    }

    #[test]
    fn a_channel_is_tried_once_in_a_while_and_an_account_tries_few_at_once() {
        let trials = Trials::default();
        let at = |secs: u64| BootTime(secs * 1_000_000);
        let first = trials.begin(&channel(1, 1), at(10)).expect("the first");
        let wait = trials.begin(&channel(1, 1), at(12)).err().expect("too soon");
        assert!(matches!(wait, OperationError::Throttled(left) if left == Duration::from_secs(3)));
        let more: Vec<_> =
            (2..=4).map(|id| trials.begin(&channel(id, 1), at(12)).expect("another")).collect();
        assert!(trials.begin(&channel(5, 1), at(12)).is_err(), "five at once");
        let others = trials.begin(&channel(6, 2), at(12)).expect("another account's");
        drop((first, more, others));
        assert!(trials.begin(&channel(1, 1), at(16)).is_ok());
        assert!(trials.0.lock().expect("no panic").running.is_empty());
    }
}
