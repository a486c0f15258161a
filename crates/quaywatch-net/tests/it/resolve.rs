//! Names: whose fault a failure is, what is kept and for how long, who is asked how often.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use quaywatch_core::spec::IpFamily;
use quaywatch_core::{Clock, ErrorCode};
use quaywatch_net::{Answer, Descriptors, Resolver, ResolverConfig, SystemClock};

use crate::name_server::{NameServer, Say};
use crate::support::{Shifted, until};

const LIMIT: Duration = Duration::from_secs(2);

/// A resolver that knows nothing of this machine.
fn resolver(upstreams: &[SocketAddr], clock: &Arc<Shifted>) -> Resolver {
    let nowhere = "/nonexistent".into();
    let config =
        ResolverConfig { upstreams: Some(upstreams.to_vec()), hosts: nowhere, ..ResolverConfig::default() };
    let config = ResolverConfig { resolv_conf: "/nonexistent".into(), ..config };
    Resolver::new(config, Arc::clone(clock) as Arc<dyn Clock>)
}

async fn look_up(server: &NameServer, name: &str, family: IpFamily) -> Answer {
    resolver(&[server.address], &Shifted::new()).resolve(name, family, LIMIT).await
}

fn texts(answer: &Answer) -> Vec<String> {
    answer.addresses.iter().map(ToString::to_string).collect()
}

/// The server that most tests share the words of.
fn say(name: &str, kind: RecordType) -> Say {
    const SERVFAIL: ResponseCode = ResponseCode::ServFail;
    match name.trim_end_matches(".test") {
        "" => Say::Root,
        "both" => Say::Addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"], 60),
        "four" => Say::Addresses(&["192.0.2.4"], 60),
        "alias" => Say::Alias("real.test", &["192.0.2.5"]),
        "alias-nothing" => Say::AliasToNothing("gone.test"),
        "alias-dangling" => Say::Dangling("gone.elsewhere"),
        "nxdomain" => Say::NxDomain,
        "nodata" => Say::NoData,
        "servfail" => Say::Error(SERVFAIL, None),
        "refused" => Say::Error(ResponseCode::Refused, None),
        "notimp" => Say::Error(ResponseCode::NotAuth, None),
        "ede22" => Say::Error(SERVFAIL, Some(22)),
        "ede23" => Say::Error(SERVFAIL, Some(23)),
        "bogus" => Say::Error(SERVFAIL, Some(6)),
        "silent" => Say::Silence,
        "no-aaaa" if kind == RecordType::AAAA => Say::Silence,
        "no-aaaa" => Say::Addresses(&["192.0.2.6"], 3_600),
        "nx-aaaa" if kind == RecordType::AAAA => Say::NxDomain,
        "nx-aaaa" => Say::Addresses(&["192.0.2.7"], 60),
        "large" => Say::Truncated(&["192.0.2.8"]),
        "old" => Say::NoEdns(&["192.0.2.9"]),
        "forged" => Say::Forged(&["192.0.2.10"]),
        "xn--e1afmkfd.xn--p1ai" => Say::Addresses(&["192.0.2.11"], 60),
        _ => Say::NxDomain,
    }
}

