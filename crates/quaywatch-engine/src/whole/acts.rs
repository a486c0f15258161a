//! What people do while the engine runs, and changes that come in any order and from any account.

use quaywatch_core::judge::Status;
use quaywatch_core::spec::{Host, Kind};
use quaywatch_core::{ChannelId, CheckResult};
use quaywatch_store::records::{AuditFilter, Author, IncidentRecord, MonitorRecord};

use super::*;
use crate::{ActError, By, NotNow, Select};

/// A channel, a monitor that tells it, and what becomes of that.
async fn down(directory: &Path, hook: &Sink) -> (Running, MonitorId, IncidentRecord) {
    let mut running = start(directory).await;
    let applied = running.apply(vec![webhook("ops", hook), put_monitor(1, &["ops"])]).await;
    let id = applied.monitors[0].id;
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    hook.wait("opening", PATIENCE, of_type("incident.opened"));
    let incident = running.incidents().await.remove(0);
    (running, id, incident)
}

impl Running {
    async fn incidents(&self) -> Vec<IncidentRecord> {
        let account = self.store.account(AccountId::DEFAULT);
        account.incidents(IncidentFilter::default()).await.expect("incidents")
    }

    /// What the audit log says of incidents: action, who, from where, and what else; oldest first.
    async fn acts(&self) -> Vec<(String, Author, String)> {
        let rows =
            self.store.account(AccountId::DEFAULT).audit(AuditFilter::default()).await.expect("the log");
        let acts = rows.into_iter().rev().filter(|row| row.action.starts_with("incident."));
        acts.map(|row| (row.action, row.author, row.detail)).collect()
    }

    async fn story(&self, incident: &IncidentRecord) -> Vec<(u32, String)> {
        let events = self.store.account(incident.account).events(incident.id).await.expect("events");
        events.into_iter().map(|event| (event.sequence, event.kind)).collect()
    }
}

