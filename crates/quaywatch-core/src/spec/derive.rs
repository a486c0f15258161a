//! What follows from a spec: its defaults, the runner's job, the judge's policy, and whether an edit makes it another
//! thing to watch.

use std::time::Duration;

use super::{Addresses, Expectation, Handshake, IpFamily, Kind, MonitorSpec, Pattern, TcpSpec};
use crate::id::{AccountId, LocationId, MonitorId};
use crate::job::{Epoch, Job, Plan, Plans, Speech};
use crate::judge::Policy;

const SECOND: Duration = Duration::from_secs(1);

impl MonitorSpec {
    /// Default of `check_interval`.
    pub const CHECK_INTERVAL: Duration = Duration::from_secs(60);
    /// Default of `timeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of `dns_timeout`.
    pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);
    /// Default of `consecutive_failures_before_alert`.
    pub const FAILURES: u16 = 2;
    /// Default of `consecutive_successes_before_recovery`.
    pub const SUCCESSES: u16 = 1;
    /// Default of `flap_changes`.
    pub const FLAP_CHANGES: u16 = 6;
    /// The location that a monitor has when it names none: the server itself.
    pub const LOCAL: &'static str = "local";

    /// A TCP monitor with every setting at its default.
    #[must_use]
    pub fn tcp(name: impl Into<String>, host: super::Host, port: u16) -> Self {
        Self {
            key: None,
            name: name.into(),
            kind: Kind::Tcp(TcpSpec::new(host, port)),
            check_interval: Self::CHECK_INTERVAL,
            timeout: Self::TIMEOUT,
            dns_timeout: Self::DNS_TIMEOUT,
            retry_interval: Self::default_retry_interval(Self::CHECK_INTERVAL),
            consecutive_failures_before_alert: Self::FAILURES,
            consecutive_successes_before_recovery: Self::SUCCESSES,
            response_time_threshold: None,
            locations: Self::only_local(),
            locations_down_before_alert: None,
            alert_on_failure: true,
            alert_before_first_success: true,
            flap_changes: Self::FLAP_CHANGES,
            flap_window: None,
            flap_hold: None,
            channels: Vec::new(),
            group: None,
            tags: std::collections::BTreeMap::new(),
            enabled: true,
            description: None,
            runbook_url: None,
        }
    }

    /// What is dialled.
    #[must_use]
    pub const fn host_and_port(&self) -> (&super::Host, u16) {
        match &self.kind {
            Kind::Tcp(tcp) => (&tcp.host, tcp.port),
        }
    }

    /// What is dialled, as one writes it: `db.example.com:5432`.
    #[must_use]
    pub fn target(&self) -> String {
        let (host, port) = self.host_and_port();
        host.with_port(port)
    }

    /// What identifies the monitor for its owner: `id:` if given, else the name.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }

    /// Default of `retry_interval`: 5 s, never above the interval.
    #[must_use]
    pub fn default_retry_interval(check_interval: Duration) -> Duration {
        check_interval.min(5 * SECOND)
    }

    pub(super) fn only_local() -> Vec<String> {
        vec![Self::LOCAL.to_owned()]
    }

    pub(super) fn is_only_local(&self) -> bool {
        self.locations.len() == 1 && self.locations[0] == Self::LOCAL
    }

    /// What the runner must know, in the first epoch. Equal settings share one plan through `plans`.
    #[must_use]
    pub fn job(&self, id: MonitorId, account: AccountId, plans: &mut Plans) -> Job {
        let Kind::Tcp(tcp) = &self.kind;
        let plan = Plan {
            check_interval: self.check_interval,
            timeout: self.timeout,
            dns_timeout: self.dns_timeout,
            ip_family: tcp.ip_family,
            addresses: tcp.addresses,
            handshake: tcp.handshake,
            settle: tcp.settle,
            expectation: tcp.expectation,
            send: tcp.send.clone().map(|message| Speech::of(account, message)),
            expect: tcp.expect.clone(),
        };
        let epoch = Epoch::default();
        Job { monitor: id, account, host: tcp.host.clone(), port: tcp.port, epoch, plan: plans.share(plan) }
    }

    /// What the judge must know. `location` gives the number of a declared location; names it does not know (a
    /// location that was taken out of the file) are left out.
    #[must_use]
    pub fn policy(&self, location: impl Fn(&str) -> Option<LocationId>) -> Policy {
        Policy {
            check_interval: self.check_interval,
            timeout: self.timeout,
            dns_timeout: self.dns_timeout,
            retry_interval: self.retry_interval,
            failures: self.consecutive_failures_before_alert,
            successes: self.consecutive_successes_before_recovery,
            threshold_us: self
                .response_time_threshold
                .map(|threshold| u32::try_from(threshold.as_micros()).unwrap_or(u32::MAX)),
            locations: self.locations.iter().filter_map(|name| location(name)).collect(),
            quorum: self.locations_down_before_alert,
            flap_changes: self.flap_changes,
            flap_window: self.flap_window.unwrap_or_else(|| (20 * self.check_interval).max(300 * SECOND)),
            flap_hold: self.flap_hold.unwrap_or_else(|| (10 * self.check_interval).max(30 * SECOND)),
            alert_before_first_success: self.alert_before_first_success,
        }
    }

    /// Whether `new` watches another thing, or in another way: then streaks start anew and an open incident is closed
    /// as superseded. Any other edit changes nothing in the judge.
    #[must_use]
    pub fn resets_judge(&self, new: &Self) -> bool {
        let watched = |spec: &Self| {
            let Kind::Tcp(tcp) = &spec.kind;
            // `settle` belongs to how it is looked at, but a longer look finds no other truth.
            TcpSpec { settle: Duration::ZERO, ..tcp.clone() }
        };
        watched(self) != watched(new)
    }
}

