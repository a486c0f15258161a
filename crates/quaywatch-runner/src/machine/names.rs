//! The names that monitors dial: each stands once, with its latest answer, the order in which its addresses are
//! tried, and the checks that wait for it. A check whose name has a fresh answer never leaves the loop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::spec::IpFamily;
use quaywatch_core::{BootTime, dns};
use quaywatch_net::Answer;

use super::aloft::Aloft;
use super::fair::Fair;
use super::flight::Token;
use super::roster::Map;
use crate::ports::{Names, Question};

/// All names.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    names: Vec<Name>,
    free: Vec<u32>,
    places: Map<(IpFamily, Arc<str>), u32>,
    /// Names whose turn to be asked for has not come, by the account that wanted them first.
    turns: Fair,
    /// Names being asked for: those of one account may all be silent for seconds.
    asking: Aloft,
}

#[derive(Debug)]
struct Name {
    name: Arc<str>,
    family: IpFamily,
    users: u32,
    round: u32,
    asked: Asked,
    /// The account that it is asked for.
    account: u16,
    limit: Duration,
    answer: Option<Answer>,
    last_good: Option<IpAddr>,
    waiting: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    /// It waits for its turn.
    Soon,
    Now,
}

impl NameTable {
    pub(super) fn name(&self, place: u32) -> &str {
        &self.names[place as usize].name
    }

    pub(super) fn family(&self, place: u32) -> IpFamily {
        self.names[place as usize].family
    }

    /// The place of a name, for one more user.
    pub(super) fn hold(&mut self, name: &str, family: IpFamily) -> u32 {
        let name: Arc<str> = name.into();
        if let Some(place) = self.places.get(&(family, Arc::clone(&name))).copied() {
            self.names[place as usize].users += 1;
            return place;
        }
        let new = Name {
            name: Arc::clone(&name),
            family,
            users: 1,
            round: 0,
            asked: Asked::No,
            account: 0,
            limit: Duration::ZERO,
            answer: None,
            last_good: None,
            waiting: Vec::new(),
        };
        let place = if let Some(place) = self.free.pop() {
            // Rounds go on, so that an answer for the former name is not taken for this one's.
            let round = self.names[place as usize].round + 1;
            self.names[place as usize] = Name { round, ..new };
            place
        } else {
            self.names.push(new);
            u32::try_from(self.names.len() - 1).expect("there are not more names than monitors")
        };
        self.places.insert((family, name), place);
        place
    }

    /// One user less.
    pub(super) fn release(&mut self, place: u32) {
        let name = &mut self.names[place as usize];
        name.users -= 1;
        if name.users > 0 {
            return;
        }
        self.places.remove(&(name.family, Arc::clone(&name.name)));
        let asked = std::mem::replace(&mut name.asked, Asked::No);
        name.round += 1;
        (name.answer, name.waiting) = (None, Vec::new());
        if asked == Asked::Now {
            self.asking.ended(name.account);
        }
        self.free.push(place);
    }

    /// The answer that stands at `now`.
    pub(super) fn fresh(&self, place: u32, now: BootTime) -> Option<&Answer> {
        self.names[place as usize].answer.as_ref().filter(|answer| now < answer.valid_until)
    }

    /// Lets `token` wait for an answer, and asks for one, at once or when its turn comes.
    pub(super) fn wait(&mut self, place: u32, account: u16, token: Token, limit: Duration) {
        let name = &mut self.names[place as usize];
        name.waiting.push(token);
        name.limit = name.limit.max(limit);
        if name.asked == Asked::No {
            (name.asked, name.account) = (Asked::Soon, account);
            self.turns.push(account, place);
        }
    }

    /// Asks for the names whose turn it is; at most `most` at once.
    pub(super) fn ask(&mut self, most: usize, names: &mut dyn Names) {
        loop {
            let asking = &self.asking;
            let next = self.turns.pop_if(|account| asking.may(account, most));
            let Some((account, place)) = next else { return };
            let name = &mut self.names[place as usize];
            // It may have been released meanwhile, and its place be another's.
            if name.asked != Asked::Soon {
                continue;
            }
            (name.asked, name.account) = (Asked::Now, account);
            name.round += 1;
            self.asking.began(account);
            let question = Question { name: place, round: name.round };
            names.ask(question, &name.name, name.family, std::mem::take(&mut name.limit));
        }
    }

    /// Takes an answer; returns who waited for it. An answer to a question that is not asked any more is dropped.
    pub(super) fn take(&mut self, question: Question, answer: Answer) -> Vec<Token> {
        let Some(name) = self.names.get_mut(question.name as usize) else { return Vec::new() };
        if name.round != question.round || name.asked != Asked::Now {
            return Vec::new();
        }
        name.asked = Asked::No;
        name.answer = Some(in_order(answer, name.last_good));
        self.asking.ended(name.account);
        std::mem::take(&mut name.waiting)
    }

    /// An address of the name answered: it is tried first from now on.
    pub(super) fn good(&mut self, place: u32, ip: IpAddr) {
        let name = &mut self.names[place as usize];
        if name.last_good != Some(ip) {
            name.last_good = Some(ip);
            name.answer = name.answer.take().map(|answer| in_order(answer, Some(ip)));
        }
    }

    /// Answers are asked for afresh.
    pub(super) fn expire(&mut self) {
        for name in &mut self.names {
            name.answer = None;
        }
    }

    /// Nobody waits any more, and what was asked before now is not to be trusted.
    pub(super) fn void(&mut self) {
        for name in &mut self.names {
            name.waiting.clear();
            name.asked = Asked::No;
            name.round += 1;
        }
        self.turns.clear();
        self.asking.clear();
    }

    /// Names being asked for, or waiting for their turn.
    pub(super) fn pending(&self) -> usize {
        self.asking.total() + self.turns.len()
    }
}

fn in_order(answer: Answer, last_good: Option<IpAddr>) -> Answer {
    match last_good {
        Some(good) if answer.addresses.contains(&good) && answer.addresses[0] != good => {
            Answer { addresses: dns::order(&answer.addresses, Some(good)).into(), ..answer }
        }
        _ => answer,
    }
}