#[tokio::test]
async fn t22_each_answer_of_a_name_server_has_its_outcome() {
    use ErrorCode as E;
    let server = NameServer::start(say);
    let from = server.address;
    let table = [
        ("nxdomain.test", E::DnsNxdomain, format!("NXDOMAIN from {from}")),
        ("nodata.test", E::DnsNodata, format!("no address (NODATA) from {from}")),
        ("alias-nothing.test", E::DnsCnameBroken, format!("an alias (CNAME) to nothing from {from}")),
        ("alias-dangling.test", E::DnsCnameBroken, format!("an alias (CNAME) to nothing from {from}")),
        ("servfail.test", E::DnsServfail, format!("SERVFAIL from {from}, which answers for the root")),
        ("notimp.test", E::DnsServfail, format!("error code 9 from {from}, which answers for the root")),
        ("refused.test", E::DnsRefused, format!("REFUSED from {from}, which answers for the root")),
        (
            "ede22.test",
            E::DnsTimeout,
            format!(
                "SERVFAIL (extended error 22: no reachable authority) from {from}, which answers for the root"
            ),
        ),
        (
            "ede23.test",
            E::DnsTimeout,
            format!("SERVFAIL (extended error 23: network error) from {from}, which answers for the root"),
        ),
        (
            "bogus.test",
            E::DnsBogus,
            format!("SERVFAIL (extended error 6: DNSSEC bogus) from {from}, which answers for the root"),
        ),
        ("silent.test", E::SelfDns, format!("silence from {from}")),
        (
            "127.1",
            E::DnsNxdomain,
            "`127.1`: looks like an address in an unusual notation; write it as 192.0.2.7".into(),
        ),
        ("a..test", E::DnsNxdomain, "`a..test`: not a host name".into()),
    ];
    for (name, code, detail) in table {
        let answer = look_up(&server, name, IpFamily::Any).await;
        assert_eq!((answer.outcome, answer.detail.as_deref()), (code, Some(detail.as_str())), "{name}");
        assert!(answer.addresses.is_empty() && !answer.stale, "{name}");
    }
    assert_eq!(server.count("127.1") + server.count("a..test"), 0, "asked for nonetheless");
}

#[tokio::test]
async fn addresses_come_by_family_and_in_order() {
    let server = NameServer::start(say);
    for (name, family, wanted) in [
        ("both.test", IpFamily::Any, vec!["2001:db8::1", "192.0.2.1", "192.0.2.2"]),
        ("both.test", IpFamily::Ipv4, vec!["192.0.2.1", "192.0.2.2"]),
        ("both.test", IpFamily::Ipv6, vec!["2001:db8::1"]),
        ("four.test", IpFamily::Ipv6, vec![]),
        ("alias.test", IpFamily::Any, vec!["192.0.2.5"]),
        ("nx-aaaa.test", IpFamily::Any, vec!["192.0.2.7"]),
        ("large.test", IpFamily::Ipv4, vec!["192.0.2.8"]),
        ("old.test", IpFamily::Any, vec!["192.0.2.9"]),
        ("forged.test", IpFamily::Ipv4, vec!["192.0.2.10"]),
        ("пример.рф", IpFamily::Any, vec!["192.0.2.11"]),
        ("BOTH.Test.", IpFamily::Ipv6, vec!["2001:db8::1"]),
    ] {
        let answer = look_up(&server, name, family).await;
        assert_eq!(texts(&answer), wanted, "{name} {family:?}: {answer:?}");
        let code = if wanted.is_empty() { ErrorCode::DnsNodata } else { ErrorCode::Ok };
        assert_eq!(answer.outcome, code, "{name}");
    }
    assert!(server.seen().iter().any(|seen| seen.name == "large.test" && seen.tcp), "no TCP");
}

#[tokio::test]
async fn a_family_that_is_never_answered_costs_a_second_and_is_asked_again_soon() {
    let (server, clock) = (NameServer::start(say), Shifted::new());
    let resolver = resolver(&[server.address], &clock);
    let answer = resolver.resolve("no-aaaa.test", IpFamily::Any, Duration::from_secs(5)).await;
    assert_eq!(texts(&answer), ["192.0.2.6"]);
    assert!(answer.took_us < 2_000_000, "{} us", answer.took_us);
    assert!(answer.valid_until.since(clock.boot()) <= Duration::from_secs(5), "kept for the whole TTL");
}

