//! Secrets of a document's monitors beside those of the monitors that are stored: what it leaves out, as exports do, is
//! there still, or whoever brings it is told what it lacks; and what it gives again is no change.

use std::collections::BTreeMap;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Path, Problems, quote};
use quaywatch_core::spec::{Hidden, Kind, Message};
use quaywatch_store::records::{MonitorRecord, Owner};

use super::hidden::{self, NAME, hidden_of};
use super::reading::ToSpec as _;
use super::wanted::Stored;
use crate::config::MonitorConfig;

/// Gives the monitors of a document what they leave out.
pub(super) fn complete(stored: &Stored, monitors: &mut [MonitorConfig], problems: &mut Problems) {
    let mut known = None;
    for monitor in monitors.iter_mut().filter(|one| hidden::is_in(&one.spec)) {
        let spec = monitor.spec();
        let known = known.get_or_insert_with(|| Known::of(stored));
        let found = match hidden_of(&spec) {
            None => continue,
            Some(given @ Hidden::Sealed(_)) => Ok(known.the_same(monitor, given)),
            Some(Hidden::Reference(_)) => known.expect_of_file(monitor).map(|()| None),
            Some(Hidden::LeftOut) => known.secret(monitor, &spec).map(Some),
        };
        match found {
            Ok(None) => {}
            Ok(Some(hidden)) => monitor.spec = with(spec, hidden).to_canonical().into_boxed_str(),
            Err(Lack { code, message, remedy }) => {
                let message = format!("monitor {}: {message}", quote(&monitor.name));
                problems.error(&Path::Root.key("monitors"), monitor.span, code, message, remedy);
            }
        }
    }
}

/// What is not there, and what to do.
struct Lack {
    code: &'static str,
    message: String,
    remedy: String,
}

/// What is stored, by the identities that documents use.
struct Known<'s> {
    stored: &'s Stored,
    own: BTreeMap<&'s str, &'s MonitorRecord>,
    others: BTreeMap<&'s str, Vec<&'s MonitorRecord>>,
}

impl<'s> Known<'s> {
    fn of(stored: &'s Stored) -> Self {
        let own = stored.own_monitors().map(|one| (one.key.as_str(), one)).collect();
        Self { stored, own, others: stored.others_by_identity() }
    }

    fn own(&self, monitor: &MonitorConfig) -> Option<&'s MonitorRecord> {
        self.own.get(monitor.key()).copied()
    }

    fn others(&self, monitor: &MonitorConfig) -> &[&'s MonitorRecord] {
        self.others.get(monitor.key()).map_or(&[], Vec::as_slice)
    }

    /// A reference stands in an export for what the server's file owns, and only as the file has it.
    fn expect_of_file(&self, monitor: &MonitorConfig) -> Result<(), Lack> {
        let is_it = |other: &&MonitorRecord| {
            other.owner == Owner::File && self.stored.called.is_same(&other.spec, &monitor.spec)
        };
        if self.stored.owner == Owner::Api && self.others(monitor).iter().any(is_it) {
            return Ok(());
        }
        Err(Lack {
            code: "reference",
            message: format!(
                "`{NAME}` is a reference to a secret, which is read in the server's own file only"
            ),
            remedy: "write the value itself: it is sealed and never shown again".to_owned(),
        })
    }

    /// The seal that holds what was given, where the very monitor has it already: a document that is applied twice changes
    /// nothing the second time.
    fn the_same(&self, monitor: &MonitorConfig, given: &Hidden) -> Option<Hidden> {
        let own = self.own(monitor)?.to_spec().ok()?;
        let stored = hidden_of(&own)?;
        let is_the_same = self.stored.sealing.stands_for(stored, given, self.stored.now);
        is_the_same.then(|| stored.clone())
    }

    /// The seal that is left out; the document's own monitor comes before those of others.
    fn secret(&self, monitor: &MonitorConfig, spec: &MonitorSpec) -> Result<Hidden, Lack> {
        for twin in self.own(monitor).iter().chain(self.others(monitor)) {
            let Ok(stored) = twin.to_spec() else { continue };
            match hidden_of(&stored) {
                Some(sealed @ Hidden::Sealed(_)) if hidden::is_asked_alike(&stored, spec) => {
                    return Ok(sealed.clone());
                }
                Some(Hidden::Sealed(_)) => {
                    let (message, remedy) = hidden::words_of_again(&stored.target());
                    return Err(Lack { code: "secret_again", message, remedy });
                }
                Some(Hidden::Reference(_) | Hidden::LeftOut) | None => {}
            }
        }
        Err(Lack {
            code: "missing",
            message: format!(
                "`{NAME}` is missing: this server has no such monitor with a secret yet, and exports leave secrets out"
            ),
            remedy: format!(
                "fill it in here, or take it out if the monitor needs none; in the server's own file: `{NAME}: ${{NAME}}`"
            ),
        })
    }
}

fn with(mut spec: MonitorSpec, hidden: Hidden) -> MonitorSpec {
    let Kind::Tcp(tcp) = &mut spec.kind;
    tcp.send = Some(Message::Hidden(hidden));
    spec
}
