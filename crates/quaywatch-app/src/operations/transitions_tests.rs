//! The stream of transitions, from an engine through the store to those who follow.

use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, MonitorId};

use super::OperationError;
use super::kit::{Kit, Watching, caller, owner};
use super::transitions::{Followed, Follower, TransitionRecord};

/// A monitor that believes its first failure, and was up.
async fn hasty(kit: &Kit, engine: &mut Watching, account: AccountId, name: &str) -> MonitorId {
    let fields =
        format!(r#"{{"name":"{name}","host":"192.0.2.1","port":22,"consecutive_failures_before_alert":1}}"#);
    let id = kit.monitor_of(account, &fields).await;
    engine.check(id, ErrorCode::Ok).await;
    id
}

/// Down and up again.
async fn blink(engine: &mut Watching, id: MonitorId) {
    engine.check(id, ErrorCode::TcpRefused).await;
    engine.check(id, ErrorCode::Ok).await;
}

/// The next one; nobody waits for ever for it.
async fn next(follower: &mut Follower) -> Followed {
    let next = tokio::time::timeout(Duration::from_secs(20), follower.next()).await;
    next.expect("something comes").expect("the store can be read")
}

async fn transition(follower: &mut Follower) -> TransitionRecord {
    match next(follower).await {
        Followed::Transition(view) => view,
        ended @ Followed::Ended { .. } => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn transitions_are_replayed_after_a_number_and_then_come_by_themselves() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let id = hasty(&kit, &mut engine, AccountId::DEFAULT, "db").await;
    let mut from_now = kit.operations.follow_transitions(&owner(), None).await.expect("follows");
    blink(&mut engine, id).await;
    let known = kit.operations.list_transitions(&owner(), 0, 100).await.expect("a list");
    let said: Vec<_> = known.iter().map(|one| (one.monitor, one.status, one.code)).collect();
    assert_eq!(said, [(id, Status::Down, ErrorCode::TcpRefused), (id, Status::Up, ErrorCode::Ok)]);
    assert!(known[0].incident.is_some() && known[0].id < known[1].id);
    assert_eq!(transition(&mut from_now).await, known[0]);
    assert_eq!(transition(&mut from_now).await, known[1]);

    let mut later = kit.operations.follow_transitions(&owner(), Some(known[0].id)).await.expect("follows");
    assert_eq!(transition(&mut later).await, known[1], "replayed");
    engine.check(id, ErrorCode::TcpTimeout).await;
    for follower in [&mut from_now, &mut later] {
        let live = transition(follower).await;
        assert_eq!((live.status, live.code), (Status::Down, ErrorCode::TcpTimeout));
        assert!(live.id > known[1].id);
    }
    let quiet = tokio::time::timeout(Duration::from_millis(50), later.next()).await;
    assert!(quiet.is_err(), "each once: {quiet:?}");
    // What comes while the past is read is both read and received.
    let mut both = kit.operations.follow_transitions(&owner(), Some(0)).await.expect("follows");
    engine.check(id, ErrorCode::Ok).await;
    transition(&mut from_now).await;
    let all = kit.operations.list_transitions(&owner(), 0, 100).await.expect("a list");
    for one in &all {
        assert_eq!(&transition(&mut both).await, one);
    }
    let quiet = tokio::time::timeout(Duration::from_millis(50), both.next()).await;
    assert!(all.len() == 4 && quiet.is_err(), "each once: {quiet:?}");
    let from_the_future = kit.operations.follow_transitions(&owner(), Some(u64::MAX)).await.expect("follows");
    assert!(from_the_future.position() < u64::MAX);
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn nobody_hears_of_another_account() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let other = kit.account("other").await;
    let theirs = hasty(&kit, &mut engine, other, "theirs").await;
    let mine = hasty(&kit, &mut engine, AccountId::DEFAULT, "mine").await;
    let mut follower = kit.operations.follow_transitions(&owner(), Some(0)).await.expect("follows");
    blink(&mut engine, theirs).await;
    blink(&mut engine, mine).await;
    assert_eq!(transition(&mut follower).await.monitor, mine);
    assert_eq!(transition(&mut follower).await.monitor, mine);
    let stranger = caller(other, Role::Viewer);
    let all = kit.operations.list_transitions(&stranger, 0, 100).await.expect("theirs");
    assert!(all.len() == 2 && all.iter().all(|one| one.monitor == theirs));
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn whoever_does_not_keep_up_ends_and_loses_nothing_by_beginning_again() {
    let kit = Kit::new().await;
    let mut engine = kit.watch().await;
    let id = hasty(&kit, &mut engine, AccountId::DEFAULT, "db").await;
    let mut slow = kit.operations.follow_transitions(&owner(), None).await.expect("follows");
    for _ in 0..super::transitions::BEHIND {
        blink(&mut engine, id).await;
    }
    let mut seen = Vec::new();
    let after = loop {
        match next(&mut slow).await {
            Followed::Transition(view) => seen.push(view.id),
            Followed::Ended { after } => break after,
        }
    };
    assert_eq!(next(&mut slow).await, Followed::Ended { after }, "for good");
    let mut again = kit.operations.follow_transitions(&owner(), Some(after)).await.expect("follows");
    while seen.len() < 2 * super::transitions::BEHIND {
        seen.push(transition(&mut again).await.id);
    }
    let all = kit.operations.list_transitions(&owner(), 0, 1_000).await.expect("all");
    assert_eq!(seen, all.iter().map(|one| one.id).collect::<Vec<_>>());
    engine.engine.shutdown().await;
}

#[tokio::test]
async fn followers_are_counted_and_told_when_the_server_goes_down() {
    let kit = Kit::new().await;
    let mut all = Vec::new();
    let wait = loop {
        match kit.operations.follow_transitions(&owner(), None).await {
            Ok(follower) => all.push(follower),
            Err(OperationError::Throttled(wait)) => break wait,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(all.len() == 200 && wait > Duration::ZERO, "{}", all.len());
    let other = caller(kit.account("other").await, Role::Viewer);
    let theirs = kit.operations.follow_transitions(&other, None).await;
    assert!(theirs.is_ok(), "another account has places of its own");
    all.pop();
    all.push(kit.operations.follow_transitions(&owner(), None).await.expect("a place is free again"));
    kit.operations.followers.close();
    assert!(matches!(next(&mut all[0]).await, Followed::Ended { .. }));
    drop(all);
    let late = kit.operations.follow_transitions(&owner(), None).await;
    assert!(matches!(late, Err(OperationError::Unavailable(_))));
}
