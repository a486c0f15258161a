//! Names and their addresses: asked once for all, dialled in order, and never a delay for anybody else.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::spec::{Addresses, IpFamily};
use quaywatch_core::{ErrorCode, MonitorId, Plan, ResultFlags, Verdict};

use super::super::Order;
use super::sim::{Sim, Target, codes, every, job, own_job, plan};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_name_is_asked_for_once_a_ttl_for_all_its_monitors() {
    let mut sim = Sim::new(|config| config.share = false);
    sim.name("db.example", &["10.1.1.1"], 20 * MS, Duration::from_secs(30));
    let plan = every(10);
    sim.add((1..=50).map(|id| job(id, "db.example", &plan)).collect());
    sim.run_s(60);
    let results = sim.results();
    assert!(results.len() >= 300);
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
    assert!(sim.world().asked.len() <= 3, "{}", sim.world().asked.len());
    // At first all waited; later only those whose slot fell into the few milliseconds of a lookup.
    let settled = sim.world().now.wall - Duration::from_secs(50);
    let asked = results.iter().filter(|result| result.slot > settled && result.dns_us > 0).count();
    assert!((1..10).contains(&asked), "only those that waited have a time for it: {asked}");
}

#[test]
fn a_slow_name_server_delays_nobody_else() {
    let mut sim = Sim::new(|config| config.max_resolving = 4);
    let plan = every(5);
    for n in 0..200 {
        sim.name(&format!("slow{n}.example"), &["10.1.1.1"], Duration::from_secs(4), Duration::from_secs(1));
    }
    sim.add((0..200).map(|n| job(1_000 + n, &format!("slow{n}.example"), &plan)).collect());
    sim.add((1..=200).map(|id| own_job(id, &plan)).collect());
    sim.run_s(30);
    let results = sim.results();
    let literal = results.iter().filter(|result| result.monitor.0 <= 200 && result.code == ErrorCode::Ok);
    assert!(literal.count() >= 1_200);
    assert!(sim.machine.names.pending() <= 200);
}

#[test]
fn what_does_not_resolve_has_the_resolvers_word_for_it() {
    let mut sim = Sim::new(|_| {});
    let plan = every(5);
    for (name, code) in [("gone.example", ErrorCode::DnsNxdomain), ("ours.example", ErrorCode::SelfDns)] {
        sim.name(name, &[], 30 * MS, Duration::from_secs(1));
        sim.change_name(name, |answer| {
            answer.outcome = code;
            answer.detail = Some("NXDOMAIN from 192.0.2.53".into());
        });
    }
    sim.add(vec![job(1, "gone.example", &plan), job(2, "ours.example", &plan)]);
    sim.run_s(6);
    let results = sim.results();
    let gone = results.iter().find(|result| result.monitor == MonitorId(1)).unwrap();
    assert_eq!((gone.code, gone.dns_us, gone.latency_us), (ErrorCode::DnsNxdomain, 30_000, None));
    let evidence = gone.evidence.as_deref().unwrap();
    assert_eq!(evidence.detail.as_deref(), Some("NXDOMAIN from 192.0.2.53"));
    let ours = results.iter().find(|result| result.monitor == MonitorId(2)).unwrap();
    assert_eq!(ours.verdict(), Verdict::Unknown);
    assert!(sim.world().dials.is_empty());
}

#[test]
fn stale_addresses_are_dialled_and_the_result_says_so() {
    let mut sim = Sim::new(|_| {});
    sim.name("db.example", &["10.1.1.1"], 20 * MS, Duration::from_secs(60));
    sim.change_name("db.example", |answer| {
        answer.stale = true;
        answer.detail = Some("silence from 192.0.2.53".into());
    });
    sim.add(vec![job(1, "db.example", &every(5))]);
    sim.run_s(6);
    let results = sim.results();
    assert!(results.iter().all(|r| r.code == ErrorCode::Ok && r.flags.has(ResultFlags::STALE_DNS)));
    sim.target("10.1.1.1:5432", Target::Refuses);
    sim.run_s(6);
    let results = sim.results();
    let detail = results[0].evidence.as_deref().unwrap().detail.as_deref();
    assert_eq!(detail, Some("silence from 192.0.2.53"));
}

#[test]
fn the_next_address_is_tried_after_a_quarter_second_or_at_once_on_failure() {
    let mut sim = Sim::new(|_| {});
    sim.name("db.example", &["10.1.1.1", "10.1.1.2", "10.1.1.3"], MS, Duration::from_secs(600));
    sim.target("10.1.1.1:5432", Target::Silent);
    sim.target("10.1.1.2:5432", Target::Refuses);
    sim.add(vec![job(1, "db.example", &every(60))]);
    sim.run_s(3);
    let results = sim.results();
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].code, results[0].latency_us.map(NonZeroU32::get)), (ErrorCode::Ok, Some(10_000)));
    let dials = std::mem::take(&mut sim.world().dials);
    let gaps: Vec<_> = dials.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_millis()).collect();
    assert!((250..=255).contains(&gaps[0]) && gaps[1] <= 6, "{gaps:?}");
    // Each has what is left of the timeout.
    assert!(dials[1].1.timeout <= Duration::from_millis(9_750), "{:?}", dials[1].1.timeout);
    // The one that answered is tried first from now on.
    sim.run_s(60);
    assert_eq!(sim.world().dials[0].1.address.ip().to_string(), "10.1.1.3");
    assert_eq!(sim.world().dials.len(), 1);
}