fn who(name: &str) -> By {
    let (address, request) = (Some([192, 0, 2, 7].into()), Some("req-1".into()));
    By { name: name.into(), author: Author { actor: format!("user:{name}"), address, request } }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_acknowledge_and_comment_in_the_incidents_own_sequence() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let (mut running, id, incident) = down(directory.path(), &hook).await;
    let engine = &running.engine;

    let event = engine.acknowledge(&incident, &who("Anna"), Some("On my way.")).await.expect("it is open");
    assert_eq!((event.sequence, event.kind.as_str()), (1, "incident.acknowledged"));
    // Durable when the call returns.
    assert_eq!(running.story(&incident).await.len(), 2);
    let told = hook.wait("acknowledgement", PATIENCE, of_type("incident.acknowledged")).json();
    assert_eq!(told["said"]["by"], "Anna");
    assert_eq!(told["said"]["text"], "On my way.");
    assert_eq!(told["incident"]["acknowledged_by"], "Anna");
    assert_eq!((&told["status"], &told["previous_status"]), (&"down".into(), &"down".into()));

    let again = engine.acknowledge(&incident, &who("Boris"), None).await;
    assert!(matches!(again, Err(ActError::AlreadyAcknowledged { by, .. }) if by == "Anna"));
    let event = engine.comment(&incident, &who("Boris"), "The disk is full.").await.expect("taken");
    assert_eq!(event.sequence, 2);
    let told = hook.wait("comment", PATIENCE, of_type("incident.commented")).json();
    assert_eq!(told["said"]["text"], "The disk is full.");
    assert_eq!(told["incident"]["acknowledged_by"], "Anna", "that stays");
    let row =
        |action: &str, by, words| (action.to_owned(), who(by).author, format!("{}: {words}", incident.id));
    let acts = [
        row("incident.acknowledged", "Anna", "On my way."),
        row("incident.commented", "Boris", "The disk is full."),
    ];
    assert_eq!(running.acts().await, acts, "what was refused stands in no row");

    running.check(&[id], ErrorCode::Ok).await;
    let closed = hook.wait("end", PATIENCE, of_type("incident.closed"));
    assert!(closed.id().ends_with("-3-ch1"), "{}", closed.id());
    assert_eq!(closed.json()["incident"]["acknowledged_by"], "Anna");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_the_end_follows_the_end_and_reaches_those_who_were_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let (mut running, id, incident) = down(directory.path(), &hook).await;
    running.check(&[id], ErrorCode::Ok).await;
    let engine = &running.engine;
    assert!(matches!(engine.acknowledge(&incident, &who("Anna"), None).await, Err(ActError::Closed)));
    // At once: each has a number of its own, and none is left out.
    let anna = who("Anna");
    let say = |text: &'static str| engine.comment(&incident, &anna, text);
    let (first, second, third) = tokio::join!(say("a"), say("b"), say("c"));
    let mut numbers = [first, second, third].map(|event| event.expect("taken").sequence);
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4]);
    let mut acts: Vec<_> = running.acts().await.into_iter().map(|(_, _, detail)| detail).collect();
    acts.sort_unstable();
    assert_eq!(acts, ["a", "b", "c"].map(|text| format!("{}: {text}", incident.id)));
    until("the comments", || hook.taken("incident.commented").len() == 3).await;
    let told = hook.taken("incident.commented")[0].json();
    assert_eq!((&told["status"], &told["incident"]["close_reason"]), (&"up".into(), &"recovered".into()));
    let nobodys = IncidentRecord { id: crate::judging::derived_id(Timestamp(1), 2), ..incident.clone() };
    assert!(matches!(engine.comment(&nobodys, &who("Anna"), "?").await, Err(ActError::NotFound)));
    assert!(running.incidents().await[0].ended_at.is_some(), "it is still over");
    assert_eq!(running.acts().await.len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_while_its_monitor_is_purged_is_of_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![put_monitor(1, &[])]).await;
    let (id, key) = (applied.monitors[0].id, applied.monitors[0].key.clone());
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    let incident = running.incidents().await.remove(0);
    running.apply(vec![ResourceChange::RemoveMonitor { key }]).await;
    let engine = &running.engine;
    engine.comment(&incident, &who("Anna"), "in the bin").await.expect("it is still there");
    let (anna, account) = (who("Anna"), running.store.account(incident.account));
    let late = engine.afterword(&incident, &anna, "too late").await.expect("it was there");
    let beyond = account.beyond_in_bin(0, 9).await.expect("the bin");
    assert_eq!(account.purge(beyond).await.expect("purged"), []);

    let refused = engine.say_after(late).await;
    assert!(matches!(refused, Err(ActError::NotFound)), "{refused:?}");
    assert_eq!((running.incidents().await, running.story(&incident).await), (vec![], vec![]));
    assert_eq!(running.acts().await.len(), 1, "what was said before");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_is_known_after_a_restart_and_in_lists() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let (running, id, incident) = down(directory.path(), &hook).await;
    running.engine.acknowledge(&incident, &who("Anna"), None).await.expect("it is open");
    let by = |incident: &IncidentRecord| incident.acknowledged.as_ref().map(|known| known.by.clone());
    assert_eq!(by(&running.incidents().await[0]).as_deref(), Some("Anna"));
    hook.wait("acknowledgement", PATIENCE, of_type("incident.acknowledged"));
    running.stop().await;

    let mut running = start(directory.path()).await;
    let stats = running.engine.stats();
    until("every shard", || stats.loaded.read() == 1).await;
    let again = running.engine.acknowledge(&incident, &who("Boris"), None).await;
    assert!(matches!(again, Err(ActError::AlreadyAcknowledged { .. })));
    running.slot = running.clock.now() - Duration::from_secs(10);
    running.check(&[id], ErrorCode::Ok).await;
    let closed = hook.wait("end", PATIENCE, of_type("incident.closed")).json();
    assert_eq!(closed["incident"]["acknowledged_by"], "Anna");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_out_of_turn_is_asked_of_the_runner_once_a_second() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![put_monitor(1, &[])]).await;
    let record = applied.monitors[0].clone();
    let id = record.id;
    let asked = running.engine.check_now(id).await.expect("it is checked here");
    assert!(asked > running.clock.now() - Duration::from_secs(5) && asked.0 % 1_000 == 0);
    let soon = running.engine.check_now(id).await;
    assert!(matches!(soon, Err(NotNow::TooSoon(left)) if left <= Duration::from_secs(1)), "{soon:?}");
    assert_eq!(*running.runner.asked.lock().expect("no holder panics"), [id]);
    assert_eq!(running.engine.check_now(MonitorId(77)).await, Err(NotNow::Unknown));

    running.check(&[id], ErrorCode::Ok).await;
    let survey = running.engine.surveyor().survey(Select::These(vec![MonitorId(77), id])).await;
    let seen = survey.expect("the engine runs").monitors;
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].id, seen[0].last, seen[0].last_at), (id, Some(ErrorCode::Ok), Some(running.slot)));

    running.engine.reload(paused(&record, 9, true)).await.expect("followed");
    assert_eq!(running.engine.check_now(id).await, Err(NotNow::Paused));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survey_says_how_long_the_last_check_waited_for_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = start(directory.path()).await;
    let at_address = monitor(2, |spec| {
        let Kind::Tcp(tcp) = &mut spec.kind;
        tcp.host = Host::Ip([192, 0, 2, 1].into());
    });
    let MonitorRecord { key, name, spec, .. } = at_address;
    let changes = vec![put_monitor(1, &[]), ResourceChange::PutMonitor { key, name, spec }];
    let applied = running.apply(changes).await;
    let ids: Vec<_> = applied.monitors.iter().map(|record| record.id).collect();
    let waited = async |running: &Running| {
        let survey = running.engine.surveyor().survey(Select::These(ids.clone())).await;
        let seen = survey.expect("the engine runs").monitors;
        seen.iter().map(|one| one.dns_us).collect::<Vec<_>>()
    };
    assert_eq!(waited(&running).await, [None, None], "no check yet");
    for (dns_us, shown) in [(1_201, 1_300), (0, 0), (30_000_000, 6_553_500)] {
        running.slot = Timestamp(running.slot.0 + 1_000_000);
        let one = |id| CheckResult { dns_us, ..result(id, running.slot, ErrorCode::Ok) };
        let results = ids.iter().copied().map(one).collect();
        let batch = Batch { location: LocationId::LOCAL, at: running.slot, results, sight: Vec::new() };
        running.sink.deliver(batch);
        assert_eq!(waited(&running).await, [Some(shown), None], "the other is an address");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_transitions_is_woken_by_those_and_by_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = start(directory.path()).await;
    let id = running.apply(vec![put_monitor(1, &[])]).await.monitors[0].id;
    let mut follower = running.engine.transitions();
    for code in [ErrorCode::Ok, ErrorCode::Ok, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
        assert!(!follower.has_changed().expect("the engine runs"), "{code} changes nothing yet");
    }
    for code in [ErrorCode::TcpRefused, ErrorCode::Ok] {
        running.check(&[id], code).await;
        assert!(follower.has_changed().expect("the engine runs"), "{code} is a transition, and durable");
        follower.mark_unchanged();
    }
    running.stop().await;
}