#[tokio::test]
async fn one_sick_upstream_never_decides() {
    let good = NameServer::start(say);
    // Nobody listens here: the kernel refuses at once.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sick: Vec<NameServer> = [
        Say::Error(ResponseCode::ServFail, None),
        Say::Error(ResponseCode::Refused, None),
        Say::NxDomain,
        Say::NoData,
        Say::Silence,
    ]
    .into_iter()
    .map(|said| NameServer::start(move |_, _| said.clone()))
    .collect();
    for sick in sick.iter().map(|server| server.address).chain([dead]) {
        for upstreams in [[sick, good.address], [good.address, sick]] {
            let answer =
                resolver(&upstreams, &Shifted::new()).resolve("four.test", IpFamily::Any, LIMIT).await;
            assert_eq!(texts(&answer), ["192.0.2.4"], "{answer:?}");
            assert!(answer.took_us < 1_000_000, "{} us", answer.took_us);
        }
        // And its silence or errors do not weaken the other's "no".
        let answer = resolver(&[sick, good.address], &Shifted::new())
            .resolve("nxdomain.test", IpFamily::Any, LIMIT)
            .await;
        assert_eq!(answer.outcome, ErrorCode::DnsNxdomain, "{answer:?}");
    }
}

#[tokio::test]
async fn a_silent_upstream_is_not_waited_for_twice() {
    let (silent, good) = (NameServer::start(|_, _| Say::Silence), NameServer::start(say));
    let resolver = resolver(&[silent.address, good.address], &Shifted::new());
    for (name, asked) in [("four.test", true), ("alias.test", false)] {
        assert_eq!(resolver.resolve(name, IpFamily::Ipv4, LIMIT).await.outcome, ErrorCode::Ok);
        assert_eq!(silent.count(name) > 0, asked, "{name}");
    }
}

#[tokio::test]
async fn an_upstream_that_nobody_runs_is_known_at_once() {
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for family in [IpFamily::Any, IpFamily::Ipv4] {
        let answer = resolver(&[dead], &Shifted::new()).resolve("four.test", family, LIMIT).await;
        let detail = Some(format!("{dead} is unreachable").into());
        assert_eq!((answer.outcome, answer.detail), (ErrorCode::SelfDns, detail));
        // Without word of the refusal it would take until the first resend, half a second.
        assert!(answer.took_us < 450_000, "{} us", answer.took_us);
    }
}

#[tokio::test]
async fn without_descriptors_the_fault_is_ours_and_the_name_servers_are_not_blamed() {
    let (server, descriptors) = (NameServer::start(say), Descriptors::new(1, 0));
    let config = ResolverConfig {
        upstreams: Some(vec![server.address]),
        descriptors: Some(descriptors.clone()),
        resolv_conf: "/nonexistent".into(),
        hosts: "/nonexistent".into(),
    };
    let resolver = Resolver::new(config, Shifted::new());
    let taken = descriptors.try_take(1).unwrap();
    let answer = resolver.resolve("four.test", IpFamily::Any, LIMIT).await;
    let detail = format!("{} was not asked (self_resource)", server.address);
    assert_eq!((answer.outcome, answer.detail), (ErrorCode::SelfResource, Some(detail.into())));
    drop(taken);
    assert_eq!(resolver.resolve("both.test", IpFamily::Any, LIMIT).await.outcome, ErrorCode::Ok);
    assert_eq!(descriptors.in_use(), 0);
}

#[tokio::test]
async fn errors_of_upstreams_that_answer_for_nothing_are_our_own_fault() {
    for said in [ResponseCode::ServFail, ResponseCode::Refused] {
        let server = NameServer::start(move |_, _| Say::Error(said, None));
        let answer = look_up(&server, "four.test", IpFamily::Any).await;
        assert_eq!(answer.outcome, ErrorCode::SelfDns);
        let detail = answer.detail.unwrap();
        assert!(detail.ends_with("which does not answer for the root either"), "{detail}");
    }
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let lost = std::sync::atomic::AtomicUsize::new(0);
    let server = NameServer::start(move |_, _| {
        let n = lost.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if n == 0 { Say::Silence } else { Say::Addresses(&["192.0.2.4"], 60) }
    });
    let answer = look_up(&server, "four.test", IpFamily::Ipv4).await;
    assert_eq!(texts(&answer), ["192.0.2.4"]);
    assert_eq!(server.count("four.test"), 2);
}

