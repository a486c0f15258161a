//! One lookup: which upstreams are asked, when, and when it is enough. What their words mean is decided in
//! [`quaywatch_core::dns`].
//!
//! The first upstream is asked; another joins when it stays silent for a moment or answers anything but addresses.
//! So a healthy resolver costs one question, and a sick one never decides alone.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use quaywatch_core::BootTime;
use quaywatch_core::dns::{Said, Word, asks_root};
use quaywatch_core::spec::IpFamily;
use tokio::time::timeout;

use super::upstream::{Tools, Upstream};
use crate::race::Race;

/// Silence of this length brings in the next upstream.
const HEDGE_AFTER: Duration = Duration::from_millis(300);

/// After a first "no" or error the other upstreams get this long to disagree.
const DISSENT_GRACE: Duration = Duration::from_secs(2);

/// Exchanges end by themselves; this much later nobody waits for them any more.
const SLACK: Duration = Duration::from_millis(50);

/// An upstream that works answers for the root from its cache.
const ROOT_WITHIN: Duration = Duration::from_secs(1);

/// What the upstreams said of one name, in their configured order; those that were never asked are left out.
pub(super) async fn ask(
    upstreams: &[Arc<Upstream>],
    tools: Tools<'_>,
    name: &Name,
    family: IpFamily,
    limit: Duration,
) -> Vec<Word> {
    let start = tools.clock.boot();
    // A fifth of the time is kept for the question who is to blame.
    let end = start + limit * 4 / 5;
    let mut asked: Vec<Option<Asked>> = vec![None; upstreams.len()];
    let mut waiting = by_health(upstreams, start).into_iter();
    let mut race = Race::default();
    let mut hedge_at = start;
    let mut enough_at = end + SLACK;
    loop {
        let now = tools.clock.boot();
        if now >= enough_at {
            break;
        }
        let join = now >= hedge_at || race.is_empty();
        if let Some(index) = join.then(|| waiting.next()).flatten() {
            let upstream = &upstreams[index];
            // Silence until it says something else: it may be left behind when it is enough.
            asked[index] = Some(Asked { word: Word::new(upstream.address, Said::Silence), since: now });
            race.join(index, upstream.addresses(tools, name, family, end.since(now)));
            hedge_at = now + HEDGE_AFTER;
        }
        if race.is_empty() {
            break;
        }
        let wake = if waiting.len() > 0 { enough_at.min(hedge_at) } else { enough_at };
        let Ok((index, said)) = timeout(wake.since(now), race.next()).await else { continue };
        let now = tools.clock.boot();
        let (is_final, is_answer) = (said.is_final(), said.is_answer());
        if let Some(asked) = &mut asked[index] {
            asked.word.said = said;
        }
        if is_final {
            break;
        }
        // Whatever it said, somebody else is to say it too.
        hedge_at = now;
        if is_answer {
            enough_at = enough_at.min(now + DISSENT_GRACE);
        }
    }
    drop(race);
    note_health(upstreams, &asked, tools.clock.boot());
    blame(upstreams, tools, asked, (start + limit).since(tools.clock.boot())).await
}

/// An upstream that was asked, and since when.
#[derive(Clone)]
struct Asked {
    word: Word,
    since: BootTime,
}

/// Remembers who was silent, so that the next lookup need not wait for it; one that was merely outrun is not sick.
fn note_health(upstreams: &[Arc<Upstream>], asked: &[Option<Asked>], now: BootTime) {
    for (upstream, asked) in upstreams.iter().zip(asked) {
        let outrun = |asked: &Asked| asked.word.said == Said::Silence && now.since(asked.since) < HEDGE_AFTER;
        if let Some(asked) = asked.as_ref().filter(|asked| !outrun(asked)) {
            upstream.note(&asked.word.said, now);
        }
    }
}

/// Where errors are the best that was said: asks those who gave them for the root.
async fn blame(
    upstreams: &[Arc<Upstream>],
    tools: Tools<'_>,
    asked: Vec<Option<Asked>>,
    left: Duration,
) -> Vec<Word> {
    let (indices, mut words): (Vec<usize>, Vec<Word>) =
        asked.into_iter().enumerate().filter_map(|(index, asked)| Some((index, asked?.word))).unzip();
    if asks_root(&words) {
        let mut race = Race::default();
        for (at, word) in words.iter().enumerate() {
            if matches!(word.said, Said::Error { .. }) {
                race.join(at, upstreams[indices[at]].answers_root(tools, left.min(ROOT_WITHIN)));
            }
        }
        while !race.is_empty() {
            let (at, answers) = race.next().await;
            words[at].root = Some(answers);
        }
    }
    words
}

/// Whether any upstream answers anything at all, asked afresh.
pub(super) async fn any_answers(upstreams: &[Arc<Upstream>], tools: Tools<'_>) -> bool {
    let mut race = Race::default();
    for (index, upstream) in upstreams.iter().enumerate() {
        race.join(index, upstream.ask_root(tools, ROOT_WITHIN));
    }
    while !race.is_empty() {
        if let (_, Some(_)) = race.next().await {
            return true;
        }
    }
    false
}

/// Upstreams in configured order, those that were silent of late at the end.
fn by_health(upstreams: &[Arc<Upstream>], now: BootTime) -> Vec<usize> {
    let mut order: Vec<usize> = (0..upstreams.len()).collect();
    order.sort_by_key(|index| upstreams[*index].is_sick(now));
    order
}
