//! Lists of monitors: held against a model that looks at everything.

use quaywatch_core::MonitorId;
use quaywatch_core::judge::Status;

use super::{Bench, Open, at, commit, remove, state, step, wait};
use crate::records::{
    ChangeSet, MonitorCursor, MonitorFilter, MonitorQuery, MonitorRow, MonitorSort, Owner, Pause,
    ResourceChange, StatusCounts, TagFilter,
};

/// More than an account has whose monitors are simply read through.
const MONITORS: usize = 6_000;

const WORDS: [&str; 8] = ["Orders", "кассы", "Über", "Billing", "mail", "cache", "ORDERS\"x", "a%b_c"];
const GROUPS: [&str; 6] = ["", "prod", "prod/db", "prod-2", "prod/db/eu", "test"];
const STATUSES: [Status; 5] = [Status::Up, Status::Down, Status::Degraded, Status::Unknown, Status::Pending];

/// What the model knows of a monitor.
#[derive(Debug, Clone)]
struct Known {
    id: MonitorId,
    name: String,
    host: String,
    port: u16,
    group: &'static str,
    tags: Vec<(&'static str, String)>,
    channels: Vec<String>,
    locations: Vec<&'static str>,
    enabled: bool,
    owner: Owner,
    status: Status,
    since: i64,
    updated: i64,
}

/// A sequence of numbers that is the same on each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }
}

fn known(i: usize, dice: &mut Dice) -> Known {
    let mut tags = vec![("team", format!("t{}", dice.roll(5)))];
    if dice.one_in(2_000) {
        tags.push(("rare", String::new()));
    }
    let locations = if dice.one_in(3) { vec!["eu", "local"] } else { Vec::new() };
    Known {
        id: MonitorId(0),
        name: format!("{} {} {i}", dice.pick(&WORDS), dice.pick(&WORDS)),
        host: format!("host-{}.example.com", dice.roll(500)),
        port: dice.pick(&[22, 443, 5_432]),
        group: dice.pick(&GROUPS),
        tags,
        channels: if dice.one_in(4) { vec![format!("ch {}", dice.roll(40))] } else { Vec::new() },
        locations: if dice.one_in(9) { vec!["eu"] } else { locations },
        enabled: !dice.one_in(50),
        owner: Owner::File,
        status: Status::Pending,
        since: 0,
        updated: 0,
    }
}

fn spec(known: &Known) -> String {
    let tags: serde_json::Map<_, _> =
        known.tags.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let mut spec = serde_json::json!({
        "name": known.name, "monitor_type": "tcp", "host": known.host, "port": known.port,
        "tags": tags, "channels": known.channels,
    });
    if !known.group.is_empty() {
        spec["group"] = known.group.into();
    }
    if !known.locations.is_empty() {
        spec["locations"] = known.locations.clone().into();
    }
    if !known.enabled {
        spec["enabled"] = false.into();
    }
    spec.to_string()
}

fn put(bench: &Bench, monitors: &mut [Known], owner: &Owner, ms: i64) {
    let change = |one: &Known| ResourceChange::PutMonitor {
        key: one.name.clone(),
        name: one.name.clone(),
        spec: spec(one),
    };
    let changes = monitors.iter().map(change).collect();
    let set = ChangeSet { owner: owner.clone(), actor: "test".into(), changes, accepted: None };
    let applied = wait(bench.account.apply(set, at(ms))).expect("applied").monitors;
    assert_eq!(applied.len(), monitors.len());
    for (one, record) in monitors.iter_mut().zip(applied) {
        one.id = record.id;
        one.owner = owner.clone();
        (one.since, one.updated) = (ms, ms);
    }
}