/// The same monitor, paused or not, as change `seq` of the store left it.
fn paused(record: &MonitorRecord, seq: i64, paused: bool) -> Applied {
    let record = MonitorRecord { paused, ..record.clone() };
    Applied { monitors: vec![record], seq, ..Applied::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_comes_late_undoes_no_newer_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let (running, id, _) = down(directory.path(), &hook).await;
    let record = running.store.account(AccountId::DEFAULT).monitors().await.expect("monitors").remove(0);
    let status = async || running.engine.glimpse(id).await.map(|seen| seen.status);
    let follow = async |applied| running.engine.reload(applied).await.expect("followed");

    follow(paused(&record, 100, true)).await;
    let closed = hook.wait("end", PATIENCE, of_type("incident.closed")).json();
    assert_eq!(closed["incident"]["close_reason"], "paused");
    assert_eq!(*running.runner.removed.lock().expect("no holder panics"), [id], "it is checked no more");
    let checked = || running.runner.jobs.lock().expect("no holder panics").len();
    let before = checked();
    follow(paused(&record, 99, false)).await;
    assert_eq!((status().await, checked()), (Some(Status::Paused), before));
    follow(paused(&MonitorRecord { revision: record.revision - 1, ..record.clone() }, 101, false)).await;
    assert_eq!(status().await, Some(Status::Paused), "an older revision");
    follow(paused(&record, 102, false)).await;
    assert_eq!((status().await, checked()), (Some(Status::Pending), before + 1));

    follow(Applied { removed_monitors: vec![id], seq: 104, ..Applied::default() }).await;
    follow(paused(&record, 103, false)).await;
    assert_eq!((status().await, checked()), (None, before + 1), "what is removed stays removed");
    follow(paused(&record, 105, false)).await;
    assert!(status().await.is_some(), "until it is brought back");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_comes_while_running_is_known_by_name_and_told_by_its_own_channels() {
    let directory = tempfile::tempdir().expect("a directory");
    let (own, others) = (Sink::start(), Sink::start());
    let mut running = start(directory.path()).await;
    running.apply(vec![webhook("ops", &others)]).await;
    let guest = running.store.system().create_account("Guest".into(), running.clock.now()).await;
    let guest = guest.expect("the name is free").id;
    let changes = ChangeSet {
        owner: Owner::Api,
        actor: "test".into(),
        changes: vec![webhook("ops", &own), put_monitor(1, &["ops"])],
        accepted: None,
    };
    let applied = running.store.account(guest).apply(changes, running.clock.now()).await.expect("taken");
    let (id, channel) = (applied.monitors[0].id, applied.channels[0].id);
    assert_eq!(channel, ChannelId(2));
    running.engine.reload(applied).await.expect("followed");
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    let told = own.wait("opening", PATIENCE, of_type("incident.opened")).json();
    assert_eq!(told["account"]["name"], "Guest");
    assert!(others.received().is_empty(), "the same name in another account is another channel");
    running.stop().await;
}
