//! Bins of accounts with and without limits.

use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::doc::Node;
use quaywatch_core::judge::{CloseReason, Severity};
use quaywatch_core::{AccountId, ChannelId, Clock as _, ErrorCode, IncidentId, MonitorId};
use quaywatch_store::Store as _;
use quaywatch_store::records::{
    ChangeSet, DeliveryState, DeliveryUpdate, EventRecord, IncidentRecord, OutboxWrite, Owner, ResourceChange,
};

use super::OperationError;
use super::apply::Document;
use super::bulk::BulkAct;
use super::kit::{Kit, MIDNIGHT, caller, owner};
use super::page::Paging;

const PLANS: &str = "server:
  accounts: multi
  plans: {small: {max_urls: 2}, larger: {max_urls: 23, channels: 23}, house: {channels: 5, accounts: [default]}}
  default_plan: small
monitors: []
";

/// Puts so many monitors into the bin of an account, a second after each other; in the order of their removal.
async fn bin(kit: &Kit, account: AccountId, count: u8) -> Vec<MonitorId> {
    let mut all = Vec::new();
    for n in 1..=count {
        let fields = format!(r#"{{"name":"m {n}","host":"192.0.2.{n}","port":22}}"#);
        let id = kit.monitor_of(account, &fields).await;
        kit.clock.advance(Duration::from_secs(1));
        kit.operations.delete_monitor(&caller(account, Role::Owner), id, None).await.expect("removed");
        all.push(id);
    }
    all
}

/// The numbers in a bin, in the order of their removal.
async fn binned(kit: &Kit, account: AccountId) -> Vec<MonitorId> {
    let page = Paging { limit: Some(100), ..Paging::default() };
    let caller = caller(account, Role::Viewer);
    let page = kit.operations.list_removed_monitors(&caller, &page).await.expect("the bin");
    page.items.iter().rev().map(|one| one.id).collect()
}

#[tokio::test]
async fn t18_a_bin_keeps_as_many_as_the_plan_allows_and_no_fewer_than_twenty() {
    let kit = Kit::with(PLANS).await;
    let (small, larger, few) =
        (kit.account("small").await, kit.account("larger").await, kit.account("few").await);
    kit.store.account(larger).set_plan("larger".into(), "test".into(), kit.clock.now()).await.expect("set");
    let of_small = bin(&kit, small, 27).await;
    let of_larger = bin(&kit, larger, 27).await;
    let of_few = bin(&kit, few, 20).await;
    let of_house = bin(&kit, AccountId::DEFAULT, 27).await;
    let live = kit.monitor_of(small, r#"{"name":"live","host":"192.0.2.1","port":22}"#).await;

    for _ in 0..2 {
        kit.operations.trim_bins().await.expect("trimmed");
        assert_eq!(binned(&kit, small).await, of_small[7..], "the last twenty");
        assert_eq!(binned(&kit, larger).await, of_larger[4..], "as many as the plan allows");
        assert_eq!(binned(&kit, few).await, of_few);
        assert_eq!(binned(&kit, AccountId::DEFAULT).await, of_house, "a plan without that limit keeps all");
    }
    let me = caller(small, Role::Owner);
    let gone = kit.operations.restore_monitor(&me, of_small[6]).await;
    assert!(matches!(gone, Err(OperationError::NotFound { .. })), "{gone:?}");
    let back = kit.operations.restore_monitor(&me, of_small[7]).await.expect("it was kept");
    assert_eq!(back.spec.name, "m 8");
    assert!(kit.operations.read_monitor(&me, live).await.is_ok());

    // One more, and the longest there makes room; when the plan changes, so does what is kept.
    kit.operations.delete_monitor(&me, live, None).await.expect("removed");
    let one = kit.monitor_of(small, r#"{"name":"one","host":"192.0.2.1","port":22}"#).await;
    kit.operations.delete_monitor(&me, one, None).await.expect("removed");
    kit.operations.trim_bins().await.expect("trimmed");
    assert_eq!(binned(&kit, small).await, [&of_small[9..], &[live, one]].concat());
    kit.store.account(larger).set_plan(String::new(), "test".into(), kit.clock.now()).await.expect("set");
    kit.operations.trim_bins().await.expect("trimmed");
    assert_eq!(binned(&kit, larger).await, of_larger[7..]);
}

/// Makes and deletes so many channels, a second after each other.
async fn bin_channels(kit: &Kit, account: AccountId, count: usize) -> Vec<ChannelId> {
    let me = caller(account, Role::Owner);
    let mut all = Vec::new();
    for n in 1..=count {
        let text = format!(r#"{{"name":"c{n}","type":"log"}}"#);
        let body = Node::from_json(&text).expect("JSON");
        let made = kit.operations.create_channel(&me, &body).await.expect("made");
        kit.clock.advance(Duration::from_secs(1));
        kit.operations.delete_channel(&me, &made.id.to_string(), None).await.expect("removed");
        all.push(made.id);
    }
    all
}

/// The numbers of channels in a bin, in the order of their removal.
async fn binned_channels(kit: &Kit, account: AccountId) -> Vec<ChannelId> {
    let listed = kit.operations.list_removed_channels(&caller(account, Role::Viewer)).await.expect("the bin");
    listed.iter().rev().map(|one| one.id).collect()
}

#[tokio::test]
async fn t18_a_bin_keeps_as_many_channels_as_the_plan_allows_and_no_fewer_than_twenty() {
    let kit = Kit::with(PLANS).await;
    let (house, larger, small) =
        (AccountId::DEFAULT, kit.account("larger").await, kit.account("small").await);
    kit.store.account(larger).set_plan("larger".into(), "test".into(), kit.clock.now()).await.expect("set");
    let of_house = bin_channels(&kit, house, 27).await;
    let of_larger = bin_channels(&kit, larger, 27).await;
    let of_small = bin_channels(&kit, small, 27).await;
    for _ in 0..2 {
        kit.operations.trim_bins().await.expect("trimmed");
        assert_eq!(binned_channels(&kit, house).await, of_house[7..], "the last twenty");
        assert_eq!(binned_channels(&kit, larger).await, of_larger[4..], "as many as the plan allows");
        assert_eq!(binned_channels(&kit, small).await, of_small, "a plan without that limit keeps all");
    }
    let gone = kit.operations.restore_channel(&owner(), of_house[6]).await;
    assert!(matches!(gone, Err(OperationError::NotFound { .. })), "{gone:?}");
    kit.operations.restore_channel(&owner(), of_house[7]).await.expect("it was kept");
}

#[tokio::test]
async fn without_plans_everything_stays_for_its_time() {
    let kit = Kit::new().await;
    let all = bin(&kit, AccountId::DEFAULT, 25).await;
    kit.operations.trim_bins().await.expect("nothing to do");
    assert_eq!(binned(&kit, AccountId::DEFAULT).await, all);
    assert_eq!(
        kit.operations.list_removed_monitors(&owner(), &Paging::default()).await.expect("bin").items.len(),
        25
    );
}

/// Makes so many monitors past the plan and puts them into the bin, all at once; in the order of their numbers.
async fn crowd(kit: &Kit, account: AccountId, count: usize) -> Vec<MonitorId> {
    let model = kit.monitor_of(account, r#"{"name":"crowd","host":"192.0.2.1","port":22}"#).await;
    let model = kit.store.account(account).monitor(model).await.expect("read").expect("it is there");
    let add = |n| {
        let name = format!("crowd {n}");
        ResourceChange::AddMonitor { key: name.clone(), spec: model.spec.replace("crowd", &name), name }
    };
    let turn = kit.operations.changes.turn().await;
    let mut ids = vec![model.id];
    let bin = |id| ResourceChange::BinMonitor { id, revision: None };
    let set = |changes| ChangeSet { owner: Owner::Api, actor: "test".into(), changes, accepted: None };
    let made = turn.apply(account, set((1..count).map(add).collect()), kit.clock.now()).await;
    ids.extend(made.expect("made").monitors.iter().map(|one| one.id));
    let binned = turn.apply(account, set(ids.iter().copied().map(bin).collect()), kit.clock.now()).await;
    assert_eq!(binned.expect("removed").removed_monitors.len(), count);
    ids
}

/// The notice of the end of an incident of a monitor.
fn notice(monitor: MonitorId) -> OutboxWrite {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&monitor.0.to_be_bytes());
    let incident = IncidentId::new(MIDNIGHT.millis() as u64, random);
    OutboxWrite { incident, sequence: 0, channel: ChannelId(7), due: MIDNIGHT }
}

/// Each of these was down, and somebody is still to be told of the end.
async fn owe_notices(kit: &Kit, account: AccountId, monitors: &[MonitorId]) {
    kit.commit(monitors[0], |step| {
        for monitor in monitors {
            let notice = notice(*monitor);
            step.incidents.push(IncidentRecord {
                id: notice.incident,
                account,
                monitor: *monitor,
                ordinal: 1,
                severity: Severity::Critical,
                opening_code: ErrorCode::TcpRefused,
                code: ErrorCode::TcpRefused,
                started_at: MIDNIGHT,
                confirmed_at: MIDNIGHT,
                ended_at: Some(MIDNIGHT),
                close_reason: Some(CloseReason::Removed),
                failed_checks: 2,
                next_sequence: 1,
                judge_version: 1,
                acknowledged: None,
            });
            step.events.push(EventRecord {
                incident: notice.incident,
                sequence: 0,
                at: MIDNIGHT,
                kind: "incident.closed".into(),
                snapshot: "{}".into(),
            });
            step.outbox.push(notice);
        }
    })
    .await;
}

/// Their channel never took these.
async fn give_up(kit: &Kit, monitors: &[MonitorId]) {
    let dead = |monitor: &MonitorId| DeliveryUpdate {
        notice: notice(*monitor),
        state: DeliveryState::Dead,
        attempts: 1,
        at: MIDNIGHT,
        class: "expired".into(),
        answer: String::new(),
        took: Duration::ZERO,
        remote_id: None,
    };
    // Of one shard with its channel.
    let lane = kit.shard(MonitorId(7));
    lane.record_deliveries(monitors.iter().map(dead).collect()).await.expect("recorded");
}

fn code_of<T: std::fmt::Debug>(answer: Result<T, OperationError>) -> &'static str {
    match answer {
        Err(OperationError::Conflict { code, message }) => {
            assert!(message.contains("more than 200 monitors") && message.contains("channel"), "{message}");
            code
        }
        other => panic!("{other:?}"),
    }
}

/// Tries to add a monitor in each way that there is; what was said of each.
async fn add_in_every_way(
    kit: &Kit,
    account: AccountId,
    (live, binned): (MonitorId, MonitorId),
) -> Vec<&'static str> {
    let (me, operations) = (caller(account, Role::Owner), &kit.operations);
    let body = Node::from_json(r#"{"name":"new","host":"192.0.2.1","port":22}"#).expect("JSON");
    let url = Node::from_json(r#"{"url":"db.example.com","monitor_type":"tcp","port":3306}"#).expect("JSON");
    let text = "monitors: [{name: new, host: 192.0.2.1, port: 22}]\n";
    let mut said = vec![
        code_of(operations.create_monitor(&me, &body).await),
        code_of(operations.clone_monitor(&me, live, None).await),
        code_of(operations.restore_monitor(&me, binned).await),
        code_of(operations.create_url(&me, &url).await),
        code_of(operations.apply_document(&me, &Document::Import, text, false).await),
        code_of(operations.apply_document(&me, &Document::Apply("site".into()), text, false).await),
    ];
    for atomic in [false, true] {
        let bodies = [body.clone()];
        let report = operations.bulk_monitors(&me, BulkAct::Create(&bodies), atomic).await.expect("a report");
        said.extend(report.items.into_iter().map(|item| code_of(item.outcome)));
    }
    said
}

#[tokio::test]
async fn t18_while_a_bin_is_full_of_what_waits_for_a_channel_nobody_adds_and_anybody_removes() {
    let kit = Kit::with(PLANS).await;
    let small = kit.account("small").await;
    let me = caller(small, Role::Owner);
    let stuck = crowd(&kit, small, 200).await;
    owe_notices(&kit, small, &stuck).await;
    let body = Node::from_json(r#"{"name":"live","host":"192.0.2.1","port":22}"#).expect("JSON");
    let live = kit.operations.create_monitor(&me, &body).await.expect("ten times what is kept").monitor.id;
    let more = kit.monitor_of(small, r#"{"name":"more","host":"192.0.2.1","port":22}"#).await;
    owe_notices(&kit, small, &[more]).await;
    kit.operations.delete_monitor(&me, more, None).await.expect("removing works");

    kit.operations.trim_bins().await.expect("nothing can go");
    assert_eq!(kit.store.account(small).in_bin(1_000).await, Ok(201));
    assert_eq!(add_in_every_way(&kit, small, (live, more)).await, ["bin_full"; 8]);
    // What is there can be changed and removed all the same.
    let patch = Node::from_json(r#"{"name":"called anew"}"#).expect("JSON");
    kit.operations.update_monitor(&me, live, &patch, None).await.expect("changed");
    let report = kit.operations.bulk_monitors(&me, BulkAct::Delete(&[live]), true).await.expect("a report");
    assert!(report.done, "{report:?}");
    assert_eq!(kit.store.account(small).in_bin(1_000).await, Ok(202));

    // Once somebody gave up telling, the bin is emptied, and all goes on.
    give_up(&kit, &stuck).await;
    give_up(&kit, &[more]).await;
    assert_eq!(code_of(kit.operations.create_monitor(&me, &body).await), "bin_full", "it is not emptied yet");
    kit.operations.trim_bins().await.expect("trimmed");
    kit.operations.create_monitor(&me, &body).await.expect("there is room again");

    let of_house = crowd(&kit, AccountId::DEFAULT, 201).await;
    kit.operations.restore_monitor(&owner(), of_house[0]).await.expect("a plan without that limit");
}