fn fill(bench: &Bench, dice: &mut Dice) -> Vec<Known> {
    let mut monitors: Vec<Known> = (0..MONITORS).map(|i| known(i, dice)).collect();
    put(bench, &mut monitors[..MONITORS - 100], &Owner::File, 1);
    put(bench, &mut monitors[MONITORS - 100..], &Owner::Api, 2);
    for shard in quaywatch_core::ShardId::all() {
        let mine: Vec<usize> =
            (0..MONITORS).filter(|i| monitors[*i].id.shard() == shard && !dice.one_in(20)).collect();
        let mut judged = step(monitors[mine[0]].id, 10);
        for i in mine {
            let one = &mut monitors[i];
            (one.status, one.since) = (dice.pick(&STATUSES[..4]), dice.roll(900) as i64 + 10);
            if dice.one_in(3) {
                one.status = Status::Up;
            }
            judged.states.push(state(one.id, one.status, one.since));
        }
        commit(&bench.own(shard.0), judged);
    }
    let paused: Vec<MonitorId> = monitors.iter().filter(|_| dice.one_in(100)).map(|one| one.id).collect();
    for one in &mut monitors {
        if paused.contains(&one.id) {
            one.status = Status::Paused;
        }
    }
    wait(bench.account.set_paused(paused, Some(Pause::default()), "test".into(), at(20))).expect("paused");
    monitors
}

fn random_query(dice: &mut Dice, monitors: &[Known]) -> MonitorQuery {
    let mut query = MonitorQuery { limit: dice.pick(&[1, 7, 100, 1_000]), ..MonitorQuery::default() };
    query.sort = dice.pick(&[
        MonitorSort::Id,
        MonitorSort::Name,
        MonitorSort::Status,
        MonitorSort::Since,
        MonitorSort::Updated,
    ]);
    query.descending = dice.one_in(2);
    let some = dice.pick(monitors);
    let filter = &mut query.filter;
    for _ in 0..dice.roll(3) {
        match dice.roll(11) {
            0 => filter.search = Some(part(&some, dice)),
            1 => filter.statuses = vec![some.status, dice.pick(&STATUSES)],
            2 => filter.host = Some(some.host.to_uppercase()),
            3 => filter.port = Some(some.port),
            4 if !some.group.is_empty() => filter.group = Some(some.group.to_owned()),
            5 => filter.tags = vec![TagFilter { name: "team".to_owned(), value: Some("t3".to_owned()) }],
            6 => filter.tags.push(TagFilter { name: "rare".to_owned(), value: None }),
            7 => filter.channels = vec!["ch 7".to_owned(), "ch 8".to_owned()],
            8 => filter.location = Some(dice.pick(&["eu", "local", "moon"]).to_owned()),
            9 => filter.paused = Some(dice.one_in(2)),
            10 => filter.owner = Some(some.owner.clone()),
            _ => filter.enabled = Some(dice.one_in(2)),
        }
    }
    query
}

/// Some letters of a name or a host, in another case.
fn part(of: &Known, dice: &mut Dice) -> String {
    let text = if dice.one_in(2) { &of.name } else { &of.host };
    let letters: Vec<char> = text.chars().collect();
    let from = dice.roll(letters.len());
    let to = (from + 1 + dice.roll(8)).min(letters.len());
    let part: String = letters[from..to].iter().collect();
    if dice.one_in(2) { part.to_uppercase() } else { part }
}

fn is_wanted(filter: &MonitorFilter, one: &Known) -> bool {
    let search = filter.search.as_ref().map(|text| text.trim().to_lowercase());
    search
        .is_none_or(|text| one.name.to_lowercase().contains(&text) || one.host.to_lowercase().contains(&text))
        && (filter.statuses.is_empty() || filter.statuses.contains(&one.status))
        && filter.host.as_ref().is_none_or(|host| host.to_lowercase() == one.host)
        && filter.port.is_none_or(|port| port == one.port)
        && filter.group.as_ref().is_none_or(|group| {
            one.group == group || one.group.strip_prefix(group.as_str()).is_some_and(|g| g.starts_with('/'))
        })
        && filter.tags.iter().all(|tag| {
            one.tags
                .iter()
                .any(|(name, value)| *name == tag.name && tag.value.as_ref().is_none_or(|v| v == value))
        })
        && (filter.channels.is_empty() || filter.channels.iter().any(|name| one.channels.contains(name)))
        && filter.location.as_deref().is_none_or(|location| {
            one.locations.contains(&location) || one.locations.is_empty() && location == "local"
        })
        && filter.paused.is_none_or(|paused| paused == (one.status == Status::Paused))
        && filter.owner.as_ref().is_none_or(|owner| *owner == one.owner)
        && filter.enabled.is_none_or(|enabled| enabled == one.enabled)
}

