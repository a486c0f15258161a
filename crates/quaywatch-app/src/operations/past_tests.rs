//! Questions about the past, asked of a real store whose layers have moved under them.

use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::doc::Node;
use quaywatch_core::judge::Status;
use quaywatch_core::{
    AccountId, Attempt, ErrorCode, Evidence, IncidentId, LocationId, MonitorId, Signal, Stage, Timestamp,
};
use quaywatch_store::Store;
use quaywatch_store::records::{BlindChange, EvidenceRecord, IntervalWrite, Retention, Window};

use super::OperationError;
use super::intervals::IntervalQuery;
use super::kit::{DAY, HOUR, Kit, MIDNIGHT, MINUTE, caller, failed, ok, owner};
use super::latency::LatencyQuery;
use super::monitors::{MonitorFilter, MonitorQuery, MonitorSort};
use super::page::Paging;
use super::results::ResultQuery;

fn at(seconds: u64) -> Timestamp {
    MIDNIGHT + Duration::from_secs(seconds)
}

fn window(from: u64, to: u64) -> Window {
    Window { from: at(from), to: at(to) }
}

/// A check a minute for `minutes`, of which each tenth failed; latencies 1,000 µs and up.
async fn history(kit: &Kit, id: MonitorId, minutes: u32) {
    for hour in 0..minutes.div_ceil(60) {
        let results = (hour * 60..minutes.min(hour * 60 + 60))
            .map(|minute| {
                let slot = MIDNIGHT + MINUTE * minute;
                if minute % 10 == 9 {
                    failed(id, slot, ErrorCode::TcpRefused)
                } else {
                    ok(id, slot, 1_000 + minute)
                }
            })
            .collect();
        kit.record(results).await;
    }
}

fn results_of(window: Window) -> ResultQuery {
    let paging = Paging { after: None, limit: Some(7) };
    ResultQuery { window, location: None, failures: false, newest_first: true, paging }
}

/// All pages of a question, and how many there were.
async fn every_page(kit: &Kit, id: MonitorId, mut query: ResultQuery) -> (Vec<Timestamp>, usize) {
    let (mut slots, mut pages) = (Vec::new(), 0);
    loop {
        let page = kit.operations.list_results(&owner(), id, &query).await.expect("a page");
        assert!(page.items.len() <= 7);
        slots.extend(page.items.iter().map(|item| item.at));
        pages += 1;
        match page.next {
            Some(next) => query.paging.after = Some(next),
            None => return (slots, pages),
        }
    }
}

#[tokio::test]
async fn pages_of_results_give_each_check_once_in_both_directions_and_over_all_layers() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    history(&kit, id, 150).await;
    let all: Vec<Timestamp> = (0..150).map(|minute| MIDNIGHT + MINUTE * minute).collect();
    for layer in ["log", "blocks", "days"] {
        let query = results_of(window(0, 86_400));
        let (mut slots, pages) = every_page(&kit, id, query.clone()).await;
        slots.reverse();
        assert_eq!((slots, pages), (all.clone(), 22), "{layer}");
        let (slots, _) = every_page(&kit, id, ResultQuery { newest_first: false, ..query.clone() }).await;
        assert_eq!(slots, all, "{layer}");
        let failures = ResultQuery { failures: true, ..query };
        assert_eq!(every_page(&kit, id, failures).await.0.len(), 15, "{layer}");
        kit.after(4 * HOUR, Retention::default()).await;
        if layer == "blocks" {
            kit.after(4 * DAY, Retention::default()).await;
        }
    }
}

