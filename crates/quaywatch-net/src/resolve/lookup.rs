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
    let mut words: Vec<Option<Word>> = vec![None; upstreams.len()];
    let mut waiting = by_health(upstreams, start).into_iter();
    let mut race = Race::default();
    let mut hedge_at = start;
    let mut enough_at = end;
    loop {
        let now = tools.clock.boot();
        if now >= enough_at {
            break;
        }
        let join = now >= hedge_at || race.is_empty();
        if let Some(index) = join.then(|| waiting.next()).flatten() {
            let upstream = &upstreams[index];
            // Silence until it says something else: it may be left behind when it is enough.
            words[index] = Some(Word::new(upstream.address, Said::Silence));
            race.join(index, upstream.addresses(tools, name, family, end.since(now)));
            hedge_at = now + HEDGE_AFTER;
        }
        if race.is_empty() {
            break;
        }
        let wake = if waiting.len() > 0 { enough_at.min(hedge_at) } else { enough_at };
        let Ok((index, said)) = timeout(wake.since(now), race.next()).await else { continue };
        let now = tools.clock.boot();
        upstreams[index].note(&said, now);
        if !said.is_final() {
            hedge_at = now;
            if said.is_answer() {
                enough_at = enough_at.min(now + DISSENT_GRACE);
            }
        }
        let is_final = said.is_final();
        words[index] = Some(Word::new(upstreams[index].address, said));
        if is_final {
            break;
        }
    }
    drop(race);
    settle(upstreams, tools, words, (start + limit).since(tools.clock.boot())).await
}

/// Notes who was silent, and asks for the root where errors are the best that was said.
async fn settle(
    upstreams: &[Arc<Upstream>],
    tools: Tools<'_>,
    mut words: Vec<Option<Word>>,
    left: Duration,
) -> Vec<Word> {
    let now = tools.clock.boot();
    let found = words.iter().flatten().any(|word| word.said.is_final());
    for (upstream, word) in upstreams.iter().zip(&words) {
        // One that was merely outrun is not sick.
        if let Some(word) = word.as_ref().filter(|_| !found) {
            upstream.note(&word.said, now);
        }
    }
    let said: Vec<Word> = words.iter().flatten().cloned().collect();
    if asks_root(&said) {
        let mut race = Race::default();
        for (index, word) in words.iter().enumerate() {
            if word.as_ref().is_some_and(|word| matches!(word.said, Said::Error { .. })) {
                race.join(index, upstreams[index].answers_root(tools, left.min(ROOT_WITHIN)));
            }
        }
        while !race.is_empty() {
            let (index, answers) = race.next().await;
            if let Some(word) = &mut words[index] {
                word.root = Some(answers);
            }
        }
    }
    words.into_iter().flatten().collect()
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
