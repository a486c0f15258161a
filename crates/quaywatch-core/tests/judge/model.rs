//! A second judge, written to be obviously right and nothing else: it keeps every result it ever saw, counts by
//! walking back through the list, walks through time second by second, and finds out what to tell by comparing two
//! pictures. It shares no code with the real one.

use quaywatch_core::judge::{CloseReason, Command, Input, Policy, Severity, Status};
use quaywatch_core::{ErrorCode, LocationId, Timestamp, Verdict};

/// Seconds since the epoch: the random sequences live on whole seconds.
pub(crate) type Secs = i64;

/// What stands in the history of a location.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Good,
    Slow(ErrorCode),
    Failed(ErrorCode),
    Forbidden(ErrorCode),
    Unseen,
    /// It was silent for too long.
    Stale,
    /// A long time in which the server was away.
    Away,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Vote {
    None,
    Up,
    Slow,
    Down,
    Blocked,
}

/// What a history comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Standing {
    vote: Vote,
    code: ErrorCode,
    /// Where a down or slow vote began.
    from: Option<Secs>,
    stale: bool,
    unconfirmed: bool,
    fails: u16,
    slows: u16,
}

struct Place {
    id: LocationId,
    history: Vec<(Secs, Entry)>,
    last_slot: Option<Secs>,
    seen_at: Secs,
    lost: bool,
    returning: bool,
    blind_code: Option<ErrorCode>,
}

impl Place {
    fn new(id: LocationId, now: Secs) -> Self {
        Self {
            id,
            history: vec![],
            last_slot: None,
            seen_at: now,
            lost: false,
            returning: false,
            blind_code: None,
        }
    }

    /// Walks through the whole history.
    fn standing(&self, policy: &Policy) -> Standing {
        let mut vote = Vote::None;
        let mut code = ErrorCode::Ok;
        let mut from = None;
        let mut stale = false;
        // Entries before this one were settled by being forbidden.
        let mut floor = 0;
        let mut unconfirmed = false;
        for (index, (slot, entry)) in self.history.iter().enumerate() {
            let past = &self.history[floor..=index];
            let fails = trailing(past, |e| matches!(e, Entry::Failed(_)), is_neutral_or_forbidden);
            let slows = trailing(past, |e| matches!(e, Entry::Slow(_)), is_neutral_or_forbidden);
            let goods = trailing(past, |e| matches!(e, Entry::Good), is_neutral_or_forbidden);
            let successes =
                trailing(past, |e| matches!(e, Entry::Good | Entry::Slow(_)), is_neutral_or_forbidden);
            let blocks = trailing(past, |e| matches!(e, Entry::Forbidden(_)), is_neutral);
            let same = |wanted: ErrorCode| {
                let run = trailing(
                    past,
                    |e| matches!(e, Entry::Failed(c) | Entry::Slow(c) if c == wanted),
                    is_neutral_or_forbidden,
                );
                run >= usize::from(policy.failures)
            };
            let enough = usize::from(policy.failures);
            let well = usize::from(policy.successes);
            match *entry {
                Entry::Unseen | Entry::Away => {}
                Entry::Stale => {
                    stale = true;
                    if vote == Vote::Up {
                        vote = Vote::None;
                    }
                }
                Entry::Good => {
                    let over = match vote {
                        Vote::None | Vote::Up | Vote::Blocked => true,
                        Vote::Slow => goods >= well,
                        Vote::Down => successes >= well,
                    };
                    if over {
                        (vote, code, from) = (Vote::Up, ErrorCode::Ok, None);
                    }
                    stale &= !matches!(vote, Vote::Up | Vote::Slow);
                }
                Entry::Slow(c) => {
                    if vote == Vote::Slow {
                        code = if same(c) { c } else { code };
                    } else {
                        let over = vote != Vote::Down || successes >= well;
                        if over {
                            (vote, code, from) = (Vote::Up, ErrorCode::Ok, None);
                        }
                        if over && slows >= enough {
                            let first = first_of_run(past, |e| matches!(e, Entry::Slow(_)));
                            (vote, code, from) = (Vote::Slow, c, Some(first));
                        }
                    }
                    stale &= !matches!(vote, Vote::Up | Vote::Slow);
                }
                Entry::Failed(c) => {
                    if vote == Vote::Down {
                        code = if same(c) { c } else { code };
                        from = if stale { Some(*slot) } else { from };
                    } else if fails >= enough {
                        let first = first_of_run(past, |e| matches!(e, Entry::Failed(_)));
                        (vote, code, from) = (Vote::Down, c, Some(first));
                    }
                    stale &= vote != Vote::Down;
                }
                Entry::Forbidden(c) => {
                    if vote != Vote::Blocked && blocks >= enough {
                        (vote, code, from) = (Vote::Blocked, c, None);
                        floor = index + 1;
                    }
                    stale &= vote != Vote::Blocked;
                }
            }
            unconfirmed = match vote {
                Vote::None => fails > 0 || blocks > 0,
                Vote::Up => fails > 0 || slows > 0 || blocks > 0,
                Vote::Slow => fails > 0 || goods > 0 || blocks > 0,
                Vote::Down => successes > 0 || blocks > 0,
                Vote::Blocked => floor <= index && fails > 0,
            };
        }
        let past = &self.history[floor..];
        let cap = |n: usize| n.min(usize::from(policy.failures)) as u16;
        let fails = cap(trailing(past, |e| matches!(e, Entry::Failed(_)), is_neutral_or_forbidden));
        let slows = cap(trailing(past, |e| matches!(e, Entry::Slow(_)), is_neutral_or_forbidden));
        Standing { vote, code, from, stale, unconfirmed, fails, slows }
    }
}

