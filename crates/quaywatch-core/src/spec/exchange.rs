//! How a port is looked at: what is exchanged decides which handshake it takes, and whether there is anything to settle.

use std::time::Duration;

use super::finish::{Laid, Targets, lay, over};
use super::host::Host;
use super::{Expectation, Handshake, IpFamily, Kind, Message, MonitorSpec, TcpSpec};

impl Laid<'_, '_> {
    pub(super) fn tcp(&mut self, spec: &MonitorSpec) -> TcpSpec {
        let Kind::Tcp(mut tcp) = spec.kind.clone();
        tcp.send = self.message();
        tcp.expect = lay!(self.expect);
        tcp.expectation = lay!(self.expectation).unwrap_or_default();
        tcp.addresses = lay!(self.addresses).unwrap_or_default();
        tcp.ip_family = self.family();
        let talks = tcp.send.is_some() || tcp.expect.is_some();
        if talks && tcp.expectation != Expectation::Open {
            self.nothing_to_talk_to(&mut tcp);
        }
        tcp.handshake = tcp.default_handshake();
        if let Some(wish) = over(&self.own.handshake, &self.below.handshake) {
            match (wish.value, tcp.default_handshake(), wish.own) {
                (Handshake::HalfOpen, Handshake::Full, Some(span)) => {
                    let word = match &tcp.send {
                        Some(Message::Open(_)) => "send",
                        Some(Message::Hidden(_)) => "send_secret",
                        None => "expect",
                    };
                    let message =
                        format!("`handshake: half_open` exchanges no bytes, but `{word}` asks for it");
                    self.error(
                        "handshake",
                        span,
                        "contradiction",
                        &message,
                        "leave it out, or write `handshake: full`",
                    );
                }
                (Handshake::HalfOpen, Handshake::Full, None) => {}
                (wish, ..) => tcp.handshake = wish,
            }
        }
        self.settle(&mut tcp, spec.timeout);
        tcp
    }

    /// What is sent: the monitor's own message before a default, and of its own only one.
    fn message(&mut self) -> Option<Message> {
        let own = self.own;
        match (own.send.given(), own.send_secret.given()) {
            (Some(_), Some((_, span))) => {
                let message = "`send` and `send_secret` are both given";
                self.error("send_secret", span, "contradiction", message, "keep one of the two");
                None
            }
            (None, Some((hidden, _))) => Some(Message::Hidden(hidden.clone())),
            (_, None) => lay!(self.send).map(Message::Open),
        }
    }

    fn family(&mut self) -> IpFamily {
        let Some(family) = over(&self.own.ip_family, &self.below.ip_family) else { return IpFamily::Any };
        let hosts = self.own.host.given().map(|(host, _)| std::slice::from_ref(host));
        let hosts =
            hosts.or_else(|| self.own.hosts.given().map(|(hosts, _)| hosts.as_slice())).unwrap_or_default();
        let other = hosts.iter().find(|host| match (host, family.value) {
            (Host::Ip(ip), IpFamily::Ipv4) => ip.is_ipv6(),
            (Host::Ip(ip), IpFamily::Ipv6) => ip.is_ipv4(),
            (Host::Ip(_), IpFamily::Any) | (Host::Name(_), _) => false,
        });
        match (other, family.own) {
            (None, _) => family.value,
            (Some(_), None) => IpFamily::Any,
            (Some(host), Some(span)) => {
                let message = format!("`ip_family` rules out the address `{host}`");
                self.error(
                    "ip_family",
                    span,
                    "contradiction",
                    &message,
                    "leave it out: an address has its family",
                );
                family.value
            }
        }
    }

    /// `send` and `expect` need an open port.
    fn nothing_to_talk_to(&mut self, tcp: &mut TcpSpec) {
        let own = self.own;
        let sends = [
            own.send.given().map(|(_, at)| ("send", at)),
            own.send_secret.given().map(|(_, at)| ("send_secret", at)),
        ];
        let own = sends.into_iter().flatten().next();
        let own = own.or_else(|| self.own.expect.given().map(|(_, span)| ("expect", span)));
        match own {
            Some((word, span)) => {
                let message =
                    format!("`{word}` needs an open port, but `expectation` says that it should not be");
                self.error(word, span, "contradiction", &message, "remove one of the two");
            }
            None => {
                tcp.send = None;
                tcp.expect = None;
            }
        }
    }

    fn settle(&mut self, tcp: &mut TcpSpec, timeout: Duration) {
        tcp.settle = TcpSpec::default_settle(tcp.handshake, tcp.expect.is_some());
        let Some(settle) = over(&self.own.settle, &self.below.settle) else { return };
        let wrong = if tcp.expect.is_some() {
            Some((
                "`settle` has no meaning beside `expect`, which waits for an answer anyway",
                "remove one of the two",
            ))
        } else if tcp.handshake == Handshake::HalfOpen {
            Some((
                "`settle` looks at a completed connection, and `half_open` completes none",
                "add `handshake: full`, or leave it out",
            ))
        } else if settle.value >= timeout {
            Some((
                "`settle` is not below `timeout`, so no check could end in time",
                "shorten it, or raise `timeout`",
            ))
        } else {
            None
        };
        match (wrong, settle.own) {
            (None, _) => tcp.settle = settle.value,
            (Some(_), None) => {}
            (Some((message, remedy)), Some(span)) => {
                self.error("settle", span, "contradiction", message, remedy);
            }
        }
    }

    /// A full handshake without a login counts as an error there, and after a hundred the server shuts us out.
    pub(super) fn mysql_blocks_its_guests(&mut self, template: &MonitorSpec, targets: Option<&Targets>) {
        let Kind::Tcp(tcp) = &template.kind;
        if tcp.handshake == Handshake::Full && targets.is_some_and(|t| t.ports.contains(&3306)) {
            let own = self.own.handshake.given().map(|(_, span)| ("handshake", span));
            let own = own.or_else(|| self.own.port.given().map(|(_, span)| ("port", span)));
            let (key, span) = own.unwrap_or(("port", self.node.span));
            self.problems.warning(
                &self.path.key(key),
                span,
                "harmful",
                "MySQL and MariaDB block this server after about a hundred completed connections without a login",
                "leave `handshake` at `half_open`, which they never notice",
            );
        }
    }
}
