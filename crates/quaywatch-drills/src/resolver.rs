//! The resolver dies. Names that were known are dialled at their last addresses, and outages behind them are still
//! seen; a name that was never known is unknown (`self_dns`), not down; all is well once the resolver is.

use std::net::{IpAddr, Ipv4Addr};

use quaywatch_core::{ErrorCode, ResultFlags, Verdict};
use quaywatch_testkit::netns::NetNs;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;

use crate::door::Door;
use crate::names::NameServer;
use crate::records::Records;
use crate::{Report, Setting, scene};

const KNOWN: usize = 4;

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let namespace = NetNs::new("dns");
    namespace.resolver(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let name_server = NameServer::start(&namespace);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (sink, mut doors) = namespace.enter(|| {
        let doors: Vec<Door> = (0..=KNOWN).map(|_| Door::open_at(here)).collect();
        (Sink::start(), doors)
    });
    let mut names: Vec<String> = (0..KNOWN).map(|n| format!("known{n}")).collect();
    let mut monitors: Vec<String> = names
        .iter()
        .zip(&doors)
        .map(|(name, door)| scene::named(name, &format!("{name}.quaywatch.test"), door.address().port(), ""))
        .collect();
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors)).within(&namespace);
    server.start();
    scene::until_all(&server, &names, "up")?;

    let (mut stale_after, mut told_after, mut unknown_after) = (Vec::new(), Vec::new(), Vec::new());
    let mut healed_after = Vec::new();
    for run in 0..setting.runs {
        let stale = server.metric("quaywatch_dns_stale_total");
        name_server.silence(true);
        stale_after.push(scene::until("names are dialled at their last addresses", || {
            server.metric("quaywatch_dns_stale_total") > stale && server.metric("quaywatch_dns_down") >= 1.0
        })?);
        told_after.push(scene::outage(&server, &sink, "known0", &mut doors[0])?);
        // Nobody has ever heard the address of this one.
        let new = format!("new{run}");
        let port = doors[KNOWN].address().port();
        monitors.push(scene::named(&new, &format!("{new}.quaywatch.test"), port, ""));
        server.configure(&scene::file("", &sink, &monitors));
        unknown_after.push(scene::until_all(&server, std::slice::from_ref(&new), "unknown")?);
        if server.status_of(&new).1 != "self_dns" {
            return Err(format!("a name that nobody could resolve is {:?}", server.status_of(&new)));
        }
        scene::until_all(&server, &names, "up")?;
        names.push(new);
        name_server.silence(false);
        healed_after.push(scene::until_all(&server, &names, "up")?);
        scene::until("names are asked for again", || server.metric("quaywatch_dns_down") < 1.0)?;
    }
    let asked = name_server.asked();
    server.stop();

    let records = Records::read(&server.data())?;
    records.expect_never_down(|name| name != "known0")?;
    scene::expect_one_key_each(&sink.received())?;
    let rows = || records.monitors.iter().flat_map(|watched| &watched.results);
    if let Some(row) = rows().find(|r| r.code.verdict() == Verdict::Unknown && r.code != ErrorCode::SelfDns) {
        return Err(format!("a check at {} says {}, and only the resolver was dead", row.slot, row.code));
    }
    let stale = rows().filter(|row| row.flags.has(ResultFlags::STALE_DNS)).count();
    if stale == 0 {
        return Err("no check is marked as made at a stale address".to_owned());
    }
    let mut report = Report::default();
    report.add("deaths of the resolver", setting.runs);
    report.times("stale addresses used after", &stale_after);
    report.times("outage behind a stale name told after", &told_after);
    report.times("never resolved: unknown (self_dns) after", &unknown_after);
    report.times("all up after it came back", &healed_after);
    report.add("checks at stale addresses, questions asked", format!("{stale}, {asked}"));
    Ok(report)
}