fn is_neutral(entry: Entry) -> bool {
    matches!(entry, Entry::Unseen | Entry::Stale | Entry::Away)
}

fn is_neutral_or_forbidden(entry: Entry) -> bool {
    is_neutral(entry) || matches!(entry, Entry::Forbidden(_))
}

/// How many entries at the end are `wanted`, those that say nothing left out.
fn trailing(
    past: &[(Secs, Entry)],
    wanted: impl Fn(Entry) -> bool,
    neutral: impl Fn(Entry) -> bool,
) -> usize {
    past.iter().rev().map(|(_, e)| *e).filter(|e| !neutral(*e)).take_while(|e| wanted(*e)).count()
}

/// The slot of the first entry of the run at the end, not looking back over a time in which nobody saw.
fn first_of_run(past: &[(Secs, Entry)], wanted: impl Fn(Entry) -> bool) -> Secs {
    let mut first = None;
    for (slot, entry) in past.iter().rev() {
        match *entry {
            Entry::Stale | Entry::Away => break,
            Entry::Unseen | Entry::Forbidden(_) => {}
            e if wanted(e) => first = Some(*slot),
            _ => break,
        }
    }
    first.expect("the run has at least its last entry")
}

/// Everything that is told, at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Incident {
    ordinal: u32,
    critical: bool,
    status: Status,
    code: ErrorCode,
    flapping: bool,
}

pub(crate) struct Model {
    policy: Policy,
    places: Vec<Place>,
    clock: Secs,
    base: (Status, ErrorCode, bool),
    base_from: Secs,
    dark: bool,
    shown: Status,
    edge: Option<Secs>,
    interval: Option<(Status, ErrorCode)>,
    incident: Option<Incident>,
    last_ordinal: u32,
    /// Confirmed changes, all of them.
    changes: Vec<Secs>,
    last_seen: Status,
    bad: u32,
    paused: bool,
    maintenance: bool,
    ever_up: bool,
    reborn: bool,
}

fn s(d: std::time::Duration) -> Secs {
    d.as_secs() as Secs
}

fn t(at: Secs) -> Timestamp {
    Timestamp::from_secs(at)
}

