//! Incidents as people meet them: opened by an engine, looked at, acknowledged, talked about, ended.

use quaywatch_core::access::Role;
use quaywatch_core::judge::Severity;
use quaywatch_core::{AccountId, Clock as _, ErrorCode, IncidentId, MonitorId};
use quaywatch_store::Store as _;
use quaywatch_store::records::{ChangeSet, NewUser, Owner, ResourceChange};

use super::OperationError;
use super::audit::AuditQuery;
use super::incidents::{IncidentQuery, IncidentView};
use super::kit::{Kit, Watching, caller, owner};
use super::page::Paging;
use crate::caller::{Actor, Caller};

/// A monitor that believes its first failure.
async fn hasty(kit: &Kit, account: AccountId, name: &str) -> MonitorId {
    let fields = format!(
        r#"{{"name":"{name}","host":"db.example.com","port":3306,"consecutive_failures_before_alert":1}}"#
    );
    kit.monitor_of(account, &fields).await
}

async fn incidents(kit: &Kit, query: &IncidentQuery) -> Vec<IncidentView> {
    kit.operations.list_incidents(&owner(), query).await.expect("a list").items
}

/// Opens an incident of a new monitor.
async fn open(kit: &Kit, engine: &mut Watching, name: &str) -> (MonitorId, IncidentId) {
    let id = hasty(kit, AccountId::DEFAULT, name).await;
    engine.check(id, ErrorCode::Ok).await;
    engine.check(id, ErrorCode::TcpRefused).await;
    let of = IncidentQuery { monitor: Some(id), open: Some(true), ..IncidentQuery::default() };
    (id, incidents(kit, &of).await[0].record.id)
}