#[tokio::test]
async fn p22_single_results_are_shown_as_far_back_as_the_plan_says() {
    let kit = Kit::with("server: {plans: {free: {retention: 1d}}, default_plan: free}\nmonitors: []\n").await;
    let id = kit.monitor("db").await;
    kit.record(vec![ok(id, at(0), 1_000)]).await;
    kit.record(vec![ok(id, at(86_400), 1_000), ok(id, at(90_000), 1_000)]).await;
    let (slots, _) = every_page(&kit, id, results_of(window(0, 100_000))).await;
    assert_eq!(slots, [at(90_000), at(86_400)]);
    let page = kit.operations.list_results(&owner(), id, &results_of(window(0, 10))).await.expect("nothing");
    assert!(page.items.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn t23_a_result_says_null_when_ok_and_the_word_and_the_proof_when_not() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    kit.record(vec![ok(id, at(0), 910), failed(id, at(60), ErrorCode::TcpRefused)]).await;
    let evidence = Evidence {
        attempts: vec![Attempt {
            address: "192.0.2.10:5432".parse().expect("an address"),
            error_code: ErrorCode::TcpRefused,
            stage: Stage::Connect,
            signal: Signal::Rst,
            latency_us: None,
            elapsed_us: 412,
            syn_retransmits: 0,
            errno: Some("ECONNREFUSED".into()),
            icmp: None,
        }],
        ..Evidence::default()
    };
    let proof = EvidenceRecord {
        monitor: id,
        location: LocationId::LOCAL,
        slot: at(60),
        code: ErrorCode::TcpRefused,
        incident: None,
        evidence,
    };
    kit.commit(id, |step| step.evidence = vec![proof]).await;
    let page =
        kit.operations.list_results(&owner(), id, &results_of(window(0, 3_600))).await.expect("a page");
    let [bad, good] = &page.items[..] else { panic!("two results: {page:?}") };
    assert_eq!((good.error_status, good.error_code, good.latency_us), (None, ErrorCode::Ok, Some(910)));
    assert!(good.attempts.is_empty() && good.location == "local");
    assert_eq!(bad.error_status.map(quaywatch_core::ErrorStatus::as_str), Some("tcp_refused"));
    assert_eq!((bad.latency_us, bad.elapsed_us, bad.attempts.len()), (None, Some(412), 1));
    assert_eq!(bad.detail.as_deref(), Some("RST in answer to SYN"));
}

#[tokio::test]
async fn p22_a_good_check_names_the_address_that_it_looked_at() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    let by_name =
        kit.monitor_of(AccountId::DEFAULT, r#"{"name":"named","host":"db.example.com","port":5432}"#).await;
    let change = async |patch: &str| {
        let patch = Node::from_json(patch).expect("JSON");
        kit.operations.update_monitor(&owner(), id, &patch, None).await.expect("changed");
    };
    let addresses = async |id| {
        let query = ResultQuery { newest_first: false, ..results_of(window(0, 3_600)) };
        let page = kit.operations.list_results(&owner(), id, &query).await.expect("a page");
        let address = |address: std::net::SocketAddr| address.to_string();
        page.items.iter().map(|one| one.address.map(address)).collect::<Vec<_>>()
    };
    let old = Some("192.0.2.10:5432".to_owned());
    kit.record(vec![ok(id, at(0), 910), failed(id, at(60), ErrorCode::SelfOverload)]).await;
    kit.record(vec![ok(by_name, at(60), 910)]).await;
    assert_eq!(addresses(id).await, [old.clone(), None], "what was not sent had no address");
    assert_eq!(addresses(by_name).await, [None]);
    change(r#"{"name":"orders","check_interval":"30s"}"#).await;
    kit.record(vec![failed(id, at(120), ErrorCode::TcpRefused)]).await;
    assert_eq!(addresses(id).await, [old.clone(), None, old]);

    change(r#"{"host":"192.0.2.11"}"#).await;
    change(r#"{"check_interval":"60s"}"#).await;
    // The first of them may have been under way when the target changed.
    kit.record(vec![ok(id, at(150), 910), ok(id, at(240), 910)]).await;
    let new = Some("192.0.2.11:5432".to_owned());
    assert_eq!(addresses(id).await, [None, None, None, None, new]);
    // Back again: what was seen of the one between is not told as seen of this one.
    change(r#"{"host":"192.0.2.10"}"#).await;
    kit.record(vec![ok(id, at(400), 910)]).await;
    assert_eq!(addresses(id).await, [None, None, None, None, None, Some("192.0.2.10:5432".to_owned())]);
}

#[tokio::test]
async fn percentiles_are_exact_while_single_results_last_and_near_afterwards() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    history(&kit, id, 180).await;
    let ask = |bucket: Option<u64>, from, to| LatencyQuery {
        window: window(from, to),
        bucket: bucket.map(Duration::from_secs),
        location: None,
    };
    let young =
        kit.operations.summarise_latency(&owner(), id, &ask(Some(3_600), 0, 10_800)).await.expect("young");
    assert_eq!(young.buckets.len(), 3);
    let first = &young.buckets[0];
    assert_eq!((first.from, first.answered, first.failed, first.unseen), (at(0), 54, 6, 0));
    let figures = first.latency.expect("answers");
    assert_eq!((figures.min_us, figures.p50_us, figures.max_us, figures.exact), (1_000, 1_028, 1_058, true));
    assert_eq!((young.total.answered, young.total.failed), (162, 18));
    assert!(young.total.latency.expect("answers").exact);
    let chart = kit.operations.summarise_latency(&owner(), id, &ask(None, 0, 10_800)).await.expect("a chart");
    assert_eq!((chart.bucket, chart.buckets.len()), (MINUTE, 180));

    // A month later single results are gone: hours are left.
    kit.after(5 * DAY, Retention::default()).await;
    kit.after(30 * DAY, Retention::default()).await;
    let old = kit.operations.summarise_latency(&owner(), id, &ask(None, 0, 10_800)).await.expect("old");
    assert_eq!((old.bucket, old.buckets.len()), (HOUR, 3));
    let near = old.buckets[0].latency.expect("answers");
    assert_eq!((near.min_us, near.max_us, near.mean_us, near.exact), (1_000, 1_058, figures.mean_us, false));
    assert!(near.p50_us.abs_diff(figures.p50_us) * 1_000 < 26 * figures.p50_us, "{near:?} for {figures:?}");
    let error = kit.operations.summarise_latency(&owner(), id, &ask(Some(60), 0, 10_800)).await;
    assert!(
        matches!(&error, Err(OperationError::Invalid(p)) if p.to_string().contains("by the hour")),
        "{error:?}"
    );

    // And a year later only days.
    kit.after(400 * DAY, Retention::default()).await;
    let days = kit.operations.summarise_latency(&owner(), id, &ask(None, 0, 10_800)).await.expect("days");
    assert_eq!((days.bucket, days.buckets.len(), days.total.answered), (DAY, 1, 162));
}

#[tokio::test]
async fn a_window_over_the_border_counts_every_check_once() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    history(&kit, id, 120).await;
    // 31 days later the first results are gone, new ones have come.
    kit.after(31 * DAY + 2 * HOUR, Retention::default()).await;
    kit.after(5 * DAY, Retention::default()).await;
    let day = 36 * 86_400;
    kit.record((0..60).map(|n| ok(id, at(day + 20_000 + n * 60), 5_000)).collect()).await;
    let query = LatencyQuery { window: window(0, day + 86_400), bucket: None, location: None };
    let view = kit.operations.summarise_latency(&owner(), id, &query).await.expect("both");
    assert_eq!((view.total.answered, view.total.failed), (108 + 60, 12));
    assert_eq!(view.buckets.iter().map(|bucket| bucket.answered).sum::<u64>(), 168);
    assert!(!view.total.latency.expect("answers").exact);
    assert!(view.buckets.last().and_then(|bucket| bucket.latency).is_some_and(|figures| figures.exact));
    let uptime = kit.operations.read_uptime(&owner(), id, &[query.window]).await.expect("figures");
    let raw = uptime[0].uptime.raw.expect("checks");
    assert_eq!((raw.of, raw.failed), (180, 12));
}

/// Down from 600 to 900 s; nobody could see from 1,200 to 1,500 s; looked at since 0.
async fn eventful(kit: &Kit) -> MonitorId {
    let id = kit.monitor("db").await;
    history(kit, id, 60).await;
    kit.commit(id, |step| {
        let (status, code) = (Status::Down, ErrorCode::TcpRefused);
        step.intervals = vec![
            IntervalWrite::Open { monitor: id, from: at(600), status, code, incident: None },
            IntervalWrite::Close { monitor: id, to: at(900) },
        ];
    })
    .await;
    let (location, code) = (LocationId::LOCAL, ErrorCode::SelfNetwork);
    let system = kit.store.system();
    system.blind(BlindChange::Began { location, at: at(1_200), code }).await.expect("written");
    system.blind(BlindChange::Ended { location, at: at(1_500) }).await.expect("written");
    id
}

#[tokio::test]
async fn one_incident_counts_as_one_outage_whatever_lay_within_it() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    history(&kit, id, 60).await;
    let incidents = [1, 2].map(|n| IncidentId::new(n, [0; 10]));
    let (down, unknown) = ((Status::Down, ErrorCode::TcpRefused), (Status::Unknown, ErrorCode::SelfOverload));
    let stretches = [
        (600, 700, down, Some(incidents[0])),
        (700, 750, unknown, Some(incidents[0])),
        (750, 900, down, Some(incidents[0])),
        (1_200, 1_260, down, Some(incidents[1])),
        (1_500, 1_560, down, None),
        (1_800, 1_860, down, None),
    ];
    for (from, to, (status, code), incident) in stretches {
        kit.commit(id, |step| {
            step.intervals = vec![
                IntervalWrite::Open { monitor: id, from: at(from), status, code, incident },
                IntervalWrite::Close { monitor: id, to: at(to) },
            ];
        })
        .await;
    }
    let windows = [window(0, 3_000), window(0, 1_000), window(720, 1_230), window(710, 740)];
    let views = kit.operations.read_uptime(&owner(), id, &windows).await.expect("figures");
    assert_eq!(views.iter().map(|view| view.outages).collect::<Vec<_>>(), [4, 1, 2, 0]);
}

#[tokio::test]
async fn the_four_figures_come_from_intervals_and_checks() {
    let kit = Kit::new().await;
    let id = eventful(&kit).await;
    let windows = [window(0, 3_000), window(600, 900), window(2_000, 3_000)];
    let views = kit.operations.read_uptime(&owner(), id, &windows).await.expect("figures");
    let whole = views[0].uptime;
    assert_eq!(views[0].born, Some(at(0)));
    assert_eq!(whole.raw.map(|raw| (raw.of, raw.failed)), Some((50, 5)));
    assert_eq!(whole.confirmed.map(|share| (share.down_ms, share.of_ms)), Some((300_000, 3_000_000)));
    assert_eq!(whole.without_unknown.map(|share| (share.down_ms, share.of_ms)), Some((300_000, 2_700_000)));
    assert_eq!(views[0].outages, 1);
    assert_eq!(views[1].uptime.confirmed.map(|share| share.ppm), Some(0));
    assert_eq!(views[2].uptime.confirmed.map(|share| share.ppm), Some(1_000_000));
    assert_eq!(views[2].outages, 0);
    // A year later hours and days tell the same.
    kit.after(5 * DAY, Retention::default()).await;
    let whole_hours =
        kit.operations.read_uptime(&owner(), id, &[window(0, 3 * 86_400)]).await.expect("figures");
    assert_eq!(whole_hours[0].uptime.raw.map(|raw| (raw.of, raw.failed)), Some((60, 6)));
    kit.after(500 * DAY, Retention::default()).await;
    let days = kit.operations.read_uptime(&owner(), id, &[window(0, 3 * 86_400)]).await.expect("figures");
    assert_eq!(days[0].uptime.raw, whole_hours[0].uptime.raw);
    assert!(kit.operations.read_uptime(&owner(), id, &[window(900, 600)]).await.is_err());
}

#[tokio::test]
async fn intervals_show_blind_time_as_the_monitors_own() {
    let kit = Kit::new().await;
    let id = eventful(&kit).await;
    let mut query = IntervalQuery {
        monitor: Some(id),
        window: window(0, 3_600),
        statuses: Vec::new(),
        paging: Paging { after: None, limit: Some(1) },
    };
    let last = kit.operations.list_intervals(&owner(), &query).await.expect("a page");
    let row = &last.items[0];
    assert_eq!(
        (row.status, row.from, row.to, row.blind),
        (Status::Unknown, at(1_200), Some(at(1_500)), true)
    );
    assert_eq!(row.code, ErrorCode::SelfNetwork);
    query.paging.after = last.next;
    let first = kit.operations.list_intervals(&owner(), &query).await.expect("a page");
    let row = &first.items[0];
    assert_eq!((row.status, row.from, row.to, row.blind), (Status::Down, at(600), Some(at(900)), false));
    assert_eq!((row.sentence, first.next), ("TCP connection refused", None));
    let only = IntervalQuery { statuses: vec![Status::Unknown], paging: Paging::default(), ..query };
    assert_eq!(kit.operations.list_intervals(&owner(), &only).await.expect("a page").items.len(), 1);
}

#[tokio::test]
async fn the_intervals_of_all_monitors_are_paged_and_stay_in_their_account() {
    let kit = Kit::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = kit.monitor(&format!("db-{n}")).await;
        let (status, code) = (Status::Down, ErrorCode::TcpRefused);
        let from = at(100 * (n / 2));
        kit.commit(id, |step| {
            step.intervals = vec![IntervalWrite::Open { monitor: id, from, status, code, incident: None }];
        })
        .await;
        ids.push(id);
    }
    kit.clock.advance(HOUR);
    let paging = Paging { after: None, limit: Some(2) };
    let mut query = IntervalQuery { monitor: None, window: window(0, 3_600), statuses: Vec::new(), paging };
    let mut found = Vec::new();
    loop {
        let page = kit.operations.list_intervals(&owner(), &query).await.expect("a page");
        found.extend(page.items.iter().map(|row| row.monitor));
        match page.next {
            Some(next) => query.paging.after = Some(next),
            None => break,
        }
    }
    ids.reverse();
    assert_eq!(found, ids);
    query.paging.after = None;
    let other = caller(kit.account("other").await, Role::Owner);
    assert!(kit.operations.list_intervals(&other, &query).await.expect("none").items.is_empty());
    query.statuses = vec![Status::Degraded];
    assert!(kit.operations.list_intervals(&owner(), &query).await.expect("none").items.is_empty());
}

#[tokio::test]
async fn a_moment_in_the_past_is_told_as_it_was() {
    let kit = Kit::new().await;
    kit.clock.advance(Duration::from_secs(1));
    let id = eventful(&kit).await;
    let mut said = Vec::new();
    for second in [0, 1, 599, 600, 899, 900, 1_300, 1_600] {
        let state = kit.operations.read_state_at(&owner(), id, at(second)).await.expect("a state");
        said.push((
            second,
            state.status,
            state.since.map(|since| since.since(MIDNIGHT).as_secs()),
            state.blind,
        ));
    }
    let (up, down, unknown) = (Some(Status::Up), Some(Status::Down), Some(Status::Unknown));
    assert_eq!(
        said,
        [
            (0, None, None, false),
            (1, up, Some(0), false),
            (599, up, Some(0), false),
            (600, down, Some(600), false),
            (899, down, Some(600), false),
            (900, up, Some(900), false),
            (1_300, unknown, Some(1_200), true),
            (1_600, up, Some(1_500), false),
        ]
    );
    let all = MonitorQuery::default();
    for (second, status, since, ..) in said {
        let page = kit.operations.list_monitors_at(&owner(), &all, at(second)).await.expect("a page");
        let listed = page.items.first().map(|(_, state)| state.clone());
        assert_eq!(listed.as_ref().and_then(|state| state.status), status, "at {second}");
        if status.is_some_and(|status| status != Status::Up) {
            let listed = listed.and_then(|state| state.since).map(|since| since.since(MIDNIGHT).as_secs());
            assert_eq!(listed, since, "at {second}");
        }
    }
    let about_now = MonitorQuery {
        filter: MonitorFilter {
            statuses: vec![Status::Down],
            paused: Some(false),
            ..MonitorFilter::default()
        },
        sort: MonitorSort::Since,
        ..MonitorQuery::default()
    };
    let refused =
        kit.operations.list_monitors_at(&owner(), &about_now, at(10)).await.expect_err("not of then");
    let OperationError::Invalid(problems) = refused else { panic!("{refused}") };
    let places: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(places, ["/status", "/paused", "/sort"]);
    assert!(kit.operations.list_monitors_at(&owner(), &all, at(1_000_000)).await.is_err(), "the future");
    assert!(kit.operations.read_state_at(&owner(), id, at(1_000_000)).await.is_err(), "the future");
    let new = kit.monitor("new").await;
    let state = kit.operations.read_state_at(&owner(), new, at(3_541)).await.expect("a state");
    assert_eq!(state.status, Some(Status::Pending));
}

#[tokio::test]
async fn another_accounts_monitor_does_not_exist_and_a_viewer_may_look() {
    let kit = Kit::new().await;
    let id = eventful(&kit).await;
    let other = caller(kit.account("other").await, Role::Owner);
    let viewer = caller(AccountId::DEFAULT, Role::Viewer);
    let query = LatencyQuery { window: window(0, 3_600), bucket: None, location: None };
    let intervals = IntervalQuery {
        monitor: Some(id),
        window: window(0, 3_600),
        statuses: Vec::new(),
        paging: Paging::default(),
    };
    let not_found = |error: Option<OperationError>| matches!(error, Some(OperationError::NotFound { .. }));
    let all = kit.operations.clone();
    assert!(not_found(all.list_results(&other, id, &results_of(window(0, 3_600))).await.err()));
    assert!(not_found(all.summarise_latency(&other, id, &query).await.err()));
    assert!(not_found(all.read_uptime(&other, id, &[window(0, 3_600)]).await.err()));
    assert!(not_found(all.list_intervals(&other, &intervals).await.err()));
    assert!(not_found(all.read_state_at(&other, id, at(10)).await.err()));
    assert!(all.list_results(&viewer, id, &results_of(window(0, 3_600))).await.is_ok());
    assert!(all.read_uptime(&viewer, id, &[window(0, 3_600)]).await.is_ok());
}

#[tokio::test]
async fn locations_say_since_when_they_cannot_see() {
    let kit = Kit::with("locations: [us-east]\nmonitors: []\n").await;
    let (location, code) = (LocationId::LOCAL, ErrorCode::SelfNetwork);
    kit.store.system().blind(BlindChange::Began { location, at: at(0), code }).await.expect("written");
    let places = kit.operations.list_locations(&owner()).await.expect("places");
    let said: Vec<_> = places.iter().map(|place| (place.name.as_str(), place.blind)).collect();
    assert_eq!(said, [("local", Some((at(0), code))), ("us-east", None)]);
    let bad = ResultQuery { location: Some("us-west".into()), ..results_of(window(0, 60)) };
    kit.clock.advance(MINUTE);
    let id = kit.monitor("db").await;
    let error = kit.operations.list_results(&owner(), id, &bad).await.expect_err("no such place");
    assert!(error.to_string().contains("us-east"), "{error}");
}

#[tokio::test]
async fn s02_the_sixteen_presets_stand_in_their_order_before_the_wide_table() {
    let kit = Kit::new().await;
    let known = kit.operations.list_presets(&caller(AccountId::DEFAULT, Role::Viewer)).expect("presets");
    let ports: Vec<u16> = known.presets.iter().map(|preset| preset.port).collect();
    assert_eq!(ports, [21, 22, 25, 53, 80, 443, 587, 993, 995, 3306, 4222, 5432, 5672, 6379, 8080, 27017]);
    assert_eq!((known.presets[6].label, known.presets[10].label), ("SMTP (TLS)", "NATS"));
    assert!(known.services.len() > 100 && known.sets.iter().any(|(name, _)| *name == "databases"));
}
