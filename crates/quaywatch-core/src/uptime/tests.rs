//! Examples, and random histories against a model that looks at every second.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

fn at(s: i64) -> Timestamp {
    Timestamp::from_secs(s)
}

fn span(from: i64, to: i64) -> Span {
    Span { from: at(from), to: at(to) }
}

fn not_up(from: i64, to: i64, status: Status, code: ErrorCode) -> NotUp {
    NotUp { from: at(from), to: Some(at(to)), status, code }
}

fn history(not_up: &[NotUp]) -> History<'_> {
    History {
        window: span(0, 1_000),
        now: at(10_000),
        born: at(-10),
        not_up,
        blind: &[],
        maintenance: &[],
        pauses: &[],
        checks: Checks::default(),
    }
}

fn figures(history: &History<'_>) -> [Option<(u32, u64, u64)>; 3] {
    let up = uptime(history);
    [up.confirmed, up.without_maintenance, up.without_unknown]
        .map(|share| share.map(|share| (share.ppm, share.down_ms, share.of_ms)))
}

#[test]
fn each_figure_leaves_out_what_it_says() {
    let rows = [
        not_up(100, 200, Status::Down, ErrorCode::TcpRefused),
        not_up(200, 250, Status::Unknown, ErrorCode::SelfDns),
        not_up(300, 350, Status::Maintenance, ErrorCode::TcpTimeout),
        not_up(350, 400, Status::Maintenance, ErrorCode::Ok),
        not_up(500, 600, Status::Degraded, ErrorCode::TcpSlow),
        not_up(700, 800, Status::Paused, ErrorCode::Ok),
        not_up(800, 810, Status::Pending, ErrorCode::Ok),
        not_up(900, 950, Status::Blocked, ErrorCode::PolicyBlocked),
    ];
    let blind = [span(150, 210), span(990, 2_000)];
    let history = History { blind: &blind, ..history(&rows) };
    assert_eq!(
        figures(&history),
        [
            // 1,000 s without pause and pending; down inside maintenance counts.
            Some((831_460, 150_000, 890_000)),
            Some((873_417, 100_000, 790_000)),
            // Less unknown and blind 150 to 250, blocked 50 s, blind 10 s.
            Some((920_634, 50_000, 630_000)),
        ]
    );
}

#[test]
fn one_millisecond_down_is_never_a_hundred_percent() {
    let moment = NotUp {
        from: Timestamp::from_millis(5),
        to: Some(Timestamp::from_millis(6)),
        status: Status::Down,
        code: ErrorCode::TcpReset,
    };
    let rows = [moment];
    let year = History { window: span(0, 31_536_000), now: at(40_000_000), ..history(&rows) };
    assert_eq!(figures(&year)[2], Some((999_999, 1, 31_536_000_000)));
    assert_eq!(figures(&history(&[]))[2], Some((1_000_000, 0, 1_000_000)));
}

#[test]
fn an_open_interval_lasts_until_now_and_the_future_does_not_count() {
    let rows = [NotUp { from: at(400), to: None, status: Status::Down, code: ErrorCode::TcpRefused }];
    let today = History { now: at(500), ..history(&rows) };
    assert_eq!(figures(&today)[0], Some((800_000, 100_000, 500_000)));
    let tomorrow = History { now: at(-5), ..history(&rows) };
    assert_eq!(figures(&tomorrow), [None, None, None], "nothing to take a share of");
}

#[test]
fn life_begins_with_the_first_result() {
    let rows = [not_up(0, 600, Status::Down, ErrorCode::TcpRefused)];
    let young = History { born: at(500), ..history(&rows) };
    assert_eq!(figures(&young)[0], Some((800_000, 100_000, 500_000)));
}

#[test]
fn raw_is_a_share_of_checks() {
    let raw = |answered, failed| {
        uptime(&History { checks: Checks { answered, failed }, ..history(&[]) })
            .raw
            .map(|raw| (raw.ppm, raw.failed, raw.of))
    };
    assert_eq!(raw(2, 1), Some((666_666, 1, 3)));
    assert_eq!(raw(0, 0), None);
    assert_eq!(raw(u64::MAX, u64::MAX).map(|(_, failed, _)| failed), Some(u64::MAX), "no overflow");
}