#[tokio::test]
async fn answers_are_kept_for_their_ttl_and_no_longer() {
    let (server, clock) = (NameServer::start(say), Shifted::new());
    let resolver = resolver(&[server.address], &clock);
    let ask = async |name: &str| resolver.resolve(name, IpFamily::Ipv4, LIMIT).await;
    assert!(resolver.cached("four.test", IpFamily::Ipv4, clock.boot()).is_none());
    let first = ask("four.test").await;
    assert!(first.took_us > 0);
    clock.advance(Duration::from_secs(59));
    let kept = resolver.cached("four.test", IpFamily::Ipv4, clock.boot()).expect("the TTL is 60 s");
    assert_eq!((&kept.addresses, kept.took_us), (&first.addresses, 0));
    assert!(resolver.cached("four.test", IpFamily::Ipv6, clock.boot()).is_none(), "another family");
    ask("four.test").await;
    assert_eq!(server.count("four.test"), 1);
    clock.advance(Duration::from_secs(2));
    assert!(resolver.cached("four.test", IpFamily::Ipv4, clock.boot()).is_none());
    ask("four.test").await;
    assert_eq!(server.count("four.test"), 2);

    // A "no": three seconds by the zone's own word.
    for (wait, asked) in [(0, 1), (2, 1), (2, 2)] {
        clock.advance(Duration::from_secs(wait));
        assert_eq!(ask("nxdomain.test").await.outcome, ErrorCode::DnsNxdomain);
        assert_eq!(server.count("nxdomain.test"), asked, "after {wait} s more");
    }
    // An error: one second, so that a crowd asks once.
    for (wait, asked) in [(0, 1), (0, 1), (1, 2)] {
        clock.advance(Duration::from_secs(wait));
        assert_eq!(ask("servfail.test").await.outcome, ErrorCode::DnsServfail);
        assert_eq!(server.count("servfail.test"), asked, "after {wait} s more");
    }
    resolver.expire();
    ask("four.test").await;
    assert_eq!(server.count("four.test"), 3);
}

#[tokio::test]
async fn a_hundred_who_want_one_name_ask_once() {
    let server = NameServer::start(|name, kind| {
        std::thread::sleep(Duration::from_millis(50));
        say(name, kind)
    });
    let resolver = resolver(&[server.address], &Shifted::new());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve("both.test", IpFamily::Any, LIMIT).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().addresses.len(), 3);
    }
    assert_eq!(server.count("both.test"), 2, "one question each for A and AAAA");
    assert_eq!((resolver.stats().lookups.read(), resolver.stats().joined.read()), (1, 99));
}

#[tokio::test]
async fn the_lookup_goes_on_when_its_first_caller_gives_up() {
    let server = NameServer::start(|name, kind| {
        std::thread::sleep(Duration::from_millis(100));
        say(name, kind)
    });
    let resolver = resolver(&[server.address], &Shifted::new());
    let first = {
        let resolver = resolver.clone();
        tokio::spawn(async move { resolver.resolve("four.test", IpFamily::Ipv4, LIMIT).await })
    };
    until("the lookup", async || resolver.stats().lookups.read() == 1).await;
    first.abort();
    assert_eq!(texts(&resolver.resolve("four.test", IpFamily::Ipv4, LIMIT).await), ["192.0.2.4"]);
    assert_eq!(server.count("four.test"), 1);
}