fn expected(query: &MonitorQuery, monitors: &[Known]) -> Vec<MonitorId> {
    let rank = |one: &Known| StatusCounts::ORDER.iter().position(|s| *s == one.status).unwrap_or(99) as i64;
    // What is equal is ordered by shard, then by number.
    let mut found: Vec<(String, i64, u8, MonitorId)> = monitors
        .iter()
        .filter(|one| is_wanted(&query.filter, one))
        .map(|one| match query.sort {
            MonitorSort::Id => (String::new(), 0, 0, one.id),
            MonitorSort::Name => {
                (format!("{}\n{}", one.name.to_lowercase(), one.host), 0, one.id.shard().0, one.id)
            }
            MonitorSort::Status => (String::new(), rank(one), one.id.shard().0, one.id),
            MonitorSort::Since => (String::new(), one.since, one.id.shard().0, one.id),
            MonitorSort::Updated => (String::new(), one.updated, one.id.shard().0, one.id),
        })
        .collect();
    found.sort();
    if query.descending {
        found.reverse();
    }
    found.into_iter().map(|(_, _, _, id)| id).collect()
}

/// Up to three pages, and whether there are more.
fn pages(bench: &Bench, query: &MonitorQuery) -> (Vec<MonitorRow>, bool, Option<u64>) {
    let mut query = query.clone();
    let (mut all, mut total) = (Vec::new(), None);
    for _ in 0..3 {
        let page = wait(bench.account.monitor_page(query.clone())).expect("a page");
        all.extend(page.items);
        total = total.or(page.total);
        query.after = page.next.map(|next| next.to_string().parse::<MonitorCursor>().expect("a cursor"));
        if query.after.is_none() {
            return (all, false, total);
        }
    }
    (all, true, total)
}

pub(super) fn pages_of_monitors_are_what_one_finds_by_looking_at_all(open: Open<'_>) {
    let bench = Bench::open(open);
    let mut dice = Dice(20_260_501);
    let monitors = fill(&bench, &mut dice);
    let mut told = 0;
    for round in 0..250 {
        let query = random_query(&mut dice, &monitors);
        let wanted = expected(&query, &monitors);
        let (found, more, total) = pages(&bench, &query);
        let ids: Vec<MonitorId> = found.iter().map(|row| row.monitor.id).collect();
        let differs = ids.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
        assert_eq!(differs, None, "round {round}: {query:?}");
        assert!(ids.len() <= wanted.len(), "round {round}: {query:?}");
        assert_eq!(
            more,
            ids.len() < wanted.len(),
            "round {round}: {query:?}, {} of {}",
            ids.len(),
            wanted.len()
        );
        if let Some(total) = total {
            assert_eq!(total, wanted.len() as u64, "round {round}: {query:?}");
            told += 1;
        }
        for row in &found {
            let one = monitors.iter().find(|one| one.id == row.monitor.id).expect("known");
            assert_eq!((row.status, row.updated_at), (one.status, at(one.updated)), "{row:?}");
            assert!(row.status == Status::Paused || row.since == at(one.since), "{row:?}");
        }
    }
    assert!(told > 60, "totals are told where they are cheap: {told}");
    bench.close();
    // Counts are the same after a start.
    counts_are_right(&Bench::open(open), &monitors);
}

