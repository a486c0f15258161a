//! Bins of accounts with and without limits.

use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Clock as _, MonitorId};
use quaywatch_store::Store as _;

use super::OperationError;
use super::kit::{Kit, caller, owner};
use super::page::Paging;

const PLANS: &str = "server:
  accounts: multi
  plans: {small: {max_urls: 2}, larger: {max_urls: 23}, house: {channels: 5, accounts: [default]}}
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
