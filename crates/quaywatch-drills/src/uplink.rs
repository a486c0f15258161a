//! The watcher's own uplink is cut, in two ways: its router swallows everything, and its link goes down. Nobody is
//! called down; targets are unknown (`self_network`), whoever runs the server is told when it lasts, and all is well
//! once the uplink is.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use quaywatch_core::{Clock as _, ErrorCode, Verdict};
use quaywatch_testkit::netns::Routed;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;
use quaywatch_testkit::wait::RealClock;

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, scene};

const TARGETS: usize = 8;
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Blindness is told after two minutes.
const TOLD_WITHIN: Duration = Duration::from_secs(180);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The router swallows what it is sent.
    Swallowed,
    /// The cable is pulled.
    Pulled,
}

impl Cut {
    fn make(self, network: &Routed) {
        match self {
            Self::Swallowed => {
                let chain = |hook| {
                    format!("chain {hook} {{ type filter hook {hook} priority 0; iifname \"eth0\" drop; }}\n")
                };
                network.router.nft(&format!("table inet cut {{\n{}{}}}\n", chain("input"), chain("forward")));
            }
            Self::Pulled => drop(network.router.ok("ip", &["link", "set", "eth0", "down"])),
        }
    }

    fn mend(self, network: &Routed) {
        match self {
            Self::Swallowed => network.router.nft("delete table inet cut"),
            Self::Pulled => drop(network.router.ok("ip", &["link", "set", "eth0", "up"])),
        }
    }
}

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let network = Routed::new();
    let mut doors: Vec<Door> =
        network.server.enter(|| (0..TARGETS).map(|_| Door::open_at(IpAddr::V4(SERVER))).collect());
    // On the watcher's loopback: a channel that does not need the uplink.
    let sink = network.watcher.enter(Sink::start);
    let names: Vec<String> = (0..TARGETS).map(|n| format!("t{n}")).collect();
    let monitors: Vec<String> =
        names.iter().zip(&doors).map(|(name, door)| scene::monitor(name, door.address(), "")).collect();
    let mut server =
        Server::new(&setting.binary, &scene::file("", &sink, &monitors)).within(&network.watcher);
    server.start();
    scene::until_all(&server, &names, "up")?;
    scene::outage(&server, &sink, &names[0], &mut doors[0])?;

    let mut report = Report::default();
    let (mut blind_after, mut unknown_after, mut healed_after) = (Vec::new(), Vec::new(), Vec::new());
    let mut told_after = Vec::new();
    for run in 0..setting.runs {
        for cut in [Cut::Swallowed, Cut::Pulled] {
            let before = sink.received().len();
            let began = RealClock.boot();
            cut.make(&network);
            let knows =
                scene::until("the server knows that it is blind", || server.metric("quaywatch_blind") >= 1.0);
            blind_after.push(knows.map_err(|error| {
                let said: Vec<String> =
                    names.iter().map(|name| format!("{:?}", server.status_of(name))).collect();
                format!("{cut:?}: {error}; targets are {}\n{}", said.join(" "), scene::tail(&server.log()))
            })?);
            unknown_after.push(scene::until_all(&server, &names, "unknown")?);
            if !setting.short && run == 0 {
                let fault = sink.wait("server.fault", TOLD_WITHIN, |r| r.json()["type"] == "server.fault");
                report.add("server.fault told after", scene::seconds(RealClock.boot().since(began)));
                if fault.json()["error_code"] != "self_network" {
                    return Err(format!("blindness was told as {}", fault.json()));
                }
            }
            cut.mend(&network);
            healed_after.push(scene::until_all(&server, &names, "up")?);
            scene::until("the server sees again", || server.metric("quaywatch_blind") < 1.0)?;
            if !setting.short && run == 0 {
                let recovered =
                    |r: &quaywatch_testkit::sink::Received| r.json()["type"] == "server.recovered";
                sink.wait("server.recovered", scene::PATIENCE, recovered);
            } else if sink.received().len() > before {
                let told = sink.received()[before].json();
                return Err(format!("somebody was told of a short cut of our own: {told}"));
            }
            told_after.push(scene::outage(&server, &sink, &names[0], &mut doors[0])?);
        }
    }
    server.stop();
    let records = Records::read(&server.data())?;
    let never_down = records.expect_never_down(|name| name != names[0]);
    never_down.map_err(|error| format!("{error}\n{}", scene::tail(&server.log())))?;
    scene::expect_one_key_each(&sink.received())?;
    let incidents = records.of(&names[0])?.incidents.len();
    if incidents != 1 + told_after.len() {
        return Err(format!(
            "{} has {incidents} incidents, and {} real outages",
            names[0],
            1 + told_after.len()
        ));
    }
    let rows = || records.monitors.iter().flat_map(|watched| &watched.results);
    if let Some(row) =
        rows().find(|r| r.code.verdict() == Verdict::Unknown && r.code != ErrorCode::SelfNetwork)
    {
        return Err(format!("a check at {} says {}, and only the uplink was cut", row.slot, row.code));
    }
    let cuts = setting.runs as usize * 2;
    let blind = records
        .blind
        .iter()
        .filter(|blind| blind.code == ErrorCode::SelfNetwork && blind.to.is_some())
        .count();
    if blind != cuts {
        return Err(format!("{cuts} cuts, and {blind} spans of blindness in the store: {:?}", records.blind));
    }
    report.add("cuts of the uplink", cuts);
    report.times("known to be blind after", &blind_after);
    report.times("targets unknown after further", &unknown_after);
    report.times("up again after", &healed_after);
    report.times("next outage told after", &told_after);
    Ok(report)
}
