//! Whose fault is it: failures wait for the anchors, and what is our own fault is never told of the target.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::{Accounts, EgressPolicy};
use quaywatch_core::health::{Family, Look};
use quaywatch_core::spec::{Addresses, Expectation};
use quaywatch_core::{ErrorCode, MonitorId, Plan, Signal, Verdict};

use super::super::Order;
use super::sim::{Sim, Target, codes, every, job, own_job, plan};
use crate::sink::Sight;

const ALIVE: Look = Look { answered: 1, silent: 0, mute: 0 };
const DEAD: Look = Look { answered: 0, silent: 2, mute: 0 };

fn anchors(sim: &Sim, look: Look) {
    for family in Family::ALL {
        sim.world().looks.insert(family, Some(look));
    }
}

fn short(interval_s: u64) -> Arc<Plan> {
    Arc::new(Plan { timeout: Duration::from_secs(2), ..plan(Duration::from_secs(interval_s)) })
}

#[test]
fn silence_counts_only_when_an_anchor_answers() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, ALIVE);
    sim.world().usually = Target::Silent;
    sim.add(vec![own_job(1, &short(10))]);
    sim.run_s(5);
    let results = sim.results();
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::TcpTimeout]);
    assert!(!sim.world().looked.is_empty());
    let evidence = results[0].evidence.as_deref().unwrap();
    assert_eq!(evidence.deciding().unwrap().signal, Signal::Silence);
    assert_eq!((results[0].latency_us, results[0].elapsed_us), (None, 2_000_000));
}

#[test]
fn all_anchors_dead_is_our_fault_and_told_of_the_location() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, ALIVE);
    let plan = short(10);
    sim.add((1..=100).map(|id| own_job(id, &plan)).collect());
    sim.run_s(20);
    sim.results();
    // The uplink is cut.
    anchors(&sim, DEAD);
    sim.world().usually = Target::Silent;
    sim.run_s(30);
    let results = sim.results();
    let failed: Vec<_> = results.iter().filter(|result| result.code != ErrorCode::Ok).collect();
    assert!(failed.len() > 200);
    assert!(failed.iter().all(|result| result.code == ErrorCode::SelfNetwork), "{:?}", codes(&results));
    assert!(
        failed[0].evidence.as_deref().unwrap().detail.as_deref().unwrap().contains("gateway 192.0.2.254")
    );
    assert!(matches!(sim.sight()[..], [Sight::Lost { code: ErrorCode::SelfNetwork, .. }]));
    assert_eq!(sim.stats.blind.read(), 1);
    assert!(sim.world().looked.len() < 50, "a look lasts three seconds: {}", sim.world().looked.len());
    // It is plugged in again.
    anchors(&sim, ALIVE);
    sim.world().usually = Target::Open(Duration::from_millis(10));
    sim.run_s(15);
    assert!(matches!(sim.sight()[..], [Sight::Back { .. }]));
    sim.results();
    sim.run_s(10);
    assert_eq!(codes(&sim.results()).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
}

#[test]
fn what_was_sent_before_the_network_came_back_says_nothing_of_the_target() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, ALIVE);
    let plan = short(4);
    sim.add((1..=100).map(|id| own_job(id, &plan)).collect());
    sim.run_s(10);
    sim.results();
    anchors(&sim, DEAD);
    sim.world().usually = Target::Silent;
    sim.run_s(20);
    // Some checks are under way, and end two seconds after they began, when anchors and other targets answer again.
    anchors(&sim, ALIVE);
    sim.world().usually = Target::Open(Duration::from_millis(10));
    sim.run_s(20);
    let found = codes(&sim.results()).into_keys().collect::<Vec<_>>();
    assert_eq!(found, [ErrorCode::Ok, ErrorCode::SelfNetwork]);
}