impl Model {
    pub(crate) fn new(policy: &Policy, now: Secs) -> Self {
        Self {
            policy: policy.clone(),
            places: policy.locations.iter().map(|id| Place::new(*id, now)).collect(),
            clock: now,
            base: (Status::Pending, ErrorCode::Ok, false),
            base_from: now,
            dark: false,
            shown: Status::Pending,
            edge: None,
            interval: None,
            incident: None,
            last_ordinal: 0,
            changes: vec![],
            last_seen: Status::Pending,
            bad: 0,
            paused: false,
            maintenance: false,
            ever_up: false,
            reborn: false,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.shown
    }

    pub(crate) fn tick(&mut self, now: Secs) -> Vec<Command> {
        let mut out = vec![];
        self.walk(now, &mut out);
        out
    }

    pub(crate) fn handle(&mut self, input: &Input, now: Secs) -> Vec<Command> {
        let mut out = vec![];
        match *input {
            Input::Observed { location, slot, code, latency_us } => {
                self.observe(location, slot.secs(), code, latency_us, now, &mut out);
                return out;
            }
            Input::Restarted { gap } => {
                self.restart(s(gap), now, &mut out);
                return out;
            }
            _ => self.walk(now, &mut out),
        }
        match *input {
            Input::Paused | Input::Removed if !self.paused => {
                let reason = if *input == Input::Paused { CloseReason::Paused } else { CloseReason::Removed };
                self.close(reason, now, &mut out);
                self.paused = true;
                self.anew(now);
                self.tell(now, None, &mut out);
            }
            Input::Resumed if self.paused => {
                self.paused = false;
                self.anew(now);
                self.tell(now, None, &mut out);
            }
            Input::Revised { reset: true } => {
                self.close(CloseReason::Superseded, now, &mut out);
                self.ever_up = false;
                self.anew(now);
                self.tell(now, None, &mut out);
            }
            Input::MaintenanceStarted if !self.maintenance => {
                self.maintenance = true;
                if !self.paused {
                    self.tell(now, None, &mut out);
                }
            }
            Input::MaintenanceEnded if self.maintenance => {
                self.maintenance = false;
                if !self.paused {
                    self.tell(now, None, &mut out);
                    for place in &self.places {
                        if place.standing(&self.policy).unconfirmed {
                            out.push(Command::Recheck { location: place.id, at: t(now) });
                        }
                    }
                }
            }
            Input::LocationLost { location, code } => {
                if let Some(place) = self.places.iter_mut().find(|p| p.id == location) {
                    (place.lost, place.returning, place.blind_code) = (true, false, Some(code));
                    self.decide(now, false, &mut out);
                }
            }
            Input::LocationBack { location } => {
                let policy = &self.policy;
                if let Some(place) = self.places.iter_mut().find(|p| p.id == location && p.lost) {
                    place.lost = false;
                    place.returning = place.standing(policy).stale;
                    place.seen_at = now;
                    self.decide(now, false, &mut out);
                }
            }
            _ => {}
        }
        out
    }

    fn fresh_for(&self) -> Secs {
        2 * s(self.policy.check_interval).max(s(self.policy.timeout) + s(self.policy.dns_timeout))
    }

    /// Second by second, does what falls due.
    fn walk(&mut self, until: Secs, out: &mut Vec<Command>) {
        while self.clock < until {
            self.clock += 1;
            while !self.paused && self.one_deadline(self.clock, out) {}
        }
        while !self.paused && self.one_deadline(until, out) {}
    }

    fn one_deadline(&mut self, now: Secs, out: &mut Vec<Command>) -> bool {
        let fresh = self.fresh_for();
        for index in 0..self.places.len() {
            let stale = self.places[index].standing(&self.policy).stale;
            let place = &mut self.places[index];
            if (!stale || place.returning) && now >= place.seen_at + fresh {
                let at = place.seen_at + fresh;
                place.history.push((at, Entry::Stale));
                place.returning = false;
                self.decide(at, false, out);
                return true;
            }
        }
        let latest = self.places.iter().map(|p| p.seen_at).max().expect("a location") + fresh;
        let three = self.base_from + 3 * s(self.policy.check_interval);
        let due = match self.base {
            (Status::Unknown, _, false) => Some(three.max(latest)),
            (Status::Blocked, _, _) => Some(three),
            _ => None,
        };
        if let Some(at) = due.filter(|at| !self.dark && now >= *at) {
            self.dark = true;
            self.tell(at, None, out);
            return true;
        }
        let held = self.changes.last().copied().unwrap_or(0) + s(self.policy.flap_hold);
        let seen = matches!(self.base.0, Status::Up | Status::Degraded | Status::Down);
        if let Some(incident) = self.incident.as_mut().filter(|i| i.flapping && seen && !self.maintenance)
            && now >= held
        {
            incident.flapping = false;
            self.changes.clear();
            if self.base.0 == Status::Up {
                self.close(CloseReason::Recovered, self.base_from, out);
            } else {
                let (status, code, _) = self.base;
                (incident.status, incident.code, incident.critical) = (status, code, status == Status::Down);
                out.push(Command::IncidentSteady { ordinal: incident.ordinal, status, code });
            }
            return true;
        }
        false
    }

    fn restart(&mut self, gap: Secs, now: Secs, out: &mut Vec<Command>) {
        for place in &self.places {
            if place.standing(&self.policy).unconfirmed && !self.paused && !self.maintenance {
                let at = (place.seen_at + s(self.policy.retry_interval)).max(now);
                out.push(Command::Recheck { location: place.id, at: t(at) });
            }
        }
        let (fresh, blind) = (self.fresh_for(), self.base.2);
        for place in &mut self.places {
            place.seen_at = now;
            if blind || place.lost {
                (place.lost, place.returning) = (false, true);
            }
            if gap > fresh {
                place.history.push((now, Entry::Away));
            }
        }
        self.clock = self.clock.max(now);
        while !self.paused && self.one_deadline(now, out) {}
    }

    fn observe(
        &mut self,
        location: LocationId,
        slot: Secs,
        code: ErrorCode,
        latency_us: Option<u32>,
        now: Secs,
        out: &mut Vec<Command>,
    ) {
        let Some(index) = self.places.iter().position(|p| p.id == location) else { return };
        let late = now - slot > self.fresh_for().max(120) || slot - now > 120;
        if self.paused || late || self.places[index].last_slot.is_some_and(|last| slot <= last) {
            return;
        }
        // Whatever falls due with this very slot does not happen.
        self.walk(slot.min(now) - 1, out);
        let entry = match code.verdict() {
            Verdict::Up if latency_us > self.policy.threshold_us && self.policy.threshold_us.is_some() => {
                Entry::Slow(ErrorCode::TcpSlow)
            }
            Verdict::Up => Entry::Good,
            Verdict::Degraded => Entry::Slow(code),
            Verdict::Down => Entry::Failed(code),
            Verdict::Blocked => Entry::Forbidden(code),
            Verdict::Unknown => Entry::Unseen,
        };
        let before = self.places[index].standing(&self.policy);
        let place = &mut self.places[index];
        place.last_slot = Some(slot);
        place.history.push((slot, entry));
        let after = place.standing(&self.policy);
        if entry == Entry::Unseen {
            place.blind_code = Some(code);
        } else {
            if !place.lost {
                place.blind_code = None;
            }
            if !matches!(entry, Entry::Forbidden(_)) || after.vote == Vote::Blocked {
                place.seen_at = place.seen_at.max(now);
            }
            if !after.stale {
                place.returning = false;
            }
        }
        match entry {
            Entry::Slow(_) | Entry::Failed(_) => self.bad += 1,
            Entry::Good => {
                let calm = |p: &Place| {
                    let st = p.standing(&self.policy);
                    st.fails == 0 && st.slows == 0 && st.vote != Vote::Down
                };
                if self.incident.is_none() && self.places.iter().all(calm) {
                    self.bad = 0;
                }
            }
            _ => {}
        }
        let says = |st: Standing| (if st.stale { None } else { Some(st.vote) }, st.code);
        if says(before) != says(after) {
            let worsened = before.vote != after.vote && matches!(after.vote, Vote::Down | Vote::Slow);
            self.decide(slot, worsened, out);
        }
        if self.maintenance {
            return;
        }
        if after.unconfirmed {
            out.push(Command::Recheck { location, at: t(now + s(self.policy.retry_interval)) });
        }
        if after.vote == Vote::Down && before.vote != Vote::Down && self.base.0 != Status::Down {
            for other in self.places.iter().filter(|p| p.id != location) {
                let st = other.standing(&self.policy);
                if !st.stale && st.vote != Vote::Down && st.fails == 0 {
                    out.push(Command::Recheck { location: other.id, at: t(now) });
                }
            }
        }
    }

    /// What is said of the monitor, from all histories.
    fn decide(&mut self, at: Secs, worsened: bool, out: &mut Vec<Command>) {
        if self.paused {
            return;
        }
        let all: Vec<Standing> = self.places.iter().map(|p| p.standing(&self.policy)).collect();
        let fresh: Vec<Standing> = all.iter().copied().filter(|st| !st.stale).collect();
        let count = |vote: Vote| fresh.iter().filter(|st| st.vote == vote).count();
        let voting = count(Vote::Up) + count(Vote::Slow) + count(Vote::Down);
        let need = match self.policy.quorum {
            None => voting / 2 + 1,
            Some(n) => usize::from(n).max(1).min(voting.max(1)),
        };
        let code_among = |votes: &[Vote], kept: ErrorCode| {
            let codes: Vec<ErrorCode> =
                fresh.iter().filter(|st| votes.contains(&st.vote)).map(|st| st.code).collect();
            if codes.contains(&kept) { kept } else { codes[0] }
        };
        let kept = self.base.1;
        let (now_is, agreeing): ((Status, ErrorCode, bool), &[Vote]) =
            if voting > 0 && count(Vote::Down) >= need {
                ((Status::Down, code_among(&[Vote::Down], kept), false), &[Vote::Down])
            } else if voting > 0 && count(Vote::Down) + count(Vote::Slow) >= need {
                let votes = &[Vote::Down, Vote::Slow];
                ((Status::Degraded, code_among(votes, kept), false), votes)
            } else if voting > 0 {
                ((Status::Up, ErrorCode::Ok, false), &[])
            } else if count(Vote::Blocked) > 0 {
                ((Status::Blocked, code_among(&[Vote::Blocked], kept), false), &[])
            } else if !fresh.is_empty() {
                return self.tell(at, None, out);
            } else {
                let silent = if self.places[0].id == LocationId::LOCAL {
                    ErrorCode::SelfStall
                } else {
                    ErrorCode::AgentOffline
                };
                let code = self.places.iter().find_map(|p| p.blind_code).unwrap_or(silent);
                ((Status::Unknown, code, self.places.iter().all(|p| p.lost || p.returning)), &[])
            };
        if (now_is.0, now_is.2) == (self.base.0, self.base.2) {
            let trouble = matches!(now_is.0, Status::Down | Status::Degraded);
            if trouble && now_is.1 != self.base.1 {
                self.base.1 = now_is.1;
                self.tell(at, Some(at), out);
            } else {
                self.tell(at, None, out);
            }
            return;
        }
        let badness = |status: Status| match status {
            Status::Down => 2,
            Status::Degraded => 1,
            _ => 0,
        };
        let mut from = at;
        if worsened && badness(now_is.0) > badness(self.base.0) {
            let mut begun: Vec<Secs> =
                fresh.iter().filter(|st| agreeing.contains(&st.vote)).filter_map(|st| st.from).collect();
            begun.sort_unstable();
            let nth = begun[need - 1];
            from =
                *begun.iter().find(|b| **b >= nth - s(self.policy.check_interval)).expect("at least the nth");
        }
        self.base_from = self.base_from.max(from);
        self.base = now_is;
        self.dark = false;
        if matches!(now_is.0, Status::Up | Status::Degraded) {
            self.ever_up = true;
        }
        let mut change = None;
        if matches!(now_is.0, Status::Up | Status::Degraded | Status::Down) && now_is.0 != self.last_seen {
            if !(self.last_seen == Status::Pending && now_is.0 == Status::Up) {
                change = Some(at);
            }
            self.last_seen = now_is.0;
        }
        self.tell(self.base_from, change, out);
    }

    /// Compares what was told with what should be.
    fn tell(&mut self, from: Secs, change: Option<Secs>, out: &mut Vec<Command>) {
        let start = self.edge.map_or(from, |edge| edge.max(from));
        let shown = match (self.paused, self.maintenance) {
            (true, _) => Status::Paused,
            (false, true) => Status::Maintenance,
            (false, false) => self.base.0,
        };
        if shown != self.shown {
            out.push(Command::Changed { from: self.shown, to: shown, since: t(start), code: self.base.1 });
            self.shown = shown;
        }
        let wanted = match shown {
            Status::Up => None,
            Status::Pending if !self.reborn => None,
            Status::Unknown if self.base.2 => None,
            Status::Pending | Status::Paused => Some((shown, ErrorCode::Ok)),
            _ => Some((shown, self.base.1)),
        };
        let turned = wanted != self.interval;
        if turned && self.interval.is_some() {
            out.push(Command::IntervalClosed { to: t(start) });
        }
        if let Some(at) = change {
            let flapping = self.incident.is_some_and(|i| i.flapping);
            if !self.maintenance || flapping {
                let at = self.changes.last().map_or(at, |last| at.max(*last));
                self.changes.push(at);
            }
        }
        self.follow(change.is_some(), out);
        if turned {
            self.edge = Some(start);
            self.interval = wanted;
            if let Some((status, code)) = wanted {
                let incident = self.incident.map(|i| i.ordinal);
                out.push(Command::IntervalOpened { from: t(start), status, code, incident });
            }
        }
    }

    fn follow(&mut self, changed: bool, out: &mut Vec<Command>) {
        if self.paused || self.incident.is_some_and(|i| i.flapping) {
            return;
        }
        let (status, code, _) = self.base;
        if let Some(incident) = self.incident.as_mut().filter(|_| changed && !self.maintenance) {
            let window = s(self.policy.flap_window);
            let last = *self.changes.last().expect("this change");
            let within =
                self.changes.iter().rev().take(8).take_while(|c| last - **c <= window).count() as u16;
            if self.policy.flap_changes > 0 && within >= self.policy.flap_changes.min(8) {
                incident.flapping = true;
                out.push(Command::IncidentFlapping { ordinal: incident.ordinal, changes: within, status });
                return;
            }
        }
        let bad = match status {
            Status::Up => {
                self.close(CloseReason::Recovered, self.base_from, out);
                return;
            }
            Status::Down | Status::Degraded => true,
            Status::Unknown | Status::Blocked => self.dark,
            _ => false,
        };
        if !bad || self.maintenance {
            return;
        }
        if status == Status::Degraded && self.incident.is_some_and(|i| i.critical) {
            self.close(CloseReason::Recovered, self.base_from, out);
        }
        let severity = |critical| if critical { Severity::Critical } else { Severity::Warning };
        match &mut self.incident {
            None => {
                if !self.ever_up && !self.policy.alert_before_first_success {
                    return;
                }
                self.last_ordinal += 1;
                let critical = status == Status::Down;
                let ordinal = self.last_ordinal;
                self.incident = Some(Incident { ordinal, critical, status, code, flapping: false });
                out.push(Command::IncidentOpened {
                    ordinal,
                    severity: severity(critical),
                    status,
                    started_at: t(self.base_from),
                    code,
                    never_up: !self.ever_up,
                    failed_checks: self.bad,
                });
            }
            Some(incident) if (incident.status, incident.code) != (status, code) => {
                incident.critical |= status == Status::Down;
                (incident.status, incident.code) = (status, code);
                out.push(Command::IncidentUpdated {
                    ordinal: incident.ordinal,
                    severity: severity(incident.critical),
                    status,
                    code,
                    failed_checks: self.bad,
                });
            }
            Some(_) => {}
        }
    }

    fn close(&mut self, reason: CloseReason, at: Secs, out: &mut Vec<Command>) {
        if let Some(incident) = self.incident.take() {
            let ended_at = t(at.max(self.base_from));
            let (ordinal, failed_checks) = (incident.ordinal, self.bad);
            out.push(Command::IncidentClosed { ordinal, reason, ended_at, failed_checks });
            let counts = self.places.iter().map(|p| p.standing(&self.policy));
            self.bad = counts.map(|st| u32::from(st.fails) + u32::from(st.slows)).sum();
        }
    }

    fn anew(&mut self, now: Secs) {
        for place in &mut self.places {
            place.history.clear();
            place.last_slot = Some(now - 1);
            place.seen_at = now;
        }
        self.base = (Status::Pending, ErrorCode::Ok, false);
        self.base_from = self.base_from.max(now);
        self.dark = false;
        self.last_seen = Status::Pending;
        self.changes.clear();
        self.bad = 0;
        self.reborn = true;
    }
}