#[tokio::test]
async fn an_incident_is_explained_acknowledged_and_talked_about() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let (monitor, id) = open(&kit, &mut engine, "db").await;
    let seen = kit.operations.read_incident(&owner(), id).await.expect("there");
    let words = &seen.incident.explanation;
    assert_eq!(words.sentence, "TCP connection refused");
    assert!(words.remedy.contains("3306") && words.cause.ends_with('.'), "{words:?}");
    assert_eq!(
        (seen.incident.monitor.name.as_str(), seen.incident.monitor.host.as_str()),
        ("db", "db.example.com")
    );
    assert_eq!(
        seen.timeline.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(),
        ["incident.opened"]
    );
    assert_eq!(seen.timeline[0].code, Some(ErrorCode::TcpRefused));

    let responder = caller(AccountId::DEFAULT, Role::Responder);
    let taken = kit.operations.acknowledge_incident(&responder, id, Some("on it")).await.expect("taken");
    assert_eq!(taken.acknowledged.as_ref().and_then(|who| who.note.as_deref()), Some("on it"));
    let again =
        kit.operations.acknowledge_incident(&owner(), id, None).await.expect_err("somebody was first");
    assert!(matches!(again, OperationError::Conflict { code: "already_acknowledged", .. }), "{again}");
    kit.operations.comment_incident(&responder, id, " it was the disk \n").await.expect("said");
    engine.check(monitor, ErrorCode::Ok).await;
    kit.operations.comment_incident(&owner(), id, "written down").await.expect("also afterwards");
    let late = kit.operations.acknowledge_incident(&owner(), id, None).await.expect_err("it is over");
    assert!(matches!(late, OperationError::Conflict { code: "incident_over", .. }), "{late}");
    let query = AuditQuery { object: Some(monitor.to_string()), ..AuditQuery::default() };
    let log = kit.operations.list_audit(&owner(), &query).await.expect("the log").items;
    let told: Vec<_> = log.iter().map(|row| (row.action.as_str(), row.detail.as_str())).collect();
    let said = |words: &str| format!("{id}: {words}");
    let (after, disk, on_it) = (said("written down"), said("it was the disk"), said("on it"));
    let acts =
        [("incident.commented", &*after), ("incident.commented", &*disk), ("incident.acknowledged", &*on_it)];
    assert_eq!(told[..3], acts, "the acts that were refused stand in no row");
    assert_eq!(log[2].actor, responder.actor.to_string());

    let seen = kit.operations.read_incident(&owner(), id).await.expect("there");
    let told: Vec<_> =
        seen.timeline.iter().map(|entry| (entry.kind.as_str(), entry.note.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("incident.opened", None),
            ("incident.acknowledged", Some("on it")),
            ("incident.commented", Some("it was the disk")),
            ("incident.closed", None),
            ("incident.commented", Some("written down")),
        ]
    );
    assert_eq!(seen.incident.acknowledged.and_then(|who| who.note).as_deref(), Some("on it"));
    assert!(seen.incident.record.ended_at.is_some());
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn a_person_is_called_by_name_and_the_timeline_says_who_was_told() {
    let kit = Kit::new().await;
    let new = NewUser { email: "ann@example.com".into(), name: "Ann".into(), password_hash: None };
    let ann = kit.store.people().create_user(new, "test".into(), kit.clock.now()).await.expect("added");
    let channel = ResourceChange::AddChannel {
        key: "ops".into(),
        name: "ops".into(),
        kind: "log".into(),
        settings: "{}".into(),
    };
    let set = ChangeSet { owner: Owner::Api, actor: "test".into(), changes: vec![channel], accepted: None };
    let applied = kit.store.account(AccountId::DEFAULT).apply(set, kit.clock.now()).await.expect("applied");
    let mut engine = kit.watch().await;
    let fields = r#"{"name":"db","host":"192.0.2.1","port":22,"channels":["ops"],
        "consecutive_failures_before_alert":1}"#;
    let monitor = kit.monitor_of(AccountId::DEFAULT, fields).await;
    engine.check(monitor, ErrorCode::Ok).await;
    engine.check(monitor, ErrorCode::TcpRefused).await;
    let id = incidents(&kit, &IncidentQuery::default()).await[0].record.id;
    let caller = Caller { actor: Actor::User(ann.id), ..owner() };
    let taken = kit.operations.acknowledge_incident(&caller, id, None).await.expect("taken");
    assert_eq!(taken.acknowledged.map(|who| who.by).as_deref(), Some("Ann"));
    let listed = incidents(&kit, &IncidentQuery::default()).await;
    assert_eq!(listed[0].acknowledged.as_ref().map(|who| who.by.as_str()), Some("Ann"));
    let seen = kit.operations.read_incident(&caller, id).await.expect("there");
    let told: Vec<_> = seen
        .timeline
        .iter()
        .map(|entry| entry.notices.iter().map(|n| n.channel).collect::<Vec<_>>())
        .collect();
    assert_eq!(told, [vec![applied.channels[0].id], vec![applied.channels[0].id]]);
    assert_eq!(seen.timeline[1].by.as_deref(), Some("Ann"));
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn incidents_are_found_by_what_they_are() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(open(&kit, &mut engine, &format!("db-{n}")).await);
    }
    engine.check(all[0].0, ErrorCode::Ok).await;
    kit.operations.acknowledge_incident(&owner(), all[1].1, None).await.expect("taken");
    let ids = |views: Vec<IncidentView>| views.into_iter().map(|view| view.record.id).collect::<Vec<_>>();
    let newest_first: Vec<IncidentId> = all.iter().rev().map(|(_, incident)| *incident).collect();
    let any = IncidentQuery::default();
    assert_eq!(ids(incidents(&kit, &any).await), newest_first);
    let closed = IncidentQuery { open: Some(false), ..any.clone() };
    assert_eq!(ids(incidents(&kit, &closed).await), [all[0].1]);
    let open = IncidentQuery { open: Some(true), ..any.clone() };
    assert_eq!(ids(incidents(&kit, &open).await), newest_first[..4]);
    let unheard = IncidentQuery { acknowledged: Some(false), ..open.clone() };
    assert_eq!(ids(incidents(&kit, &unheard).await).len(), 3);
    let heard = IncidentQuery { acknowledged: Some(true), ..any.clone() };
    assert_eq!(ids(incidents(&kit, &heard).await), [all[1].1]);
    let warnings = IncidentQuery { severity: Some(Severity::Warning), ..any.clone() };
    assert!(incidents(&kit, &warnings).await.is_empty());
    let timeouts = IncidentQuery { codes: vec![ErrorCode::TcpTimeout], ..any.clone() };
    assert!(incidents(&kit, &timeouts).await.is_empty());

    let mut page = IncidentQuery { paging: Paging { after: None, limit: Some(2) }, ..any };
    let mut paged = Vec::new();
    loop {
        let found = kit.operations.list_incidents(&owner(), &page).await.expect("a page");
        paged.extend(ids(found.items));
        match found.next {
            Some(next) => page.paging.after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, newest_first);
    page.paging.after = Some("nonsense".into());
    assert!(matches!(kit.operations.list_incidents(&owner(), &page).await, Err(OperationError::Invalid(_))));
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn another_accounts_incident_does_not_exist_and_words_have_bounds() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let (_, id) = open(&kit, &mut engine, "db").await;
    let other = caller(kit.account("other").await, Role::Owner);
    let all = kit.operations.clone();
    assert!(all.list_incidents(&other, &IncidentQuery::default()).await.expect("none").items.is_empty());
    assert!(matches!(all.read_incident(&other, id).await, Err(OperationError::NotFound { .. })));
    let foreign = all.acknowledge_incident(&other, id, None).await;
    assert!(matches!(foreign, Err(OperationError::NotFound { .. })));
    assert!(matches!(all.comment_incident(&other, id, "x").await, Err(OperationError::NotFound { .. })));
    let viewer = caller(AccountId::DEFAULT, Role::Viewer);
    assert!(all.read_incident(&viewer, id).await.is_ok());
    assert!(matches!(all.comment_incident(&viewer, id, "x").await, Err(OperationError::Denied(_))));
    for text in ["", "  ", "a\u{1b}[2J", &"x".repeat(4_001)] {
        assert!(matches!(all.comment_incident(&owner(), id, text).await, Err(OperationError::Invalid(_))));
    }
    engine.engine.shutdown().await;
}
