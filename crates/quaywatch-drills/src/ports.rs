//! The last port for outgoing connections is taken. Checks cannot be made, and that is the watcher's own fault
//! (`self_resource`); all is well once there are ports again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use quaywatch_testkit::netns::NetNs;
use quaywatch_testkit::port::ClosedPort;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, descriptors, scene};

const TARGETS: usize = 8;
const RANGE: &str = "net.ipv4.ip_local_port_range";
/// The one port of the range, which is taken.
const TAKEN: u16 = 61_000;

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let namespace = NetNs::new("ports");
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (sink, doors, mut victim, taken) = namespace.enter(|| {
        let doors: Vec<Door> = (0..TARGETS).map(|_| Door::shut_at(here)).collect();
        (
            Sink::start(),
            doors,
            Door::open_at(here),
            ClosedPort::at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, TAKEN))),
        )
    });
    // A refused socket cannot be used again: each of these needs a port for every check.
    let names: Vec<String> = (0..TARGETS).map(|n| format!("shut{n}")).collect();
    let mut monitors: Vec<String> = names
        .iter()
        .zip(&doors)
        .map(|(name, door)| scene::monitor(name, door.address(), "expectation: closed"))
        .collect();
    monitors.push(scene::monitor("victim", victim.address(), ""));
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors)).within(&namespace);
    server.start();
    scene::until_all(&server, &names, "up")?;

    let (mut unknown_after, mut healed_after, mut told_after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        namespace.sysctl(RANGE, &format!("{TAKEN} {TAKEN}"));
        unknown_after.push(scene::until_all(&server, &names, "unknown")?);
        let said = server.status_of(&names[0]);
        if said.1 != "self_resource" {
            return Err(format!("without a port for it, {} is {said:?}", names[0]));
        }
        namespace.sysctl(RANGE, "32768 60999");
        healed_after.push(scene::until_all(&server, &names, "up")?);
        told_after.push(scene::outage(&server, &sink, "victim", &mut victim)?);
    }
    server.stop();
    drop(taken);
    let records = Records::read(&server.data())?;
    records.expect_never_down(|name| name != "victim")?;
    descriptors::expect_own_fault(&records)?;
    scene::expect_one_key_each(&sink.received())?;
    let mut report = Report::default();
    report.add("times without a port", setting.runs);
    report.times("unknown (self_resource) after", &unknown_after);
    report.times("up again after", &healed_after);
    report.times("next outage told after", &told_after);
    Ok(report)
}