#[tokio::test]
async fn while_nobody_answers_the_last_good_addresses_are_used_for_a_day() {
    let (server, clock) = (NameServer::start(say), Shifted::new());
    let resolver = resolver(&[server.address], &clock);
    let limit = Duration::from_millis(600);
    let ask = async |name: &str| resolver.resolve(name, IpFamily::Ipv4, limit).await;
    assert!(!ask("four.test").await.stale);

    server.silence(true);
    clock.advance(Duration::from_secs(61));
    let answer = ask("four.test").await;
    assert_eq!(
        (texts(&answer), answer.outcome, answer.stale),
        (vec!["192.0.2.4".to_owned()], ErrorCode::Ok, true)
    );
    assert_eq!(answer.detail.as_deref(), Some(format!("silence from {}", server.address).as_str()));
    let other = ask("both.test").await;
    assert_eq!((other.outcome, other.stale), (ErrorCode::SelfDns, false));

    // Once it is known that nobody answers, nobody waits.
    until("knowing it", async || resolver.stats().down.read() == 1).await;
    clock.advance(Duration::from_secs(2));
    let answer = ask("four.test").await;
    assert!(answer.stale && answer.took_us < 400_000, "{answer:?}");

    clock.advance(Duration::from_secs(24 * 3_600));
    let answer = ask("four.test").await;
    assert_eq!((answer.outcome, answer.stale, answer.addresses.len()), (ErrorCode::SelfDns, false, 0));

    server.silence(false);
    until("recovery", async || {
        clock.advance(Duration::from_secs(1));
        ask("four.test").await.outcome == ErrorCode::Ok
    })
    .await;
    assert!(!ask("four.test").await.stale);
    assert_eq!(resolver.stats().down.read(), 0);
}

#[tokio::test]
async fn an_error_that_is_the_names_own_is_never_papered_over() {
    let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = Arc::clone(&gone);
    let server = NameServer::start(move |name, kind| {
        let gone = flag.load(std::sync::atomic::Ordering::SeqCst);
        if gone && !name.is_empty() { Say::NxDomain } else { say(name, kind) }
    });
    let clock = Shifted::new();
    let resolver = resolver(&[server.address], &clock);
    assert_eq!(resolver.resolve("four.test", IpFamily::Ipv4, LIMIT).await.outcome, ErrorCode::Ok);
    gone.store(true, std::sync::atomic::Ordering::SeqCst);
    clock.advance(Duration::from_secs(61));
    let answer = resolver.resolve("four.test", IpFamily::Ipv4, LIMIT).await;
    assert_eq!((answer.outcome, answer.stale), (ErrorCode::DnsNxdomain, false));
}

#[tokio::test]
async fn the_machines_own_names_search_domains_and_changes_of_them_count() {
    let server = NameServer::start(|name, _| match name {
        "db.corp.test" => Say::Addresses(&["192.0.2.20"], 60),
        "only" => Say::Addresses(&["192.0.2.21"], 60),
        "" => Say::Root,
        _ => Say::NxDomain,
    });
    let dir = tempfile::tempdir().unwrap();
    let (resolv_conf, hosts) = (dir.path().join("resolv.conf"), dir.path().join("hosts"));
    fs::write(&resolv_conf, "nameserver 192.0.2.53\nsearch other.test corp.test\n").unwrap();
    fs::write(&hosts, "192.0.2.22 box.test box\n").unwrap();
    let clock = Shifted::new();
    let upstreams = Some(vec![server.address]);
    let config = ResolverConfig {
        upstreams,
        resolv_conf: resolv_conf.clone(),
        hosts: hosts.clone(),
        descriptors: None,
    };
    let resolver = Resolver::new(config, Arc::clone(&clock) as Arc<dyn Clock>);
    let ask = async |name: &str| texts(&resolver.resolve(name, IpFamily::Any, LIMIT).await);

    assert_eq!(ask("db").await, ["192.0.2.20"]);
    assert_eq!(ask("only").await, ["192.0.2.21"]);
    assert_eq!(ask("box").await, ["192.0.2.22"]);
    assert_eq!(ask("box.test").await, ["192.0.2.22"]);
    assert_eq!(ask("localhost").await, ["::1", "127.0.0.1"]);
    // Search is for names of one label: what has a dot is absolute.
    assert!(ask("db.corp").await.is_empty());
    assert_eq!(server.count("db.corp.other.test"), 0);
    assert_eq!(server.count("box") + server.count("box.test") + server.count("localhost"), 0);

    fs::write(&hosts, "192.0.2.23 box.test box # moved\n").unwrap();
    clock.advance(Duration::from_secs(31));
    assert_eq!(ask("box").await, ["192.0.2.23"]);
    assert_eq!(resolver.upstreams(), [server.address]);
}