#[test]
fn a_look_of_before_the_cut_says_nothing_of_silence_since() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, ALIVE);
    let quick = Plan { timeout: Duration::from_secs(1), ..plan(Duration::from_secs(10)) };
    let quick = Arc::new(quick);
    sim.target("10.0.0.2:5432", Target::Silent);
    sim.add((1..=100).map(|id| own_job(id, &quick)).collect());
    sim.run_s(20);
    sim.world().looked.clear();
    sim.results();
    // Because of the one that is silent all the time.
    for _ in 0..12_000 {
        sim.run(Duration::from_millis(1));
        if !sim.world().looked.is_empty() {
            break;
        }
    }
    assert_eq!(sim.world().looked, [Family::V4]);
    sim.run(Duration::from_millis(50));
    assert!(codes(&sim.results()).contains_key(&ErrorCode::TcpTimeout), "an anchor answers: its own fault");
    // The uplink is cut just after the anchors were looked at.
    anchors(&sim, DEAD);
    sim.world().usually = Target::Silent;
    sim.run_s(8);
    let results = sim.results();
    let failed: Vec<_> = results.iter().filter(|result| result.code != ErrorCode::Ok).collect();
    assert!(failed.len() > 40, "{}", failed.len());
    assert!(failed.iter().all(|result| result.code == ErrorCode::SelfNetwork), "{:?}", codes(&results));
}

#[test]
fn a_blind_location_looks_by_itself_until_it_sees() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, DEAD);
    sim.world().usually = Target::Silent;
    sim.add(vec![own_job(1, &short(3_600))]);
    sim.run_s(10);
    assert!(matches!(sim.sight()[..], [Sight::Lost { .. }]));
    anchors(&sim, ALIVE);
    sim.run_s(5);
    assert!(matches!(sim.sight()[..], [Sight::Back { .. }]));
}

#[test]
fn which_anchors_answer_is_learnt_while_all_is_well_and_silence_then_says_nothing() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, DEAD);
    sim.add(vec![own_job(1, &short(10))]);
    sim.run_s(150);
    assert_eq!(sim.world().looked, [Family::V4; 3], "once a minute, and not in a family that nobody needs");
    assert_eq!(sim.sight(), [], "targets answer, so the network works");
    assert_eq!(codes(&sim.results()).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
}

#[test]
fn a_look_that_never_comes_back_is_our_own_trouble() {
    let mut sim = Sim::new(|_| {});
    for family in Family::ALL {
        sim.world().looks.insert(family, None);
    }
    sim.world().usually = Target::Silent;
    sim.add(vec![own_job(1, &short(60))]);
    sim.run_s(20);
    let results = sim.results();
    assert!(!results.is_empty());
    assert!(results.iter().all(|result| result.verdict() == Verdict::Unknown), "{:?}", codes(&results));
}

#[test]
fn an_answer_of_the_target_and_targets_on_our_links_need_no_proof() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, DEAD);
    sim.world().near.insert("10.0.0.3".parse().unwrap());
    let plan = short(5);
    sim.target("10.0.0.2:5432", Target::Refuses);
    sim.target("10.0.0.3:5432", Target::Silent);
    sim.add(vec![own_job(1, &plan), own_job(2, &plan)]);
    sim.run_s(10);
    let results = sim.results();
    let of = |id: i64| results.iter().find(|result| result.monitor == MonitorId(id)).unwrap().code;
    assert_eq!((of(1), of(2)), (ErrorCode::TcpRefused, ErrorCode::TcpTimeout));
    assert_eq!(sim.world().looked, []);
}

#[test]
fn silence_that_is_expected_needs_proof_too() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, DEAD);
    sim.world().usually = Target::Silent;
    let plan = Arc::new(Plan { expectation: Expectation::Filtered, ..(*short(10)).clone() });
    sim.add(vec![own_job(1, &plan)]);
    sim.run_s(5);
    assert_eq!(codes(&sim.results()).into_keys().collect::<Vec<_>>(), [ErrorCode::SelfNetwork]);
    anchors(&sim, ALIVE);
    sim.run_s(20);
    assert_eq!(sim.results().last().unwrap().code, ErrorCode::Ok);
}