fn counts_are_right(bench: &Bench, monitors: &[Known]) {
    let counts = wait(bench.account.status_counts()).expect("counts");
    for status in StatusCounts::ORDER {
        let wanted = monitors.iter().filter(|one| one.status == status).count() as u64;
        assert_eq!(counts.of(status), wanted, "{status:?}");
    }
    let groups = wait(bench.account.groups()).expect("groups");
    assert_eq!(
        groups.iter().map(|one| one.group.as_str()).collect::<Vec<_>>(),
        GROUPS.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    for group in groups {
        for status in StatusCounts::ORDER {
            let is = |one: &&Known| one.group == group.group && one.status == status;
            let wanted = monitors.iter().filter(is).count() as u64;
            assert_eq!(group.counts.of(status), wanted, "{} {status:?}", group.group);
        }
    }
    let tags = wait(bench.account.tags()).expect("tags");
    assert_eq!(tags.len(), 6, "{tags:?}");
    for tag in tags {
        let is = |one: &&Known| one.tags.iter().any(|(n, v)| *n == tag.name && *v == tag.value);
        assert_eq!(tag.monitors, monitors.iter().filter(is).count() as u64, "{tag:?}");
    }
    let naming = wait(bench.account.monitors_naming(vec!["ch 7".to_owned(), "ch 8".to_owned()], 5));
    let wanted: Vec<MonitorId> = monitors
        .iter()
        .filter(|one| one.channels.iter().any(|name| name == "ch 7" || name == "ch 8"))
        .map(|one| one.id)
        .take(5)
        .collect();
    assert_eq!(naming.expect("read").iter().map(|one| one.id).collect::<Vec<_>>(), wanted);
}

pub(super) fn a_list_follows_edits_the_bin_and_other_accounts_are_not_in_it(open: Open<'_>) {
    let bench = Bench::open(open);
    let put = |key: &str, spec: &str| ResourceChange::PutMonitor {
        key: key.to_owned(),
        name: key.to_owned(),
        spec: spec.to_owned(),
    };
    let apply = |changes| {
        let set = ChangeSet { owner: Owner::File, actor: "file".into(), changes, accepted: None };
        wait(bench.account.apply(set, at(1))).expect("applied")
    };
    let found = |query: MonitorQuery| -> Vec<String> {
        let page = wait(bench.account.monitor_page(query)).expect("a page");
        page.items.into_iter().map(|row| row.monitor.name).collect()
    };
    let any = MonitorFilter::default;
    let tagged = |name: &str| {
        MonitorFilter { tags: vec![TagFilter { name: name.to_owned(), value: None }], ..any() }.into()
    };
    let search = |text: &str| MonitorFilter { search: Some(text.to_owned()), ..any() }.into();
    apply(vec![put("a", r#"{"host":"old.example.com","port":1,"tags":{"x":"1"}}"#), put("b", "not a spec")]);
    assert_eq!(found(tagged("x")), ["a"]);
    assert_eq!(found(search("old.ex")), ["a"]);
    assert_eq!(found(MonitorQuery::default()), ["a", "b"], "also what cannot be read is listed");
    apply(vec![put("a", r#"{"host":"new.example.com","port":1,"tags":{"y":"1"}}"#)]);
    assert_eq!((found(tagged("x")), found(tagged("y"))), (vec![], vec!["a".to_owned()]));
    assert_eq!((found(search("old.ex")), found(search("NEW.EX"))), (vec![], vec!["a".to_owned()]));
    apply(vec![remove("a")]);
    assert_eq!(found(tagged("y")), [""; 0]);
    assert_eq!(wait(bench.account.tags()), Ok(Vec::new()));
    assert_eq!(wait(bench.account.status_counts()).expect("counts").total(), 1);
    apply(vec![put("a", r#"{"host":"new.example.com","port":1,"tags":{"y":"1"}}"#)]);
    assert_eq!(found(tagged("y")), ["a"], "back from the bin");
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    let page = wait(theirs.monitor_page(MonitorQuery::default())).expect("a page");
    assert_eq!((page.items.len(), page.total, page.next), (0, Some(0), None));
    let id = wait(bench.account.monitor_named("a")).expect("read").expect("there").id;
    assert_eq!(wait(theirs.monitor_rows(vec![id])), Ok(Vec::new()));
    assert_eq!(wait(theirs.groups()), Ok(Vec::new()));
}