#[test]
fn a_monitor_is_blind_only_where_all_its_locations_are() {
    let (here, there) = ([span(0, 50), span(40, 100), span(200, 300)], [span(80, 210), span(290, 400)]);
    assert_eq!(blind_everywhere(&[&here, &there]), [span(80, 100), span(200, 210), span(290, 300)]);
    assert_eq!(blind_everywhere(&[&here]), [span(0, 100), span(200, 300)]);
    assert_eq!(blind_everywhere(&[&here, &[]]), []);
    assert_eq!(blind_everywhere(&[]), []);
}

/// Looks at every second of the window.
fn naive(history: &History<'_>) -> [Option<(u32, u64, u64)>; 3] {
    let covers = |spans: &[Span], s: i64| spans.iter().any(|span| span.from <= at(s) && at(s) < span.to);
    let mut sums = [(0_u64, 0_u64); 3];
    for s in history.window.from.secs()..history.window.to.secs() {
        if at(s) >= history.now || at(s) < history.born || covers(history.pauses, s) {
            continue;
        }
        let here = |row: &&NotUp| row.from <= at(s) && row.to.is_none_or(|to| at(s) < to);
        let rows: Vec<&NotUp> = history.not_up.iter().filter(here).collect();
        let any = |status: Status| rows.iter().any(|row| row.status == status);
        let beneath = |verdict: Verdict| {
            rows.iter().any(|row| row.status == Status::Maintenance && row.code.verdict() == verdict)
        };
        if any(Status::Paused) || any(Status::Pending) {
            continue;
        }
        let down = any(Status::Down) || beneath(Verdict::Down);
        let maintained = any(Status::Maintenance) || covers(history.maintenance, s);
        let unseen = any(Status::Unknown)
            || any(Status::Blocked)
            || beneath(Verdict::Unknown)
            || beneath(Verdict::Blocked)
            || covers(history.blind, s);
        for (index, counts) in [true, !maintained, !maintained && !unseen].into_iter().enumerate() {
            sums[index].0 += u64::from(counts && down);
            sums[index].1 += u64::from(counts);
        }
    }
    sums.map(|(down, of)| (of > 0).then(|| (((of - down) * 1_000_000 / of) as u32, down * 1_000, of * 1_000)))
}

#[test]
fn the_figures_are_those_of_counting_every_second() {
    let spans = || {
        prop::collection::vec((-20..120_i64, -5..40_i64).prop_map(|(from, len)| span(from, from + len)), 0..6)
    };
    let statuses = [
        Status::Pending,
        Status::Up,
        Status::Degraded,
        Status::Down,
        Status::Unknown,
        Status::Blocked,
        Status::Maintenance,
        Status::Paused,
    ];
    let codes = [
        ErrorCode::Ok,
        ErrorCode::TcpRefused,
        ErrorCode::TcpSlow,
        ErrorCode::SelfDns,
        ErrorCode::PolicyBlocked,
    ];
    let row = (
        -20..120_i64,
        -5..40_i64,
        any::<bool>(),
        prop::sample::select(statuses.to_vec()),
        prop::sample::select(codes.to_vec()),
    )
        .prop_map(|(from, len, open, status, code)| NotUp {
            from: at(from),
            to: (!open || len > 5).then_some(at(from + len)),
            status,
            code,
        });
    let strategy = (
        (-30..60_i64, 0..120_i64, -10..140_i64, -10..100_i64),
        prop::collection::vec(row, 0..10),
        (spans(), spans(), spans()),
    );
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let outcome = runner.run(&strategy, |((from, len, now, born), rows, (blind, maintenance, pauses))| {
        let history = History {
            window: span(from, from + len),
            now: at(now),
            born: at(born),
            not_up: &rows,
            blind: &blind,
            maintenance: &maintenance,
            pauses: &pauses,
            checks: Checks::default(),
        };
        prop_assert_eq!(figures(&history), naive(&history));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn blindness_in_common_is_that_of_every_second() {
    let spans = || {
        prop::collection::vec((0..100_i64, -5..30_i64).prop_map(|(from, len)| span(from, from + len)), 0..6)
    };
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]));
    let outcome = runner.run(&prop::collection::vec(spans(), 1..4), |lists| {
        let borrowed: Vec<&[Span]> = lists.iter().map(Vec::as_slice).collect();
        let common = blind_everywhere(&borrowed);
        let covers = |spans: &[Span], s: i64| spans.iter().any(|span| span.from <= at(s) && at(s) < span.to);
        for s in -10..150 {
            prop_assert_eq!(covers(&common, s), lists.iter().all(|list| covers(list, s)), "second {}", s);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