#[test]
fn when_most_fail_at_once_the_location_is_suspected_first() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, ALIVE);
    let plan = short(10);
    // Five networks.
    sim.add((1..=1_000).map(|id| own_job(id, &plan)).collect());
    sim.run_s(30);
    sim.results();
    assert_eq!(std::mem::take(&mut sim.world().looked), [Family::V4], "to learn who answers");
    // A box on our way out refuses everything, which looks like an answer of each target.
    sim.world().usually = Target::Refuses;
    anchors(&sim, DEAD);
    sim.run_s(10);
    let results = sim.results();
    let codes = codes(&results);
    assert!(codes[&ErrorCode::TcpRefused] <= 510, "{codes:?}");
    assert!(codes[&ErrorCode::SelfNetwork] >= 400, "{codes:?}");
}

#[test]
fn most_of_one_network_failing_is_that_networks_fault() {
    let mut sim = Sim::new(|_| {});
    anchors(&sim, DEAD);
    let plan = short(10);
    sim.add((1..=150).map(|id| own_job(id, &plan)).collect());
    sim.run_s(20);
    sim.results();
    sim.world().looked.clear();
    sim.world().usually = Target::Refuses;
    sim.run_s(10);
    let results = sim.results();
    assert!(!codes(&results).contains_key(&ErrorCode::SelfNetwork));
    assert_eq!(sim.world().looked, []);
}

#[test]
fn t_what_must_not_be_dialled_is_blocked_and_not_dialled() {
    let egress = EgressPolicy::new(Accounts::Single, vec![], vec!["10.9.0.0/16".parse().unwrap()]);
    let mut sim = Sim::with(|_| {}, egress, None);
    let plan = every(5);
    sim.add(vec![job(1, "169.254.169.254", &plan), job(2, "10.9.8.7", &plan), job(3, "10.8.8.7", &plan)]);
    sim.run_s(6);
    let results = sim.results();
    for result in &results {
        let wanted = if result.monitor == MonitorId(3) { ErrorCode::Ok } else { ErrorCode::PolicyBlocked };
        assert_eq!(result.code, wanted);
    }
    let rule = results.iter().find(|result| result.monitor == MonitorId(2)).unwrap();
    let detail = rule.evidence.as_deref().unwrap().detail.as_deref();
    assert_eq!(detail, Some("10.9.8.7: deny 10.9.0.0/16"));
    assert!(sim.world().dials.iter().all(|(_, dial)| dial.address.ip().to_string() == "10.8.8.7"));
    // The policy is lifted while it runs.
    sim.order(Order::Bind(EgressPolicy::default()));
    sim.run_s(6);
    let results = sim.results();
    assert!(results.iter().any(|result| result.monitor == MonitorId(2) && result.code == ErrorCode::Ok));
    assert!(results.iter().any(|result| result.code == ErrorCode::PolicyBlocked), "never stays never");
}

#[test]
fn a_dead_family_of_our_own_is_no_finding_about_the_target() {
    let mut sim = Sim::new(|_| {});
    sim.world().looks.insert(Family::V4, Some(ALIVE));
    sim.world().looks.insert(Family::V6, Some(DEAD));
    sim.name("db.example", &["10.1.1.1", "2001:db8::1"], Duration::from_millis(1), Duration::from_secs(600));
    sim.target("[2001:db8::1]:5432", Target::Silent);
    let all = Arc::new(Plan { addresses: Addresses::All, ..(*short(20)).clone() });
    sim.add(vec![job(1, "db.example", &all)]);
    sim.run_s(5);
    assert_eq!(codes(&sim.results()).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
    assert_eq!(sim.sight(), [], "the other family sees");
    // With IPv6 in order, the silence is the target's.
    sim.world().looks.insert(Family::V6, Some(ALIVE));
    sim.run_s(20);
    assert_eq!(sim.results().last().unwrap().code, ErrorCode::AddressPartial);
}