#[tokio::test]
async fn without_an_override_the_machines_name_servers_are_asked_and_changes_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let resolv_conf = dir.path().join("resolv.conf");
    fs::write(&resolv_conf, "nameserver 127.0.0.250\n").unwrap();
    let clock = Shifted::new();
    let config = ResolverConfig { resolv_conf: resolv_conf.clone(), ..ResolverConfig::default() };
    let resolver = Resolver::new(config, Arc::clone(&clock) as Arc<dyn Clock>);
    assert_eq!(resolver.upstreams(), ["127.0.0.250:53".parse().unwrap()]);
    fs::write(&resolv_conf, "nameserver 127.0.0.251\nnameserver 127.0.0.252\n").unwrap();
    clock.advance(Duration::from_secs(31));
    let limit = Duration::from_millis(300);
    assert_eq!(resolver.resolve("four.test", IpFamily::Any, limit).await.outcome, ErrorCode::SelfDns);
    assert_eq!(resolver.upstreams(), ["127.0.0.251:53".parse().unwrap(), "127.0.0.252:53".parse().unwrap()]);
}

#[tokio::test]
async fn whether_any_upstream_answers_can_be_asked() {
    let good = NameServer::start(say);
    let silent = NameServer::start(|_, _| Say::Silence);
    let refuses = NameServer::start(|_, _| Say::Error(ResponseCode::Refused, None));
    for (upstreams, answers) in [
        (vec![good.address], true),
        (vec![silent.address, good.address], true),
        (vec![refuses.address], true),
        (vec![silent.address], false),
    ] {
        assert_eq!(
            resolver(&upstreams, &Shifted::new()).any_upstream_answers().await,
            answers,
            "{upstreams:?}"
        );
    }
}

/// 2,000 lookups a second of different names: none lost, and the price of one.
#[test]
fn two_thousand_lookups_a_second_are_none_too_many() {
    const RATE: u64 = 2_000;
    const SECONDS: u64 = 3;
    let server = NameServer::start(|name, _| {
        if name.is_empty() { Say::Root } else { Say::Addresses(&["192.0.2.4", "2001:db8::4"], 60) }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cpu = || {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
    };
    let resolver = resolver(&[server.address], &Shifted::new());
    let (spent, slowest) = runtime.block_on(async {
        let before = cpu();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let mut callers = Vec::new();
        for n in 0..RATE * SECONDS {
            if n % (RATE / 200) == 0 {
                tick.tick().await;
            }
            let resolver = resolver.clone();
            callers.push(tokio::spawn(async move {
                resolver.resolve(&format!("n{n}.load.test"), IpFamily::Any, LIMIT).await
            }));
        }
        let mut slowest = 0;
        for caller in callers {
            let answer = caller.await.unwrap();
            assert_eq!(answer.addresses.len(), 2, "{answer:?}");
            slowest = slowest.max(answer.took_us);
        }
        (cpu() - before, slowest)
    });
    let lookups = (RATE * SECONDS) as u32;
    println!("{:?} of CPU a lookup (A and AAAA), slowest {slowest} us", spent / lookups);

    let (before, now) = (cpu(), SystemClock.boot());
    let hits = (0..lookups).filter(|_| resolver.cached("n7.load.test", IpFamily::Any, now).is_some()).count();
    println!("{:?} of CPU a look into the cache", (cpu() - before) / lookups);
    assert_eq!(hits, lookups as usize);
}