impl TcpSpec {
    /// Default of `settle` where a full handshake is looked at.
    pub const SETTLE: Duration = Duration::from_millis(50);
    /// How many bytes of the first answer `expect` sees.
    pub const EXPECT_BYTES: usize = 4 * 1024;

    /// A port with every setting at its default.
    #[must_use]
    pub fn new(host: super::Host, port: u16) -> Self {
        Self {
            host,
            port,
            ip_family: IpFamily::Any,
            addresses: Addresses::First,
            handshake: Handshake::HalfOpen,
            settle: Duration::ZERO,
            expectation: Expectation::Open,
            send: None,
            expect: None,
        }
    }

    /// Half-open, unless bytes are exchanged.
    #[must_use]
    pub const fn default_handshake(&self) -> Handshake {
        if self.send.is_some() || self.expect.is_some() { Handshake::Full } else { Handshake::HalfOpen }
    }

    /// 50 ms for a full handshake that nothing else looks at; zero for all others, whose `settle` has no meaning.
    #[must_use]
    pub const fn default_settle(handshake: Handshake, expects: bool) -> Duration {
        match handshake {
            Handshake::Full if !expects => Self::SETTLE,
            Handshake::Full | Handshake::HalfOpen => Duration::ZERO,
        }
    }
}

impl Pattern {
    /// What a pattern may cost once compiled: enough for any banner, too little to be used against the server.
    const SIZE_LIMIT: usize = 256 * 1024;

    /// Compiles the pattern as everybody must: over bytes, with the same limits, so that what was accepted runs.
    ///
    /// # Errors
    /// It is no pattern, or one too large.
    pub fn compile(&self) -> Result<regex::bytes::Regex, regex::Error> {
        regex::bytes::RegexBuilder::new(&self.0)
            .size_limit(Self::SIZE_LIMIT)
            .dfa_size_limit(2 * Self::SIZE_LIMIT)
            .nest_limit(50)
            .build()
    }
}