#[test]
fn all_failed_means_that_the_failure_that_says_most_names_the_outcome() {
    let mut sim = Sim::new(|_| {});
    sim.name("db.example", &["10.1.1.1", "10.1.1.2", "10.1.1.3"], MS, Duration::from_secs(600));
    sim.target("10.1.1.1:5432", Target::Unreachable);
    sim.target("10.1.1.2:5432", Target::Refuses);
    sim.target("10.1.1.3:5432", Target::Silent);
    sim.add(vec![job(1, "db.example", &every(60))]);
    sim.run_s(13);
    let results = sim.results();
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::TcpRefused]);
    let evidence = results[0].evidence.as_deref().unwrap();
    let attempts: Vec<_> = evidence.attempts.iter().map(|attempt| attempt.error_code).collect();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0], ErrorCode::TcpRefused, "the deciding one first");
    assert_eq!(evidence.dns_us, Some(1_000));
}

#[test]
fn all_addresses_are_dialled_at_once_and_a_dead_one_is_a_finding() {
    let mut sim = Sim::new(|_| {});
    let all = Arc::new(Plan {
        addresses: Addresses::All,
        timeout: Duration::from_secs(2),
        ..plan(Duration::from_secs(20))
    });
    sim.name("db.example", &["10.1.1.1", "10.1.1.2", "2001:db8::3"], MS, Duration::from_secs(600));
    sim.target("10.1.1.2:5432", Target::Refuses);
    sim.add(vec![job(1, "db.example", &all)]);
    sim.run_s(4);
    let results = sim.results();
    assert_eq!(results[0].code, ErrorCode::AddressPartial);
    assert_eq!(results[0].latency_us.map(NonZeroU32::get), Some(10_000));
    let evidence = results[0].evidence.as_deref().unwrap();
    assert_eq!(evidence.attempts.len(), 3);
    assert_eq!(evidence.attempts[0].address.ip().to_string(), "10.1.1.2");
    let dials = std::mem::take(&mut sim.world().dials);
    assert!(dials.iter().all(|(at, _)| *at == dials[0].0));
    sim.world().usually = Target::Refuses;
    sim.run_s(20);
    assert_eq!(sim.results().last().unwrap().code, ErrorCode::TcpRefused, "all dead is down");
}

#[test]
fn a_changed_or_removed_target_leaves_no_result_behind() {
    let mut sim = Sim::new(|_| {});
    sim.name("a.example", &["10.1.1.1"], Duration::from_secs(1), Duration::from_secs(600));
    sim.name("b.example", &["10.1.1.2"], MS, Duration::from_secs(600));
    let plan = every(60);
    sim.add(vec![job(1, "a.example", &plan), job(2, "a.example", &plan)]);
    sim.run(Duration::from_millis(500));
    // Both wait for the answer.
    sim.add(vec![job(1, "b.example", &plan)]);
    sim.order(Order::Remove(vec![MonitorId(2)]));
    sim.run_s(3);
    let results = sim.results();
    assert!(results.iter().all(|result| result.monitor == MonitorId(1)));
    assert_eq!(results.len(), 1);
    assert!(sim.world().dials.iter().all(|(_, dial)| dial.address.ip().to_string() == "10.1.1.2"));
    assert_eq!(sim.machine.flights.len(), 0);
}

#[test]
fn families_of_one_name_are_two_questions() {
    let mut sim = Sim::new(|_| {});
    sim.name("db.example", &["10.1.1.1"], MS, Duration::from_secs(600));
    let v4 = Arc::new(Plan { ip_family: IpFamily::Ipv4, ..plan(Duration::from_secs(60)) });
    sim.add(vec![job(1, "db.example", &every(60)), job(2, "db.example", &v4)]);
    sim.run_s(2);
    assert_eq!(sim.world().asked.len(), 2);
    assert_eq!(sim.results().len(), 2);
}

#[test]
fn what_lost_the_race_is_called_back() {
    let mut sim = Sim::new(|_| {});
    sim.name("db.example", &["10.1.1.1", "10.1.1.2"], MS, Duration::from_secs(600));
    sim.target("10.1.1.1:5432", Target::Silent);
    sim.add(vec![job(1, "db.example", &every(60))]);
    sim.run_s(2);
    assert_eq!(sim.results().len(), 1);
    assert_eq!((sim.machine.flights.len(), sim.world().most_flying), (0, 2));
    sim.run_s(15);
    assert_eq!(sim.results(), [], "and never heard of again");
}
